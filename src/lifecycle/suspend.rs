//! Suspension: the owner disabled the skill. The certificates become INACTIVE, and nothing is deleted.
//!
//! When the owner links the account again or uses the skill, the same certificates become ACTIVE again and no mail is sent
//! ([`crate::onboarding`]). Events may arrive late, repeatedly and in any order, so their creation time counts.

use super::{LifecycleError, cut_off};
use crate::identifiers::{AlexaUser, ThingName};
use crate::onboarding::lease::{Held, Lease};
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// Suspends all things of an Alexa user who disabled the skill at `at` (Unix time in seconds). Returns the number of things.
pub async fn suspend<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    user: &AlexaUser,
    at: u64,
) -> Result<usize, LifecycleError> {
    let mut suspended = 0;
    for thing in registry.things_of(user).await? {
        suspended += usize::from(suspend_thing(registry, shadows, lease, &thing, at).await?);
    }
    Ok(suspended)
}

async fn suspend_thing<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
    at: u64,
) -> Result<bool, LifecycleError> {
    let Some(entry) = registry.look(thing).await? else { return Ok(false) };
    if at <= entry.record.linked || entry.record.forget {
        tracing::info!(%thing, "an event from before the account was linked");
        return Ok(false);
    }
    let held =
        Held::take(registry, thing, lease, entry, |record| record.suspended = Some(record.suspended.map_or(at, |since| since.max(at))))
            .await?;
    finish(registry, shadows, lease, thing, held).await?;
    tracing::info!(%thing, "out of service: the skill was disabled");
    Ok(true)
}

/// Completes the suspension of a thing whose record says that it is suspended. The shadow is updated first, so that the next
/// contact reactivates the certificates.
pub(super) async fn finish<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
    held: Held<'_, R>,
) -> Result<(), LifecycleError> {
    shadows.update(thing, &Patch::look((lease.now)())).await?;
    for certificate in held.record().certificates() {
        held.within_lease(registry.deactivate(certificate)).await?;
    }
    cut_off(shadows, thing).await;
    held.release(|_| {}).await.map_err(RegistryError::into)
}
