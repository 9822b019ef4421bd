//! The registry of things and certificates, with the rules of AWS IoT (<https://docs.aws.amazon.com/iot/latest/apireference/>).
//!
//! A thing is created at most once. A change of a thing is a compare-and-set on its version, which starts at 1. A certificate is
//! attached to at most one thing, and it cannot be deleted while it is ACTIVE or attached. Every call is one transaction of the
//! database. A component that must react to changes of certificates, such as the broker, registers with [`LocalRegistry::watch`].

mod certificate_status;
mod certificates;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use onething::certificate::{Certificate, IssuedCertificate};
use onething::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName, ThingPrefix};
use onething::registry::attributes::{USER_ID, attributes, record};
use onething::registry::signing_request::CertificateRequest;
use onething::registry::{Described, Entry, Kind, Listing, Record, Registered, Registry, RegistryError, Replaced};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::mpsc::UnboundedSender;

pub use self::certificate_status::{Attachment, CertificateStatus};
pub use self::certificates::{Registration, Status};
use crate::authority::{Authority, AuthorityError};
use crate::storage::store::{Store, StoreError};

/// The registry of a hub. Clones share the database and the watcher.
#[derive(Clone)]
pub struct LocalRegistry {
    store: Store,
    authority: Arc<Authority>,
    stack: Stack,
    now: fn() -> u64,
    changed: Arc<OnceLock<UnboundedSender<CertificateId>>>,
}

/// The kind of the things and certificates that this registry creates.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The type of new things, and the policies of their certificates.
    pub kind: Kind,
    /// The prefix of the names of the things.
    pub thing_prefix: ThingPrefix,
}

/// A thing in the list of all things.
#[derive(Clone, Debug)]
pub struct Thing {
    /// The name of the thing.
    pub name: String,
    /// The user id of the owner. `None` if the attribute is missing or not valid.
    pub owner: Option<OwnerId>,
    /// The replaced certificates of the thing.
    pub replaced: Vec<Replaced>,
}

impl LocalRegistry {
    /// The registry in this database. The thing type and the policies of `stack` must be created before things are. `now` returns
    /// a Unix time in seconds.
    pub fn new(store: Store, authority: Arc<Authority>, stack: Stack, now: fn() -> u64) -> Self {
        Self { store, authority, stack, now, changed: Arc::default() }
    }

    /// Creates a thing type, unless it exists.
    pub async fn create_thing_type(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        let insert = move |db: &Connection| db.execute("INSERT OR IGNORE INTO thing_type VALUES (?1)", [name]);
        self.store.change(|db| Ok(insert(db).map(drop)?)).await
    }

    /// Creates a policy, or replaces the document of an existing policy.
    pub async fn create_policy(&self, name: &str, document: &str) -> Result<(), StoreError> {
        let (name, document) = (name.to_owned(), document.to_owned());
        let sql = "INSERT INTO policy VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET document = excluded.document";
        self.store.change(move |db| Ok(db.execute(sql, [name, document]).map(drop)?)).await
    }

    /// Ends every lease at the start of a hub. The requests that held them ended with the last process, so later requests need
    /// not wait. The attributes of the lease stay, because the sweep uses them to find interrupted work.
    pub async fn end_leases(&self) -> Result<(), StoreError> {
        let now = i64::try_from((self.now)()).unwrap_or(i64::MAX);
        let sql = "UPDATE thing SET version = version + 1, attributes = json_set(attributes, '$.LeaseUntil', CAST(?1 AS TEXT))
            WHERE CAST(json_extract(attributes, '$.LeaseUntil') AS INTEGER) > ?1";
        self.store.change(move |db| Ok(db.execute(sql, [now]).map(drop)?)).await
    }

    /// Sends the id of every changed certificate to `changed` from now on. Only the first call has an effect.
    pub fn watch(&self, changed: UnboundedSender<CertificateId>) {
        // The only watcher is the broker.
        let _ = self.changed.set(changed);
    }

