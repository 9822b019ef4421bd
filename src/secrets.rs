//! Types for secrets that exist only in memory, and for their fingerprints, which may be stored.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A private key in PEM. It exists in the memory of one request, in one mail or one response, and nowhere else.
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// Takes ownership of the key. The memory is overwritten when the value is dropped.
    pub fn new(pem: String) -> Self {
        Self(Zeroizing::new(pem))
    }

    /// The PEM text, for the bundle, for the response of [`crate::registration`], and for the file system of the device that owns
    /// the key.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// The SHA-256 of a secret. It may be stored and compared where the secret itself must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a secret text.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The fingerprint of secret bytes.
    pub fn of_bytes(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Parses the result of [`Fingerprint::hex`].
    pub fn parse(hex: &str) -> Option<Self> {
        HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The fingerprint in 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Whether both fingerprints are equal. The comparison takes constant time.
    pub fn matches(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_the_conversion_to_hex() {
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
