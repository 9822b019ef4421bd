//! The rows of the table `refusal`.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::shown;
use crate::mqtt::broker::refusal::Refusal;
use crate::storage::store::{StoreError, seconds};

/// The largest number of rows in the table.
const ROWS: i64 = 10_000;
/// The largest number of rows of one certificate.
const ROWS_OF_CERTIFICATE: i64 = 100;

/// A refusal in the database, in the log and on pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredRefusal {
    /// The time of the refusal, as Unix time in seconds.
    pub at: u64,
    /// The policy action, such as `iot:Publish`. `None` for a packet without an action.
    pub action: Option<String>,
    /// The Client Identifier, topic or topic filter, escaped and truncated.
    pub resource: String,
    /// Whether the refused message is a Will Message.
    pub will: bool,
    /// The Client Identifier, escaped and truncated.
    pub client_id: String,
    /// The id of the client certificate.
    pub certificate: String,
    /// The thing that is associated with the connection.
    pub thing: Option<String>,
    /// The source IP address of the client.
    pub source: String,
    /// The cause, as the stable name of [`Cause::name`](crate::mqtt::broker::refusal::Cause::name).
    pub reason: String,
    /// The cause, as an English clause.
    pub detail: String,
    /// How many refusals with the same certificate, action and cause this row represents. It contains the last of them.
    pub times: u64,
}

impl StoredRefusal {
    /// Creates a row for a single refusal at a Unix time in seconds.
    pub(super) fn new(refusal: &Refusal, at: u64) -> Self {
        let Refusal { requester, action, resource, is_will, cause } = refusal;
        Self {
            at,
            action: action.map(str::to_owned),
            resource: shown(resource),
            will: *is_will,
            client_id: shown(&requester.client_id),
            certificate: requester.certificate.to_string(),
            thing: requester.thing.clone(),
            source: requester.source.to_canonical().to_string(),
            reason: cause.name().to_owned(),
            detail: cause.words().to_owned(),
            times: 1,
        }
    }

    /// Writes the refusal to the log.
    pub(super) fn log(&self) {
        let Self { at: _, action, resource, will, client_id, certificate, thing, source, reason, detail, times } = self;
        let (action, thing) = (action.as_deref(), thing.as_deref());
        let will = will.then_some(true);
        let times = (*times > 1).then_some(times);
        tracing::info!(action, resource, will, client_id, certificate, thing, source, reason, times, "refused: {detail}");
    }

    /// Inserts the row, and deletes the oldest rows beyond the limits.
    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let Self { at, action, resource, will, client_id, certificate, thing, source, reason, detail, times } = self;
        let sql = "INSERT INTO refusal (at, action, resource, will, client_id, certificate, thing, source, reason, detail, times)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (at, times) = (seconds(*at), seconds(*times));
        db.prepare_cached(sql)?.execute(params![
            at,
            action,
            resource,
            will,
            client_id,
            certificate,
            thing,
            source,
            reason,
            detail,
            times
        ])?;
        let newest = db.last_insert_rowid();
        let sql = "DELETE FROM refusal WHERE certificate = ?1 AND number <=
            (SELECT number FROM refusal WHERE certificate = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
        db.prepare_cached(sql)?.execute(params![certificate, ROWS_OF_CERTIFICATE])?;
        db.prepare_cached("DELETE FROM refusal WHERE number <= ?1")?.execute([newest - ROWS])?;
        Ok(())
    }
}

/// Returns the last `count` refusals, the oldest first.
pub fn last(db: &Connection, count: u32) -> Result<Vec<StoredRefusal>, StoreError> {
    let sql = "SELECT * FROM (SELECT * FROM refusal ORDER BY number DESC LIMIT ?1) ORDER BY number";
    Ok(db.prepare_cached(sql)?.query_map([count], kept)?.collect::<rusqlite::Result<_>>()?)
}

/// Returns the last refusal of a thing. A refusal without a thing is matched by its Client Identifier, so that a device whose
/// certificate was replaced is found.
pub fn last_of(db: &Connection, thing: &str) -> Result<Option<StoredRefusal>, StoreError> {
    let sql =
        "SELECT * FROM (SELECT * FROM refusal WHERE thing = ?1 UNION ALL SELECT * FROM refusal WHERE thing IS NULL AND client_id = ?1)
        ORDER BY number DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_map([thing], kept)?.next().transpose()?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<StoredRefusal> {
    Ok(StoredRefusal {
        at: row.get::<_, i64>("at")?.unsigned_abs(),
        action: row.get("action")?,
        resource: row.get("resource")?,
        will: row.get("will")?,
        client_id: row.get("client_id")?,
        certificate: row.get("certificate")?,
        thing: row.get("thing")?,
        source: row.get("source")?,
        reason: row.get("reason")?,
        detail: row.get("detail")?,
        times: row.get::<_, i64>("times")?.unsigned_abs(),
    })
}
