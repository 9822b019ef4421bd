//! The proof of a renewal: a signature by the key of the current certificate over the request for the next one.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use onething::secrets::Fingerprint;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateSigningRequestDer, PrivateKeyDer};

/// The proof of possession of the current key: the base64 encoding of an ECDSA signature in ASN.1, or of an RSA signature in
/// PKCS#1. `None` if the key or the request cannot be used.
pub(super) fn proof(key: &PrivateKeyDer<'_>, csr: &str, at: u64) -> Option<String> {
    use SignatureScheme::{ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, RSA_PKCS1_SHA256};
    let signer = any_supported_type(key).ok()?.choose_scheme(&[ECDSA_NISTP256_SHA256, ECDSA_NISTP384_SHA384, RSA_PKCS1_SHA256])?;
    let request = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).ok()?;
    let signature = signer.sign(message(&request, at).as_bytes()).ok()?;
    Some(BASE64_STANDARD.encode(&signature))
}

pub(super) fn message(request: &[u8], at: u64) -> String {
    format!("onething-renew\n{}\n{at}", Fingerprint::of_bytes(request).hex())
}
