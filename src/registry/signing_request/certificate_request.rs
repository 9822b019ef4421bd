//! A certificate request from an unauthenticated client.

use thiserror::Error;
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::der::{AnyRef, Decode, Encode, Tag, Tagged};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::pem::{self, parts, sequence};
use super::public_key::{PublicKey, SignatureFault};
use crate::secrets::Fingerprint;

/// The largest request that AWS IoT accepts, in characters of PEM.
const LONGEST_REQUEST: usize = 4_096;

/// A valid certificate request. It is signed with the key that it contains, so a client can only get a certificate for a key that
/// it has.
#[derive(Debug)]
pub struct CertificateRequest {
    pem: String,
    subject: Vec<u8>,
    public_key: Vec<u8>,
    digest: Fingerprint,
}

/// Why a certificate request is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RequestFault {
    /// The PEM has more than 4,096 characters.
    #[error("it is longer than 4096 characters")]
    Length,
    /// The text is not PEM, or it contains no certificate request.
    #[error("it is not a certificate request in PEM")]
    Unreadable,
    /// AWS IoT does not accept this kind of key. Contains its description.
    #[error("its key is {0}; it has to be RSA of 2048 to 8192 bits, or ECDSA on P-256, P-384 or P-521")]
    Key(String),
    /// AWS IoT does not accept this signature algorithm. Contains its name.
    #[error("it is signed by {0}, which is not accepted; it has to be RSA, RSA-PSS or ECDSA with SHA-256, SHA-384 or SHA-512")]
    Algorithm(String),
    /// The signature was not made with the key in the request.
    #[error("it is not signed with its own key")]
    Signature,
}

impl CertificateRequest {
    /// Parses the first request in a text, in PEM, and verifies its signature. The limits are those of `CreateCertificateFromCsr`
    /// of AWS IoT (<https://docs.aws.amazon.com/iot/latest/apireference/API_CreateCertificateFromCsr.html>).
    pub fn parse(text: &str) -> Result<Self, RequestFault> {
        let der = pem::find(text, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]).ok_or(RequestFault::Unreadable)?;
        // The registry gets the request in canonical PEM.
        let pem = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der).map_err(|_| RequestFault::Unreadable)?;
        if pem.len() > LONGEST_REQUEST {
            return Err(RequestFault::Length);
        }
        let request = Parts::read(&der).ok_or(RequestFault::Unreadable)?;
        let key = PublicKey::read(&request.public_key).map_err(RequestFault::Key)?;
        key.verify(&request.algorithm, &request.signed, &request.signature).map_err(|fault| match fault {
            SignatureFault::Algorithm(algorithm) => RequestFault::Algorithm(algorithm),
            SignatureFault::Signature => RequestFault::Signature,
        })?;
        let public_key = request.public_key.to_der().map_err(|_| RequestFault::Unreadable)?;
        Ok(Self { pem, subject: request.subject, public_key, digest: Fingerprint::of_bytes(&der) })
    }

    /// The request in canonical PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The requested subject, in DER. The order, repetition and grouping of its attributes are kept.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The public key (SPKI in DER).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The SHA-256 of the public key (SPKI in DER). It is the same for all requests with the same key.
    pub fn key(&self) -> Fingerprint {
        Fingerprint::of_bytes(&self.public_key)
    }

    /// The SHA-256 of the request in DER.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }
}

/// The parts of a request (RFC 2986, section 4), in their original encoding: the signature covers the original bytes, which can
/// differ from a new encoding.
struct Parts {
    signed: Vec<u8>,
    subject: Vec<u8>,
    public_key: SubjectPublicKeyInfoOwned,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

impl Parts {
    fn read(der: &[u8]) -> Option<Self> {
        let [info, algorithm, signature] = <[AnyRef<'_>; 3]>::try_from(sequence(der)?).ok()?;
        let signed = info.to_der().ok()?;
        let fields = sequence(&signed)?;
        let [version, subject, public_key, ..] = fields.as_slice() else { return None };
        if version.tag() != Tag::Integer || !is_name(subject) {
            return None;
        }
        let (subject, public_key) = (subject.to_der().ok()?, SubjectPublicKeyInfoOwned::from_der(&public_key.to_der().ok()?).ok()?);
        let algorithm = AlgorithmIdentifierOwned::from_der(&algorithm.to_der().ok()?).ok()?;
        // The first byte of a bit string is the number of unused bits in its last byte.
        let signature = signature.value().strip_prefix(&[0]).filter(|_| signature.tag() == Tag::BitString)?.to_vec();
        Some(Self { signed, subject, public_key, algorithm, signature })
    }
}

/// Whether this is a name (RFC 5280, section 4.1.2.4): a sequence of sets of attributes.
fn is_name(name: &AnyRef<'_>) -> bool {
    let is_attribute = |attribute: &AnyRef<'_>| {
        let kind_and_value = parts(attribute.value()).filter(|_| attribute.tag() == Tag::Sequence);
        kind_and_value.is_some_and(|parts| parts.len() == 2 && parts[0].tag() == Tag::ObjectIdentifier)
    };
    let is_set = |set: &AnyRef<'_>| {
        let attributes = parts(set.value()).filter(|_| set.tag() == Tag::Set);
        attributes.is_some_and(|attributes| !attributes.is_empty() && attributes.iter().all(is_attribute))
    };
    name.tag() == Tag::Sequence && parts(name.value()).is_some_and(|sets| sets.iter().all(is_set))
}

#[cfg(test)]
#[path = "certificate_request_tests.rs"]
mod tests;
