//! The states of a mail in the queue.

use serde::Serialize;

/// What has become of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is tried again later.
    Waiting,
    /// The mail server, or the folder, has it.
    Sent,
    /// It was given up.
    Failed,
    /// Nobody wants it any more: its certificate has been replaced, or its owner was forgotten.
    Dropped,
}

impl State {
    /// As it is stored and counted.
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
