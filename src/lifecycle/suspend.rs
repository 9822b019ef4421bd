//! The owner disabled the skill: their certificates go INACTIVE, and nothing is deleted.
//!
//! When they link again, or just speak, the same certificates become ACTIVE and no mail is sent
//! ([`crate::onboarding`]). Events come late, twice and out of order: what counts is when they were made.

use super::{LifecycleError, cut_off};
use crate::identifiers::{AlexaUser, ThingName};
use crate::onboarding::lease::{Held, Lease};
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// Takes everything of an Alexa user out of service who disabled the skill at `at`. Returns how many
/// things that were.
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

/// What a suspension still needs when its record says suspended: the shadow first, so that a contact resumes
/// whatever was taken out of service.
pub(super) async fn finish<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
    held: Held<'_, R>,
) -> Result<(), LifecycleError> {
    shadows.update(thing, &Patch::look((lease.now)())).await?;
    for certificate in held.record().certificates() {
        held.meanwhile(registry.deactivate(certificate)).await?;
    }
    cut_off(shadows, thing).await;
    held.release(|_| {}).await.map_err(RegistryError::into)
}
