//! Certificates that the registry has just issued.

use crate::identifiers::CertificateId;
use crate::secrets::PrivateKey;

/// A device certificate with its key pair, as the registry made it: INACTIVE and attached to nothing.
#[derive(Debug)]
pub struct Certificate {
    /// Names the certificate in the registry.
    pub id: CertificateId,
    /// The certificate in PEM.
    pub pem: String,
    /// The public key in PEM.
    pub public_key: String,
    /// The private key in PEM.
    pub private_key: PrivateKey,
}

/// A certificate for a key that its device has made and keeps, as the registry made it: INACTIVE and attached to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Names the certificate in the registry.
    pub id: CertificateId,
    /// The certificate in PEM.
    pub pem: String,
}

/// A new certificate on its way to whoever it is for.
#[derive(Debug)]
pub enum NewCertificate {
    /// With a key pair that was made for it.
    WithKey(Certificate),
    /// For a key that its device keeps.
    ForRequest(IssuedCertificate),
}

impl NewCertificate {
    /// Names the certificate in the registry.
    pub fn id(&self) -> &CertificateId {
        match self {
            NewCertificate::WithKey(certificate) => &certificate.id,
            NewCertificate::ForRequest(issued) => &issued.id,
        }
    }
}
