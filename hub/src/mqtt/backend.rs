//! The [`Backend`] of the broker in the hub: the registry, the shadow service and the database.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use onething::identifiers::CertificateId;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use crate::mqtt::broker::backend::{
    Attached, Backend, CertificateStatus, Change, Notice, Request, RequestError, StoreError, Stored, StoredSession, Waiting,
};
use crate::mqtt::broker::message::{Message, Properties, Qos};
use crate::mqtt::broker::packet::{RetainHandling, Subscription};
use crate::mqtt::broker::refusal::Refusal;
use crate::mqtt::refusals::Refusals;
use crate::policy::{Policy, ThingContext};
use crate::registry::{LocalRegistry, Status};
use crate::shadow::{self, LocalShadows};
use crate::storage::store::{self, Store};

/// The [`Backend`] of the broker in the hub.
pub struct HubBackend {
    registry: LocalRegistry,
    shadows: LocalShadows,
    store: Store,
    refusals: Refusals,
    /// Receives connect and disconnect events.
    notices: Option<UnboundedSender<Notice>>,
    /// The parsed policy documents by their text. Thousands of certificates share one document.
    policies: Mutex<HashMap<String, Arc<Policy>>>,
}

/// A policy document in the registry is not valid. The registry does not check documents.
#[derive(Debug, thiserror::Error)]
#[error("a policy in the registry cannot be read")]
struct UnreadablePolicy(#[source] crate::policy::PolicyError);

impl HubBackend {
    /// Creates a backend without a receiver of connect and disconnect events.
    pub fn new(registry: LocalRegistry, shadows: LocalShadows, store: Store, refusals: Refusals) -> Self {
        Self { registry, shadows, store, refusals, notices: None, policies: Mutex::default() }
    }

    /// Adds a receiver of connect and disconnect events.
    #[must_use]
    pub fn with_notices(self, notices: UnboundedSender<Notice>) -> Self {
        Self { notices: Some(notices), ..self }
    }

    fn policy(&self, document: &str) -> Result<Arc<Policy>, UnreadablePolicy> {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = policies.get(document) {
            return Ok(Arc::clone(known));
        }
        let policy = Arc::new(Policy::parse(document).map_err(UnreadablePolicy)?);
        policies.insert(document.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }
}

fn store_error(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError(Box::new(error))
}

impl Backend for HubBackend {
    async fn certificate_status(&self, certificate: &CertificateId) -> Result<Option<CertificateStatus>, StoreError> {
        let Some(found) = self.registry.certificate_status(certificate).await.map_err(store_error)? else { return Ok(None) };
        let policies = found.policies.iter().map(|document| self.policy(document)).collect::<Result<_, _>>().map_err(store_error)?;
        let attached = found.attachment.map(|attachment| Attached {
            thing: ThingContext { name: attachment.thing, thing_type: Some(attachment.thing_type), attributes: attachment.attributes },
            exclusive: true,
        });
        Ok(Some(CertificateStatus { active: found.status == Status::Active, policies, attachments: attached.into_iter().collect() }))
    }

    async fn request(&self, request: Request) -> Result<Vec<Message>, RequestError> {
        let (key, operation) = shadow::topic::request(&request.topic).ok_or(RequestError::NoSuchTopic)?;
        let answered = self.shadows.ask(key, operation, request.payload.to_vec()).await;
        let messages = answered.map_err(|_| RequestError::Unavailable)?;
        Ok(messages.into_iter().map(|message| Message::new(&message.topic, message.payload)).collect())
    }

    async fn load(&self) -> Result<Stored, StoreError> {
        self.store.read(load).await.map_err(store_error)
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let changes = changes.to_vec();
        let written = self.store.change::<_, store::StoreError>(move |db| Ok(changes.iter().try_for_each(|change| apply(db, change))?));
        written.await.map_err(store_error)
    }

    fn noticed(&self, notice: &Notice) {
        if let Some(thing) = &notice.thing {
            self.shadows.noticed(thing);
        }
        if let Some(notices) = &self.notices {
            // An error means that the receiver was dropped.
            let _ = notices.send(notice.clone());
        }
    }

    fn refused(&self, refusal: &Refusal) {
        self.refusals.note(refusal);
    }
}

/// The options of a subscription in the database, as JSON.
#[derive(Serialize, Deserialize)]
struct Options {
    qos: u8,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: u8,
    identifier: Option<NonZeroU32>,
}

/// The attributes of a message in the database other than topic and payload, as JSON.
#[derive(Serialize, Deserialize)]
struct About {
    qos: u8,
    retain: bool,
    expires: Option<u64>,
    properties: Option<Properties>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<NonZeroU32>,
}

const RETAIN_HANDLING: [RetainHandling; 3] = [RetainHandling::Always, RetainHandling::WhenNew, RetainHandling::Never];

fn qos(number: u8) -> Qos {
    if number == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce }
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read_json<T: for<'a> Deserialize<'a>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let kind = rusqlite::types::Type::Text;
    serde_json::from_str(&text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error)))
}

fn about(message: &Message, identifiers: &[NonZeroU32]) -> rusqlite::Result<String> {
    let properties = message.properties.as_deref().cloned();
    let publisher = message.publisher.as_deref().map(str::to_owned);
    let qos = u8::from(message.qos == Qos::AtLeastOnce);
    json(&About { qos, retain: message.retain, expires: message.expires, properties, publisher, identifiers: identifiers.to_vec() })
}

