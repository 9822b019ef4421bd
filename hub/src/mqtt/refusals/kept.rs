//! The table of refusals.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::shown;
use crate::mqtt::broker::refusal::Refusal;
use crate::storage::store::{StoreError, seconds};

/// So many rows are kept.
const ROWS: i64 = 10_000;
/// So many of them may be about one certificate.
const ROWS_OF_CERTIFICATE: i64 = 100;

/// A refusal as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// When, in seconds since the epoch.
    pub at: u64,
    /// Such as `iot:Publish`. `None` for a packet that belongs to no action.
    pub action: Option<String>,
    /// The client id, topic or topic filter, escaped and cut.
    pub resource: String,
    /// Whether the message is a last will.
    pub will: bool,
    /// The client id, escaped and cut.
    pub client_id: String,
    /// The certificate's id.
    pub certificate: String,
    /// The thing that the certificate is attached to.
    pub thing: Option<String>,
    /// The address that the client came from.
    pub source: String,
    /// Why, by a name.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// For how many refusals of one client, action and cause it stands. It is the last of them.
    pub times: u64,
}

impl Kept {
    /// One refusal at a second of the epoch.
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

    /// Writes a line of the log.
    pub(super) fn log(&self) {
        let Self { at: _, action, resource, will, client_id, certificate, thing, source, reason, detail, times } = self;
        let (action, thing) = (action.as_deref(), thing.as_deref());
        let will = will.then_some(true);
        let times = (*times > 1).then_some(times);
        tracing::info!(action, resource, will, client_id, certificate, thing, source, reason, times, "refused: {detail}");
    }

    /// Adds a row, and deletes the oldest where there are too many.
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

/// The last refusals, the oldest of them first.
pub fn last(db: &Connection, count: u32) -> Result<Vec<Kept>, StoreError> {
    let sql = "SELECT * FROM (SELECT * FROM refusal ORDER BY number DESC LIMIT ?1) ORDER BY number";
    Ok(db.prepare_cached(sql)?.query_map([count], kept)?.collect::<rusqlite::Result<_>>()?)
}

/// The last refusal of a thing. A refusal with a certificate that is attached to no thing counts by its client id: so a device whose
/// certificate was replaced is found.
pub fn last_of(db: &Connection, thing: &str) -> Result<Option<Kept>, StoreError> {
    let sql =
        "SELECT * FROM (SELECT * FROM refusal WHERE thing = ?1 UNION ALL SELECT * FROM refusal WHERE thing IS NULL AND client_id = ?1)
        ORDER BY number DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_map([thing], kept)?.next().transpose()?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
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
