//! The sweep: periodic clean-up of incomplete or expired identities.
//!
//! The sweep deletes only certificates that belong to this skill (according to their subject) and that are unused: INACTIVE, not
//! attached, in no record and older than an hour. It deletes only identities whose owner asked for it or was away for the whole
//! retention time. It works page by page and slowly, because the quotas of the registry are shared with the requests of owners.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{LifecycleError, forget, suspend};
use crate::fault::chain;
use crate::identifiers::{CertificateId, ThingName};
use crate::metrics::{Measure, Meter};
use crate::onboarding::lease::{Held, Lease};
use crate::registry::revoke::revoke;
use crate::registry::{A_DAY, Entry, Record, Registered, Registry, RegistryError, within_a_day};
use crate::shadow::{Patch, Shadows};

/// Younger objects may still be in use by an attempt.
const AN_HOUR: u64 = 3_600;
/// Earlier sweeps have checked older certificates several times, so the list is read no further.
const LOOK_BACK: u64 = 7 * A_DAY;
/// The pause between two things, certificates or pages. The quotas for lists and for changes of certificates are ten calls per
/// second and account. Each item takes one call of each kind.
const PACE: Duration = Duration::from_millis(250);

/// The dependencies and limits of a sweep.
pub struct Sweep<'a, R, S> {
    /// The registry of things and certificates.
    pub registry: &'a R,
    /// The shadow service.
    pub shadows: &'a S,
    /// The lease under which the sweep holds a thing.
    pub lease: Lease,
    /// The time in seconds for which the identity of a disabled skill is kept.
    pub retention: u64,
    /// The time by which the sweep must have ended.
    pub deadline: Instant,
    /// Receives the counts.
    pub measure: Meter,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of things that were cleaned up.
    pub cleaned_up: u64,
    /// The number of identities that were deleted.
    pub forgotten: u64,
    /// The number of unused certificates that were deleted.
    pub orphans: u64,
    /// The number of failures. The next sweep tries again.
    pub failed: u64,
    /// Whether the sweep processed all items in time.
    pub complete: bool,
}

/// Runs one sweep.
pub async fn sweep<R: Registry, S: Shadows>(means: &Sweep<'_, R, S>) -> Report {
    let mut round = Round { means, report: Report::default(), next: Instant::now() };
    let swept = match round.things().await {
        Ok(true) => round.certificates().await,
        outcome => outcome,
    };
    let mut report = round.report;
    match swept {
        Ok(complete) => report.complete = complete,
        Err(error) => {
            report.failed += 1;
            tracing::error!(step = "lifecycle", fault = "maker", cause = "sweep", "a list could not be read: {}", chain(&error));
        }
    }
    let (things, certificates) = (report.cleaned_up + report.forgotten, report.orphans);
    (means.measure)(&Measure::Swept { things, certificates, failed: report.failed });
    tracing::info!(?report, "swept");
    report
}

struct Round<'a, R, S> {
    means: &'a Sweep<'a, R, S>,
    report: Report,
    next: Instant,
}

/// The result for one thing.
enum Done {
    Nothing,
    CleanedUp,
    Forgotten,
}