/// Reads a message and its Subscription Identifiers from three columns: topic, payload and [`About`].
fn message(row: &Row<'_>, from: usize) -> rusqlite::Result<(Message, Box<[NonZeroU32]>)> {
    let (topic, payload): (String, Vec<u8>) = (row.get(from)?, row.get(from + 1)?);
    let About { qos: number, retain, expires, properties, publisher, identifiers } = read_json(row, from + 2)?;
    let (payload, properties, publisher) = (Bytes::from(payload), properties.map(Arc::new), publisher.map(Arc::from));
    Ok((Message { topic: topic.into(), payload, qos: qos(number), retain, expires, properties, publisher }, identifiers.into()))
}

/// Applies a change. It is idempotent, and a change of a session that has ended has no effect.
fn apply(db: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::SessionKept { client_id, expiry, ends } => {
            let sql = "INSERT INTO session VALUES (?1, ?2, ?3) ON CONFLICT (client_id) DO UPDATE SET expiry = ?2, ends = ?3";
            let ends = ends.map(|ends| i64::try_from(ends).unwrap_or(i64::MAX));
            db.prepare_cached(sql)?.execute(params![client_id, expiry, ends])?;
        }
        Change::SessionEnded { client_id } => {
            db.prepare_cached("DELETE FROM session WHERE client_id = ?1")?.execute([client_id])?;
        }
        Change::Subscribed { client_id, subscription } => {
            let handling = RETAIN_HANDLING.iter().position(|handling| *handling == subscription.retain_handling).unwrap_or_default();
            let options = Options {
                qos: u8::from(subscription.qos == Qos::AtLeastOnce),
                no_local: subscription.no_local,
                retain_as_published: subscription.retain_as_published,
                retain_handling: u8::try_from(handling).unwrap_or_default(),
                identifier: subscription.identifier,
            };
            let sql = "INSERT OR REPLACE INTO subscription SELECT client_id, ?2, ?3 FROM session WHERE client_id = ?1";
            db.prepare_cached(sql)?.execute(params![client_id, subscription.filter, json(&options)?])?;
        }
        Change::Unsubscribed { client_id, filter } => {
            db.prepare_cached("DELETE FROM subscription WHERE client_id = ?1 AND filter = ?2")?.execute([client_id, filter])?;
        }
        Change::Queued { client_id, waiting } => {
            let sql = "INSERT OR REPLACE INTO waiting SELECT client_id, ?2, ?3, ?4, ?5 FROM session WHERE client_id = ?1";
            let (number, message) = (number(waiting.number), &waiting.message);
            let about = about(message, &waiting.identifiers)?;
            db.prepare_cached(sql)?.execute(params![client_id, number, message.topic, message.payload.as_ref(), about])?;
        }
        Change::Dequeued { client_id, number: place } => {
            let sql = "DELETE FROM waiting WHERE client_id = ?1 AND number = ?2";
            db.prepare_cached(sql)?.execute(params![client_id, number(*place)])?;
        }
        Change::Retained { message } => {
            let sql = "INSERT OR REPLACE INTO retained VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?.execute(params![message.topic, message.payload.as_ref(), about(message, &[])?])?;
        }
        Change::Unretained { topic } => {
            db.prepare_cached("DELETE FROM retained WHERE topic = ?1")?.execute([topic])?;
        }
    }
    Ok(())
}

/// Converts the number of a queued message. It counts from 1 in each session, far below the limit of SQLite.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn load(db: &Connection) -> Result<Stored, store::StoreError> {
    let mut sessions: Vec<StoredSession> = Vec::new();
    let mut query = db.prepare("SELECT client_id, expiry, ends FROM session ORDER BY client_id")?;
    for session in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?)))? {
        let (client_id, expiry, ends) = session?;
        let ends = ends.map(i64::unsigned_abs);
        sessions.push(StoredSession { client_id: client_id.into(), expiry, ends, subscriptions: Vec::new(), queue: Vec::new() });
    }
    let places: HashMap<Arc<str>, usize> =
        sessions.iter().enumerate().map(|(place, session)| (Arc::clone(&session.client_id), place)).collect();

    let mut query = db.prepare("SELECT client_id, filter, options FROM subscription ORDER BY client_id, filter")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, read_json::<Options>(row, 2)?)))?;
    for row in rows {
        let (client_id, filter, options) = row?;
        if let Some(place) = places.get(client_id.as_str()) {
            sessions[*place].subscriptions.push(Subscription {
                filter: filter.into(),
                qos: qos(options.qos),
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                retain_handling: RETAIN_HANDLING[usize::from(options.retain_handling).min(RETAIN_HANDLING.len() - 1)],
                identifier: options.identifier,
            });
        }
    }
    let mut query = db.prepare("SELECT client_id, number, topic, payload, about FROM waiting ORDER BY client_id, number")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, message(row, 2)?)))? {
        let (client_id, number, (message, identifiers)) = row?;
        if let Some(place) = places.get(client_id.as_str()) {
            sessions[*place].queue.push(Waiting { number: number.unsigned_abs(), message, identifiers });
        }
    }
    let mut query = db.prepare("SELECT topic, payload, about FROM retained ORDER BY topic")?;
    let retained = query.query_map([], |row| message(row, 0).map(|(message, _)| message))?.collect::<rusqlite::Result<_>>()?;
    Ok(Stored { sessions, retained })
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
