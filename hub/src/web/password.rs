//! The password with which clients on other machines may use the page.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest, Sha256};

/// A password, stored only as its SHA-256.
#[derive(Clone)]
pub struct Password([u8; 32]);

impl Password {
    /// Hashes a password.
    pub fn new(password: &str) -> Self {
        Self(Sha256::digest(password.as_bytes()).into())
    }

    /// Whether this is the password. The comparison takes constant time, so its duration reveals nothing.
    pub fn is(&self, password: &str) -> bool {
        verify_slices_are_equal(&self.0, &Self::new(password).0).is_ok()
    }
}
