//! The shadows of all things in the database of the hub. As in AWS IoT, a shadow does not need a registered thing.
//!
//! The messages about a change are published after the change is durable. As in AWS IoT, the messages about two changes of one
//! shadow can be published in another order than the changes. Each message contains the version of the shadow.

use std::sync::{Arc, OnceLock};

use onething::identifiers::{CertificateId, ThingName};
use onething::shadow::{Connection, Patch, Shadow, ShadowError, Shadows};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;
use tokio::sync::broadcast;

use super::certificates::Reports;
use super::exchange::{Exchange, Message, delete, exchange, update};
use super::rejected::Rejected;
use super::stored::{REMEMBERED, Stored};
use super::topic::{Operation, ShadowKey};
use crate::mqtt::backend::HubBackend;
use crate::mqtt::broker::{self, Broker};
use crate::storage::store::{Store, StoreError};

/// The capacity of the broadcast channel: how many changes a slow receiver may lag behind.
const BEHIND: usize = 256;

/// The shadows of one hub. Clones share the same state.
#[derive(Clone)]
pub struct LocalShadows {
    store: Store,
    now: fn() -> u64,
    broker: Arc<OnceLock<Broker<HubBackend>>>,
    changed: broadcast::Sender<String>,
    reports: Arc<Reports>,
}

/// Why a change of a shadow failed.
enum Failed {
    Rejected(Rejected),
    Store(StoreError),
}

impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failed> for ShadowError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Rejected(Rejected::Conflict) => ShadowError::Conflict,
            Failed::Rejected(Rejected::TooLarge) => ShadowError::TooLarge,
            Failed::Rejected(_) => ShadowError::Refused("InvalidRequestException".into()),
            Failed::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ShadowError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(_) => ShadowError::Refused("InternalFailureException".into()),
            StoreError::Unclear => ShadowError::Unclear("the database did not say".into()),
        }
    }
}

impl LocalShadows {
    /// Opens the shadows in a database. `now` returns the Unix time in seconds.
    pub fn new(store: Store, now: fn() -> u64) -> Self {
        Self { store, now, broker: Arc::default(), changed: broadcast::channel(BEHIND).0, reports: Arc::default() }
    }

    /// Sets the broker that publishes changes to the connected devices. Only the first call has an effect.
    pub fn connect(&self, broker: Broker<HubBackend>) {
        // A hub has only one broker.
        let _ = self.broker.set(broker);
    }

    /// Subscribes to changes. Each item is the name of a thing whose shadow has changed, or whose device has connected or
    /// disconnected.
    pub fn watch(&self) -> broadcast::Receiver<String> {
        self.changed.subscribe()
    }

    /// Returns the classic shadow of a thing as GetThingShadow returns it. `None` if there is no shadow.
    pub async fn document(&self, thing: &ThingName) -> Result<Option<Value>, StoreError> {
        let (key, now) = (ShadowKey::from(thing), (self.now)());
        let read = self.store.read(move |db| current(db, &key)).await?;
        Ok(read.as_ref().and_then(Stored::document).map(|document| document.read(now)))
    }

    /// Processes the request of a device on a shadow topic. The caller publishes the returned messages.
    pub async fn ask(&self, key: ShadowKey, operation: Operation, payload: Vec<u8>) -> Result<Vec<Message>, StoreError> {
        let now = (self.now)();
        if operation == Operation::Get {
            let read = move |db: &rusqlite::Connection| Ok(exchange(current(db, &key)?.as_ref(), &key, operation, &payload, now).messages);
            return self.store.read(read).await;
        }
        let thing = (operation == Operation::Update && key.name().is_none()).then(|| key.thing().to_owned());
        let messages = self.change(key, move |stored, key| Ok::<_, StoreError>(exchange(stored, key, operation, &payload, now))).await?;
        let accepted = messages.iter().find(|message| message.topic.ends_with("/shadow/update/accepted"));
        if let Some((thing, accepted)) = thing.zip(accepted) {
            self.reports.note(&thing, &accepted.payload);
        }
        Ok(messages)
    }

    /// Waits until devices have reported the certificates that they use, and returns the reports.
    pub async fn certificates_in_use(&self) -> Vec<(ThingName, CertificateId)> {
        self.reports.take().await
    }

