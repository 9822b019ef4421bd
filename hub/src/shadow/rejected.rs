//! The reasons for which a shadow request is rejected, with the codes and messages of AWS IoT
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html>).

use thiserror::Error;

/// The most levels of nesting in `desired` or `reported`.
pub(super) const DEPTH_LIMIT: usize = 8;
/// Why a request was rejected. `Display` is the `message` of the response to the device, hence the capital letters.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Rejected {
    /// The payload is not JSON, or not an object.
    #[error("Invalid JSON")]
    InvalidJson,
    /// The update has no `state`.
    #[error("Missing required node: state")]
    MissingState,
    /// `state` is neither an object nor `null`.
    #[error("State node must be an object")]
    StateNotObject,
    /// `desired` is neither an object nor `null`.
    #[error("Desired node must be an object")]
    DesiredNotObject,
    /// `reported` is neither an object nor `null`.
    #[error("Reported node must be an object")]
    ReportedNotObject,
    /// `version` is not a number that a shadow can have.
    #[error("Invalid version")]
    InvalidVersion,
    /// `clientToken` is not a string, or is longer than 64 bytes.
    #[error("Invalid clientToken")]
    InvalidClientToken,
    /// A section is nested too deep. (The guide's list of messages says 6, its list of quotas 8.)
    #[error("JSON contains too many levels of nesting; maximum is {DEPTH_LIMIT}")]
    TooDeep,
    /// The name of a section other than `desired` and `reported`, or of an array that contains `null`.
    #[error("State contains an invalid node: '{0}'")]
    InvalidNode(String),
    /// The shadow does not exist. The text is the name of the shadow, or of the thing for the classic shadow.
    #[error("No shadow exists with name: '{0}'")]
    NotFound(String),
    /// The `version` of the update is not the current version.
    #[error("Version conflict")]
    Conflict,
    /// The state of the update or of the resulting shadow exceeds 8 KB, or the payload exceeds 128 KB.
    #[error("The payload exceeds the maximum size allowed")]
    TooLarge,
    /// The payload is not UTF-8.
    #[error("Unsupported documented encoding; supported encoding is UTF-8")]
    NotUtf8,
}

impl Rejected {
    /// Returns the `code` of the response: an HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            Self::InvalidJson
            | Self::MissingState
            | Self::StateNotObject
            | Self::DesiredNotObject
            | Self::ReportedNotObject
            | Self::InvalidVersion
            | Self::InvalidClientToken
            | Self::TooDeep
            | Self::InvalidNode(_) => 400,
            Self::NotFound(_) => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::NotUtf8 => 415,
        }
    }
}
