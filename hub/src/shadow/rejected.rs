//! Why a request about a shadow is not granted, in the words of AWS IoT
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html>).

use thiserror::Error;

/// Levels of names in `desired` or `reported`.
pub(super) const DEPTH_LIMIT: usize = 8;
/// Why a request was not granted. Its `Display` is the `message` that devices get; hence the capitals.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Rejected {
    /// Not JSON, or not an object.
    #[error("Invalid JSON")]
    InvalidJson,
    /// An update of nothing.
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
    /// `clientToken` is no string, or longer than 64 bytes.
    #[error("Invalid clientToken")]
    InvalidClientToken,
    /// Nested too deep. (The guide's list of messages says 6, its list of quotas 8.)
    #[error("JSON contains too many levels of nesting; maximum is {DEPTH_LIMIT}")]
    TooDeep,
    /// A section other than `desired` and `reported`, or an array with `null` in it, of this name.
    #[error("State contains an invalid node: '{0}'")]
    InvalidNode(String),
    /// There is no such shadow: the shadow's name, or the thing's if the shadow has none.
    #[error("No shadow exists with name: '{0}'")]
    NotFound(String),
    /// The update is for another version.
    #[error("Version conflict")]
    Conflict,
    /// The shadow would be larger than 8 KB, or the request is.
    #[error("The payload exceeds the maximum size allowed")]
    TooLarge,
    /// Text in another encoding.
    #[error("Unsupported documented encoding; supported encoding is UTF-8")]
    NotUtf8,
}

impl Rejected {
    /// The `code` that devices get: an HTTP status.
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
