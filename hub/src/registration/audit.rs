//! The outcomes of registration requests in a table, which implements the port [`Audit`].
//!
//! The last hundred thousand events are stored. Each event is also logged.

use onething::fault::chain;
use onething::identifiers::{CertificateId, ThingName};
use onething::registration::{Audit, Event, LogAudit};
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use crate::storage::store::{Store, StoreError, seconds};

/// The number of events that are stored.
pub(crate) const KEPT: i64 = 100_000;

/// The registration events in the database of a hub.
#[derive(Clone)]
pub struct LocalAudit {
    store: Store,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// When the request was made, as Unix time in seconds.
    pub at: u64,
    /// The id of the request, which the log also contains.
    pub request_id: String,
    /// The IP address of the client.
    pub source: String,
    /// The kind of credential in the request, for example `code`.
    pub by: String,
    /// The outcome, for example `registered`.
    pub outcome: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// The thing, if it is known.
    pub thing: Option<String>,
    /// The certificate that was issued.
    pub certificate: Option<String>,
    /// The label of the device token.
    pub label: Option<String>,
}

impl LocalAudit {
    /// The events in this database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

/// The last `count` events, the oldest first.
pub fn last(db: &Connection, count: u32) -> Result<Vec<Kept>, StoreError> {
    let sql = "SELECT * FROM (SELECT * FROM registration_event ORDER BY number DESC LIMIT ?1) ORDER BY number";
    Ok(db.prepare_cached(sql)?.query_map([count], kept)?.collect::<rusqlite::Result<_>>()?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        at: row.get::<_, i64>("at")?.unsigned_abs(),
        request_id: row.get("request_id")?,
        source: row.get("source")?,
        by: row.get("knocked_with")?,
        outcome: row.get("outcome")?,
        status: row.get("status")?,
        thing: row.get("thing")?,
        certificate: row.get("certificate")?,
        label: row.get("label")?,
    })
}

impl Audit for LocalAudit {
    async fn note(&self, event: &Event) {
        LogAudit.note(event).await;
        let event = event.clone();
        let noted = self.store.change::<_, StoreError>(move |db| {
            let Event { at, request_id, source, by, outcome, status, thing, certificate, label } = event;
            let (thing, certificate) = (thing.as_ref().map(ThingName::as_str), certificate.as_ref().map(CertificateId::as_str));
            let values = params![seconds(at), request_id, source, by, outcome, status, thing, certificate, label];
            let sql = "INSERT INTO registration_event (at, request_id, source, knocked_with, outcome, status, thing, certificate, label)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            db.prepare_cached(sql)?.execute(values)?;
            db.prepare_cached("DELETE FROM registration_event WHERE number <= ?1")?.execute([db.last_insert_rowid() - KEPT])?;
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::error!(step = "register", fault = "maker", cause = "audit_not_kept", "{}", chain(&error));
        }
    }
}
