//! The signal to the task of a connection: there are messages to send, or the connection must end.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use super::reason::Reason;

/// The connection continues. No [`Reason`] has this discriminant.
const RUNNING: u8 = u8::MAX;

/// The signal of one connection. Any task can set it.
#[derive(Debug)]
pub(super) struct WakeUp {
    notify: Notify,
    reason: AtomicU8,
}

impl WakeUp {
    pub(super) fn new() -> Self {
        Self { notify: Notify::new(), reason: AtomicU8::new(RUNNING) }
    }

    /// Signals that there are messages to send.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Signals that the connection must end. Only the first reason counts.
    pub(super) fn stop(&self, reason: Reason) {
        // A failure means that a reason is already set.
        let _ = self.reason.compare_exchange(RUNNING, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.notify.notify_one();
    }

    /// Returns why the connection must end, if it must.
    pub(super) fn stopped(&self) -> Option<Reason> {
        Reason::ALL.get(usize::from(self.reason.load(Ordering::Acquire))).copied()
    }

    /// Waits for the next signal.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Waits until the connection must end. This consumes a signal for messages to send.
    pub(super) async fn ended(&self) -> Reason {
        loop {
            if let Some(reason) = self.stopped() {
                return reason;
            }
            self.notify.notified().await;
        }
    }
}
