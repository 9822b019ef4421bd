//! The data of a certificate that the broker needs.

use std::collections::BTreeMap;

use onething::identifiers::CertificateId;
use onething::registry::RegistryError;

use super::certificates::{Status, registration};
use super::{Failed, LocalRegistry, all, named, one};

/// The status of a certificate, its policies and its thing, for authentication and authorization of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// The status of the certificate.
    pub status: Status,
    /// The documents of the attached policies.
    pub policies: Vec<String>,
    /// The thing that the certificate is attached to.
    pub attachment: Option<Attachment>,
}

/// The attributes of a thing that policy variables can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The name of the thing.
    pub thing: String,
    /// The type of the thing.
    pub thing_type: String,
    /// The attributes of the thing.
    pub attributes: BTreeMap<String, String>,
}

impl LocalRegistry {
    /// The status of a certificate. `None` if the certificate is not registered.
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
