//! A device's key pair, and the request for a certificate for it (PKCS#10, RFC 2986).
//!
//! The private key is made here and goes into one mail; no service ever has it. The certificate's subject
//! says which thing it is for (`CN`) and that this skill asked for it (`OU`), so that one whose issue was
//! never heard of can be told from other people's later.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use thiserror::Error;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, SetOfVec, Utf8StringRef};
use x509_cert::der::pem::{LineEnding, decode_vec, encode_string};
use x509_cert::der::{self, Decode, DecodePem, Encode, EncodePem};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::thing::{CertificateId, Fingerprint, PrivateKey, ThingName};

/// `id-at-commonName` and `id-at-organizationalUnitName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
/// `ecdsa-with-SHA256` (RFC 5758, section 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// RSA's keys and signatures (RFC 8017, appendix A.2).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
/// Keys on elliptic curves, and the two curves (RFC 5480, section 2).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// What AWS IoT takes, in characters.
const LONGEST_REQUEST: usize = 4_096;

/// The `OU` of every certificate that this skill asks for.
const UNIT: &str = "onething";

/// A new key pair on the curve P-256, and what asks for its certificate.
#[derive(Debug)]
pub struct SigningRequest {
    /// The request in PEM.
    pub pem: String,
    /// The public key in PEM (SPKI).
    pub public_key: String,
    /// The private key in PEM (PKCS#8).
    pub private_key: PrivateKey,
}

/// There is no key pair: the system gave no randomness, or its encoding failed.
#[derive(Debug, Error)]
#[error("no key pair could be made")]
pub struct NoKeyPair;

impl SigningRequest {
    /// Makes a key pair for a thing's certificate. RFC 5280 has room for 64 characters in a common name.
    pub fn new(thing: &ThingName) -> Result<Self, NoKeyPair> {
        let keys = DeviceKey::generate()?;
        let pem = keys.request(thing.as_str())?;
        let public_key = keys.public_key()?.to_pem(LineEnding::LF)?;
        Ok(Self { pem, public_key, private_key: keys.private_key })
    }
}

/// A key pair on the curve P-256 that its device keeps, and asks for certificates for.
pub struct DeviceKey {
    keys: EcdsaKeyPair,
    private_key: PrivateKey,
}

impl DeviceKey {
    /// Makes one.
    pub fn generate() -> Result<Self, NoKeyPair> {
        let keys = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let private_key = encode_string("PRIVATE KEY", LineEnding::LF, keys.to_pkcs8v1()?.as_ref()).map_err(der::Error::from)?;
        Ok(Self { keys, private_key: PrivateKey::new(private_key) })
    }

    /// Takes one that was kept, in PEM (PKCS#8).
    pub fn from_pem(pem: &str) -> Result<Self, NoKeyPair> {
        let (label, der) = decode_vec(pem.trim_ascii().as_bytes()).map_err(der::Error::from)?;
        let der = Zeroizing::new(der);
        if label != "PRIVATE KEY" {
            return Err(NoKeyPair);
        }
        let keys = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map_err(|_| NoKeyPair)?;
        Ok(Self { keys, private_key: PrivateKey::new(pem.to_owned()) })
    }

    /// The private key, for the device's own disk.
    pub fn private_key(&self) -> &PrivateKey {
        &self.private_key
    }

    /// The public key (SPKI).
    fn public_key(&self) -> Result<SubjectPublicKeyInfoOwned, NoKeyPair> {
        Ok(SubjectPublicKeyInfoOwned::from_der(self.keys.public_key().as_der()?.as_ref())?)
    }