    /// All things, sorted by name.
    pub async fn things(&self) -> Result<Vec<Thing>, StoreError> {
        let thing = |row: &Row<'_>| {
            let attributes = named(&row.get::<_, String>(1)?);
            let owner = attributes.get(USER_ID).and_then(|owner| OwnerId::parse(owner));
            Ok(Thing { name: row.get(0)?, owner, replaced: record(&attributes).replaced })
        };
        self.store.read(move |db| all(db, "SELECT name, attributes FROM thing ORDER BY name", [], thing)).await
    }

    /// The things of the skill in the result of a query with the columns name and attributes.
    async fn own_things(&self, sql: &'static str, params: impl rusqlite::Params + Send + 'static) -> Result<Vec<ThingName>, RegistryError> {
        let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let found = self.store.read::<_, Failed>(move |db| Ok(all(db, sql, params, row)?)).await.map_err(|failed| failed.0)?;
        let own = |(name, attributes): &(String, String)| {
            let owner = named(attributes).remove(USER_ID).and_then(|owner| OwnerId::parse(&owner));
            ThingName::listed(&self.stack.thing_prefix, "", name, owner.as_ref())
        };
        Ok(found.iter().filter_map(own).collect())
    }

    fn tell(&self, certificate: &CertificateId) {
        if let Some(changed) = self.changed.get() {
            // At the end of the hub the receiver may be closed.
            let _ = changed.send(certificate.clone());
        }
    }
}

/// A refusal with an error code of AWS IoT, so that log lines of the hub and of the Lambda function are alike.
fn refused(code: &str) -> RegistryError {
    RegistryError::Refused(code.to_owned())
}

/// An error of the database as an error of the registry.
struct Failed(RegistryError);

impl From<RegistryError> for Failed {
    fn from(error: RegistryError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(match error {
            StoreError::Refused(_) => RegistryError::Refused("InternalFailureException".to_owned()),
            StoreError::Unclear => RegistryError::Unclear("the database did not say".to_owned()),
        })
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(step = "store", fault = "maker", cause = "store_refused", "{error}");
        StoreError::Refused(error).into()
    }
}

/// All rows of a query.
fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_map(params, row)?.collect::<rusqlite::Result<_>>()?)
}

/// The row of a query. `None` if there is none.
fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_row(params, row).optional()?)
}

/// Parses stored attributes. Only this module writes them.
fn named(attributes: &str) -> BTreeMap<String, String> {
    serde_json::from_str(attributes).unwrap_or_default()
}

/// The attributes of a thing for the database: its record without empty values, and its owner.
fn stored(owner: &str, record: &Record) -> String {
    let mut attributes = attributes(record);
    attributes.retain(|_, value| !value.is_empty());
    attributes.insert(USER_ID.to_owned(), owner.into());
    serde_json::json!(attributes).to_string()
}

impl Registry for LocalRegistry {
    fn of_kind(&self, kind: Kind) -> Self {
        Self { stack: Stack { kind, ..self.stack.clone() }, ..self.clone() }
    }

    async fn create_certificate(&self, thing: &ThingName) -> Result<Certificate, RegistryError> {
        let (authority, now) = (Arc::clone(&self.authority), (self.now)());
        let issued = tokio::task::spawn_blocking(move || authority.issue(now)).await;
        let issued = issued.map_err(|_| RegistryError::Unclear("the authority broke down".into()))?;
        let certificate = issued.map_err(|error: AuthorityError| RegistryError::Refused(error.to_string()))?;
        self.register(&certificate.id, thing).await?;
        Ok(certificate)
    }

    async fn certify(&self, thing: &ThingName, request: &CertificateRequest) -> Result<IssuedCertificate, RegistryError> {
        let issued = self.authority.issue_for_request(request, (self.now)()).map_err(|error| RegistryError::Refused(error.to_string()))?;
        self.register(&issued.id, thing).await?;
        Ok(issued)
    }

    async fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> Result<(), RegistryError> {
        let (thing_type, name, record, owner) =
            (self.stack.kind.thing_type.clone(), thing.as_str().to_owned(), record.clone(), owner.as_str().to_owned());
        let claimed = self.store.change::<_, Failed>(move |db| {
            if one(db, "SELECT 1 FROM thing_type WHERE name = ?1", [&thing_type], |_| Ok(()))?.is_none() {
                return Err(RegistryError::ThingTypeMissing(thing_type).into());
            }
            let attributes = stored(&owner, &record);
            let there = one(db, "SELECT thing_type, attributes FROM thing WHERE name = ?1", [&name], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            match there {
                // A repeated call with the same content succeeds, whatever the version is now.
                Some(there) if there == (thing_type.clone(), attributes.clone()) => Ok(()),
                Some(_) => Err(RegistryError::Taken.into()),
                None => {
                    let alexa_user = record.alexa_user.as_ref().map(AlexaUser::as_str);
                    let sql = "INSERT INTO thing VALUES (?1, ?2, 1, ?3, ?4, ?5)";
                    db.prepare_cached(sql)?.execute(params![name, thing_type, attributes, alexa_user, record.is_unfinished()])?;
                    Ok(())
                }
            }
        });
        claimed.await.map_err(|failed| failed.0)
    }

    async fn look(&self, thing: &ThingName) -> Result<Option<Entry>, RegistryError> {
        let name = thing.as_str().to_owned();
        let sql = "SELECT version, thing_type, attributes FROM thing WHERE name = ?1";
        let entry = |row: &Row<'_>| {
            let attributes = named(&row.get::<_, String>(2)?);
            let owner = attributes.get(USER_ID).and_then(|owner| OwnerId::parse(owner));
            Ok(Entry { version: row.get(0)?, owner, thing_type: row.get(1)?, record: record(&attributes) })
        };
        self.store.read::<_, Failed>(move |db| Ok(one(db, sql, [name], entry)?)).await.map_err(|failed| failed.0)
    }

