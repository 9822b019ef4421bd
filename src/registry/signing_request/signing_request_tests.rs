//! Tests of key pairs, requests and subjects, with independent parsers.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use super::*;
use crate::identifiers::{CertificateId, OwnerId, ThingPrefix};

fn request() -> (ThingName, SigningRequest) {
    let thing = ThingName::of(&ThingPrefix::parse("3D_Printer-").unwrap(), &OwnerId::parse("amzn1.account.A").unwrap());
    let request = SigningRequest::new(&thing).unwrap();
    (thing, request)
}

/// The parser and the verifier are independent of the crates that made the request.
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
    // AWS IoT accepts no longer request.
    assert!(request.pem.len() <= 4096, "{}", request.pem);
}

#[test]
fn the_private_key_belongs_to_the_public_key() {
    let (_, request) = request();
    let (_, pem) = parse_x509_pem(request.private_key.pem().as_bytes()).unwrap();
    assert_eq!(pem.label, "PRIVATE KEY");
    let keys = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pem.contents).unwrap();
    let (_, public_key) = parse_x509_pem(request.public_key.as_bytes()).unwrap();
    assert_eq!(keys.public_key().as_der().unwrap().as_ref(), public_key.contents);
}

#[test]
fn a_stored_key_makes_requests_for_the_same_public_key_under_any_name() {
    let key = DeviceKey::generate().unwrap();
    let again = DeviceKey::from_pem(key.private_key().pem()).unwrap();
    let (one, other) = (CertificateRequest::parse(&key.request("a").unwrap()), CertificateRequest::parse(&again.request("b").unwrap()));
    assert_eq!(one.unwrap_or_else(|fault| panic!("{fault}")).key(), other.unwrap_or_else(|fault| panic!("{fault}")).key());
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

/// The certificate that an authority issues for a request.
fn issue(request: &str) -> String {
    let authority = rcgen::Issuer::new(rcgen::CertificateParams::default(), rcgen::KeyPair::generate().unwrap());
    rcgen::CertificateSigningRequestParams::from_pem(request).unwrap().signed_by(&authority).unwrap().pem()
}

#[test]
fn the_subject_of_a_certificate_names_its_thing() {
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
fn certificates_without_our_organizational_unit_are_not_ours() {
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
fn a_certificate_that_an_agent_requested_is_ours_with_and_without_a_name() {
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
fn a_presented_certificate_verifies_signatures_of_its_private_key() {
    check_shown(&rcgen::PKCS_ECDSA_P256_SHA256);
    check_shown(&rcgen::PKCS_RSA_SHA256);
    assert!(ShownCertificate::parse("").is_none() && ShownCertificate::parse(&request().1.pem).is_none());
}
