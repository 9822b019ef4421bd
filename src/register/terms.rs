//! Who may register, and on what terms: `register.toml`.

use thiserror::Error;

/// The terms.
#[derive(Debug, Default)]
pub struct Terms {}

/// Everything that is wrong with the terms.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("register.toml has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct TermsError(pub Vec<String>);

impl Terms {
    /// Reads `register.toml`; every fault with its place.
    pub fn parse(toml: &str) -> Result<Self, TermsError> {
        toml::from_str::<toml::Table>(toml).map_err(|error| TermsError(vec![error.to_string()]))?;
        Ok(Self {})
    }
}
