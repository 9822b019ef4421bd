//! Whether a request to `POST /alexa` comes from Amazon's Alexa service.
//!
//! Alexa signs the bytes of the body and names, in a header, where the certificates for it are. So a request counts
//! only if that address is Amazon's ([`chain_url`]), the certificates there lead from `echo-api.amazon.com` to a root
//! that is trusted ([`chain`]), the signature is made with the first one's key, and the request is new:
//! made just now and not seen before ([`freshness`]). Nothing of the body is parsed before its signature is verified.
//!
//! Whatever is wrong, the answer is 400; [`Unverified`] says what it was, for the log, and quotes nothing of the request.
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

/// Names the certificates.
const CHAIN_URL: &str = "signaturecertchainurl";
/// RSA over SHA-256. Its older sibling `Signature`, over SHA-1, may still come along and counts for nothing.
const SIGNATURE: &str = "signature-256";

/// Why a request is not taken for one of Alexa's.
#[derive(Debug, Error)]
pub enum Unverified {
    /// A header is not there.
    #[error("the header {0} is missing")]
    HeaderMissing(&'static str),
    /// Of two headers only one can have been checked.
    #[error("the header {0} is there twice")]
    HeaderRepeated(&'static str),
    /// The certificates are said to be somewhere else than at Amazon's.
    #[error("the certificates' address is not one of Alexa's")]
    Url(#[from] ChainUrlFault),
    /// The signature is not base64.
    #[error("the signature is not base64")]
    Encoding,
    /// There are no certificates at that address, or none that may be trusted.
    #[error("the certificates are of no use")]
    Chain(#[from] ChainFault),
    /// The certificates did not come.
    #[error("the certificates could not be fetched")]
    Fetch(#[from] SourceFault),
    /// They did not come a moment ago, and nobody asks again so soon.
    #[error("the certificates could not be fetched a moment ago")]
    FetchedInVain,
    /// The body was signed by another key, or is not what was signed.
    #[error("the signature is not for this body")]
    Signature(#[source] webpki::Error),
    /// The request is signed, but old, of the future, or does not say when it was made.
    #[error("the request is not fresh")]
    Stamp(#[from] StampFault),
    /// The same request once more.
    #[error("the request was already answered")]
    Replayed,
}

/// Tells requests of Alexa's from all others: Amazon's way is [`Verifier`].
pub trait Verify: Send + Sync {
    /// Passes a request that Alexa made just now. `body` is the body's bytes as they came.
    fn verify<'a>(&'a self, headers: &'a HeaderMap, body: &'a [u8]) -> BoxFuture<'a, Result<(), Unverified>>;
}

impl<S: ChainSource> Verify for Verifier<S> {
    fn verify<'a>(&'a self, headers: &'a HeaderMap, body: &'a [u8]) -> BoxFuture<'a, Result<(), Unverified>> {
        Box::pin(Verifier::verify(self, headers, body))
    }
}

/// Verifies requests. It holds what it learnt: certificates and the ids of recent requests, both bounded.
pub struct Verifier<S = Https> {
    chains: ChainCache<S>,
    seen: Seen,
    now: fn() -> u64,
}

impl Verifier {
    /// Verifies what Amazon's Alexa service sends: certificates over HTTPS, under the roots that Mozilla trusts.
    pub fn of_alexa(now: fn() -> u64) -> Self {
        Self::new(webpki_roots::TLS_SERVER_ROOTS.to_vec(), Https::default(), now)
    }
}

impl<S: ChainSource> Verifier<S> {
    /// A verifier that trusts `anchors` and fetches certificates from `source`. `now` is in seconds since the epoch.
    pub fn new(anchors: Vec<TrustAnchor<'static>>, source: S, now: fn() -> u64) -> Self {
        Self { chains: ChainCache::new(anchors, source, now), seen: Seen::default(), now }
    }

    /// Passes a request that Alexa made just now. `body` is the body's bytes as they came.
    pub async fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Unverified> {
        let url = ChainUrl::parse(the_only(headers, CHAIN_URL)?)?;
        let signature = BASE64_STANDARD.decode(the_only(headers, SIGNATURE)?).map_err(|_| Unverified::Encoding)?;
        self.chains.verify(&url, body, &signature).await?;

        let (stamp, now) = (Stamp::read(body)?, (self.now)());
        stamp.check(now)?;
        // Alexa repeats a skill event until it is acknowledged, and one whose first delivery failed has to come
        // through. The skill does an event once, by the time it was made; so only requests are compared with recent ones.
        if stamp.is_event() || self.seen.admit(&stamp, now) { Ok(()) } else { Err(Unverified::Replayed) }
    }
}

/// The value of a header that must be there exactly once.
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
