//! Certificate chains, fetched once and kept for a while.
//!
//! A chain is kept only while it is good, and looked through at every use. It is fetched again when it is good no longer,
//! when it does not fit a signature (Amazon may have put another one at the same address), and every six hours.
//! Requests that need the same chain wait for one fetch; a failure is remembered for some seconds only. What strangers
//! can cause is bounded: chains and failures kept, fetches at a time, and how often one address is asked.

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

/// Amazon uses one address at a time.
const MAX_CHAINS: usize = 32;
const MAX_FETCHES: usize = 8;
/// Waiting for a free place included: Alexa waits for an answer for eight seconds.
const FETCH_LIMIT: Duration = Duration::from_secs(3);
const MAX_AGE: u64 = 6 * 60 * 60;
/// A signature that does not fit makes us ask again, but not more often than this.
const DOUBT_PAUSE: u64 = 60;
const FAILURE_PAUSE: u64 = 5;

/// Why a chain did not come.
#[derive(Debug, Error)]
pub enum SourceFault {
    /// The server did not answer, or not in the bounds of [`Https`].
    #[error("no answer")]
    NoAnswer(#[source] HttpsError),
    /// It answered with something else than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It took too long.
    #[error("no answer in time")]
    Silent,
}

/// Where chains come from.
pub trait ChainSource: Send + Sync {
    /// The content of the file at this address.
    fn fetch(&self, url: &ChainUrl) -> impl Future<Output = Result<Bytes, SourceFault>> + Send;
}

/// Amazon's own server. No redirect is followed.
impl ChainSource for Https {
    async fn fetch(&self, url: &ChainUrl) -> Result<Bytes, SourceFault> {
        fetch(self, ORIGIN, url).await
    }
}

/// The file that an address names, from a server.
pub(super) async fn fetch(https: &Https, server: &str, url: &ChainUrl) -> Result<Bytes, SourceFault> {
    let reply = https.send(https.get(&format!("{server}{}", url.path()))).await.map_err(SourceFault::NoAnswer)?;
    if reply.status == 200 { Ok(reply.body) } else { Err(SourceFault::Status(reply.status)) }
}

/// What is known of one address. The lock around it is held while a chain is fetched.
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

    /// Whether the chain at an address is Alexa's and its key made this signature.
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
                // A chain that was only doubted stays: it is good for the requests that it fits.
                known.failed_at = Some(now);
                Err(fault)
            }
        }
    }

    /// A chain that is good.
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

    /// The place of an address. The one that was not used for longest makes room, and of those rather one without a
    /// chain: addresses that strangers make up do not drive Amazon's out.
    fn place(&self, url: &ChainUrl) -> Arc<tokio::sync::Mutex<Known>> {
        // No change of the map panics half-way.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.uses += 1;
        let used = places.uses;
        if !places.by_url.contains_key(url) && places.by_url.len() >= MAX_CHAINS {
            // One that is being used right now is taken for one with a chain.
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
