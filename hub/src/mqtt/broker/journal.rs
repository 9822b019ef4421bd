//! Makes changes durable in the order in which the router made them.
//!
//! All connections share one writer, so what comes while it writes is written at once after it: a hundred publishers wait for one
//! commit, not for a hundred. Who has promised something waits for their [`Ticket`] before they acknowledge it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onething::fault::chain;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::backend::{Backend, Change};
use super::reason::Reason;

/// How many changes are written at a time.
const BATCH: usize = 1_024;
/// How long to wait before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Where changes go.
#[derive(Debug)]
pub(super) struct Journal {
    changes: mpsc::UnboundedSender<Change>,
    appended: AtomicU64,
    state: watch::Receiver<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How many changes are durable.
    durable: u64,
    failing: bool,
}

/// Waits until some changes are durable.
#[derive(Debug)]
pub(super) struct Ticket(Option<(u64, watch::Receiver<State>)>);

impl Journal {
    /// Starts the writer; it ends with the journal.
    pub(super) fn start<B: Backend>(backend: Arc<B>) -> Self {
        let (changes, incoming) = mpsc::unbounded_channel();
        let (told, state) = watch::channel(State::default());
        tokio::spawn(write(backend, incoming, told));
        Self { changes, appended: AtomicU64::new(0), state }
    }

    /// Takes changes over. The caller holds the router, which gives them their order.
    pub(super) fn append(&self, changes: Vec<Change>) -> Ticket {
        if changes.is_empty() {
            return Ticket(None);
        }
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let number = self.appended.fetch_add(count, Ordering::Relaxed) + count;
        for change in changes {
            // The writer ends after the journal only.
            let _ = self.changes.send(change);
        }
        Ticket(Some((number, self.state.clone())))
    }

    /// Whether nothing that needs the store should be begun.
    pub(super) fn is_failing(&self) -> bool {
        self.state.borrow().failing
    }

    /// For everything so far.
    pub(super) fn all(&self) -> Ticket {
        Ticket(Some((self.appended.load(Ordering::Relaxed), self.state.clone())))
    }
}

impl Ticket {
    /// Returns when the changes are durable, or when they cannot be made so for now.
    pub(super) async fn durable(self) -> Result<(), Reason> {
        let Some((number, mut state)) = self.0 else { return Ok(()) };
        let state = state.wait_for(|state| state.durable >= number || state.failing).await.map_err(|_| Reason::Unavailable)?;
        if state.durable >= number { Ok(()) } else { Err(Reason::Unavailable) }
    }
}

async fn write<B: Backend>(backend: Arc<B>, mut incoming: mpsc::UnboundedReceiver<Change>, told: watch::Sender<State>) {
    let mut batch = Vec::new();
    while incoming.recv_many(&mut batch, BATCH).await > 0 {
        while let Err(error) = backend.write(&batch).await {
            tracing::error!(error = chain(&error), "the broker's state could not be written");
            told.send_modify(|state| state.failing = true);
            sleep(RETRY).await;
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        told.send_modify(|state| *state = State { durable: state.durable + count, failing: false });
        batch = Vec::new();
    }
}
