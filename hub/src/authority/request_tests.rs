//! Tests of certificate requests, with third-party parsers for the results.

use std::path::Path;

use onething::identifiers::{CertificateId, OwnerId, ThingName, ThingPrefix};
use onething::registry::signing_request::{CertificateRequest, MadeFor, RequestFault, SigningRequest, made_for};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use super::tests::{NOW, admitted};
use super::{Authority, AuthorityError, IssuedCertificate};

/// Created by `openssl req` on P-256 and signed with SHA-384. It requests to be a CA, a subject alternative name, and an unknown
/// extension.
const OPENSSL: &str = include_str!("../../tests/fixtures/requests/openssl.pem");

fn request(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

/// Issues a certificate and compares it with the request.
fn check(authority: &Authority, csr: &str) -> IssuedCertificate {
    let issued = authority.issue_for(csr, NOW).unwrap();
    admitted(&authority.root_pem(), &issued.pem, NOW).unwrap();
    admitted(&authority.root_pem(), &issued.pem, 2_524_607_999).unwrap();

    let (_, asked) = parse_x509_pem(csr.as_bytes()).unwrap();
    let (_, asked) = X509CertificationRequest::from_der(&asked.contents).unwrap();
    let asked = &asked.certification_request_info;
    let (_, got) = parse_x509_pem(issued.pem.as_bytes()).unwrap();
    assert_eq!(issued.id, CertificateId::of(&got.contents));
    let (_, got) = X509Certificate::from_der(&got.contents).unwrap();
    assert_eq!((got.subject().as_raw(), got.public_key().raw), (asked.subject.as_raw(), asked.subject_pki.raw));
    assert!(!got.is_ca() && got.subject_alternative_name().unwrap().is_none());
    let usage = got.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    issued
}

#[test]
fn a_certificate_has_the_subject_and_the_key_of_its_request() {
    let authority = Authority::new(NOW).unwrap();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_RSA_SHA256] {
        check(&authority, &request(&KeyPair::generate_for(algorithm).unwrap()));
    }
    let thing = ThingName::of(&ThingPrefix::parse("T-").unwrap(), &OwnerId::parse("a").unwrap());
    let issued = check(&authority, &SigningRequest::new(&thing).unwrap().pem);
    assert_eq!(made_for(&issued.pem), MadeFor::Ours(Some(thing.to_string())));
}

#[test]
fn requested_extensions_are_not_granted() {
    let authority = Authority::new(NOW).unwrap();
    check(&authority, OPENSSL);
    check(&authority, &OPENSSL.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"));
}

#[test]
fn the_same_request_results_in_another_certificate() {
    let authority = Authority::new(NOW).unwrap();
    let (one, other) = (check(&authority, OPENSSL), check(&authority, OPENSSL));
    let serial = |issued: &IssuedCertificate| {
        let (_, pem) = parse_x509_pem(issued.pem.as_bytes()).unwrap();
        X509Certificate::from_der(&pem.contents).unwrap().1.raw_serial().to_vec()
    };
    assert_ne!(one.id, other.id);
    assert_ne!(serial(&one), serial(&other));
}

#[test]
fn every_request_that_aws_accepts_results_in_a_certificate() {
    let authority = Authority::new(NOW).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/requests");
    let mut issued = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.ends_with(".pem") && !name.starts_with("refused-") {
            check(&authority, &std::fs::read_to_string(file.path()).unwrap());
            issued += 1;
        }
    }
    assert!(issued > 20, "{issued}");
}

#[track_caller]
fn check_refused(csr: &str, expected: &RequestFault) {
    let fault = Authority::new(NOW).unwrap().issue_for(csr, NOW).unwrap_err();
    assert!(matches!(fault, AuthorityError::Request(ref fault) if fault == expected), "{fault:?}");
}

/// The request of [`OPENSSL`] with one byte changed: the `n`th, from the end if negative.
fn changed(n: isize) -> String {
    let (_, pem) = parse_x509_pem(OPENSSL.as_bytes()).unwrap();
    let mut der = pem.contents;
    let at = n.rem_euclid(isize::try_from(der.len()).unwrap()).unsigned_abs();
    der[at] ^= 1;
    pkcs8::der::pem::encode_string("CERTIFICATE REQUEST", pkcs8::LineEnding::LF, &der).unwrap()
}

#[test]
fn a_request_with_a_wrong_signature_is_refused() {
    check_refused(&changed(-1), &RequestFault::Signature);
    // A change in the subject, in the key, and in the extensions.
    let der = parse_x509_pem(OPENSSL.as_bytes()).unwrap().1.contents;
    let within = |text: &[u8]| isize::try_from(der.windows(text.len()).position(|window| window == text).unwrap()).unwrap();
    check_refused(&changed(within(b"printer-1")), &RequestFault::Signature);
    check_refused(&changed(within(b"\x52\xd4\x59\xe7")), &RequestFault::Signature);
    check_refused(&changed(within(b"secret")), &RequestFault::Signature);
}

#[test]
fn malformed_requests_are_refused() {
    let certificate = Authority::new(NOW).unwrap().root_pem();
    let relabelled = certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    for garbage in [
        "",
        "garbage",
        &OPENSSL[..200],
        &certificate,
        &relabelled,
        "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
    ] {
        check_refused(garbage, &RequestFault::Unreadable);
    }
}

#[test]
fn a_changed_bit_never_changes_the_subject_or_the_key_of_an_accepted_request() {
    let der = parse_x509_pem(OPENSSL.as_bytes()).unwrap().1.contents;
    let asked = CertificateRequest::parse(OPENSSL).unwrap();
    for bit in 0..der.len() * 8 {
        let mut der = der.clone();
        der[bit / 8] ^= 1 << (bit % 8);
        let pem = pkcs8::der::pem::encode_string("CERTIFICATE REQUEST", pkcs8::LineEnding::LF, &der).unwrap();
        // Some bits have no meaning, for example the number of unused bits in the last byte of the signature.
        if let Ok(read) = CertificateRequest::parse(&pem) {
            assert_eq!((read.subject(), read.public_key()), (asked.subject(), asked.public_key()), "{bit}");
        }
    }
    for end in 0..der.len() {
        let pem = pkcs8::der::pem::encode_string("CERTIFICATE REQUEST", pkcs8::LineEnding::LF, &der[..end]).unwrap();
        assert!(CertificateRequest::parse(&pem).is_err(), "{end}");
    }
}
