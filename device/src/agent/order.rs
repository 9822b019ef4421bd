//! The orders of a device and the answers to commands, with the terms of its shadow.
//!
//! The AWS IoT policies check the sender of a command; the body that performs a command checks its content.

use serde::Serialize;
use serde_json::{Map, Value};

/// The largest accepted length of a command id. The request ids of Alexa have about 60 characters.
const ID_LIMIT: usize = 256;

/// A command, which is performed at most once for each id and never after it has expired.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The id of the command, which is not empty.
    pub id: String,
    /// The name of the command in the device model, or empty if the name is missing.
    pub name: String,
    /// The arguments, as the device model defines them, or `null` if they are missing.
    pub args: Value,
    /// Unix time in seconds from which on the command must not be begun.
    pub expires_at: Option<u64>,
}

impl Command {
    /// Parses `command` of a delta. A delta contains only differences, so a command without an id has already been answered.
    pub fn read(command: &Map<String, Value>) -> Option<Self> {
        Self::of(command.get("id")?.as_str()?, command)
    }

    /// Parses the fields of the command of this id. Returns `None` if the id is empty or too long.
    pub fn of(id: &str, fields: &Map<String, Value>) -> Option<Self> {
        (1..=ID_LIMIT).contains(&id.len()).then(|| Self {
            id: id.to_owned(),
            name: fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            args: fields.get("args").cloned().unwrap_or_default(),
            expires_at: fields.get("expiresAt").and_then(Value::as_u64),
        })
    }
}

/// An order to a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Sets a property.
    Set {
        /// The name of the property.
        name: String,
        /// The desired value.
        value: Value,
    },
    /// Performs a command.
    Do(Command),
}

/// The status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandStatus {
    /// The command is in progress.
    Accepted,
    /// The command succeeded.
    Done,
    /// The command was not begun.
    Refused,
    /// The command was begun and did not succeed.
    Failed,
}

impl CommandStatus {
    /// Whether this is the final status of a command.
    pub fn is_end(self) -> bool {
        self != Self::Accepted
    }

    /// The value of `status` in the shadow.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Parses the value of `status` in the shadow.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Accepted, Self::Done, Self::Refused, Self::Failed].into_iter().find(|status| status.word() == word)
    }
}

/// The answer to a command, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The id of the command.
    pub id: String,
    /// The status of the command.
    pub status: CommandStatus,
    /// A description for the owner.
    pub detail: String,
}

/// Text from outside as part of one line: without control characters, and at most 64 characters.
pub(crate) fn plain(words: &str) -> String {
    plain_within(words, 64)
}

/// The text without control characters, cut to `limit` characters.
pub(super) fn plain_within(words: &str, limit: usize) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect()
}

/// The result of a command or of a property for the log.
pub(crate) fn line(name: &str, status: CommandStatus, detail: &str) -> String {
    let (name, status) = (plain(name), status.word());
    if detail.is_empty() { format!("{name} {status}") } else { format!("{name} {status}: {}", plain(detail)) }
}