    /// Asks for a certificate for a name of at most 64 characters; in PEM.
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

/// A request for a certificate that a stranger brings: signed by the key it is about, so nobody gets a certificate for
/// somebody else's key.
pub struct CertificateRequest {
    pem: String,
    key: Fingerprint,
    digest: Fingerprint,
}

/// Why a stranger's request is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestFault {
    /// More than 4,096 characters.
    #[error("it is longer than 4096 characters")]
    Length,
    /// Not in PEM, or no certificate request in it.
    #[error("it is not a certificate request in PEM")]
    Unreadable,
    /// Another key than RSA from 2,048 bits and ECDSA on P-256 or P-384.
    #[error("its key is neither RSA of at least 2048 bits nor ECDSA on P-256 or P-384")]
    Key,
    /// It was not signed with its key.
    #[error("it is not signed with its own key")]
    Signature,
}

impl CertificateRequest {
    /// Reads a request in PEM, and takes it only with its own key's signature. The limits are those of AWS IoT's
    /// `CreateCertificateFromCsr` (<https://docs.aws.amazon.com/iot/latest/apireference/API_CreateCertificateFromCsr.html>).
    pub fn parse(pem: &str) -> Result<Self, RequestFault> {
        if pem.len() > LONGEST_REQUEST {
            return Err(RequestFault::Length);
        }
        let (label, der) = decode_vec(pem.trim_ascii().as_bytes()).map_err(|_| RequestFault::Unreadable)?;
        if !matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(RequestFault::Unreadable);
        }
        let request = CertReq::from_der(&der).map_err(|_| RequestFault::Unreadable)?;
        let key = PublicKey::read(&request.info.public_key).ok_or(RequestFault::Key)?;
        let signed = request.info.to_der().map_err(|_| RequestFault::Unreadable)?;
        let signature = request.signature.as_bytes().ok_or(RequestFault::Signature)?;
        let algorithm = key.algorithm(request.algorithm.oid).ok_or(RequestFault::Signature)?;
        UnparsedPublicKey::new(algorithm, key.bytes).verify(&signed, signature).map_err(|_| RequestFault::Signature)?;
        let key = request.info.public_key.to_der().map_err(|_| RequestFault::Unreadable)?;
        // For the registry, written as everybody writes it.
        let pem = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der).map_err(|_| RequestFault::Unreadable)?;
        Ok(Self { pem, key: Fingerprint::of_bytes(&key), digest: Fingerprint::of_bytes(&der) })
    }

    /// The request in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the public key (SPKI in DER): the same for every request of one device.
    pub fn key(&self) -> Fingerprint {
        self.key
    }

    /// SHA-256 of the request in DER.
    pub fn digest(&self) -> Fingerprint {
        self.digest
    }
}

/// A certificate that a device shows, and by which it can be known.
pub struct ShownCertificate {
    id: CertificateId,
    expires_at: u64,
    public_key: SubjectPublicKeyInfoOwned,
}

impl ShownCertificate {
    /// Reads a certificate in PEM.
    pub fn parse(pem: &str) -> Option<Self> {
        let (label, der) = decode_vec(pem.trim_ascii().as_bytes()).ok()?;
        let certificate = x509_cert::Certificate::from_der(&der).ok().filter(|_| label == "CERTIFICATE")?;
        let certificate = certificate.tbs_certificate();
        let expires_at = certificate.validity().not_after.to_unix_duration().as_secs();
        Some(Self { id: CertificateId::of(&der), expires_at, public_key: certificate.subject_public_key_info().clone() })
    }

    /// Names it in the registry.
    pub fn id(&self) -> &CertificateId {
        &self.id
    }

    /// The end of its validity, in seconds since the epoch.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// Whether the signature over a message, by SHA-256, was made with the certificate's private key.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(key) = PublicKey::read(&self.public_key) else { return false };
        let by = if matches!(key.kind, KeyKind::Rsa) { SHA256_WITH_RSA } else { ECDSA_WITH_SHA256 };
        let verified = |algorithm| UnparsedPublicKey::new(algorithm, key.bytes).verify(message, signature).is_ok();
        key.algorithm(by).is_some_and(verified)
    }
}

/// A public key by which signatures can be verified.
struct PublicKey<'a> {
    kind: KeyKind,
    bytes: &'a [u8],
}

