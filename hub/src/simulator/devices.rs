//! The simulated devices of the local users. The database records from which mail each device was started, and at which
//! [`place`](crate::storage::place). A hub that starts again at the same place starts the devices again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::params;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::clock;
use crate::events::{Events, Subject};
use crate::mail::mailbox::MailFolder;
use crate::sign_in::UserName;
use crate::storage::store::{Store, StoreError};
use onething_device::bundle::BundleError;
use onething_device::printer::device::{Device, Line, State};

/// Why a request to a simulated device failed.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The mail does not exist, or has no attachment.
    #[error("there is no such mail with a bundle")]
    NoSuchMail,
    /// The attachment is not a valid bundle.
    #[error("the attachment is no bundle: {0}")]
    Bundle(BundleError),
    /// The user's device has not been started.
    #[error("there is no device yet: start it with the bundle from a mail")]
    NotStarted,
    /// A client with the identity of this device is connected already.
    #[error("a device is connected with this identity already, and a simulated one beside it would take its connection away")]
    Elsewhere,
    /// The mail folder cannot be read.
    #[error("the mailbox cannot be read")]
    Mail(#[from] std::io::Error),
    /// The database failed.
    #[error("the device cannot be kept")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for DeviceError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Refused(error).into()
    }
}

/// An action of the user on a simulated device.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum DeviceRequest {
    /// Starts the device with the bundle that is attached to a mail.
    Start {
        /// The id of the mail.
        mail: String,
    },
    /// Connects the device to the network.
    Connect,
    /// Disconnects the device from the network.
    Disconnect,
    /// Makes the device execute commands slowly.
    Slow,
    /// Ends [`DeviceRequest::Slow`].
    Normal,
    /// Makes the actions of the device fail.
    Fail,
    /// Ends [`DeviceRequest::Fail`].
    Mend,
}

/// The log line of a device that [`Devices::restore`] does not start because the place differs.
const ELSEWHERE: &str = "Not started: this data folder was copied, restored or moved since the device was started, and the original may still \
                         run. If it does not, start the device with the bundle from its mail.";

/// The log line of a device that [`Devices::give_way`] switched off.
const GAVE_WAY: &str = "Another device has connected with this identity, so this simulated one is switched off: each would take the \
                        connection away from the other.";

/// The simulated devices of all users.
pub struct Devices {
    store: Store,
    mail: MailFolder,
    events: Events,
    /// The place of this hub, see [`crate::storage::place`].
    place: String,
    /// The log lines that explain why a device does not run.
    idle: Mutex<HashMap<UserName, Line>>,
    running: Mutex<HashMap<UserName, Arc<Device>>>,
}

impl Devices {
    /// Creates the set without a running device. `place` identifies the machine, the path and the database file of this hub.
    pub fn new(store: Store, mail: MailFolder, events: Events, place: String) -> Self {
        Self { store, mail, events, place, idle: Mutex::default(), running: Mutex::default() }
    }

    /// Starts the devices that were started at this place before. A hub in use (`trying` is false) starts none.
    pub async fn restore(&self, trying: bool) -> Result<(), StoreError> {
        let read = self.store.read(|db| {
            let mut query = db.prepare("SELECT user, mail, place FROM local_device")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok::<_, StoreError>(rows.collect::<rusqlite::Result<Vec<(String, String, Option<String>)>>>()?)
        });
        let kept = read.await?;
        if !trying && !kept.is_empty() {
            tracing::warn!(
                step = "device",
                "this data folder is of trying mode: a hub in use does not start its {} simulated device(s)",
                kept.len()
            );
            return Ok(());
        }
        for (user, mail, place) in kept {
            let Ok(user) = UserName::parse(&user) else { continue };
            if place.as_ref() != Some(&self.place) {
                tracing::warn!(step = "device", user = user.as_str(), "{ELSEWHERE}");
                self.idle().insert(user, Line { at: clock::now(), text: ELSEWHERE.to_owned() });
                continue;
            }
            let started = self.start(&user, &mail).await;
            if let Err(error) = started {
                tracing::warn!(step = "device", "a simulated device was not started again: {}", onething::fault::chain(&error));
            }
        }
        Ok(())
    }

