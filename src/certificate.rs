//! Certificates that the registry has just issued.

use crate::identifiers::CertificateId;
use crate::secrets::PrivateKey;

/// A new device certificate with a key pair that the registry created. The certificate is INACTIVE and has no policy and no thing.
#[derive(Debug)]
pub struct Certificate {
    /// The id of the certificate in the registry.
    pub id: CertificateId,
    /// The certificate in PEM.
    pub pem: String,
    /// The public key in PEM.
    pub public_key: String,
    /// The private key in PEM. The registry returns the key only once.
    pub private_key: PrivateKey,
}

/// A new certificate for a certificate signing request of a device, which keeps its private key. The certificate is INACTIVE and
/// has no policy and no thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The id of the certificate in the registry.
    pub id: CertificateId,
    /// The certificate in PEM.
    pub pem: String,
}

/// A new certificate that is not yet delivered to its device.
#[derive(Debug)]
pub enum NewCertificate {
    /// A certificate with a key pair that the registry created.
    WithKey(Certificate),
    /// A certificate for a signing request; the device has the key.
    ForRequest(IssuedCertificate),
}

impl NewCertificate {
    /// The id of the certificate in the registry.
    pub fn id(&self) -> &CertificateId {
        match self {
            NewCertificate::WithKey(certificate) => &certificate.id,
            NewCertificate::ForRequest(issued) => &issued.id,
        }
    }
}
