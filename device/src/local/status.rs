//! The status of the agent for other processes of the device: a file in the state folder.

use serde::{Deserialize, Serialize};

use crate::agent::Answer;

/// The status of the agent at its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The state of the connection.
    pub(crate) connection: Online,
    /// The time of the last change of the connection, as Unix time in seconds.
    pub(crate) since: u64,
    /// Why there is no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The newest command that has an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_command: Option<LastCommand>,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Online {
    /// The connection is established.
    Connected,
    /// The agent is trying to connect.
    Connecting,
    /// The server refuses this device; the agent tries again from time to time.
    Refused,
    /// The agent has ended.
    Stopped,
}

/// A command with its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastCommand {
    /// The id of the command.
    pub(crate) id: String,
    /// One of `accepted`, `done`, `refused` and `failed`.
    pub(crate) status: String,
    /// A description for the owner.
    pub(crate) detail: String,
    /// The time since which the command has this status, as Unix time in seconds.
    pub(crate) at: u64,
}

impl LastCommand {
    /// Whether this is the same command with the same status.
    pub(crate) fn is(&self, answer: &Answer) -> bool {
        (self.id.as_str(), self.status.as_str()) == (answer.id.as_str(), answer.status.word())
    }
}
