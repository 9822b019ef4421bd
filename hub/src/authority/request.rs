//! A request for a certificate (PKCS#10, RFC 2986), as a stranger sends it.
//!
//! It is signed by the key it is about, so nobody gets a certificate for somebody else's key. Of what it asks for, only the
//! name is granted, as with AWS IoT's `CreateCertificateFromCsr`: extensions are the authority's own business.
//! (<https://docs.aws.amazon.com/iot/latest/apireference/API_CreateCertificateFromCsr.html>)

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
use rcgen::{DistinguishedName, DnType, DnValue, SubjectPublicKeyInfo};
use thiserror::Error;
use x509_parser::asn1_rs::Tag;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

/// What AWS IoT takes.
const MAX_LENGTH: usize = 4_096;
const MIN_RSA_BITS: usize = 2_048;

/// Why a request is refused.
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
    /// A name with the same part twice, or in a writing that is not known.
    #[error("its name has parts that cannot be copied")]
    Name,
}

/// What a request asks for, as far as it is granted.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) subject: DistinguishedName,
    pub(super) key: SubjectPublicKeyInfo,
}

impl Request {
    pub(super) fn read(pem: &str) -> Result<Self, RequestFault> {
        if pem.chars().count() > MAX_LENGTH {
            return Err(RequestFault::Length);
        }
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|_| RequestFault::Unreadable)?;
        if !matches!(pem.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(RequestFault::Unreadable);
        }
        let (rest, request) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| RequestFault::Unreadable)?;
        if !rest.is_empty() {
            return Err(RequestFault::Unreadable);
        }
        let info = &request.certification_request_info;
        let curve = info.subject_pki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        let good = match info.subject_pki.parsed().map_err(|_| RequestFault::Key)? {
            PublicKey::RSA(key) => key.key_size() >= MIN_RSA_BITS,
            PublicKey::EC(_) => curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384].contains(&curve)),
            _ => false,
        };
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).ok().filter(|_| good).ok_or(RequestFault::Key)?;
        request.verify_signature().map_err(|_| RequestFault::Signature)?;
        let subject = copy(&info.subject).ok_or(RequestFault::Name)?;
        Ok(Self { subject, key })
    }
}

/// A name as it will be written into a certificate. One that would come out differently is not copied.
pub(super) fn copy(name: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut copy = DistinguishedName::new();
    for part in name.iter_rdn() {
        let mut attributes = part.iter();
        let (Some(attribute), None) = (attributes.next(), attributes.next()) else { return None };
        let kind = DnType::from_oid(&attribute.attr_type().iter()?.collect::<Vec<_>>());
        let value = attribute.attr_value();
        let text = str::from_utf8(value.data);
        let value = match value.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.ok()?.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(PrintableString::try_from(text.ok()?).ok()?),
            Tag::Ia5String => DnValue::Ia5String(Ia5String::try_from(text.ok()?).ok()?),
            Tag::T61String => DnValue::TeletexString(TeletexString::try_from(text.ok()?).ok()?),
            Tag::BmpString => DnValue::BmpString(BmpString::from_utf16be(value.data.to_vec()).ok()?),
            Tag::UniversalString => DnValue::UniversalString(UniversalString::from_utf32be(value.data.to_vec()).ok()?),
            _ => return None,
        };
        if copy.get(&kind).is_some() {
            return None;
        }
        copy.push(kind, value);
    }
    Some(copy)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
