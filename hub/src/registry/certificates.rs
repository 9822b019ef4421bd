//! The certificates of the registry, with their status, policies and things.

use std::collections::{BTreeMap, BTreeSet};

use onething::identifiers::{CertificateId, ThingName};
use onething::registry::{Registered, RegistryError};
use rusqlite::{Connection, params};

use super::{Failed, LocalRegistry, all, one, refused};
use crate::storage::store::seconds;

/// The status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The device with this certificate may connect.
    Active,
    /// The device with this certificate may not connect.
    Inactive,
}

impl Status {
    /// The status as AWS IoT writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "ACTIVE",
            Status::Inactive => "INACTIVE",
        }
    }

    pub(super) fn of(active: bool) -> Self {
        if active { Status::Active } else { Status::Inactive }
    }
}

/// A certificate in the registry, without its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The status of the certificate.
    pub status: Status,
    /// The names of the attached policies.
    pub policies: BTreeSet<String>,
    /// The thing that the certificate is attached to. There is at most one.
    pub thing: Option<String>,
    /// The thing that the certificate was issued for.
    pub made_for: String,
    /// When the certificate was issued, as Unix time in seconds.
    pub made_at: u64,
}

impl LocalRegistry {
    /// Registers a certificate that the authority has issued. The certificate is INACTIVE, and is attached to no thing and no
    /// policy.
    pub async fn register(&self, certificate: &CertificateId, made_for: &ThingName) -> Result<(), RegistryError> {
        let (id, made_for, now) = (certificate.as_str().to_owned(), made_for.as_str().to_owned(), (self.now)());
        let sql = "INSERT INTO certificate VALUES (?1, FALSE, NULL, ?2, ?3)";
        let inserted = self.store.change::<_, Failed>(move |db| {
            db.prepare_cached(sql)?.execute(params![id, made_for, seconds(now)])?;
            Ok(())
        });
        inserted.await.map_err(|failed| failed.0)
    }

    /// All registered certificates.
    pub async fn registrations(&self) -> Result<BTreeMap<CertificateId, Registration>, RegistryError> {
        let read = self.store.read::<_, Failed>(|db| {
            let ids = all(db, "SELECT id FROM certificate", [], |row| row.get::<_, String>(0))?;
            let mut found = BTreeMap::new();
            for id in ids.iter().filter_map(|id| CertificateId::parse(id)) {
                found.extend(registration(db, id.as_str())?.map(|made| (id, made)));
            }
            Ok(found)
        });
        read.await.map_err(|failed| failed.0)
    }

    /// One certificate. `None` if it is not registered.
    pub async fn registration(&self, certificate: &CertificateId) -> Result<Option<Registration>, RegistryError> {
        let id = certificate.as_str().to_owned();
        self.store.read::<_, Failed>(move |db| registration(db, &id)).await.map_err(|failed| failed.0)
    }

    pub(super) async fn certificates_of(&self, thing: &ThingName) -> Result<Vec<CertificateId>, RegistryError> {
        let name = thing.as_str().to_owned();
        let sql = "SELECT id FROM certificate WHERE thing = ?1 ORDER BY id";
        let ids = self.store.read::<_, Failed>(move |db| Ok(all(db, sql, [name], |row| row.get::<_, String>(0))?)).await;
        Ok(ids.map_err(|failed| failed.0)?.iter().filter_map(|id| CertificateId::parse(id)).collect())
    }

