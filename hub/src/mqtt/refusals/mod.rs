//! The record of refused requests, in the log and in the database. It shows why a device does not work.
//!
//! A client can cause a thousand refusals a second and controls most of their text. Log, memory and disk are nevertheless
//! bounded: `limiter` combines and counts refusals, texts are escaped and truncated, and the number of rows is limited for each
//! certificate and in total.

mod limiter;
mod stored_refusal;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onething::fault::chain;
use onething::identifiers::CertificateId;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};

pub use stored_refusal::{StoredRefusal, last, last_of};

use crate::mqtt::broker::refusal::{Cause, Refusal};
use crate::storage::store::{Store, StoreError};
use limiter::{Limiter, PAUSE};

/// How many refusals may wait for the database. While the database is unavailable, further refusals are only logged.
const WAITING: usize = 256;
/// The most refusals that are written in one transaction.
const BATCH: usize = 64;
/// The capacity of the broadcast channel: how many refusals a slow receiver may lag behind.
const BEHIND: usize = 64;
/// The length to which a text is truncated, in characters.
const TEXT: usize = 256;

/// The limiter combines the refusals with the same certificate, action and cause.
type Key = (CertificateId, Option<&'static str>, Cause);

/// Records refusals. Clones share the same state.
#[derive(Clone)]
pub struct Refusals(Arc<Inner>);

struct Inner {
    limiter: Mutex<Limiter<Key, StoredRefusal>>,
    waiting: mpsc::Sender<StoredRefusal>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<StoredRefusal>>,
    kept: broadcast::Sender<Option<String>>,
    now: fn() -> u64,
}

impl Refusals {
    /// Creates a record. `now` returns the Unix time in seconds.
    pub fn new(now: fn() -> u64) -> Self {
        let (waiting, incoming) = mpsc::channel(WAITING);
        let (limiter, incoming, kept) = (Mutex::new(Limiter::new()), tokio::sync::Mutex::new(incoming), broadcast::channel(BEHIND).0);
        Self(Arc::new(Inner { limiter, waiting, incoming, kept, now }))
    }

    /// Records a refusal. This does not block.
    pub fn note(&self, refusal: &Refusal) {
        let key = (refusal.requester.certificate.clone(), refusal.action, refusal.cause);
        let now = (self.0.now)();
        let told = self.limiter().happened(key, StoredRefusal::new(refusal, now), now);
        self.tell(told);
    }

    /// Subscribes to the refusals that are written to the database. Each item is the thing of a refusal, if the thing is known.
    pub fn watch(&self) -> broadcast::Receiver<Option<String>> {
        self.0.kept.subscribe()
    }

    /// Writes refusals to the database, and periodically records the refusals that the limiter has combined. Never returns. Of
    /// several concurrent calls only one is active.
    pub async fn keep(&self, store: &Store) -> Infallible {
        let mut incoming = self.0.incoming.lock().await;
        let mut ticks = interval(Duration::from_secs(PAUSE));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = incoming.recv_many(&mut batch, BATCH) => self.write(std::mem::take(&mut batch), store).await,
                _ = ticks.tick() => {
                    let due = self.limiter().due((self.0.now)());
                    self.tell(due);
                }
            }
        }
    }

    async fn write(&self, rows: Vec<StoredRefusal>, store: &Store) {
        let things: Vec<_> = rows.iter().map(|kept| kept.thing.clone()).collect();
        match store.change::<_, StoreError>(move |db| Ok(rows.iter().try_for_each(|row| row.insert(db))?)).await {
            // An error means that there is no receiver.
            Ok(()) => things.into_iter().for_each(|thing| drop(self.0.kept.send(thing))),
            Err(error) => tracing::warn!(step = "store", cause = "store_refused", "refusals were not kept: {}", chain(&error)),
        }
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter<Key, StoredRefusal>> {
        self.0.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: impl IntoIterator<Item = (StoredRefusal, u64)>) {
        for (refusal, times) in told {
            let refusal = StoredRefusal { times, ..refusal };
            refusal.log();
            // If the channel is full, the refusal is only logged.
            let _ = self.0.waiting.try_send(refusal);
        }
    }
}

/// Prepares a text of a client for logs and pages: escapes invisible and control characters, and truncates a long text.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(TEXT) {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(TEXT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;
