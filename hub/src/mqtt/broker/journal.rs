//! Writes changes to the store in the order in which the router made them.
//!
//! All connections share one writer. Changes that arrive during a write are written together afterwards, so a hundred publishers
//! wait for one commit and not for a hundred. A connection waits for the [`Ticket`] of its changes before it sends an
//! acknowledgement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onething::fault::chain;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::backend::{Backend, Change};
use super::reason::Reason;

/// The most changes that are written in one transaction.
const BATCH: usize = 1_024;
/// How long to wait before a failed write is repeated.
const RETRY: Duration = Duration::from_millis(500);

/// The queue of changes for the store.
#[derive(Debug)]
pub(super) struct Journal {
    changes: mpsc::UnboundedSender<Change>,
    appended: AtomicU64,
    state: watch::Receiver<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The number of durable changes since the start.
    durable: u64,
    failing: bool,
}

/// A handle with which a caller waits until its changes are durable.
#[derive(Debug)]
pub(super) struct Ticket(Option<(u64, watch::Receiver<State>)>);

impl Journal {
    /// Starts the writer task. It ends when the journal is dropped.
    pub(super) fn start<B: Backend>(backend: Arc<B>) -> Self {
        let (changes, incoming) = mpsc::unbounded_channel();
        let (state_sender, state) = watch::channel(State::default());
        tokio::spawn(write(backend, incoming, state_sender));
        Self { changes, appended: AtomicU64::new(0), state }
    }

    /// Appends changes. The caller holds the lock of the router, which determines their order.
    pub(super) fn append(&self, changes: Vec<Change>) -> Ticket {
        if changes.is_empty() {
            return Ticket(None);
        }
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let number = self.appended.fetch_add(count, Ordering::Relaxed) + count;
        for change in changes {
            // The receiver exists as long as the journal.
            let _ = self.changes.send(change);
        }
        Ticket(Some((number, self.state.clone())))
    }

    /// Whether the last write failed. Work that needs the store should then be refused.
    pub(super) fn is_failing(&self) -> bool {
        self.state.borrow().failing
    }

    /// Returns a ticket for all changes appended so far.
    pub(super) fn all(&self) -> Ticket {
        Ticket(Some((self.appended.load(Ordering::Relaxed), self.state.clone())))
    }
}

impl Ticket {
    /// Waits until the changes are durable. Returns [`Reason::Unavailable`] if a write fails meanwhile.
    pub(super) async fn durable(self) -> Result<(), Reason> {
        let Some((number, mut state)) = self.0 else { return Ok(()) };
        let state = state.wait_for(|state| state.durable >= number || state.failing).await.map_err(|_| Reason::Unavailable)?;
        if state.durable >= number { Ok(()) } else { Err(Reason::Unavailable) }
    }
}

async fn write<B: Backend>(backend: Arc<B>, mut incoming: mpsc::UnboundedReceiver<Change>, state_sender: watch::Sender<State>) {
    let mut batch = Vec::new();
    while incoming.recv_many(&mut batch, BATCH).await > 0 {
        while let Err(error) = backend.write(&batch).await {
            tracing::error!(error = chain(&error), "the broker's state could not be written");
            state_sender.send_modify(|state| state.failing = true);
            sleep(RETRY).await;
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        state_sender.send_modify(|state| *state = State { durable: state.durable + count, failing: false });
        batch = Vec::new();
    }
}
