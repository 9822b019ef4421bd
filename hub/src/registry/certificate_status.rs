//! What a certificate opens: all that a broker needs to know of it.

use std::collections::BTreeMap;

use onething::identifiers::CertificateId;
use onething::registry::RegistryError;

use super::certificates::{Status, registration};
use super::{Failed, LocalRegistry, all, named, one};

/// A certificate as the broker looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// ACTIVE or INACTIVE.
    pub status: Status,
    /// The documents of its policies.
    pub policies: Vec<String>,
    /// The thing it is attached to.
    pub attachment: Option<Attachment>,
}

/// A thing, by what policies can ask about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub thing: String,
    /// Its type.
    pub thing_type: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

impl LocalRegistry {
    /// What a certificate opens; `None` for one that nobody registered.
    pub async fn certificate_status(&self, certificate: &CertificateId) -> Result<Option<CertificateStatus>, RegistryError> {
        let id = certificate.as_str().to_owned();
        let read = self.store.read::<_, Failed>(move |db| {
            let Some(made) = registration(db, &id)? else { return Ok(None) };
            let sql = "SELECT document FROM attached_policy JOIN policy ON name = policy WHERE certificate = ?1";
            let policies = all(db, sql, [&id], |row| row.get(0))?;
            let sql = "SELECT name, thing_type, attributes FROM thing WHERE name = ?1";
            let attachment = one(db, sql, [&made.thing], |row| {
                let attributes = named(&row.get::<_, String>(2)?);
                Ok(Attachment { thing: row.get(0)?, thing_type: row.get(1)?, attributes })
            })?;
            Ok(Some(CertificateStatus { status: made.status, policies, attachment }))
        });
        read.await.map_err(|failed| failed.0)
    }
}
