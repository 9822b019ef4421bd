//! What is wanted of a device, and what became of it, in the words of its shadow.
//!
//! Who sent a command is checked by the policies, what it says is checked by the body that does it.

use serde::Serialize;
use serde_json::{Map, Value};

/// No id is longer: Alexa's request ids have some 60 characters.
const ID_LIMIT: usize = 256;

/// Something to be done: once for its id, and never after it has expired.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Not empty.
    pub id: String,
    /// What is to be done; empty when it is not said.
    pub name: String,
    /// How, as the device model has it; `null` when it is not said.
    pub args: Value,
    /// Seconds since the epoch; from then on it must not be done.
    pub expires_at: Option<u64>,
}

impl Command {
    /// Reads `command` out of a delta. A delta holds only what is not reported, so one without an id has been answered.
    pub fn read(command: &Map<String, Value>) -> Option<Self> {
        Self::of(command.get("id")?.as_str()?, command)
    }

    /// The command of this id with these fields.
    pub fn of(id: &str, fields: &Map<String, Value>) -> Option<Self> {
        (1..=ID_LIMIT).contains(&id.len()).then(|| Self {
            id: id.to_owned(),
            name: fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            args: fields.get("args").cloned().unwrap_or_default(),
            expires_at: fields.get("expiresAt").and_then(Value::as_u64),
        })
    }
}

/// What a body is told to begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A property shall have this value.
    Set {
        /// The property.
        name: String,
        /// What the owner wants it to be.
        value: Value,
    },
    /// A command shall be done.
    Do(Command),
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandStatus {
    /// It is being done.
    Accepted,
    /// It has been done.
    Done,
    /// It was not begun.
    Refused,
    /// It was begun, and did not come to its end.
    Failed,
}

impl CommandStatus {
    /// Whether nothing more comes.
    pub fn is_end(self) -> bool {
        self != Self::Accepted
    }

    /// The word in the shadow.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Done, Self::Refused, Self::Failed].into_iter().find(|status| status.word() == word)
    }
}

/// The answer to a command, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Of the command.
    pub id: String,
    /// What became of it.
    pub status: CommandStatus,
    /// The same for a person.
    pub detail: String,
}

/// Words of others, as part of one line.
pub(crate) fn plain(words: &str) -> String {
    plain_within(words, 64)
}

/// The same with so many characters at most.
pub(super) fn plain_within(words: &str, limit: usize) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect()
}

/// What became of something, for the log.
pub(crate) fn line(name: &str, status: CommandStatus, detail: &str) -> String {
    let (name, status) = (plain(name), status.word());
    if detail.is_empty() { format!("{name} {status}") } else { format!("{name} {status}: {}", plain(detail)) }
}
