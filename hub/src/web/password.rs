//! The password that opens the page to others than this machine.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest, Sha256};

/// A password, kept as its SHA-256 only.
#[derive(Clone)]
pub struct Password([u8; 32]);

impl Password {
    /// Takes a password.
    pub fn new(password: &str) -> Self {
        Self(Sha256::digest(password.as_bytes()).into())
    }

    /// Compares in constant time, so that nothing can be learnt from how long it takes.
    pub fn is(&self, password: &str) -> bool {
        verify_slices_are_equal(&self.0, &Self::new(password).0).is_ok()
    }
}
