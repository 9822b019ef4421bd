//! The report of a device about the certificate that it uses.
//!
//! If the reported certificate is the newest one, the replaced certificates are revoked. A report about another certificate has
//! no effect: the old device may still be on, and its report may be late. So a report never restores a certificate, and only the
//! newest certificate causes revocations.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::LifecycleError;
use crate::identifiers::{CertificateId, ThingName};
use crate::onboarding::lease::{Held, Lease};
use crate::registry::revoke::revoke;
use crate::registry::{Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// The pause before the next attempt while another attempt holds the lease.
const PAUSE: Duration = Duration::from_secs(1);

/// Revokes the certificates that this certificate has replaced, because it is in use now. Returns their number. While another
/// attempt holds the lease, the replaced certificates are only deactivated; the rest is tried again until `deadline`.
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
        // The certificate is in use before the record says that it was delivered.
        return Err(RegistryError::Taken.into());
    }
    // The certificates of a suspended owner are inactive already, and must be restored unchanged.
    if record.certificate.as_ref() != Some(certificate) || record.suspended.is_some() {
        return Ok(0);
    }
    let replaced: Vec<CertificateId> = record.overdue(Some(certificate), now).cloned().collect();
    if held_by_another {
        // Most likely that attempt is complete and keeps the lease for a few seconds, so that no write overtakes its last one.
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
    // If this is interrupted, the next contact completes it.
    shadows.update(thing, &Patch::look(now)).await?;
    for old in &replaced {
        held.within_lease(revoke(registry, old, thing)).await?;
    }
    held.release(|record| record.let_go(&replaced)).await?;
    tracing::info!(%thing, %certificate, replaced = replaced.len(), "a new certificate is in use, and what it has replaced is out of service");
    Ok(replaced.len())
}