impl<R: Registry, S: Shadows> Round<'_, R, S> {
    /// Waits for the pause between two items. Returns `false` if the time is over.
    async fn turn(&mut self) -> bool {
        sleep_until(self.next).await;
        self.next = Instant::now() + PACE;
        Instant::now() + Duration::from_secs(self.means.lease.seconds) < self.means.deadline
    }

    async fn things(&mut self) -> Result<bool, LifecycleError> {
        let mut page = None;
        loop {
            if !self.turn().await {
                return Ok(false);
            }
            let listing = self.means.registry.unfinished(page.as_deref()).await?;
            for thing in &listing.items {
                if !self.turn().await {
                    return Ok(false);
                }
                match self.clean_up(thing).await {
                    Ok(Done::Nothing) => {}
                    Ok(Done::CleanedUp) => self.report.cleaned_up += 1,
                    Ok(Done::Forgotten) => self.report.forgotten += 1,
                    // The owner is using the skill at this moment, and that request completes the work.
                    Err(error) if error.is_busy() => {}
                    Err(error) => self.failed(thing, &error),
                }
            }
            page = listing.next;
            if page.is_none() {
                return Ok(true);
            }
        }
    }

    fn failed(&mut self, what: &dyn std::fmt::Display, error: &LifecycleError) {
        self.report.failed += 1;
        tracing::warn!(step = "lifecycle", cause = "sweep", "{what} is left to the next sweep: {}", chain(error));
    }

    /// Cleans up one thing whose record is unfinished.
    async fn clean_up(&mut self, thing: &ThingName) -> Result<Done, LifecycleError> {
        let (registry, shadows, lease) = (self.means.registry, self.means.shadows, &self.means.lease);
        let now = (lease.now)();
        let Some(entry) = registry.look(thing).await? else { return Ok(Done::Nothing) };
        let record = &entry.record;
        if record.is_held(now) {
            return Ok(Done::Nothing);
        }
        let expired = record.suspended.is_some_and(|since| now >= since + self.means.retention);
        if record.forget || (expired && self.is_out_of_service(record).await?) {
            forget(registry, shadows, lease, thing).await?;
            return Ok(Done::Forgotten);
        }
        if record.suspended.is_some() {
            // A complete suspension has released the lease.
            if record.until == 0 && !expired {
                return Ok(Done::Nothing);
            }
            let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
            suspend::finish(registry, shadows, lease, thing, held).await?;
            return Ok(Done::CleanedUp);
        }
        let shadow = shadows.read(thing).await?.unwrap_or_default();
        if record.delivered.is_none() && shadow.delivered.is_some() && shadow.delivered == record.certificate {
            // The certificate was delivered; only the write to the record was lost.
            let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
            let note = |record: &mut Record| (record.delivered, record.again) = (Some(now), false);
            held.release(note).await?;
            return Ok(Done::CleanedUp);
        }
        let overdue: Vec<CertificateId> = record.overdue(shadow.in_use.as_ref(), now).cloned().collect();
        if !overdue.is_empty() {
            self.revoke_all(&overdue, thing, entry).await?;
            return Ok(Done::CleanedUp);
        }
        if let Some(coming) = record.coming.clone().filter(|_| record.until + AN_HOUR <= now) {
            // An incomplete registration: its device never got a response.
            let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
            held.within_lease(revoke(registry, &coming, thing)).await?;
            held.release(|record| record.coming = None).await?;
            return Ok(Done::CleanedUp);
        }
        if is_empty(record, now) {
            forget(registry, shadows, lease, thing).await?;
            return Ok(Done::Forgotten);
        }
        if shadow.is_ready() && record.wants_a_look() {
            shadows.update(thing, &Patch::look(now)).await?;
        }
        match left_behind(record, now) {
            Some(certificate) => self.clear(thing, certificate.clone(), entry).await,
            None => Ok(Done::Nothing),
        }
    }

    /// Whether no certificate in the record is active. Only then is the owner certainly away.
    async fn is_out_of_service(&self, record: &Record) -> Result<bool, RegistryError> {
        for certificate in record.certificates() {
            if self.means.registry.describe(certificate).await?.is_some_and(|described| !described.inactive) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Revokes replaced certificates whose time is over.
    async fn revoke_all(&mut self, overdue: &[CertificateId], thing: &ThingName, entry: Entry) -> Result<(), LifecycleError> {
        let (registry, lease) = (self.means.registry, &self.means.lease);
        let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
        for (number, certificate) in overdue.iter().enumerate() {
            if number > 0 {
                self.turn().await;
            }
            held.within_lease(revoke(registry, certificate, thing)).await?;
        }
        // The shadow still has the `look` mark. The next contact removes it.
        Ok(held.release(|record| record.let_go(overdue)).await?)
    }

    /// Cleans up an incomplete onboarding. Its certificate is deleted if it was never ACTIVE, because then it was never sent. An
    /// ACTIVE certificate may have been delivered to the owner.
    async fn clear(&mut self, thing: &ThingName, certificate: CertificateId, entry: Entry) -> Result<Done, LifecycleError> {
        let (registry, lease) = (self.means.registry, &self.means.lease);
        let dead = registry.describe(&certificate).await?.is_none_or(|described| described.inactive);
        if !dead {
            return Ok(Done::Nothing);
        }
        let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
        // Check again under the lease, which excludes changes by others.
        let dead = held.within_lease(registry.describe(&certificate)).await?.is_none_or(|described| described.inactive);
        if dead {
            held.within_lease(revoke(registry, &certificate, thing)).await?;
        }
        held.release(|record| {
            if dead {
                record.certificate = None
            }
        })
        .await?;
        Ok(if dead { Done::CleanedUp } else { Done::Nothing })
    }

    async fn certificates(&mut self) -> Result<bool, LifecycleError> {
        let mut page = None;
        loop {
            if !self.turn().await {
                return Ok(false);
            }
            let listing = self.means.registry.certificates(page.as_deref()).await?;
            let now = (self.means.lease.now)();
            let suspects = listing.items.iter().filter(|registered| is_suspect(registered, now));
            for Registered { id, .. } in suspects {
                if !self.turn().await {
                    return Ok(false);
                }
                match self.delete_orphan(id).await {
                    Ok(true) => self.report.orphans += 1,
                    Ok(false) => {}
                    Err(error) => self.failed(id, &error.into()),
                }
            }
            let older = listing.items.last().is_some_and(|last| last.made_at + LOOK_BACK < now);
            page = listing.next.filter(|_| !older);
            if page.is_none() {
                return Ok(true);
            }
        }
    }

    /// Deletes a certificate if it belongs to this skill and is unused. Returns whether it was deleted.
    async fn delete_orphan(&self, id: &CertificateId) -> Result<bool, RegistryError> {
        let registry = self.means.registry;
        let Some(described) = registry.describe(id).await? else { return Ok(false) };
        if !(described.ours && described.inactive) {
            return Ok(false);
        }
        if let Some(thing) = &described.made_for {
            let record = registry.look(thing).await?.map(|entry| entry.record);
            if record.is_some_and(|record| record.certificates().any(|named| named == id)) {
                return Ok(false);
            }
        }
        // The subject of a device's own signing request need not name the thing. But a certificate in use is attached to one.
        if registry.is_attached(id).await? {
            return Ok(false);
        }
        match registry.delete(id).await {
            Ok(()) => Ok(true),
            Err(RegistryError::InUse) => {
                tracing::info!(certificate = %id, "a dead certificate is not deleted yet");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// The certificate of an incomplete onboarding whose lease expired an hour ago.
fn left_behind(record: &Record, now: u64) -> Option<&CertificateId> {
    let over = record.delivered.is_none() && record.until + AN_HOUR <= now;
    record.certificate.as_ref().filter(|_| over)
}

/// Whether the record is from an onboarding that failed a day ago or earlier and never had a working certificate.
fn is_empty(record: &Record, now: u64) -> bool {
    let nothing = record.certificates().next().is_none() && record.delivered.is_none();
    nothing && record.linked.max(record.until) + A_DAY <= now && within_a_day(&record.sent, now).is_empty()
}

fn is_suspect(registered: &Registered, now: u64) -> bool {
    registered.inactive && registered.made_at + AN_HOUR <= now
}