    /// Deletes the remembered versions of shadows that were deleted more than 48 hours ago.
    pub async fn clean_up(&self) -> Result<(), StoreError> {
        let long_ago = i64::try_from((self.now)().saturating_sub(REMEMBERED)).unwrap_or(i64::MAX);
        let sql = "DELETE FROM shadow WHERE json_extract(document, '$.deleted') < ?1";
        self.store.change(move |db| Ok(db.execute(sql, [long_ago]).map(drop)?)).await
    }

    /// Applies an update of the hub, and publishes the resulting messages.
    async fn apply_update(&self, thing: &ThingName, patch: Value) -> Result<(), Failed> {
        let now = (self.now)();
        let messages = self.change(thing.into(), move |stored, key| Ok::<_, Failed>(update(stored, key, &patch, now)?)).await?;
        self.publish(messages).await;
        Ok(())
    }

    async fn change<E: From<StoreError> + Send + 'static>(
        &self,
        key: ShadowKey,
        decide: impl FnOnce(Option<&Stored>, &ShadowKey) -> Result<Exchange, E> + Send + 'static,
    ) -> Result<Vec<Message>, E> {
        let thing = key.thing().to_owned();
        let messages = self.store.change::<_, E>(move |db| {
            let Exchange { change, messages } = decide(current(db, &key)?.as_ref(), &key)?;
            if let Some(stored) = change {
                keep(db, &key, &stored)?;
            }
            Ok(messages)
        });
        let messages: Vec<Message> = messages.await?;
        self.noticed(&thing);
        Ok(messages)
    }

    /// Publishes messages about a change. An error is only logged: the change is durable, and the device can read the shadow later.
    async fn publish(&self, messages: Vec<Message>) {
        let Some(broker) = self.broker.get() else { return };
        let messages = messages.into_iter().map(|message| broker::message::Message::new(&message.topic, message.payload));
        if let Err(error) = broker.publish(&messages.collect::<Vec<_>>()).await {
            tracing::warn!(step = "relay", cause = "broker_store", "{error}");
        }
    }

    /// Notifies the receivers of [`Self::watch`] about a thing: its shadow has changed, or its device has connected or
    /// disconnected.
    pub(crate) fn noticed(&self, thing: &str) {
        // An error means that there is no receiver.
        let _ = self.changed.send(thing.to_owned());
    }
}

fn current(db: &rusqlite::Connection, key: &ShadowKey) -> Result<Option<Stored>, StoreError> {
    let sql = "SELECT document FROM shadow WHERE thing = ?1 AND name = ?2";
    let name = key.name().unwrap_or_default();
    let text = db.prepare_cached(sql)?.query_row([key.thing(), name], |row| row.get::<_, String>(0)).optional()?;
    let unreadable = |corrupt| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(corrupt));
    Ok(text.map(|text| Stored::restore(&text).map_err(unreadable)).transpose()?)
}

fn keep(db: &rusqlite::Connection, key: &ShadowKey, stored: &Stored) -> Result<(), StoreError> {
    let sql = "INSERT INTO shadow VALUES (?1, ?2, ?3) ON CONFLICT (thing, name) DO UPDATE SET document = excluded.document";
    let name = key.name().unwrap_or_default();
    db.prepare_cached(sql)?.execute(params![key.thing(), name, stored.text()])?;
    Ok(())
}

impl Shadows for LocalShadows {
    const AT_HAND: bool = true;

    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        Ok(self.document(thing).await?.map(|document| Shadow::read(&document)))
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        Ok(self.apply_update(thing, patch.document().clone()).await?)
    }

    async fn delete(&self, thing: &ThingName) -> Result<(), ShadowError> {
        let now = (self.now)();
        let deleted = self.change(thing.into(), move |stored, key| Ok::<_, Failed>(delete(stored, key, now)?)).await;
        match deleted {
            Ok(messages) => self.publish(messages).await,
            Err(Failed::Rejected(Rejected::NotFound(_))) => {}
            Err(failed) => return Err(failed.into()),
        }
        Ok(())
    }

    async fn connection(&self, thing: &ThingName) -> Result<Connection, ShadowError> {
        let known = self.broker.get().map(|broker| broker.connection(thing.as_str()));
        Ok(match known {
            Some(broker::Connection::Connected { since }) => Connection::Connected { since: Some(since) },
            Some(broker::Connection::Disconnected { since, .. }) => Connection::Disconnected { since: Some(since) },
            Some(broker::Connection::Unknown) | None => Connection::Unknown,
        })
    }

    async fn disconnect(&self, thing: &ThingName) -> Result<(), ShadowError> {
        if let Some(broker) = self.broker.get() {
            broker.disconnect(thing.as_str());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
