//! The way to the door, `POST /register`, where a device without a bundle gets one.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::files::Files;
use crate::name::Name;

/// With what a device knocks.
#[derive(Debug)]
pub enum Knock {
    /// The claim code that an owner was told.
    Code(Secret),
    /// What the maker or the installer has set up.
    Registration,
}

/// Which door.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its URL.
    pub url: String,
    /// What the device is called.
    pub name: Name,
}

/// Something that is not shown, such as a claim code. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }
}

impl Secret {
    /// The text, for the door only.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why the door did not give anything.
#[derive(Debug, Error)]
pub enum KnockError {
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// It does not answer.
    #[error("{0}")]
    Unreachable(String),
}

/// Knocks, and takes the files that the device then has.
pub async fn knock(_: &Knock, door: &Door) -> Result<Files, KnockError> {
    Err(KnockError::Unreachable(format!("this device does not speak with doors such as {} yet", door.url)))
}