    pub(super) async fn newest_first(&self) -> Result<Vec<Registered>, RegistryError> {
        let read = self.store.read::<_, Failed>(|db| {
            let sql = "SELECT id, active, made_at FROM certificate ORDER BY made_at DESC, id";
            Ok(all(db, sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, i64>(2)?)))?)
        });
        let rows = read.await.map_err(|failed| failed.0)?;
        let registered = |(id, active, made_at): (String, bool, i64)| {
            Some(Registered { id: CertificateId::parse(&id)?, inactive: !active, made_at: made_at.unsigned_abs() })
        };
        Ok(rows.into_iter().filter_map(registered).collect())
    }

    pub(super) async fn grant(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let (id, policies) = (certificate.as_str().to_owned(), self.stack.kind.policies.clone());
        let change = move |db: &Connection| {
            is_there(db, &id)?;
            for policy in policies {
                if one(db, "SELECT 1 FROM policy WHERE name = ?1", [&policy], |_| Ok(()))?.is_none() {
                    return Err(RegistryError::PolicyMissing(policy).into());
                }
                db.prepare_cached("INSERT OR IGNORE INTO attached_policy VALUES (?1, ?2)")?.execute([&id, &policy])?;
            }
            Ok(())
        };
        self.alter(certificate, change).await
    }

    pub(super) async fn revoke(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let id = certificate.as_str().to_owned();
        let sql = "DELETE FROM attached_policy WHERE certificate = ?1";
        self.alter(certificate, move |db| Ok(db.prepare_cached(sql)?.execute([id]).map(drop)?)).await
    }

    pub(super) async fn attach(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let (id, name) = (certificate.as_str().to_owned(), thing.as_str().to_owned());
        let change = move |db: &Connection| {
            let there = is_there(db, &id)?;
            if one(db, "SELECT 1 FROM thing WHERE name = ?1", [&name], |_| Ok(()))?.is_none() {
                return Err(refused("ResourceNotFoundException").into());
            }
            if there.is_some_and(|other| other != name) {
                return Err(refused("InvalidRequestException").into());
            }
            db.prepare_cached("UPDATE certificate SET thing = ?2 WHERE id = ?1")?.execute([&id, &name])?;
            Ok(())
        };
        self.alter(certificate, change).await
    }

    pub(super) async fn detach(&self, certificate: &CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        let (id, name) = (certificate.as_str().to_owned(), thing.as_str().to_owned());
        let sql = "UPDATE certificate SET thing = NULL WHERE id = ?1 AND thing = ?2";
        self.alter(certificate, move |db| Ok(db.prepare_cached(sql)?.execute([id, name]).map(drop)?)).await
    }

    /// Sets the status of a certificate. Deactivating a certificate that does not exist succeeds.
    pub(super) async fn set_status(&self, certificate: &CertificateId, status: Status) -> Result<(), RegistryError> {
        let (id, active) = (certificate.as_str().to_owned(), status == Status::Active);
        let change = move |db: &Connection| {
            if active {
                is_there(db, &id)?;
            }
            db.prepare_cached("UPDATE certificate SET active = ?2 WHERE id = ?1")?.execute(params![id, active])?;
            Ok(())
        };
        self.alter(certificate, change).await
    }

    /// Deletes a certificate that is INACTIVE and attached to no thing. Its policies are detached implicitly, as with
    /// `forceDelete` of AWS.
    pub(super) async fn unregister(&self, certificate: &CertificateId) -> Result<(), RegistryError> {
        let id = certificate.as_str().to_owned();
        let change = move |db: &Connection| {
            if registration(db, &id)?.is_some_and(|made| made.status == Status::Active || made.thing.is_some()) {
                return Err(RegistryError::InUse.into());
            }
            db.prepare_cached("DELETE FROM certificate WHERE id = ?1")?.execute([&id])?;
            Ok(())
        };
        self.alter(certificate, change).await
    }

    /// Changes a certificate and notifies the watcher, also if it is unclear whether the change was made.
    async fn alter(
        &self,
        certificate: &CertificateId,
        change: impl FnOnce(&Connection) -> Result<(), Failed> + Send + 'static,
    ) -> Result<(), RegistryError> {
        let changed = self.store.change(change).await;
        self.tell(certificate);
        changed.map_err(|failed| failed.0)
    }
}

/// The thing that a certificate is attached to. A certificate that does not exist is an error.
fn is_there(db: &Connection, id: &str) -> Result<Option<String>, Failed> {
    let there = one(db, "SELECT thing FROM certificate WHERE id = ?1", [id], |row| row.get(0))?;
    Ok(there.ok_or_else(|| refused("ResourceNotFoundException"))?)
}

pub(super) fn registration(db: &Connection, id: &str) -> Result<Option<Registration>, Failed> {
    let sql = "SELECT active, thing, made_for, made_at FROM certificate WHERE id = ?1";
    let found = one(db, sql, [id], |row| {
        let made_at = row.get::<_, i64>(3)?.unsigned_abs();
        let (status, thing, made_for) = (Status::of(row.get(0)?), row.get(1)?, row.get(2)?);
        Ok(Registration { status, policies: BTreeSet::new(), thing, made_for, made_at })
    })?;
    let Some(mut found) = found else { return Ok(None) };
    let sql = "SELECT policy FROM attached_policy WHERE certificate = ?1";
    found.policies = all(db, sql, [id], |row| row.get(0))?.into_iter().collect();
    Ok(Some(found))
}
