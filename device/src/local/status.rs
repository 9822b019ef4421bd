//! What the agent says about itself to those who ask on the device: a file in the state folder.

use serde::{Deserialize, Serialize};

use crate::agent::Answer;

/// The agent, at its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The connection.
    pub(crate) connection: Online,
    /// Since when, in seconds since the epoch.
    pub(crate) since: u64,
    /// Why there is no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The command that came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_command: Option<LastCommand>,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Online {
    /// It stands.
    Connected,
    /// It is tried.
    Connecting,
    /// The server does not let this device in; it is tried again now and then.
    Refused,
    /// The agent has ended.
    Stopped,
}

/// A command, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastCommand {
    /// Its id.
    pub(crate) id: String,
    /// `accepted`, `done`, `refused` or `failed`.
    pub(crate) status: String,
    /// The same for a person.
    pub(crate) detail: String,
    /// Since when, in seconds since the epoch.
    pub(crate) at: u64,
}

impl LastCommand {
    /// Whether it is of this command, and says the same.
    pub(crate) fn is(&self, answer: &Answer) -> bool {
        (self.id.as_str(), self.status.as_str()) == (answer.id.as_str(), answer.status.word())
    }
}
