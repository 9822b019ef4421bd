//! The sweep: what nobody came back for.
//!
//! It deletes certificates only that are provably ours (their subject says so) and
//! provably dead (INACTIVE, attached to nothing, named by no record, older than an hour), and identities
//! only whose owner asked for it or stayed away for the whole retention. It goes page by page, and slowly:
//! the registry's quotas are shared with the owners who speak at the same moment.

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

/// What is younger may still be in somebody's hands.
const AN_HOUR: u64 = 3_600;
/// Certificates older than this have been seen by many sweeps; the list is not read any further.
const LOOK_BACK: u64 = 7 * A_DAY;
/// Between two things, certificates or pages. The registry's lists and changes of certificates have quotas
/// of ten calls per second and account; each item takes one of a kind.
const PACE: Duration = Duration::from_millis(250);

/// What a sweep may use.
pub struct Sweep<'a, R, S> {
    /// Things and certificates.
    pub registry: &'a R,
    /// Shadows.
    pub shadows: &'a S,
    /// How it keeps others away.
    pub lease: Lease,
    /// For how many seconds a disabled skill's identity is kept.
    pub retention: u64,
    /// When it has to end.
    pub deadline: Instant,
    /// Counts what it did.
    pub measure: Meter,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Things that were cleaned_up up.
    pub cleaned_up: u64,
    /// Identities that were deleted.
    pub forgotten: u64,
    /// Certificates that were deleted because nobody has them.
    pub orphans: u64,
    /// What could not be done; the next sweep tries again.
    pub failed: u64,
    /// Whether it got to the end in time.
    pub complete: bool,
}

/// Sweeps once.
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

/// What was done about a thing.
enum Done {
    Nothing,
    CleanedUp,
    Forgotten,
}

impl<R: Registry, S: Shadows> Round<'_, R, S> {
    /// Waits for its turn; says no when the time is over.
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
                    // The owner is speaking at this very moment, and that does it.
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

    /// One thing whose record is unfinished.
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
            // A suspension that ended well has given the thing free.
            if record.until == 0 && !expired {
                return Ok(Done::Nothing);
            }
            let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
            suspend::finish(registry, shadows, lease, thing, held).await?;
            return Ok(Done::CleanedUp);
        }
        let shadow = shadows.read(thing).await?.unwrap_or_default();
        if record.delivered.is_none() && shadow.delivered.is_some() && shadow.delivered == record.certificate {
            // The owner has it; only the note of that was lost.
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
            // A registration that nobody finished: its device never had an answer.
            let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
            held.meanwhile(revoke(registry, &coming, thing)).await?;
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

    /// Whether none of the certificates opens anything: only then is an owner away for sure.
    async fn is_out_of_service(&self, record: &Record) -> Result<bool, RegistryError> {
        for certificate in record.certificates() {
            if self.means.registry.describe(certificate).await?.is_some_and(|described| !described.inactive) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Replaced certificates have had their time.
    async fn revoke_all(&mut self, overdue: &[CertificateId], thing: &ThingName, entry: Entry) -> Result<(), LifecycleError> {
        let (registry, lease) = (self.means.registry, &self.means.lease);
        let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
        for (number, certificate) in overdue.iter().enumerate() {
            if number > 0 {
                self.turn().await;
            }
            held.meanwhile(revoke(registry, certificate, thing)).await?;
        }
        // The shadow still says "look"; the next contact finds nothing to look for and takes that away.
        Ok(held.release(|record| record.let_go(overdue)).await?)
    }

    /// An onboarding that nobody finished: its certificate goes if it was never ACTIVE, because then it was
    /// never mailed. One that is ACTIVE may be in its owner's hands.
    async fn clear(&mut self, thing: &ThingName, certificate: CertificateId, entry: Entry) -> Result<Done, LifecycleError> {
        let (registry, lease) = (self.means.registry, &self.means.lease);
        let dead = registry.describe(&certificate).await?.is_none_or(|described| described.inactive);
        if !dead {
            return Ok(Done::Nothing);
        }
        let held = Held::take(registry, thing, lease, entry, |_| {}).await?;
        // Only now does nobody else change it.
        let dead = held.meanwhile(registry.describe(&certificate)).await?.is_none_or(|described| described.inactive);
        if dead {
            held.meanwhile(revoke(registry, &certificate, thing)).await?;
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

    /// Deletes a certificate that is ours and dead, and no other.
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
        // A device's own request need not name its thing. A certificate that anybody uses is attached to one.
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

/// The certificate of an onboarding whose lease has been over for an hour.
fn left_behind(record: &Record, now: u64) -> Option<&CertificateId> {
    let over = record.delivered.is_none() && record.until + AN_HOUR <= now;
    record.certificate.as_ref().filter(|_| over)
}

/// Somebody tried to become an owner and has not come back for a day: nothing of theirs ever worked.
fn is_empty(record: &Record, now: u64) -> bool {
    let nothing = record.certificates().next().is_none() && record.delivered.is_none();
    nothing && record.linked.max(record.until) + A_DAY <= now && within_a_day(&record.sent, now).is_empty()
}

fn is_suspect(registered: &Registered, now: u64) -> bool {
    registered.inactive && registered.made_at + AN_HOUR <= now
}