    async fn write(&self, thing: &ThingName, version: i64, record: &Record) -> Result<(), RegistryError> {
        let (name, record) = (thing.as_str().to_owned(), record.clone());
        let written = self.store.change::<_, Failed>(move |db| {
            let sql = "SELECT attributes FROM thing WHERE name = ?1 AND version = ?2";
            let there = one(db, sql, params![name, version], |row| row.get::<_, String>(0))?.ok_or(RegistryError::Taken)?;
            let attributes = stored(named(&there).get(USER_ID).map_or("", String::as_str), &record);
            let alexa_user = record.alexa_user.as_ref().map(AlexaUser::as_str);
            let sql = "UPDATE thing SET version = version + 1, attributes = ?2, alexa_user = ?3, unfinished = ?4 WHERE name = ?1";
            db.prepare_cached(sql)?.execute(params![name, attributes, alexa_user, record.is_unfinished()])?;
            Ok(())
        });
        written.await.map_err(|failed| failed.0)
    }

    async fn remove(&self, thing: &ThingName, version: i64) -> Result<(), RegistryError> {
        let name = thing.as_str().to_owned();
        let removed = self.store.change::<_, Failed>(move |db| {
            let there = one(db, "SELECT version FROM thing WHERE name = ?1", [&name], |row| row.get::<_, i64>(0))?;
            if there.is_some_and(|there| there != version) {
                return Err(RegistryError::Taken.into());
            }
            if one(db, "SELECT 1 FROM certificate WHERE thing = ?1", [&name], |_| Ok(()))?.is_some() {
                return Err(RegistryError::InUse.into());
            }
            db.prepare_cached("DELETE FROM thing WHERE name = ?1")?.execute([&name])?;
            Ok(())
        });
        removed.await.map_err(|failed| failed.0)
    }

    async fn attached(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        self.certificates_of(thing).await
    }

    async fn attach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.grant(certificate).await
    }

    async fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        self.attach(certificate, thing).await
    }

    async fn activate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.set_status(certificate, Status::Active).await
    }

    async fn deactivate(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.set_status(certificate, Status::Inactive).await
    }

    async fn detach_policy(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.revoke(certificate).await
    }

    async fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        self.detach(certificate, thing).await
    }

    async fn delete(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        self.unregister(certificate).await
    }

    async fn things_of(&self, user: &AlexaUser) -> Result<Vec<ThingName>, RegistryError> {
        self.own_things("SELECT name, attributes FROM thing WHERE alexa_user = ?1", [user.as_str().to_owned()]).await
    }

    /// All things on one page, because the database is local.
    async fn unfinished(&self, _: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        Ok(Listing { items: self.own_things("SELECT name, attributes FROM thing WHERE unfinished", []).await?, next: None })
    }

    async fn certificates(&self, _: Option<&str>) -> Result<Listing<Registered>, RegistryError> {
        Ok(Listing { items: self.newest_first().await?, next: None })
    }

    async fn describe(&self, certificate: &CertificateId) -> Result<Option<Described>, RegistryError> {
        let made = self.registration(certificate).await?;
        // Only certificates of the hub's own authority are registered.
        Ok(made.map(|made| Described {
            active: made.status == Status::Active,
            inactive: made.status == Status::Inactive,
            ours: true,
            made_for: ThingName::parse(&made.made_for),
        }))
    }

    async fn is_attached(&self, certificate: &CertificateId) -> Result<bool, RegistryError> {
        Ok(self.registration(certificate).await?.is_some_and(|made| made.thing.is_some()))
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
