//! A certificate that a device presents.

use x509_cert::der::Decode;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::pem;
use super::public_key::PublicKey;
use crate::identifiers::CertificateId;

/// A certificate that a device presents, with the data that are needed to authenticate the device.
pub struct ShownCertificate {
    id: CertificateId,
    expires_at: u64,
    public_key: SubjectPublicKeyInfoOwned,
}

impl ShownCertificate {
    /// Parses the first certificate in a text, in PEM.
    pub fn parse(text: &str) -> Option<Self> {
        let der = pem::find(text, &["CERTIFICATE"])?;
        let certificate = x509_cert::Certificate::from_der(&der).ok()?;
        let certificate = certificate.tbs_certificate();
        let expires_at = certificate.validity().not_after.to_unix_duration().as_secs();
        Some(Self { id: CertificateId::of(&der), expires_at, public_key: certificate.subject_public_key_info().clone() })
    }

    /// The id of the certificate in the registry: the SHA-256 of its DER.
    pub fn id(&self) -> &CertificateId {
        &self.id
    }

    /// The end of its validity, as Unix time in seconds.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// Whether the private key of the certificate made this signature over `message`, with SHA-256.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = PublicKey::read(&self.public_key) else { return false };
        let algorithm = AlgorithmIdentifierOwned { oid: key.with_sha256(), parameters: None };
        key.verify(&algorithm, message, signature).is_ok()
    }
}
