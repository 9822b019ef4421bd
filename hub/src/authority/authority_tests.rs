//! Tests of certificates with the parsers of `rustls` and `webpki`.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use onething::identifiers::{OwnerId, ThingName, ThingPrefix};
use onething::mail::bundle::{self, Broker};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::WebPkiClientVerifier;

use super::*;

/// 2026-11-22T00:00:00Z.
pub(super) const NOW: u64 = 1_795_305_600;

/// Whether a TLS server that trusts `root` accepts a client with this certificate.
pub(super) fn admitted(root: &str, certificate: &str, at: u64) -> Result<(), rustls::Error> {
    admitted_with_intermediates(root, &[], certificate, at)
}

fn admitted_with_intermediates(root: &str, intermediates: &[&str], certificate: &str, at: u64) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let intermediates: Vec<_> = intermediates.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect();
    server.verify_client_cert(&certificate, &intermediates, UnixTime::since_unix_epoch(Duration::from_secs(at))).map(drop)
}

/// The private key in PEM. The bundle is the only place where it is readable.
pub(super) fn private_key(certificate: &Certificate) -> String {
    let thing = ThingName::of(&ThingPrefix::parse("T-").unwrap(), &OwnerId::parse("a").unwrap());
    let broker = Broker { host: "localhost".into(), port: 8883, roots: Vec::new(), register: None };
    let zip = bundle::zip(&thing, certificate, &broker, NOW, "", "").unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut pem = String::new();
    zip.by_name("private.key.pem").unwrap().read_to_string(&mut pem).unwrap();
    pem
}

#[test]
fn a_certificate_is_admitted_by_a_server_that_trusts_the_root() {
    let authority = Authority::new(NOW).unwrap();
    let certificate = authority.issue(NOW).unwrap();
    for at in [NOW - 120, NOW, 2_524_607_999] {
        admitted(&authority.root_pem(), &certificate.pem, at).unwrap();
    }
    for at in [NOW - 121, 2_524_608_000] {
        assert!(admitted(&authority.root_pem(), &certificate.pem, at).is_err(), "{at}");
    }
    let other = Authority::new(NOW).unwrap();
    assert!(admitted(&other.root_pem(), &certificate.pem, NOW).is_err());
}

#[test]
fn the_keys_belong_to_the_certificate() {
    let certificate = Authority::new(NOW).unwrap().issue(NOW).unwrap();
    let private = private_key(&certificate);
    let key = PrivateKeyDer::from_pem_slice(private.as_bytes()).unwrap();
    assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && matches!(key, PrivateKeyDer::Pkcs1(_)));
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let public = SubjectPublicKeyInfoDer::from_pem_slice(certificate.public_key.as_bytes()).unwrap();
    assert_eq!(key.public_key().unwrap(), public);
    // A modulus of 2,048 bits is 256 bytes; 38 bytes encode the structure around it.
    assert_eq!(public.len(), 294);
    let der = CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![der.clone()], key);
    assert!(pair.keys_match().is_ok());
    assert_eq!(certificate.id, CertificateId::of(&der));
}

#[test]
fn each_certificate_has_its_own_key_and_id() {
    let authority = Authority::new(NOW).unwrap();
    let (one, other) = (authority.issue(NOW).unwrap(), authority.issue(NOW).unwrap());
    assert_ne!(one.id, other.id);
    assert_ne!(one.public_key, other.public_key);
}

#[test]
fn a_device_certificate_cannot_issue_certificates() {
    let authority = Authority::new(NOW).unwrap();
    let device = authority.issue(NOW).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&device.pem, KeyPair::from_pem(&private_key(&device)).unwrap()).unwrap();
    let child = super::device(DistinguishedName::new()).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let refusal = admitted_with_intermediates(&authority.root_pem(), &[&device.pem], &child.pem(), NOW).unwrap_err();
    assert!(format!("{refusal:?}").contains("EndEntityUsedAsCa"), "{refusal:?}");
}

#[test]
fn a_clock_that_is_out_of_range_is_an_error() {
    assert!(matches!(Authority::new(u64::MAX), Err(AuthorityError::Clock)));
}

#[test]
fn certificates_are_written_in_standard_pem() {
    let authority = Authority::new(NOW).unwrap();
    let der = CertificateDer::from_pem_slice(authority.root_pem().as_bytes()).unwrap();
    assert_eq!(der, *authority.line.root.certificate());
    let lines: Vec<_> = authority.root_pem().lines().map(str::len).collect();
    assert!(lines[1..lines.len() - 2].iter().all(|length| *length == 64) && authority.root_pem().ends_with("-----\n"));
    assert_eq!(encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap(), authority.root_pem());
}

#[test]
fn certificates_of_former_roots_are_accepted() {
    let first = Authority::new(NOW).unwrap();
    let certificate = first.issue(NOW).unwrap();
    let third = first.succeeded(NOW).unwrap().succeeded(NOW).unwrap();
    let admits = |certificate: &str| {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = third.trusted().unwrap();
        let server = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        server.verify_client_cert(&certificate, &[], UnixTime::since_unix_epoch(Duration::from_secs(NOW))).is_ok()
    };
    assert!(admits(&certificate.pem) && admits(&third.issue(NOW).unwrap().pem));
    assert!(!admits(&Authority::new(NOW).unwrap().issue(NOW).unwrap().pem));
}
