//! Secrets that are held in memory only, and the fingerprints that may be stored in their place.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A private key in PEM: in the memory of one invocation and in one mail or one answer, nowhere else.
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// Takes the key over; it is wiped from memory when dropped.
    pub fn new(pem: String) -> Self {
        Self(Zeroizing::new(pem))
    }

    /// The PEM text, for the bundle, the one answer of [`crate::registration`], and the disk of the device whose key it is.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// SHA-256 of a secret, which may be kept and compared where the secret itself may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The fingerprint of bytes.
    pub fn of_bytes(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Accepts what [`Fingerprint::hex`] gives.
    pub fn parse(hex: &str) -> Option<Self> {
        HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Whether both are of one secret; how long this takes tells nothing of where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_comes_back_from_hex() {
        let one = Fingerprint::of("secret");
        let again = Fingerprint::parse(&one.hex()).unwrap();
        assert!(again.matches(&one) && !again.matches(&Fingerprint::of("another")));
        assert_eq!((Fingerprint::parse(""), Fingerprint::parse(&one.hex()[2..])), (None, None));
    }

    #[test]
    fn a_private_key_does_not_show_in_debug_output() {
        let key = PrivateKey::new("-----BEGIN RSA PRIVATE KEY-----".into());
        assert_eq!(format!("{key:?}"), "PrivateKey(redacted)");
    }
}
