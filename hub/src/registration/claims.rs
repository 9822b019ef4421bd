//! Claim codes and counters in the database, which implement the port [`Claims`].
//!
//! Each call is one transaction, and transactions are serialised. So every attempt is counted, and a code is used only once.

use onething::identifiers::OwnerId;
use onething::registration::claims::{Claim, Claims, ClaimsError};
use onething::secrets::Fingerprint;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::storage::store::{Store, StoreError, seconds};

/// The claim codes and counters in the database of a hub.
#[derive(Clone)]
pub struct LocalClaims {
    store: Store,
}

impl LocalClaims {
    /// The claim codes and counters in this database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Deletes expired codes and counters. `now` is a Unix time in seconds.
    pub async fn clean_up(&self, now: u64) -> Result<(), StoreError> {
        let change = move |db: &Connection| {
            db.execute("DELETE FROM claim WHERE until <= ?1", [seconds(now)])?;
            db.execute("DELETE FROM claim_count WHERE ends <= ?1", [seconds(now)])?;
            Ok(())
        };
        self.store.change(change).await
    }
}

/// An error of the database as an error of the port.
struct Failed(ClaimsError);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(match error {
            StoreError::Refused(error) => {
                tracing::error!(step = "store", fault = "maker", cause = "store_refused", "{error}");
                ClaimsError::Refused("the database refused".to_owned())
            }
            StoreError::Unclear => ClaimsError::Unclear("the database did not say".to_owned()),
        })
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::Refused(error).into()
    }
}

/// Reads a row of `claim`. `None` for a row that this module did not write.
fn claim(row: &Row<'_>) -> rusqlite::Result<Option<Claim>> {
    let (fingerprint, owner): (String, String) = (row.get(0)?, row.get(1)?);
    let used_by: Option<String> = row.get(4)?;
    let (Some(fingerprint), Some(owner)) = (Fingerprint::parse(&fingerprint), OwnerId::parse(&owner)) else { return Ok(None) };
    let used_by = used_by.and_then(|device| Fingerprint::parse(&device));
    Ok(Some(Claim { fingerprint, owner, until: row.get::<_, i64>(2)?.unsigned_abs(), tries: row.get(3)?, used_by }))
}

impl Claims for LocalClaims {
    async fn keep(&self, name: &str, claim: &Claim, now: u64) -> Result<bool, ClaimsError> {
        let (name, claim) = (name.to_owned(), claim.clone());
        let kept = self.store.change::<_, Failed>(move |db| {
            let used_by = claim.used_by.map(|device| device.hex());
            let sql = "INSERT INTO claim VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, owner = excluded.owner, until = excluded.until,
                    tries = excluded.tries, used_by = excluded.used_by
                WHERE claim.until <= ?7";
            let values =
                params![name, claim.fingerprint.hex(), claim.owner.as_str(), seconds(claim.until), claim.tries, used_by, seconds(now)];
            Ok(db.prepare_cached(sql)?.execute(values)? == 1)
        });
        kept.await.map_err(|failed| failed.0)
    }

    async fn attempt(&self, name: &str, now: u64) -> Result<Option<Claim>, ClaimsError> {
        let name = name.to_owned();
        let counted = self.store.change::<_, Failed>(move |db| {
            let sql = "UPDATE claim SET tries = tries + 1 WHERE name = ?1 AND until > ?2
                RETURNING fingerprint, owner, until, tries, used_by";
            Ok(db.prepare_cached(sql)?.query_row(params![name, seconds(now)], claim).optional()?.flatten())
        });
        counted.await.map_err(|failed| failed.0)
    }

    async fn reset_attempts(&self, name: &str, now: u64) -> Result<(), ClaimsError> {
        let name = name.to_owned();
        let forgiven = self.store.change::<_, Failed>(move |db| {
            let sql = "UPDATE claim SET tries = 0 WHERE name = ?1 AND until > ?2";
            db.prepare_cached(sql)?.execute(params![name, seconds(now)])?;
            Ok(())
        });
        forgiven.await.map_err(|failed| failed.0)
    }

    async fn redeem(&self, name: &str, device: &Fingerprint, now: u64) -> Result<bool, ClaimsError> {
        let (name, device) = (name.to_owned(), device.hex());
        let redeemed = self.store.change::<_, Failed>(move |db| {
            let sql = "UPDATE claim SET used_by = ?2, tries = 0
                WHERE name = ?1 AND until > ?3 AND (used_by IS NULL OR used_by = ?2)";
            Ok(db.prepare_cached(sql)?.execute(params![name, device, seconds(now)])? == 1)
        });
        redeemed.await.map_err(|failed| failed.0)
    }

    async fn count(&self, kind: &str, seconds_long: u64, now: u64) -> Result<u64, ClaimsError> {
        let (kind, long) = (kind.to_owned(), seconds_long.max(1));
        let begins = now - now % long;
        let counted = self.store.change::<_, Failed>(move |db| {
            let sql = "INSERT INTO claim_count VALUES (?1, ?2, ?3, 1)
                ON CONFLICT (kind, begins, ends) DO UPDATE SET number = number + 1
                RETURNING number";
            let values = params![kind, seconds(begins), seconds(begins.saturating_add(long))];
            Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0))?.unsigned_abs())
        });
        counted.await.map_err(|failed| failed.0)
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
