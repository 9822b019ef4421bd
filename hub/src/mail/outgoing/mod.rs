//! Outgoing mail, either into a folder or to an SMTP server.
//!
//! A message is on the disk before the first SMTP attempt. After a temporary error, or an error that the operator can fix, the
//! message waits for another attempt. The pauses grow, and the message is given up after five days (RFC 5321, section 4.5.4.1). A
//! permanent error is returned at once. The sender of a message waits only for the first attempt.
//!
//! - A waiting message is in the database, which only its owner can read. Its content is deleted from the disk when it no longer
//!   waits.
//! - Only the newest message of a thing waits. Before each attempt the registry must confirm that the certificate in the message
//!   is still attached to the thing, so replaced or deleted certificates are not sent. Two messages to one address are never sent
//!   at the same time.
//! - If the process crashes between the response of the server and the update of the database, the message is sent a second time,
//!   as with every mail server.
//!
//! The same table records for the operator which messages were sent, and the result.

pub(crate) mod state;
mod table;
mod worker;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onething::fault::Fault;
use onething::identifiers::ThingName;
use onething::mail::smtp::Smtp;
use onething::mail::{Letter, MailError, Mailer};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

pub use self::state::State;
pub use self::table::Mail;
pub(crate) use self::table::delayed;
use crate::clock;
use crate::mail::mailbox::MailFolder;
use crate::metrics;
use crate::registry::LocalRegistry;
use crate::shadow::LocalShadows;
use crate::storage::store::{self, Store, StoreError};

/// How long [`Mailer::send`] waits for the first attempt. A response to Alexa must be complete within seven seconds.
const FIRST_ATTEMPT: Duration = Duration::from_millis(3_500);
/// The time limit of an SMTP command. Some servers delay unknown clients on purpose.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time in seconds after which a waiting message counts as a fault for the operator, unless the server has accepted another
/// message since.
const LONG: u64 = 3_600;

/// The pauses between attempts to send a message.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause before the second attempt. It doubles before each later attempt.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The time after which a message is given up.
    pub give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), longest: Duration::from_secs(3_600), give_up: Duration::from_secs(5 * 86_400) }
    }
}

/// The dependencies for sending waiting mail to a server.
#[derive(Clone)]
pub struct Server {
    /// The SMTP client.
    pub smtp: Smtp,
    /// The registry, which tells whether a certificate is still attached to its thing.
    pub registry: LocalRegistry,
    /// The shadows. A message that was given up is recorded there, so that the next request of the owner sends a new one.
    pub shadows: LocalShadows,
    /// The lifetime of a lease on a thing, in seconds.
    pub lease: u64,
    /// The pauses between attempts.
    pub pace: Pace,
}

#[derive(Clone)]
enum Way {
    Folder(MailFolder),
    Server(Box<Server>),
}

/// The mailer of a hub. Clones share the queue.
#[derive(Clone)]
pub struct Outgoing {
    store: Store,
    way: Way,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Signals that a message waits.
    wake: Notify,
    /// The callers that wait for the first attempt, by the number of the message.
    first: Mutex<HashMap<i64, oneshot::Sender<Result<(), MailError>>>>,
    /// Counts changes of state.
    changes: watch::Sender<u64>,
}

impl Outgoing {
    /// A mailer that writes into a folder.
    pub fn into_folder(store: Store, folder: MailFolder) -> Self {
        Self { store, way: Way::Folder(folder), shared: Arc::default() }
    }

    /// A mailer for a mail server. It sends nothing until [`Outgoing::run`] runs.
    pub fn to_server(store: Store, mut server: Server) -> Self {
        server.smtp = server.smtp.with_patience(PATIENCE);
        Self { store, way: Way::Server(Box::new(server)), shared: Arc::default() }
    }

    /// The last `count` messages of one thing or of all things, the oldest first.
    pub async fn last(&self, thing: Option<&ThingName>, count: u32) -> Result<Vec<Mail>, StoreError> {
        let thing = thing.map(|thing| thing.as_str().to_owned());
        self.store.read(move |db| table::last(db, thing.as_deref(), count)).await
    }

    /// All messages that wait, the oldest first.
    pub async fn waiting(&self) -> Result<Vec<Mail>, StoreError> {
        self.store.read(table::all_waiting).await
    }

