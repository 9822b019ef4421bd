//! A device reports which certificate it uses.
//!
//! Where that is the newest one, what it has taken the place of has had its time. What another certificate of the thing reports tells
//! nothing: the old device may be on, and its report may be late. So a report never brings a certificate back, and none but the newest
//! takes others away.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::LifecycleError;
use crate::identifiers::{CertificateId, ThingName};
use crate::onboarding::lease::{Held, Lease};
use crate::registry::revoke::revoke;
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// How long to wait for whoever works on the thing at this moment, each time.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes out of service what this certificate has replaced, now that it is in use; returns how many those were. `lease` keeps others away
/// meanwhile. While another does so, what is replaced only goes INACTIVE, and the rest waits, until `deadline`.
pub async fn in_use<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
    certificate: &CertificateId,
    deadline: Instant,
) -> Result<usize, LifecycleError> {
    let mut inactive = false;
    loop {
        match once(registry, shadows, lease, thing, certificate, &mut inactive).await {
            Err(error) if error.is_busy() && Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn once<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    thing: &ThingName,
    certificate: &CertificateId,
    inactive: &mut bool,
) -> Result<usize, LifecycleError> {
    let Some(entry) = registry.look(thing).await? else { return Ok(0) };
    let (record, now) = (&entry.record, (lease.now)());
    let held_by_another = record.is_held(now) && record.run != lease.run;
    if held_by_another && record.coming.as_ref() == Some(certificate) {
        // It is in use before it is noted that it was given to anybody.
        return Err(RegistryError::Taken.into());
    }
    // Of an owner who is away, everything is out of service already, and is to come back as it was.
    if record.certificate.as_ref() != Some(certificate) || record.suspended.is_some() {
        return Ok(0);
    }
    let replaced: Vec<CertificateId> = record.overdue(Some(certificate), now).cloned().collect();
    if held_by_another {
        // Mostly somebody who is done, and keeps the thing for a few seconds so that nothing overtakes the last call.
        if !replaced.is_empty() && !std::mem::replace(inactive, true) {
            shadows.update(thing, &Patch::look(now)).await?;
            for old in &replaced {
                registry.deactivate(old).await?;
            }
        }
        return Err(RegistryError::Taken.into());
    }
    if replaced.is_empty() {
        return Ok(0);
    }
    let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
    // Whatever stops half way, the next contact goes on with.
    shadows.update(thing, &Patch::look(now)).await?;
    for old in &replaced {
        held.meanwhile(revoke(registry, old, thing)).await?;
    }
    held.release(|record| record.let_go(&replaced)).await?;
    tracing::info!(%thing, %certificate, replaced = replaced.len(), "a new certificate is in use, and what it has replaced is out of service");
    Ok(replaced.len())
}
