//! The states of a mail in the queue.

use serde::Serialize;

/// The state of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The mail waits for the next attempt.
    Waiting,
    /// The mail server, or the folder, has accepted the mail.
    Sent,
    /// The mail was refused permanently, or it was given up.
    Failed,
    /// The mail is obsolete: its certificate was replaced, or its thing was deleted.
    Dropped,
}

impl State {
    /// The name in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::Failed => "failed",
            State::Dropped => "dropped",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "waiting" => State::Waiting,
            "sent" => State::Sent,
            "dropped" => State::Dropped,
            _ => State::Failed,
        }
    }
}
