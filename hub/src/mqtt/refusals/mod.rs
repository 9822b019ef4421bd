//! Refusals of the broker as lines of the log and as rows of the database: they tell why a device does not work.
//!
//! A client may be refused a thousand times a second, and chooses most of the text itself. Neither the log nor the memory nor the disk grows
//! with that: `limiter` holds refusals back and counts them, texts are escaped and cut, and the number of rows is limited, of each
//! certificate and of all.

mod kept;
mod limiter;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onething::fault::chain;
use onething::identifiers::CertificateId;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};

pub use kept::{Kept, last, last_of};

use crate::mqtt::broker::refusal::{Cause, Refusal};
use crate::storage::store::{Store, StoreError};
use limiter::{Limiter, PAUSE};

/// How many refusals may wait to be written. While the store does not write, further ones are in the log only.
const WAITING: usize = 256;
/// How many are written at a time.
const BATCH: usize = 64;
/// How many refusals a slow listener may be behind.
const BEHIND: usize = 64;
/// How much of a text is shown, in characters.
const TEXT: usize = 256;

/// Refusals of one key are counted together.
type Key = (CertificateId, Option<&'static str>, Cause);

/// Takes refusals; clones are the same.
#[derive(Clone)]
pub struct Refusals(Arc<Inner>);

struct Inner {
    limiter: Mutex<Limiter<Key, Kept>>,
    waiting: mpsc::Sender<Kept>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Kept>>,
    kept: broadcast::Sender<Option<String>>,
    now: fn() -> u64,
}

impl Refusals {
    /// Takes refusals from now on. `now` is in seconds since the epoch.
    pub fn new(now: fn() -> u64) -> Self {
        let (waiting, incoming) = mpsc::channel(WAITING);
        let (limiter, incoming, kept) = (Mutex::new(Limiter::new()), tokio::sync::Mutex::new(incoming), broadcast::channel(BEHIND).0);
        Self(Arc::new(Inner { limiter, waiting, incoming, kept, now }))
    }

    /// A client was refused something. This does not block.
    pub fn note(&self, refusal: &Refusal) {
        let key = (refusal.requester.certificate.clone(), refusal.action, refusal.cause);
        let now = (self.0.now)();
        let told = self.limiter().happened(key, Kept::new(refusal, now), now);
        self.tell(told);
    }

    /// From now on receives the thing of each refusal that is kept, where the thing is known.
    pub fn watch(&self) -> broadcast::Receiver<Option<String>> {
        self.0.kept.subscribe()
    }

    /// Writes refusals into the store, and tells those in time that were held back. Does not end. Of several calls one works.
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

    async fn write(&self, rows: Vec<Kept>, store: &Store) {
        let things: Vec<_> = rows.iter().map(|kept| kept.thing.clone()).collect();
        match store.change::<_, StoreError>(move |db| Ok(rows.iter().try_for_each(|row| row.insert(db))?)).await {
            // Without a listener there is nothing to do.
            Ok(()) => things.into_iter().for_each(|thing| drop(self.0.kept.send(thing))),
            Err(error) => tracing::warn!(step = "store", cause = "store_refused", "refusals were not kept: {}", chain(&error)),
        }
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter<Key, Kept>> {
        self.0.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: impl IntoIterator<Item = (Kept, u64)>) {
        for (refusal, times) in told {
            let refusal = Kept { times, ..refusal };
            refusal.log();
            // Without room the refusal is in the log only.
            let _ = self.0.waiting.try_send(refusal);
        }
    }
}

/// A text of a client for logs and pages: characters that are invisible or that control a terminal are escaped, and long texts are cut.
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
