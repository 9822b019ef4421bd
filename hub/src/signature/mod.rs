//! Verification that a request to `POST /alexa` comes from the Alexa service.
//!
//! Alexa signs the bytes of the body, and names the URL of the certificate chain in a header. A request is accepted only if the
//! URL is one of Amazon ([`chain_url`]), the chain is valid for `echo-api.amazon.com` up to a trusted root ([`chain`]), the key
//! of the first certificate made the signature, and the request is recent and not a replay ([`freshness`]). The body is parsed
//! only after its signature is verified.
//!
//! For every fault the response is 400. [`Unverified`] describes the fault for the log, and contains nothing from the request.
//! (<https://developer.amazon.com/en-US/docs/alexa/custom-skills/host-a-custom-skill-as-a-web-service.html>)

pub mod chain;
pub mod chain_url;
pub mod freshness;

mod cache;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use onething::https::Https;
use rustls::pki_types::TrustAnchor;
use thiserror::Error;

use self::cache::ChainCache;
use self::chain::ChainFault;
use self::chain_url::{ChainUrl, ChainUrlFault};
use self::freshness::{Seen, Stamp, StampFault};

pub use self::cache::{ChainSource, SourceFault};

/// The header with the URL of the certificate chain.
const CHAIN_URL: &str = "signaturecertchainurl";
/// The header with the RSA signature with SHA-256. The older header `Signature`, with SHA-1, is ignored.
const SIGNATURE: &str = "signature-256";

/// Why a request is not accepted as one of Alexa.
#[derive(Debug, Error)]
pub enum Unverified {
    /// A header is missing.
    #[error("the header {0} is missing")]
    HeaderMissing(&'static str),
    /// A header occurs twice. Alexa sends each header once.
    #[error("the header {0} is there twice")]
    HeaderRepeated(&'static str),
    /// The URL of the certificate chain is not one of Amazon.
    #[error("the certificates' address is not one of Alexa's")]
    Url(#[from] ChainUrlFault),
    /// The signature is not base64.
    #[error("the signature is not base64")]
    Encoding,
    /// The file at the URL is not a certificate chain, or the chain is not trusted.
    #[error("the certificates are of no use")]
    Chain(#[from] ChainFault),
    /// The certificate chain could not be fetched.
    #[error("the certificates could not be fetched")]
    Fetch(#[from] SourceFault),
    /// The last attempt to fetch the certificate chain failed some seconds ago, so there was no new attempt.
    #[error("the certificates could not be fetched a moment ago")]
    FetchedInVain,
    /// The signature does not match the body and the key.
    #[error("the signature is not for this body")]
    Signature(#[source] webpki::Error),
    /// The timestamp of the signed request is missing, too old or in the future.
    #[error("the request is not fresh")]
    Stamp(#[from] StampFault),
    /// A request with this id was already received.
    #[error("the request was already answered")]
    Replayed,
}

/// Verifies requests of Alexa. [`Verifier`] does this in production.
pub trait Verify: Send + Sync {
    /// Succeeds for a recent request of Alexa. `body` contains the bytes of the body as they were received.
    fn verify<'a>(&'a self, headers: &'a HeaderMap, body: &'a [u8]) -> BoxFuture<'a, Result<(), Unverified>>;
}

impl<S: ChainSource> Verify for Verifier<S> {
    fn verify<'a>(&'a self, headers: &'a HeaderMap, body: &'a [u8]) -> BoxFuture<'a, Result<(), Unverified>> {
        Box::pin(Verifier::verify(self, headers, body))
    }
}

/// Verifies requests. It stores certificate chains and the ids of recent requests, both in bounded number.
pub struct Verifier<S = Https> {
    chains: ChainCache<S>,
    seen: Seen,
    now: fn() -> u64,
}

impl Verifier {
    /// A verifier for the Alexa service, which fetches certificates over HTTPS and trusts the roots of Mozilla. `now` returns a
    /// Unix time in seconds.
    pub fn of_alexa(now: fn() -> u64) -> Self {
        Self::new(webpki_roots::TLS_SERVER_ROOTS.to_vec(), Https::default(), now)
    }
}

impl<S: ChainSource> Verifier<S> {
    /// A verifier that trusts `anchors` and fetches certificate chains from `source`. `now` returns a Unix time in seconds.
    pub fn new(anchors: Vec<TrustAnchor<'static>>, source: S, now: fn() -> u64) -> Self {
        Self { chains: ChainCache::new(anchors, source, now), seen: Seen::default(), now }
    }

    /// Succeeds for a recent request of Alexa. `body` contains the bytes of the body as they were received.
    pub async fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Unverified> {
        let url = ChainUrl::parse(the_only(headers, CHAIN_URL)?)?;
        let signature = BASE64_STANDARD.decode(the_only(headers, SIGNATURE)?).map_err(|_| Unverified::Encoding)?;
        self.chains.verify(&url, body, &signature).await?;

        let (stamp, now) = (Stamp::read(body)?, (self.now)());
        stamp.check(now)?;
        // Alexa repeats a skill event until it is acknowledged, and a repetition must be accepted if the first delivery failed.
        // The skill itself ignores repetitions by the timestamp of the event, so only other requests are checked for replays.
        if stamp.is_event() || self.seen.admit(&stamp, now) { Ok(()) } else { Err(Unverified::Replayed) }
    }
}

/// The value of a header that must occur exactly once.
fn the_only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Unverified> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) => Err(Unverified::HeaderMissing(name)),
        (Some(_), Some(_)) => Err(Unverified::HeaderRepeated(name)),
    }
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;

#[cfg(test)]
pub(crate) mod forge;
