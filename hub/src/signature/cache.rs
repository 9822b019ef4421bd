//! A cache of certificate chains.
//!
//! Every use checks a cached chain again. A chain is fetched again when it is no longer valid, when it does not match a signature
//! (Amazon may have put another chain at the same URL), and after six hours. Concurrent requests for the same chain share one
//! fetch. A failure is cached for some seconds. The effects of unknown clients are bounded: the number of cached chains and
//! failures, the number of concurrent fetches, and the fetches of one URL.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use onething::https::{Https, HttpsError};
use rustls::pki_types::TrustAnchor;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::Unverified;
use super::chain::Chain;
use super::chain_url::{ChainUrl, ORIGIN};

/// The largest number of cached URLs. Amazon uses one URL at a time.
const MAX_CHAINS: usize = 32;
const MAX_FETCHES: usize = 8;
/// The time limit of a fetch, including the wait for a permit. Alexa waits eight seconds for a response.
const FETCH_LIMIT: Duration = Duration::from_secs(3);
const MAX_AGE: u64 = 6 * 60 * 60;
/// The shortest time between two fetches that signatures without a matching key cause, in seconds.
const DOUBT_PAUSE: u64 = 60;
const FAILURE_PAUSE: u64 = 5;

/// Why a chain could not be fetched.
#[derive(Debug, Error)]
pub enum SourceFault {
    /// The server did not respond, or the response exceeded the limits of [`Https`].
    #[error("no answer")]
    NoAnswer(#[source] HttpsError),
    /// The status of the response is not 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The time limit was exceeded.
    #[error("no answer in time")]
    Silent,
}

/// A source of certificate chains.
pub trait ChainSource: Send + Sync {
    /// The content of the file at this URL.
    fn fetch(&self, url: &ChainUrl) -> impl Future<Output = Result<Bytes, SourceFault>> + Send;
}

/// The server of Amazon. Redirects are not followed.
impl ChainSource for Https {
    async fn fetch(&self, url: &ChainUrl) -> Result<Bytes, SourceFault> {
        fetch(self, ORIGIN, url).await
    }
}

/// The file of a URL, from the given server.
pub(super) async fn fetch(https: &Https, server: &str, url: &ChainUrl) -> Result<Bytes, SourceFault> {
    let reply = https.send(https.get(&format!("{server}{}", url.path()))).await.map_err(SourceFault::NoAnswer)?;
    if reply.status == 200 { Ok(reply.body) } else { Err(SourceFault::Status(reply.status)) }
}

/// The cached state of one URL. Its lock is held during a fetch.
#[derive(Default)]
struct Known {
    chain: Option<Chain>,
    fetched_at: u64,
    failed_at: Option<u64>,
}

struct Place {
    known: Arc<tokio::sync::Mutex<Known>>,
    used: u64,
}

pub(super) struct ChainCache<S> {
    anchors: Vec<TrustAnchor<'static>>,
    source: S,
    now: fn() -> u64,
    fetches: Semaphore,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    by_url: HashMap<ChainUrl, Place>,
    uses: u64,
}

impl<S: ChainSource> ChainCache<S> {
    pub(super) fn new(anchors: Vec<TrustAnchor<'static>>, source: S, now: fn() -> u64) -> Self {
        Self { anchors, source, now, fetches: Semaphore::new(MAX_FETCHES), places: Mutex::default() }
    }

    /// Verifies that the chain at a URL belongs to Alexa and that its key made this signature.
    pub(super) async fn verify(&self, url: &ChainUrl, body: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let known = self.place(url);
        let mut known = known.lock().await;
        let now = (self.now)();
        let age = now.abs_diff(known.fetched_at);

        known.chain.take_if(|chain| age >= MAX_AGE || chain.check(&self.anchors, now).is_err());
        if let Some(chain) = &known.chain {
            let signed = chain.signed(body, signature);
            if signed.is_ok() || age < DOUBT_PAUSE {
                return signed;
            }
        }
        if known.failed_at.is_some_and(|at| now.abs_diff(at) < FAILURE_PAUSE) {
            return Err(Unverified::FetchedInVain);
        }
        match self.fetch(url, now).await {
            Ok(chain) => {
                let signed = chain.signed(body, signature);
                *known = Known { chain: Some(chain), fetched_at: now, failed_at: None };
                signed
            }
            Err(fault) => {
                // A chain that did not match this signature stays cached for other requests.
                known.failed_at = Some(now);
                Err(fault)
            }
        }
    }

    /// Fetches a chain and checks it.
    async fn fetch(&self, url: &ChainUrl, now: u64) -> Result<Chain, Unverified> {
        let fetch = async {
            let _one_of_few = self.fetches.acquire().await.map_err(|_| SourceFault::Silent)?;
            self.source.fetch(url).await
        };
        let pem = tokio::time::timeout(FETCH_LIMIT, fetch).await.unwrap_or(Err(SourceFault::Silent))?;
        let chain = Chain::parse(&pem)?;
        chain.check(&self.anchors, now)?;
        Ok(chain)
    }

    /// The entry of a URL. When the cache is full, the least recently used entry without a chain is removed, or else the least
    /// recently used entry. So URLs that unknown clients invent do not displace the URL of Amazon.
    fn place(&self, url: &ChainUrl) -> Arc<tokio::sync::Mutex<Known>> {
        // No change of the map panics before it is complete.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.uses += 1;
        let used = places.uses;
        if !places.by_url.contains_key(url) && places.by_url.len() >= MAX_CHAINS {
            // A locked entry is in use, so it counts as one with a chain.
            let holds_chain = |place: &Place| place.known.try_lock().map_or(true, |known| known.chain.is_some());
            let leaves = places.by_url.iter().min_by_key(|(_, place)| (holds_chain(place), place.used));
            if let Some(url) = leaves.map(|(url, _)| url.clone()) {
                places.by_url.remove(&url);
            }
        }
        let place = places.by_url.entry(url.clone()).or_insert_with(|| Place { known: Arc::default(), used });
        place.used = used;
        Arc::clone(&place.known)
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
