//! Who must act when something went wrong: the three answers that speech, log and alarms are made from.

use std::fmt;

/// The steps of the story, as the log names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request itself.
    Request,
    /// Access token to owner.
    Identify,
    /// Owner to thing and certificate.
    Onboard,
    /// Certificate to mailbox.
    Deliver,
    /// Command to shadow.
    Relay,
    /// The rest of an identity's life.
    Lifecycle,
    /// A device at the endpoint, or a code for it.
    Register,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Request => "request",
            Step::Identify => "identify",
            Step::Onboard => "onboard",
            Step::Deliver => "deliver",
            Step::Relay => "relay",
            Step::Lifecycle => "lifecycle",
            Step::Register => "register",
        })
    }
}

/// Who can mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The person who speaks: link the account again, say another number.
    Speaker,
    /// Nobody; the same request works in a moment.
    Again,
    /// The maker of the skill: something in the account or the configuration is missing.
    Maker,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Speaker => "speaker",
            Fault::Again => "again",
            Fault::Maker => "maker",
        })
    }
}

/// A failure of one step, as answer and log need it.
pub trait ClassifiedError: std::error::Error {
    /// Where in the story it happened.
    fn step(&self) -> Step;
    /// Who can mend it.
    fn fault(&self) -> Fault;
    /// A stable name for alarms and searches, such as `mail_refused`.
    fn cause(&self) -> &'static str;
}

/// An error with all its causes in one line, for a log or a terminal.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}
