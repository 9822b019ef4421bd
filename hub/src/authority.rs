//! The hub's own certificate authority.
//!
//! Its certificates are like those of AWS IoT's `CreateKeysAndCertificate`: RSA of 2,048 bits, the private
//! key as PKCS#1, the name `AWS IoT Certificate`, good until the end of 2049, with the SHA-256 of the DER
//! form as their id. So whatever reads a bundle of AWS reads one of the hub.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html>)
//!
//! The authority's key is made with it and never leaves the process: a certificate is worth as much as the
//! registry that knows it, and that one is in memory, too.

use onething::thing::{Certificate, CertificateId, PrivateKey};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode;
use pkcs8::der::pem::{LineEnding, encode_string};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// 2049-12-31T23:59:59Z, in seconds since the epoch.
const NOT_AFTER: i64 = 2_524_607_999;
/// How far the clock of a device may be behind.
const BACKDATED: Duration = Duration::minutes(2);

/// A certificate could not be made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A key or a signature.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// The key's form.
    #[error("a private key could not be written as PKCS#1")]
    Key(#[source] pkcs8::der::Error),
    /// Before 1970 or after 9999.
    #[error("the clock is off")]
    Clock,
}

/// Issues device certificates.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own. `now` is in seconds since the epoch.
    pub fn new(now: u64) -> Result<Self, AuthorityError> {
        let mut params = params("onething hub root", now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The root certificate in PEM, by which devices and the hub know each other.
    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// Issues a certificate with a new key. An RSA key takes a tenth of a second and more: this is nothing
    /// for an async task.
    pub fn issue(&self, now: u64) -> Result<Certificate, AuthorityError> {
        let key = Zeroizing::new(KeyPair::generate_for(&PKCS_RSA_SHA256)?);
        let mut params = params("AWS IoT Certificate", now)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&*key, &self.root)?;
        Ok(Certificate {
            id: CertificateId::of(certificate.der()),
            pem: certificate.pem(),
            public_key: key.public_key_pem(),
            private_key: PrivateKey::new(pkcs1(key.serialized_der()).map_err(AuthorityError::Key)?),
        })
    }
}

fn params(name: &str, now: u64) -> Result<CertificateParams, AuthorityError> {
    let moment = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Clock);
    let now = i64::try_from(now).map_err(|_| AuthorityError::Clock)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = moment(now)? - BACKDATED;
    params.not_after = moment(NOT_AFTER)?;
    Ok(params)
}

/// PKCS#8 wraps an RSA key of PKCS#1 in an octet string (RFC 5208): this takes it out.
fn pkcs1(pkcs8: &[u8]) -> Result<String, pkcs8::der::Error> {
    let wrapped = PrivateKeyInfoRef::from_der(pkcs8)?;
    Ok(encode_string("RSA PRIVATE KEY", LineEnding::LF, wrapped.private_key.as_bytes())?)
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
