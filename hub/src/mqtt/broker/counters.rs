//! What the broker counts, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::reason::Reason;

/// One number that may be read at any time.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Replaces it.
    pub(super) fn set(&self, value: usize) {
        self.0.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The number.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the broker counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sockets that were accepted.
    pub accepted: Counter,
    /// Sockets that did not get through the TLS handshake.
    pub handshakes_failed: Counter,
    /// Clients that are connected now.
    pub connected: Counter,
    /// CONNECTs that were granted.
    pub connects: Counter,
    /// Sessions now, with and without a connection.
    pub sessions: Counter,
    /// Subscriptions now.
    pub subscriptions: Counter,
    /// Retained messages now.
    pub retained: Counter,
    /// PUBLISHes of clients that were taken.
    pub published: Counter,
    /// PUBLISHes sent to clients.
    pub delivered: Counter,
    /// Messages that did not reach a client: its queue was full, it may not receive them, or they were too large or too late.
    pub dropped: Counter,
    /// Bytes of MQTT from clients.
    pub bytes_in: Counter,
    /// Bytes of MQTT to clients.
    pub bytes_out: Counter,
    refused: [Counter; Reason::ALL.len()],
    ended: [Counter; Reason::ALL.len()],
}

impl Counters {
    /// CONNECTs refused for a reason, or sockets that sent none.
    pub fn refused(&self, reason: Reason) -> &Counter {
        &self.refused[reason as usize]
    }

    /// Connections that ended for a reason.
    pub fn ended(&self, reason: Reason) -> &Counter {
        &self.ended[reason as usize]
    }
}