enum KeyKind {
    Rsa,
    P256,
    P384,
}

impl<'a> PublicKey<'a> {
    fn read(spki: &'a SubjectPublicKeyInfoOwned) -> Option<Self> {
        let curve = || spki.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let kind = match spki.algorithm.oid {
            RSA_ENCRYPTION => KeyKind::Rsa,
            EC_PUBLIC_KEY => match curve()? {
                P256 => KeyKind::P256,
                P384 => KeyKind::P384,
                _ => return None,
            },
            _ => return None,
        };
        let bytes = spki.subject_public_key.as_bytes()?;
        // A modulus of 2,048 bits has 256 bytes, and what is around it a few more.
        (!matches!(kind, KeyKind::Rsa) || bytes.len() > 256).then_some(Self { kind, bytes })
    }

    fn algorithm(&self, oid: ObjectIdentifier) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (&self.kind, oid) {
            (KeyKind::Rsa, SHA256_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA256,
            (KeyKind::Rsa, SHA384_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa, SHA512_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA512,
            (KeyKind::P256, ECDSA_WITH_SHA256) => &ECDSA_P256_SHA256_ASN1,
            (KeyKind::P256, ECDSA_WITH_SHA384) => &ECDSA_P256_SHA384_ASN1,
            (KeyKind::P384, ECDSA_WITH_SHA256) => &ECDSA_P384_SHA256_ASN1,
            (KeyKind::P384, ECDSA_WITH_SHA384) => &ECDSA_P384_SHA384_ASN1,
            _ => return None,
        })
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

/// Who a certificate was made for, by its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// This skill, or a device's agent, asked for it; the name is there unless the device had none.
    Ours(Option<String>),
    /// Anybody.
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
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::pem::parse_x509_pem;
    use x509_parser::prelude::FromDer;

    use super::*;
    use crate::thing::{OwnerId, ThingPrefix};

    fn request() -> (ThingName, SigningRequest) {
        let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
        let request = SigningRequest::new(&thing).unwrap();
        (thing, request)
    }

    /// Judged by a parser and a verifier that had no part in it.
    #[test]
    fn a_request_is_signed_by_its_own_key_and_names_the_thing() {
        let (thing, request) = request();
        let (_, pem) = parse_x509_pem(request.pem.as_bytes()).unwrap();
        let (rest, parsed) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        assert_eq!((pem.label.as_str(), rest.len()), ("CERTIFICATE REQUEST", 0));
        parsed.verify_signature().unwrap();
        let info = &parsed.certification_request_info;
        assert_eq!(info.subject.to_string(), format!("CN={thing}, OU=onething"));
        let (_, public_key) = parse_x509_pem(request.public_key.as_bytes()).unwrap();
        assert_eq!((public_key.label.as_str(), public_key.contents.as_slice()), ("PUBLIC KEY", info.subject_pki.raw));
        // AWS IoT takes no request that is longer.
        assert!(request.pem.len() <= 4096, "{}", request.pem);
    }

    #[test]
    fn the_private_key_is_the_requests_own() {
        let (_, request) = request();
        let (_, pem) = parse_x509_pem(request.private_key.pem().as_bytes()).unwrap();
        assert_eq!(pem.label, "PRIVATE KEY");
        let keys = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pem.contents).unwrap();
        let (_, public_key) = parse_x509_pem(request.public_key.as_bytes()).unwrap();
        assert_eq!(keys.public_key().as_der().unwrap().as_ref(), public_key.contents);
    }

