//! The counters and gauges of the broker, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::reason::Reason;

/// A counter or gauge. It can be read at any time.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Increases the counter.
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets the gauge.
    pub(super) fn set(&self, value: usize) {
        self.0.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the current value.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters and gauges of the broker.
#[derive(Debug, Default)]
pub struct Counters {
    /// Accepted TCP connections.
    pub accepted: Counter,
    /// TCP connections whose TLS handshake failed.
    pub handshakes_failed: Counter,
    /// Currently connected clients.
    pub connected: Counter,
    /// Accepted CONNECT packets.
    pub connects: Counter,
    /// Current sessions, with and without a connection.
    pub sessions: Counter,
    /// Current subscriptions.
    pub subscriptions: Counter,
    /// Current retained messages.
    pub retained: Counter,
    /// PUBLISH packets accepted from clients.
    pub published: Counter,
    /// PUBLISH packets queued for sending to clients.
    pub delivered: Counter,
    /// Messages that were not sent to a client: the queue was full, the policies refused them, or they were too large or expired.
    pub dropped: Counter,
    /// Bytes received from clients, without TLS.
    pub bytes_in: Counter,
    /// Bytes sent to clients, without TLS.
    pub bytes_out: Counter,
    refused: [Counter; Reason::ALL.len()],
    ended: [Counter; Reason::ALL.len()],
}

impl Counters {
    /// Returns the number of connections refused for a reason, before or at CONNECT.
    pub fn refused(&self, reason: Reason) -> &Counter {
        &self.refused[reason as usize]
    }

    /// Returns the number of accepted connections that ended for a reason.
    pub fn ended(&self, reason: Reason) -> &Counter {
        &self.ended[reason as usize]
    }
}
