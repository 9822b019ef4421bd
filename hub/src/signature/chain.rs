//! The certificates that stand behind a signature.
//!
//! The first is Alexa's own, for `echo-api.amazon.com`. The others help to find a way to a trusted root, in whatever
//! order they come; one that leads nowhere is no fault, because Amazon's files end in a cross-certificate of a root
//! that is trusted no longer. The way is built and all dates are looked at anew each time, so a chain that was good when it
//! was fetched does not stay so by being kept. (RFC 5280, section 6)

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::Unverified;

/// Whom the first certificate must be for.
pub const NAME: &str = "echo-api.amazon.com";
/// Amazon's files hold four.
const MAX_CERTIFICATES: usize = 10;

/// Why certificates are not Alexa's.
#[derive(Debug, Error)]
pub enum ChainFault {
    /// Something in the file is no certificate, or there are more than a chain can need.
    #[error("the file is not a certificate chain")]
    Unreadable,
    /// No way to a trusted root today.
    #[error("no way from the certificate to a trusted root")]
    Untrusted(#[source] webpki::Error),
    /// Somebody else's certificate.
    #[error("the certificate is not for echo-api.amazon.com")]
    Name,
}

/// A chain as it was fetched; whether it is any good, [`Chain::check`] says.
#[derive(Debug)]
pub struct Chain {
    leaf: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Reads a file in PEM.
    pub fn parse(pem: &[u8]) -> Result<Self, ChainFault> {
        let certificates = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES + 1).collect::<Result<Vec<_>, _>>();
        let mut certificates = certificates.map_err(|_| ChainFault::Unreadable)?;
        if certificates.is_empty() || certificates.len() > MAX_CERTIFICATES {
            return Err(ChainFault::Unreadable);
        }
        let others = certificates.split_off(1);
        let leaf = certificates.pop().ok_or(ChainFault::Unreadable)?;
        Ok(Self { leaf, others })
    }

    /// Whether the chain is Alexa's at a time, in seconds since the epoch.
    pub fn check(&self, anchors: &[TrustAnchor<'static>], now: u64) -> Result<(), ChainFault> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Untrusted)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, anchors, &self.others, time, KeyUsage::server_auth(), None, None)
            .map_err(ChainFault::Untrusted)?;
        // A wildcard would do for a TLS client; Alexa's certificate has the name itself.
        if leaf.valid_dns_names().any(|name| name == NAME) { Ok(()) } else { Err(ChainFault::Name) }
    }

    /// Whether the first certificate's key made a signature over these bytes: RSA (PKCS#1 v1.5) with SHA-256.
    pub fn signed(&self, body: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Untrusted)?;
        leaf.verify_signature(webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256, body, signature).map_err(Unverified::Signature)
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