    #[test]
    fn a_key_that_was_kept_asks_again_for_the_same_key_under_any_name() {
        let key = DeviceKey::generate().unwrap();
        let again = DeviceKey::from_pem(key.private_key().pem()).unwrap();
        let (one, other) = (CertificateRequest::parse(&key.request("a").unwrap()), CertificateRequest::parse(&again.request("b").unwrap()));
        assert_eq!(one.unwrap_or_else(|_| panic!()).key(), other.unwrap_or_else(|_| panic!()).key());
        let issued = issue(&again.request("printer-1").unwrap());
        assert_eq!(made_for(&issued), MadeFor::Ours(Some("printer-1".to_owned())));
        let (_, issued) = parse_x509_pem(issued.as_bytes()).unwrap();
        assert!(key.is_of(&issued.contents) && !DeviceKey::generate().unwrap().is_of(&issued.contents));
        for garbage in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &request().1.public_key] {
            assert!(DeviceKey::from_pem(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn no_two_requests_share_a_key() {
        assert_ne!(request().1.public_key, request().1.public_key);
    }

    #[test]
    fn the_private_key_does_not_show_in_debug_output() {
        let (_, request) = request();
        let shown = format!("{request:?}");
        assert!(shown.contains("PrivateKey(redacted)") && !shown.contains("BEGIN PRIVATE"), "{shown}");
    }

    /// What an authority makes of a request.
    fn issue(request: &str) -> String {
        let authority = rcgen::Issuer::new(rcgen::CertificateParams::default(), rcgen::KeyPair::generate().unwrap());
        rcgen::CertificateSigningRequestParams::from_pem(request).unwrap().signed_by(&authority).unwrap().pem()
    }

    #[test]
    fn a_certificate_says_which_thing_it_was_made_for() {
        let (thing, request) = request();
        assert_eq!(made_for(&issue(&request.pem)), MadeFor::Ours(Some(thing.to_string())));
    }

    fn check_subject(parts: &[(rcgen::DnType, &str)], expected: &MadeFor) {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        assert_eq!(&made_for(&certificate.pem()), expected, "{parts:?}");
    }

    #[test]
    fn other_peoples_certificates_were_made_for_nothing_of_ours() {
        use rcgen::DnType::{CommonName, OrganizationalUnitName};
        check_subject(&[], &MadeFor::Others);
        check_subject(&[(CommonName, "AWS IoT Certificate")], &MadeFor::Others);
        check_subject(&[(CommonName, "3D_Printer-zsk4jrpq4wwphzubkwfqziuykk")], &MadeFor::Others);
        check_subject(&[(CommonName, "3D_Printer-zsk4jrpq4wwphzubkwfqziuykk"), (OrganizationalUnitName, "another")], &MadeFor::Others);
        for unreadable in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(made_for(unreadable), MadeFor::Others);
        }
    }

    #[test]
    fn what_an_agent_asked_for_is_ours_with_and_without_a_name() {
        use rcgen::DnType::{CommonName, OrganizationalUnitName};
        check_subject(&[(OrganizationalUnitName, "onething")], &MadeFor::Ours(None));
        check_subject(&[(CommonName, "my lamp"), (OrganizationalUnitName, "onething")], &MadeFor::Ours(Some("my lamp".into())));
    }

    fn check_shown(algorithm: &'static rcgen::SignatureAlgorithm) {
        use rcgen::SigningKey;
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        let shown = ShownCertificate::parse(&certificate.pem()).unwrap();
        assert_eq!((shown.id(), shown.expires_at()), (&CertificateId::of(certificate.der()), 1_927_843_200));
        let signature = key.sign(b"message").unwrap();
        assert!(shown.has_signed(b"message", &signature), "{algorithm:?}");
        assert!(!shown.has_signed(b"another", &signature) && !shown.has_signed(b"message", &signature[1..]) && !shown.has_signed(b"", &[]));
    }

    #[test]
    fn a_certificate_that_is_shown_tells_by_its_key_who_shows_it() {
        check_shown(&rcgen::PKCS_ECDSA_P256_SHA256);
        check_shown(&rcgen::PKCS_RSA_SHA256);
        assert!(ShownCertificate::parse("").is_none() && ShownCertificate::parse(&request().1.pem).is_none());
    }
}
