//! Tests with certificate requests from OpenSSL (`tests/fixtures/requests/make`), in many forms of PEM.

use std::path::Path;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use super::*;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requests");
    std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap()
}

/// The names of all requests in the folder that must be refused, or of all others.
fn fixtures(refused: bool) -> Vec<String> {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requests")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| name.strip_suffix(".pem").map(str::to_owned));
    names.filter(|name| name.starts_with("refused-") == refused).collect()
}

#[test]
fn every_key_digest_and_name_that_aws_iot_accepts_is_accepted() {
    let accepted = fixtures(false);
    assert!(accepted.len() > 20, "{accepted:?}");
    for name in accepted {
        let text = fixture(&name);
        let request = CertificateRequest::parse(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(request.pem(), text, "{name}");
        let (_, pem) = parse_x509_pem(text.as_bytes()).unwrap();
        let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        let info = &parsed.certification_request_info;
        assert_eq!((request.subject(), request.public_key()), (info.subject.as_raw(), info.subject_pki.raw), "{name}");
    }
}

#[test]
fn a_key_or_signature_that_is_not_accepted_is_named_in_the_error() {
    let expected = [
        ("refused-rsa-1024", "its key is RSA of 1024 bits; "),
        ("refused-rsa-pss-only", "its key is RSA that is for RSA-PSS only; "),
        ("refused-dsa", "its key is DSA; "),
        ("refused-ed25519", "its key is Ed25519; "),
        ("refused-ed448", "its key is Ed448; "),
        ("refused-ecdsa-P-224", "its key is ECDSA on P-224; "),
        ("refused-ecdsa-secp256k1", "its key is ECDSA on secp256k1; "),
        ("refused-ecdsa-brainpool", "its key is ECDSA on brainpoolP256r1; "),
        ("refused-ecdsa-explicit", "its key is ECDSA on a curve that is spelled out instead of named; "),
        ("refused-rsa-md5", "it is signed by RSA with MD5, "),
        ("refused-rsa-sha1", "it is signed by RSA with SHA-1, "),
        ("refused-rsa-sha224", "it is signed by RSA with SHA-224, "),
        ("refused-rsa-pss-sha1", "it is signed by RSA-PSS with SHA-1, "),
        ("refused-rsa-pss-other-mask", "it is signed by RSA-PSS with one digest for the message and another one for the mask, "),
        ("refused-ecdsa-sha1", "it is signed by ECDSA with SHA-1, "),
        ("refused-ecdsa-sha3", "it is signed by ECDSA with SHA3-256, "),
    ];
    for (name, beginning) in expected {
        let fault = CertificateRequest::parse(&fixture(name)).unwrap_err().to_string();
        let accepted = ["it has to be RSA of 2048 to 8192 bits, or ECDSA", "it has to be RSA, RSA-PSS or ECDSA with SHA-256"];
        assert!(fault.starts_with(beginning) && accepted.iter().any(|accepted| fault.contains(accepted)), "{name}: {fault}");
    }
    assert_eq!(fixtures(true).len(), expected.len());
}

#[test]
fn a_changed_signature_is_reported_as_such_for_every_algorithm() {
    for name in fixtures(false) {
        let (_, pem) = parse_x509_pem(fixture(&name).as_bytes()).unwrap();
        let mut der = pem.contents;
        *der.last_mut().unwrap() ^= 1;
        let changed = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der).unwrap();
        assert_eq!(CertificateRequest::parse(&changed).unwrap_err(), RequestFault::Signature, "{name}");
    }
}

#[track_caller]
fn check_form(text: &str) {
    let expected = CertificateRequest::parse(&fixture("repeated-ou")).unwrap();
    let read = CertificateRequest::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text:?}"));
    assert_eq!((read.pem(), read.digest()), (expected.pem(), expected.digest()));
}

#[test]
fn a_request_is_found_in_every_form_of_pem() {
    let text = fixture("repeated-ou");
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let wrapped = |length: usize, end: &str| {
        let lines = base64.as_bytes().chunks(length).map(|line| format!("{}{end}", str::from_utf8(line).unwrap()));
        format!("-----BEGIN CERTIFICATE REQUEST-----{end}{}-----END CERTIFICATE REQUEST-----{end}", lines.collect::<String>())
    };
    for length in [1, 3, 48, 63, 65, 76, 100, 10_000] {
        for end in ["\n", "\r\n", "\r", " ", "\n\n", " \t\n", "\n    "] {
            check_form(&wrapped(length, end));
        }
    }
    check_form(&wrapped(10_000, ""));
    check_form(&format!("\u{feff}{text}"));
    check_form(&format!("\u{feff}{}", text.replace('\n', "\r\n")));
    check_form(text.trim_end());
    check_form(&text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"));
    let key = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let about = "Certificate Request:\n    Data:\n        Version: 1 (0x0)\n        Subject: CN = pump-1 -----\n";
    check_form(&format!("{about}{key}{text}That is all.\n"));
    // Text outside the block does not count for the limit.
    check_form(&format!("{}{text}", about.repeat(60)));
}

#[test]
fn invalid_and_too_long_requests_are_refused() {
    let text = fixture("rsa-sha256");
    let truncated = text.replace("-----END CERTIFICATE REQUEST-----", "");
    let of_another_kind = text.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let broken = text.replacen("MII", "M*I", 1);
    let (_, pem) = parse_x509_pem(text.as_bytes()).unwrap();
    let and_more = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &[&pem.contents[..], &[5, 0]].concat()).unwrap();
    for garbage in ["", "garbage", "-----BEGIN CERTIFICATE REQUEST-----", &text[..200], &truncated, &of_another_kind, &broken, &and_more] {
        assert_eq!(CertificateRequest::parse(garbage).unwrap_err(), RequestFault::Unreadable, "{garbage}");
    }
    let long = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &[0; 3_100]).unwrap();
    assert_eq!(CertificateRequest::parse(&long).unwrap_err(), RequestFault::Length);
}
