//! The classification of errors: which step failed and who can correct the cause. Speech, log and alarms depend on it.

use std::fmt;

/// The processing steps, with the names that the log uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Validation of the request envelope.
    Request,
    /// Resolution of the access token to an owner.
    Identify,
    /// Creation of the thing and the certificate of an owner.
    Onboard,
    /// Delivery of the certificate by mail.
    Deliver,
    /// Transfer of a command to the shadow.
    Relay,
    /// Later changes of an identity: suspension, deletion, mail bounces and clean-up.
    Lifecycle,
    /// Registration of a device at the registration endpoint, or creation of a claim code for it.
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

/// Who can correct the cause of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The user: for example, link the account again or say another number.
    Speaker,
    /// No action is needed: the same request succeeds if repeated later.
    Again,
    /// The operator of the skill: the AWS account or the configuration is incomplete.
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

/// An error of one step, with the classification that response and log need.
pub trait ClassifiedError: std::error::Error {
    /// The step that failed.
    fn step(&self) -> Step;
    /// Who can correct the cause.
    fn fault(&self) -> Fault;
    /// A stable name for alarms and searches, such as `mail_refused`.
    fn cause(&self) -> &'static str;
}

/// The error and all its sources in one line, for a log or a terminal.
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
