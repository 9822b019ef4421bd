//! A certificate signing request, and a certificate, of an unknown client.
//!
//! The bytes are parsed as PEM and as DER. After a `~` they are changes to a real request and a real certificate, of three bytes
//! each: a position of two bytes, and the new byte.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use onething::registry::signing_request::{CertificateRequest, ShownCertificate};

use super::credentials::credentials;

/// Parses the input in all forms.
pub fn run(data: &[u8]) {
    read(&String::from_utf8_lossy(data));
    for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "CERTIFICATE"] {
        read(&in_pem(label, data));
    }
    if let Some(changes) = data.strip_prefix(b"~") {
        let credentials = credentials();
        let real = match CertificateRequest::parse(&credentials.request) {
            Ok(real) => real,
            Err(error) => panic!("{error}"),
        };
        if let Some(request) = read(&changed("CERTIFICATE REQUEST", &credentials.request, changes)) {
            assert_eq!(request.key(), real.key(), "a changed request has another key");
        }
        read(&changed("CERTIFICATE", &credentials.certificate, changes));
    }
}

fn read(pem: &str) -> Option<CertificateRequest> {
    if let Some(shown) = ShownCertificate::parse(pem) {
        assert!(!shown.has_signed(b"a message", pem.as_bytes()) && shown.id().as_str().len() == 64);
        let _ = shown.expires_at();
    }
    let request = CertificateRequest::parse(pem).ok()?;
    let again = CertificateRequest::parse(request.pem());
    assert!(again.is_ok_and(|again| (again.key(), again.digest()) == (request.key(), request.digest())), "{pem}");
    Some(request)
}

fn in_pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn changed(label: &str, pem: &str, changes: &[u8]) -> String {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = BASE64_STANDARD.decode(text.as_bytes()).unwrap_or_default();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % der.len();
        der[place] = change[2];
    }
    in_pem(label, &der)
}