    /// The faults of the mail of this hub, one phrase each, for an operator. There is none if the last message was sent and no
    /// message waits for the operator.
    pub async fn faults(&self) -> Result<Vec<String>, StoreError> {
        let now = clock::now();
        let read = |db: &rusqlite::Connection| Ok::<_, StoreError>((table::all_waiting(db)?, table::last_decided(db)?));
        let (waiting, last) = self.store.read(read).await?;
        let mut faults = Vec::new();
        let stuck: Vec<&Mail> = waiting.iter().filter(|mail| mail.failure.is_some()).collect();
        let longest = stuck.first().map_or(0, |mail| now.saturating_sub(mail.at));
        // If the server has accepted another message since, the fault concerns one recipient, for example a full mailbox.
        let works_since = last.as_ref().filter(|last| last.state == State::Sent).map_or(0, |last| last.changed);
        let is_long = |mail: &&&Mail| now.saturating_sub(mail.at) > LONG && works_since <= mail.at;
        let worst = stuck.iter().find(|mail| mail.is_the_operators()).or_else(|| stuck.iter().find(is_long));
        if let Some(worst) = worst {
            let why = worst.failure.as_deref().unwrap_or_default();
            faults.push(format!("{} to be sent, the oldest for {} minutes: {why}", amount(stuck.len()), longest / 60));
        } else if let Some(last) = last.filter(|last| last.state == State::Failed && last.is_the_operators()) {
            faults.push(format!("the last mail did not go out: {}", last.failure.unwrap_or_default()));
        }
        Ok(faults)
    }

    /// Changes whenever the state of a message changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Counts a new state, and wakes the watchers.
    fn tell(&self, state: State) {
        metrics::mail(state);
        self.shared.changes.send_modify(|changes| *changes += 1);
    }

    fn first(&self) -> MutexGuard<'_, HashMap<i64, oneshot::Sender<Result<(), MailError>>>> {
        self.shared.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, letter: Letter, failure: Option<MailError>) {
        let (now, state) = (clock::now(), if failure.is_none() { State::Sent } else { State::Failed });
        let noted = self.store.change::<_, StoreError>(move |db| table::note(db, &letter, failure.as_ref(), now));
        if let Err(error) = noted.await {
            // The message was sent or refused already, so this error changes nothing.
            tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error));
        }
        self.tell(state);
    }

    /// Stores a message, and waits for the first attempt.
    async fn keep(&self, letter: Letter) -> Result<(), MailError> {
        let now = clock::now();
        let kept = self.store.change::<_, StoreError>(move |db| table::keep(db, &letter, now)).await;
        let number = kept.map_err(|error| match error {
            StoreError::Refused(_) => MailError::Refused("the database, which keeps what waits".into()),
            StoreError::Unclear => MailError::Unclear("the database did not say".into()),
        })?;
        let number = number.ok_or_else(|| MailError::Throttled("too many mails wait".into()))?;
        let (tell, mut told) = oneshot::channel();
        self.first().insert(number, tell);
        self.shared.wake.notify_one();
        let first = match timeout(FIRST_ATTEMPT, &mut told).await {
            Ok(first) => first.ok(),
            Err(_) => {
                // A result that arrived at this moment is still used.
                told.close();
                told.try_recv().ok()
            }
        };
        self.first().remove(&number);
        first.unwrap_or(Ok(()))
    }
}

/// The last messages in the database of a hub that is not running, the oldest first.
pub fn look(database: &Path, count: u32) -> Result<Vec<Mail>, ReadError> {
    Ok(table::last(&store::look(database)?, None, count)?)
}

/// Why the mail of a hub that is not running could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The database cannot be queried.
    #[error("the outgoing mail cannot be read")]
    Mail(#[from] StoreError),
}

fn amount(mails: usize) -> String {
    if mails == 1 { "1 mail waits".to_owned() } else { format!("{mails} mails wait") }
}

impl Mailer for Outgoing {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let folder = match &self.way {
            Way::Server(_) => return self.keep(letter).await,
            Way::Folder(folder) => folder.clone(),
        };
        let written = Letter { message: Vec::new(), from: letter.from.clone(), to: letter.to.clone(), label: letter.label.clone() };
        let sent = folder.send(letter).await;
        match sent {
            Ok(()) => {
                self.note(written, None).await;
                Ok(())
            }
            Err(error) => {
                self.note(written, Some(error.clone())).await;
                Err(error)
            }
        }
    }

    async fn waits(&self, thing: &ThingName) -> Option<Fault> {
        let thing = thing.as_str().to_owned();
        let waiting = self.store.read(move |db| table::waiting_of(db, &thing)).await;
        let waiting = waiting.inspect_err(|error| tracing::warn!(step = "store", "{}", onething::fault::chain(error))).ok().flatten()?;
        Some(if waiting.is_the_operators() { Fault::Maker } else { Fault::Again })
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
