//! The failure of a command: one sentence for the user, and an exit code for scripts.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use onething::fault::chain;
use thiserror::Error;

use crate::bundle::{BundleError, NotValidNow};
use crate::cli::name::NameError;
use crate::journal::JournalError;
use crate::registration::RegisterError;
use crate::registration::options::OptionsError;
use crate::state::StateError;

/// The remedy for a device without usable credentials.
pub(crate) const GET_ONE: &str = "run `onething-device setup BUNDLE.zip` with the file out of the mail";

/// The failure of a command, with one variant for each exit code.
#[derive(Debug, Error)]
pub enum Failure {
    /// Any other failure.
    #[error("{0}")]
    Other(String),
    /// The command line, or a file that it names, is invalid.
    #[error("{0}")]
    Usage(String),
    /// There are no usable credentials.
    #[error("{0}")]
    NoCredentials(String),
    /// The server has refused the request or the connection.
    #[error("{0}")]
    Refused(String),
    /// The server could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The output of the command cannot be written.
    #[error("standard output cannot be written to")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The failure of another process with this exit code.
    pub(crate) fn of(exit_code: u8, why: String) -> Self {
        match exit_code {
            2 => Failure::Usage(why),
            3 => Failure::NoCredentials(why),
            4 => Failure::Refused(why),
            5 => Failure::Unreachable(why),
            _ => Failure::Other(why),
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Other(_) | Failure::Output(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NoCredentials(_) => 3,
            Failure::Refused(_) => 4,
            Failure::Unreachable(_) => 5,
        }
    }

    /// Whether the reader of standard output has closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Failure::Usage(error.to_string())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Failure::Other(chain(&error))
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let sentence = chain(&error);
        match error {
            StateError::Pointer(..) | StateError::Credentials(..) => Failure::NoCredentials(format!("{sentence}; {GET_ONE}")),
            StateError::Nowhere => Failure::Usage(sentence),
            _ => Failure::Other(sentence),
        }
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        let sentence = chain(&error);
        match error {
            RegisterError::State(error) => error.into(),
            RegisterError::Unknown(_) | RegisterError::Credential(_) => Failure::NoCredentials(sentence),
            RegisterError::Refused(_) => Failure::Refused(sentence),
            RegisterError::Unreachable(_) => Failure::Unreachable(sentence),
            RegisterError::Answer(..) | RegisterError::Key(_) => Failure::Other(sentence),
        }
    }
}

impl From<OptionsError> for Failure {
    fn from(error: OptionsError) -> Self {
        match error {
            OptionsError::Nothing => Failure::NoCredentials(error.to_string()),
            _ => Failure::Usage(error.to_string()),
        }
    }
}

/// A bundle from the command line. For stored credentials the error is `StateError::Credentials`.
impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Failure::NoCredentials(chain(&error))
    }
}

impl From<NotValidNow> for Failure {
    fn from(error: NotValidNow) -> Self {
        Failure::NoCredentials(match error {
            NotValidNow::Expired(_) => format!("{error}; ask for a new one: open the skill and say \"send my certificate again\""),
            _ => error.to_string(),
        })
    }
}
