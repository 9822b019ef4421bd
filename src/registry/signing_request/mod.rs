//! The key pair of a device, and the certificate request for it (PKCS#10, RFC 2986).
//!
//! The private key is created here and goes into one mail; no service stores it. The subject of the certificate names the thing
//! (`CN`) and this skill (`OU`). So if the response with a new certificate was lost, the sweep can later distinguish that
//! certificate from certificates of other programs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use thiserror::Error;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, SetOfVec, Utf8StringRef};
use x509_cert::der::pem::{LineEnding, decode_vec, encode_string};
use x509_cert::der::{self, Decode, DecodePem, Encode, EncodePem};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

pub use self::certificate_request::{CertificateRequest, RequestFault};
use self::public_key::ECDSA_WITH_SHA256;
pub use self::shown_certificate::ShownCertificate;
use crate::identifiers::ThingName;
use crate::secrets::PrivateKey;

mod certificate_request;
mod pem;
mod public_key;
mod shown_certificate;

/// The attribute types `id-at-commonName` and `id-at-organizationalUnitName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// The `OU` of every certificate that this skill or an agent requests.
const UNIT: &str = "onething";

/// A new key pair on the curve P-256, and the request for its certificate.
#[derive(Debug)]
pub struct SigningRequest {
    /// The certificate request in PEM.
    pub pem: String,
    /// The public key in PEM (SPKI).
    pub public_key: String,
    /// The private key in PEM (PKCS#8).
    pub private_key: PrivateKey,
}

/// No key pair or request could be created: the system provides no randomness, or the encoding or decoding failed.
#[derive(Debug, Error)]
#[error("no key pair could be made")]
pub struct NoKeyPair;

impl SigningRequest {
    /// Creates a key pair and a request for a certificate of this thing. RFC 5280 limits a common name to 64 characters.
    pub fn new(thing: &ThingName) -> Result<Self, NoKeyPair> {
        let keys = DeviceKey::generate()?;
        let pem = keys.request(thing.as_str())?;
        let public_key = keys.public_key()?.to_pem(LineEnding::LF)?;
        Ok(Self { pem, public_key, private_key: keys.private_key })
    }
}

/// A key pair on the curve P-256 that a device stores and requests certificates for.
pub struct DeviceKey {
    keys: EcdsaKeyPair,
    private_key: PrivateKey,
}

impl DeviceKey {
    /// Creates a new key pair.
    pub fn generate() -> Result<Self, NoKeyPair> {
        let keys = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let private_key = encode_string("PRIVATE KEY", LineEnding::LF, keys.to_pkcs8v1()?.as_ref()).map_err(der::Error::from)?;
        Ok(Self { keys, private_key: PrivateKey::new(private_key) })
    }

    /// Reads a stored private key in PEM (PKCS#8).
    pub fn from_pem(pem: &str) -> Result<Self, NoKeyPair> {
        let (label, der) = decode_vec(pem.trim_ascii().as_bytes()).map_err(der::Error::from)?;
        let der = Zeroizing::new(der);
        if label != "PRIVATE KEY" {
            return Err(NoKeyPair);
        }
        let keys = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map_err(|_| NoKeyPair)?;
        Ok(Self { keys, private_key: PrivateKey::new(pem.to_owned()) })
    }

    /// The private key, to be stored on the device.
    pub fn private_key(&self) -> &PrivateKey {
        &self.private_key
    }

    fn public_key(&self) -> Result<SubjectPublicKeyInfoOwned, NoKeyPair> {
        Ok(SubjectPublicKeyInfoOwned::from_der(self.keys.public_key().as_der()?.as_ref())?)
    }

    /// A certificate request in PEM. `name` is the common name, of at most 64 characters.
    pub fn request(&self, name: &str) -> Result<String, NoKeyPair> {
        let (subject, public_key) = (subject(name)?, self.public_key()?);
        let info = CertReqInfo { version: Version::V1, subject, public_key, attributes: SetOfVec::new() };
        let signature = self.keys.sign(&SystemRandom::new(), &info.to_der()?)?;
        let signature = BitString::from_bytes(signature.as_ref())?;
        let algorithm = AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None };
        Ok(CertReq { info, algorithm, signature }.to_pem(LineEnding::LF)?)
    }

    /// Whether a certificate in DER is for this key.
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else { return false };
        self.public_key().is_ok_and(|key| key == *certificate.tbs_certificate().subject_public_key_info())
    }
}

impl From<Unspecified> for NoKeyPair {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl From<der::Error> for NoKeyPair {
    fn from(_: der::Error) -> Self {
        Self
    }
}

fn subject(name: &str) -> der::Result<Name> {
    let part = |oid, text| {
        let value = Any::from(Utf8StringRef::new(text)?);
        RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value }])
    };
    let parts = vec![part(COMMON_NAME, name)?, part(ORGANIZATIONAL_UNIT, UNIT)?];
    Name::from_der(&RdnSequence::from(parts).to_der()?)
}

/// The program that requested a certificate, according to the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// This skill or the agent on a device. Contains the common name, which is missing if the device did not know its thing.
    Ours(Option<String>),
    /// Another program, or the certificate is unreadable.
    Others,
}

/// Reads the subject of a certificate in PEM.
pub fn made_for(certificate: &str) -> MadeFor {
    let Ok(certificate) = x509_cert::Certificate::from_pem(certificate.trim_ascii_end()) else { return MadeFor::Others };
    let subject = certificate.tbs_certificate().subject();
    let is_ours = subject.organization_unit().ok().flatten().is_some_and(|unit| unit.value() == UNIT);
    let name = || subject.common_name().ok().flatten().map(|name| name.value().into_owned());
    if is_ours { MadeFor::Ours(name()) } else { MadeFor::Others }
}

#[cfg(test)]
#[path = "signing_request_tests.rs"]
mod tests;
