//! The registry of things and certificates, by the rules of AWS IoT's
//! (<https://docs.aws.amazon.com/iot/latest/apireference/>).
//!
//! Creating a thing is exclusive, changing it is compare-and-set on a version that counts from 1, a
//! certificate is attached to one thing only, and none is deleted while it is ACTIVE or attached. Every call is
//! one change of the database. Whoever has to know that a certificate is another one now, such as the
//! broker its device is connected to, is told by [`LocalRegistry::watch`].

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

/// The registry of one hub.
#[derive(Clone)]
pub struct LocalRegistry {
    store: Store,
    authority: Arc<Authority>,
    stack: Stack,
    now: fn() -> u64,
    changed: Arc<OnceLock<UnboundedSender<CertificateId>>>,
}

/// What every thing and certificate of the skill has in common.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The type of its things, and the policies of its certificates.
    pub kind: Kind,
    /// What the names of its things begin with.
    pub thing_prefix: ThingPrefix,
}

/// A thing in a list.
#[derive(Clone, Debug)]
pub struct Thing {
    /// Its name.
    pub name: String,
    /// Its owner's user id.
    pub owner: Option<OwnerId>,
    /// Those of its certificates that another one has taken the place of.
    pub replaced: Vec<Replaced>,
}

impl LocalRegistry {
    /// The registry in this database. Thing type and policy of the stack have to be created once. `now` is in
    /// seconds since the epoch.
    pub fn new(store: Store, authority: Arc<Authority>, stack: Stack, now: fn() -> u64) -> Self {
        Self { store, authority, stack, now, changed: Arc::default() }
    }

    /// Creates a thing type, where there is none of that name.
    pub async fn create_thing_type(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        let insert = move |db: &Connection| db.execute("INSERT OR IGNORE INTO thing_type VALUES (?1)", [name]);
        self.store.change(|db| Ok(insert(db).map(drop)?)).await
    }

    /// Creates a policy, or gives it another document.
    pub async fn create_policy(&self, name: &str, document: &str) -> Result<(), StoreError> {
        let (name, document) = (name.to_owned(), document.to_owned());
        let sql = "INSERT INTO policy VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET document = excluded.document";
        self.store.change(move |db| Ok(db.execute(sql, [name, document]).map(drop)?)).await
    }

    /// Ends every lease that runs. At the start of a hub whoever held a thing is gone, with all that was under way: nobody
    /// has to be kept waiting for them. That the lease was there is kept: the sweep goes by it.
    pub async fn give_free(&self) -> Result<(), StoreError> {
        let now = i64::try_from((self.now)()).unwrap_or(i64::MAX);
        let sql = "UPDATE thing SET version = version + 1, attributes = json_set(attributes, '$.LeaseUntil', CAST(?1 AS TEXT))
            WHERE CAST(json_extract(attributes, '$.LeaseUntil') AS INTEGER) > ?1";
        self.store.change(move |db| Ok(db.execute(sql, [now]).map(drop)?)).await
    }

    /// From now on the certificates that change are named here.
    pub fn watch(&self, changed: UnboundedSender<CertificateId>) {
        // The second watcher of a registry would have to be a second broker.
        let _ = self.changed.set(changed);
    }

    /// All things, by name.
    pub async fn things(&self) -> Result<Vec<Thing>, StoreError> {
        let thing = |row: &Row<'_>| {
            let attributes = named(&row.get::<_, String>(1)?);
            let owner = attributes.get(USER_ID).and_then(|owner| OwnerId::parse(owner));
            Ok(Thing { name: row.get(0)?, owner, replaced: record(&attributes).replaced })
        };
        self.store.read(move |db| all(db, "SELECT name, attributes FROM thing ORDER BY name", [], thing)).await
    }

    /// The skill's own things among those of a query, which is for names and attributes.
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
            // Nobody listens any more when the hub ends.
            let _ = changed.send(certificate.clone());
        }
    }
}

/// AWS IoT's error codes, so that a log line of the hub reads like one of the Lambda.
fn refused(code: &str) -> RegistryError {
    RegistryError::Refused(code.to_owned())
}

/// Why a piece of work on the registry was not done.
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

/// The rows of a query.
fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_map(params, row)?.collect::<rusqlite::Result<_>>()?)
}

/// The row of a query, where there is one.
fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_row(params, row).optional()?)
}

/// Attributes as they are stored; only this file writes them.
fn named(attributes: &str) -> BTreeMap<String, String> {
    serde_json::from_str(attributes).unwrap_or_default()
}

/// A record with its owner, as stored: what is empty is not there.
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
        let issued = self.authority.issue_requested(request, (self.now)()).map_err(|error| RegistryError::Refused(error.to_string()))?;
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
                // Of two equal things the second is the first, whatever its version has become.
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

    /// All on one page: nothing here is far away.
    async fn unfinished(&self, _: Option<&str>) -> Result<Listing<ThingName>, RegistryError> {
        Ok(Listing { items: self.own_things("SELECT name, attributes FROM thing WHERE unfinished", []).await?, next: None })
    }

    async fn certificates(&self, _: Option<&str>) -> Result<Listing<Registered>, RegistryError> {
        Ok(Listing { items: self.newest_first().await?, next: None })
    }

    async fn describe(&self, certificate: &CertificateId) -> Result<Option<Described>, RegistryError> {
        let made = self.registration(certificate).await?;
        // Only the hub's own authority issues what stands here.
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
