//! How a command fails: one sentence for a person, and an exit code for whoever started it.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use onething::fault::chain;
use thiserror::Error;

use crate::bundle::{BundleError, Untimely};
use crate::cli::name::NameError;
use crate::journal::JournalError;
use crate::registration::RegisterError;
use crate::registration::options::OptionsError;
use crate::state::StateError;

/// What to do when a device has no credentials of use.
pub(crate) const GET_ONE: &str = "run `onething-device setup BUNDLE.zip` with the file out of the mail";

/// Whose turn it is when a command has failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// Anything else.
    #[error("{0}")]
    Other(String),
    /// The command line or a file that it names.
    #[error("{0}")]
    Usage(String),
    /// There are no credentials that can be used.
    #[error("{0}")]
    NoCredentials(String),
    /// The server says no.
    #[error("{0}")]
    Refused(String),
    /// There is no way to the server.
    #[error("{0}")]
    Unreachable(String),
    /// What was asked for cannot be printed.
    #[error("standard output cannot be written to")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The failure of this exit code, by another process.
    pub(crate) fn of(exit_code: u8, why: String) -> Self {
        match exit_code {
            2 => Failure::Usage(why),
            3 => Failure::NoCredentials(why),
            4 => Failure::Refused(why),
            5 => Failure::Unreachable(why),
            _ => Failure::Other(why),
        }
    }

    /// What a script goes by.
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

    /// Whether who asked has stopped to read.
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

/// A bundle that was just given. What is wrong with a stored one, `StateError::Credentials` says.
impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Failure::NoCredentials(chain(&error))
    }
}

impl From<Untimely> for Failure {
    fn from(error: Untimely) -> Self {
        Failure::NoCredentials(match error {
            Untimely::Expired(_) => format!("{error}; ask for a new one: open the skill and say \"send my certificate again\""),
            _ => error.to_string(),
        })
    }
}
