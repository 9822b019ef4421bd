//! The certificate chain of a signature.
//!
//! The first certificate is the one of Alexa, for `echo-api.amazon.com`. The others are candidates for the path to a trusted
//! root, in any order. Unused certificates are allowed, because Amazon's files end with a cross certificate of a root that is no
//! longer trusted. Every check builds the path and checks all validity periods again, so a cached chain does not stay valid after
//! its certificates expire. (RFC 5280, section 6)

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::Unverified;

/// The DNS name that the first certificate must contain.
pub const NAME: &str = "echo-api.amazon.com";
/// The largest number of certificates in a file. Amazon's files contain four.
const MAX_CERTIFICATES: usize = 10;

/// Why a certificate chain is not accepted.
#[derive(Debug, Error)]
pub enum ChainFault {
    /// The file contains something that is not a certificate, or too many certificates.
    #[error("the file is not a certificate chain")]
    Unreadable,
    /// There is no valid path to a trusted root at the time of the check.
    #[error("no way from the certificate to a trusted root")]
    Untrusted(#[source] webpki::Error),
    /// The first certificate is for another name.
    #[error("the certificate is not for echo-api.amazon.com")]
    Name,
}

/// A parsed chain. [`Chain::check`] decides whether it is valid.
#[derive(Debug)]
pub struct Chain {
    leaf: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Parses a PEM file.
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

    /// Checks that the chain is valid and that it belongs to Alexa. `now` is a Unix time in seconds.
    pub fn check(&self, anchors: &[TrustAnchor<'static>], now: u64) -> Result<(), ChainFault> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Untrusted)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, anchors, &self.others, time, KeyUsage::server_auth(), None, None)
            .map_err(ChainFault::Untrusted)?;
        // A TLS client would accept a wildcard. The certificate of Alexa contains the name itself.
        if leaf.valid_dns_names().any(|name| name == NAME) { Ok(()) } else { Err(ChainFault::Name) }
    }

    /// Verifies a signature of the first certificate's key over these bytes: RSA (PKCS#1 v1.5) with SHA-256.
    pub fn signed(&self, body: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(ChainFault::Untrusted)?;
        leaf.verify_signature(webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256, body, signature).map_err(Unverified::Signature)
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
