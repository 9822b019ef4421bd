//! How the broker reaches the task of a connection: there is something to send, or the connection must end.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use super::reason::Reason;

/// No reason has this number.
const GOING_ON: u8 = u8::MAX;

/// Sent by any task, received by one connection.
#[derive(Debug)]
pub(super) struct WakeUp {
    rung: Notify,
    reason: AtomicU8,
}

impl WakeUp {
    pub(super) fn new() -> Self {
        Self { rung: Notify::new(), reason: AtomicU8::new(GOING_ON) }
    }

    /// There is something to send.
    pub(super) fn wake(&self) {
        self.rung.notify_one();
    }

    /// The connection must end. The first reason counts.
    pub(super) fn stop(&self, reason: Reason) {
        // A failure means that there is a reason already.
        let _ = self.reason.compare_exchange(GOING_ON, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.rung.notify_one();
    }

    /// Why the connection must end, if it must.
    pub(super) fn stopped(&self) -> Option<Reason> {
        Reason::ALL.get(usize::from(self.reason.load(Ordering::Acquire))).copied()
    }

    /// Waits until it is rung.
    pub(super) async fn woken(&self) {
        self.rung.notified().await;
    }

    /// Waits until the connection must end. A ring for something else is lost.
    pub(super) async fn ended(&self) -> Reason {
        loop {
            if let Some(reason) = self.stopped() {
                return reason;
            }
            self.rung.notified().await;
        }
    }
}
