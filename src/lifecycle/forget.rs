//! The owner wants to be forgotten: certificates, shadow, thing and attributes go.
//!
//! The shadow says "look" before the request stands in the record, and goes before everything else: whoever
//! speaks from then on is not taken for ready, and starts afresh.

use super::{LifecycleError, cut_off};
use crate::identifiers::ThingName;
use crate::onboarding::lease::{Held, Lease};
use crate::registry::revoke::revoke;
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Nothing is left.
    Wholly,
    /// Nothing works any more; the registry lets the rest go in a while, and the sweep sees to it.
    ButForRemains,
}

/// Deletes everything that is kept about an owner.
pub async fn forget<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
) -> Result<Forgotten, LifecycleError> {
    let Some(entry) = registry.look(thing).await? else {
        shadows.delete(thing).await?;
        return Ok(Forgotten::Wholly);
    };
    // Before the request: who speaks when only that was written must not be taken for ready.
    shadows.update(thing, &Patch::look((lease.now)())).await?;
    let held = Held::take(registry, thing, lease, entry, |record| record.forget = true).await?;
    shadows.delete(thing).await?;
    let mut certificates = held.meanwhile(registry.attached(thing)).await?;
    certificates.extend(held.record().certificates().cloned());
    certificates.sort();
    certificates.dedup();
    for certificate in &certificates {
        held.meanwhile(revoke(registry, certificate, thing)).await?;
    }
    // A device that is still connected could write its shadow anew.
    cut_off(shadows, thing).await;
    shadows.delete(thing).await?;
    match held.meanwhile(registry.remove(thing, held.version())).await {
        Ok(()) => Ok(Forgotten::Wholly),
        Err(RegistryError::InUse) => {
            tracing::info!(%thing, "the thing is not deleted yet");
            held.release(|_| {}).await?;
            Ok(Forgotten::ButForRemains)
        }
        Err(error) => Err(error.into()),
    }
}