    /// The state of a user's device; the default state with a log line if the device does not run.
    pub fn state(&self, user: &UserName) -> State {
        let running = self.lock().get(user).map(|device| device.state());
        running.unwrap_or_else(|| State { log: self.idle().get(user).cloned().into_iter().collect(), ..State::default() })
    }

    /// The user whose simulated device has this thing name.
    pub fn user_of(&self, thing: &str) -> Option<UserName> {
        let is_it = |(_, device): &(&UserName, &Arc<Device>)| device.state().thing.as_deref() == Some(thing);
        self.lock().iter().find(is_it).map(|(user, _)| user.clone())
    }

    /// Switches a user's device off permanently, because another client has connected with its identity.
    pub async fn give_way(&self, user: &UserName) -> Result<(), DeviceError> {
        drop(self.lock().remove(user));
        self.idle().insert(user.clone(), Line { at: clock::now(), text: GAVE_WAY.to_owned() });
        self.events.tell(user, Subject::Device);
        let user = user.as_str().to_owned();
        let sql = "DELETE FROM local_device WHERE user = ?1";
        self.store.change::<_, DeviceError>(move |db| Ok(db.execute(sql, [user]).map(drop)?)).await
    }

    /// Stops a user's device and deletes its record.
    pub async fn remove(&self, user: &UserName) -> Result<(), StoreError> {
        drop(self.lock().remove(user));
        self.idle().remove(user);
        let user = user.as_str().to_owned();
        let sql = "DELETE FROM local_device WHERE user = ?1";
        self.store.change::<_, StoreError>(move |db| Ok(db.execute(sql, [user]).map(drop)?)).await
    }

    /// Executes an action on a user's device and returns the state afterwards.
    pub async fn request(&self, user: &UserName, request: DeviceRequest) -> Result<State, DeviceError> {
        if let DeviceRequest::Start { mail } = &request {
            self.start(user, mail).await?;
            let (user, mail, place) = (user.as_str().to_owned(), mail.clone(), self.place.clone());
            let sql = "INSERT INTO local_device (user, mail, place) VALUES (?1, ?2, ?3)
                ON CONFLICT (user) DO UPDATE SET mail = excluded.mail, place = excluded.place";
            self.store.change::<_, DeviceError>(move |db| Ok(db.execute(sql, params![user, mail, place]).map(drop)?)).await?;
        } else {
            let device = self.lock().get(user).cloned().ok_or(DeviceError::NotStarted)?;
            match request {
                DeviceRequest::Start { .. } => {}
                DeviceRequest::Connect => device.connect().await,
                DeviceRequest::Disconnect => device.disconnect().await,
                DeviceRequest::Slow => device.slow(true).await,
                DeviceRequest::Normal => device.slow(false).await,
                DeviceRequest::Fail => device.fail(true).await,
                DeviceRequest::Mend => device.fail(false).await,
            }
        }
        Ok(self.state(user))
    }

    /// Starts a device from the bundle of a mail. The new device replaces the user's previous one.
    async fn start(&self, user: &UserName, mail: &str) -> Result<(), DeviceError> {
        let (folder, mail) = (self.mail.clone(), mail.to_owned());
        let attachment = tokio::task::spawn_blocking(move || folder.attachment(&mail)).await.map_err(std::io::Error::other)??;
        let (_, zip) = attachment.ok_or(DeviceError::NoSuchMail)?;
        let device = Device::start(&zip, clock::now).map_err(DeviceError::Bundle)?;
        let mut changes = device.watch();
        let (events, whose) = (self.events.clone(), user.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let now = json!(*changes.borrow_and_update());
                events.tell_with(&whose, Subject::Device, &now);
            }
            // The device has ended. The last event may be older than the present state.
            events.tell(&whose, Subject::Device);
        });
        self.idle().remove(user);
        self.lock().insert(user.clone(), Arc::new(device));
        self.events.tell(user, Subject::Device);
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<UserName, Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ignores a poisoned lock: an entry is replaced as a whole, so a panic in another thread leaves no inconsistent entry.
    fn lock(&self) -> MutexGuard<'_, HashMap<UserName, Arc<Device>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
