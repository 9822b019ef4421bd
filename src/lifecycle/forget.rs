//! Deletion of an identity on the owner's request: certificates, shadow, thing and attributes.
//!
//! The shadow gets the `look` mark before the request is written to the record, and is deleted before everything else. So a later
//! contact does not treat the owner as ready and starts a new onboarding.

use super::{LifecycleError, cut_off};
use crate::identifiers::ThingName;
use crate::onboarding::lease::{Held, Lease};
use crate::registry::revoke::revoke;
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// The result of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// All data are deleted.
    Completely,
    /// All certificates are revoked. AWS IoT does not yet allow the deletion of the thing; the sweep deletes it later.
    ThingRemains,
}

/// Deletes all data of an owner.
pub async fn forget<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
) -> Result<Forgotten, LifecycleError> {
    let Some(entry) = registry.look(thing).await? else {
        shadows.delete(thing).await?;
        return Ok(Forgotten::Completely);
    };
    // The shadow must be marked before the record is written. Otherwise a concurrent contact would treat the owner as ready.
    shadows.update(thing, &Patch::look((lease.now)())).await?;
    let held = Held::take(registry, thing, lease, entry, |record| record.forget = true).await?;
    shadows.delete(thing).await?;
    let mut certificates = held.within_lease(registry.attached(thing)).await?;
    certificates.extend(held.record().certificates().cloned());
    certificates.sort();
    certificates.dedup();
    for certificate in &certificates {
        held.within_lease(revoke(registry, certificate, thing)).await?;
    }
    // A device that is still connected could create the shadow again.
    cut_off(shadows, thing).await;
    shadows.delete(thing).await?;
    match held.within_lease(registry.remove(thing, held.version())).await {
        Ok(()) => Ok(Forgotten::Completely),
        Err(RegistryError::InUse) => {
            tracing::info!(%thing, "the thing is not deleted yet");
            held.release(|_| {}).await?;
            Ok(Forgotten::ThingRemains)
        }
        Err(error) => Err(error.into()),
    }
}
