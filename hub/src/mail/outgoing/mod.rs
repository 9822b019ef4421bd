//! Outgoing mail: into the folder, or out by SMTP.
//!
//! What goes out by SMTP is on the disk before the mail server is asked. What the server takes later, or what it would take if the
//! operator mended something, waits and is tried again, each time after a longer pause and for five days at most
//! (RFC 5321, section 4.5.4.1); what it refuses for good is told at once. Whoever hands a mail over waits for the first attempt only.
//!
//! - A mail waits in the database, which only its owner may read, and what was in it is overwritten when it waits no more.
//! - Of a thing, the newest mail alone waits. Before each attempt the registry is asked whether the mail's certificate is still the
//!   thing's own: nobody is sent an identity that is replaced or deleted. Two mails to one address are never under way at once.
//! - A process that dies between the server's word and the note of it sends the same mail once more, as every mail server does.
//!
//! What was sent to whom, and what became of it, stands in the same table, for whoever runs the hub.

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

/// How long whoever hands a mail over waits for the first attempt: an answer of Alexa's has seven seconds for all it does.
const FIRST_ATTEMPT: Duration = Duration::from_millis(3_500);
/// How long the mail server may take: some let strangers wait on purpose.
const PATIENCE: Duration = Duration::from_secs(30);
/// A mail that has waited for longer, while no other has gone out, is a matter for the operator, whatever the server says.
const LONG: u64 = 3_600;

/// The pauses between attempts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before the second attempt; before each later one it is twice as long.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// After which a mail is given up.
    pub give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), longest: Duration::from_secs(3_600), give_up: Duration::from_secs(5 * 86_400) }
    }
}

/// What is needed to send mail that waits.
#[derive(Clone)]
pub struct Server {
    /// The mail server.
    pub smtp: Smtp,
    /// Whether a certificate is still its thing's own.
    pub registry: LocalRegistry,
    /// Where an owner's next word finds out that their mail was given up.
    pub shadows: LocalShadows,
    /// How long a note on a thing keeps others away, in seconds.
    pub lease: u64,
    /// When it is tried again.
    pub pace: Pace,
}

#[derive(Clone)]
enum Way {
    Folder(MailFolder),
    Server(Box<Server>),
}

/// Sends the mail of a hub; clones send the same.
#[derive(Clone)]
pub struct Outgoing {
    store: Store,
    way: Way,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Something waits.
    wake: Notify,
    /// Who waits for the first attempt at a mail, by its number.
    first: Mutex<HashMap<i64, oneshot::Sender<Result<(), MailError>>>>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

impl Outgoing {
    /// Mail into a folder.
    pub fn into_folder(store: Store, folder: MailFolder) -> Self {
        Self { store, way: Way::Folder(folder), shared: Arc::default() }
    }

    /// Mail to a mail server. Nothing is sent until [`Outgoing::run`] runs.
    pub fn to_server(store: Store, mut server: Server) -> Self {
        server.smtp = server.smtp.with_patience(PATIENCE);
        Self { store, way: Way::Server(Box::new(server)), shared: Arc::default() }
    }

    /// The last mails, the oldest of them first: of one thing, or all.
    pub async fn last(&self, thing: Option<&ThingName>, count: u32) -> Result<Vec<Mail>, StoreError> {
        let thing = thing.map(|thing| thing.as_str().to_owned());
        self.store.read(move |db| table::last(db, thing.as_deref(), count)).await
    }

    /// All mail that waits, oldest first.
    pub async fn waiting(&self) -> Result<Vec<Mail>, StoreError> {
        self.store.read(table::all_waiting).await
    }

    /// What is wrong with the mail of this hub, in words for an operator: nothing while the last mail went out and none waits for
    /// them.
    pub async fn faults(&self) -> Result<Vec<String>, StoreError> {
        let now = clock::now();
        let read = |db: &rusqlite::Connection| Ok::<_, StoreError>((table::all_waiting(db)?, table::last_decided(db)?));
        let (waiting, last) = self.store.read(read).await?;
        let mut faults = Vec::new();
        let stuck: Vec<&Mail> = waiting.iter().filter(|mail| mail.failure.is_some()).collect();
        let longest = stuck.first().map_or(0, |mail| now.saturating_sub(mail.at));
        // A server that has taken other mail since works: the reason is that one recipient, such as a mailbox that is full.
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

    /// Changes whenever something has become of a mail.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Something has become of a mail.
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
            // The mail went out or not all the same.
            tracing::warn!(step = "store", cause = "store_refused", "{}", onething::fault::chain(&error));
        }
        self.tell(state);
    }

    /// Keeps a mail, and waits for the first attempt at it.
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
                // What was told at this very moment counts.
                told.close();
                told.try_recv().ok()
            }
        };
        self.first().remove(&number);
        first.unwrap_or(Ok(()))
    }
}

/// The last mails in the database of a hub that is not running, the oldest of them first.
pub fn look(database: &Path, count: u32) -> Result<Vec<Mail>, LookError> {
    Ok(table::last(&store::look(database)?, None, count)?)
}

/// Why no mail was read.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No database.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// It does not tell.
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
