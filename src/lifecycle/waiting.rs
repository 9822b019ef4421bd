//! A mail with a certificate waits on this machine, because the mail server does not take it yet.
//!
//! For the record it counts as delivered from the moment that it is kept: who is ready is ready, and no second certificate is made
//! beside the one that waits. So whoever keeps mail sees to what that promises:
//! - it is sent only while the record still names its certificate as the thing's own ([`wanted`]); so the last mail of an owner is
//!   the one whose certificate counts;
//! - a certificate that it replaces works for a day after it was sent, not after it was written ([`Attempted::Later`]);
//! - where it can never be sent, its certificate was given to nobody: the record says so, what it replaced goes on, and the
//!   next word of the owner makes another one ([`Attempted::InVain`]). Where the mail server has taken it after all and could not say so,
//!   the owner is told wrongly, and is mailed a certificate that works.

use super::LifecycleError;
use crate::mail::Label;
use crate::onboarding::lease::{Held, Lease};
use crate::registry::{A_DAY, Bounce, Entry, Record, Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// Whether a mail that waits should be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Now.
    Now,
    /// Not while its owner has the skill disabled, or somebody works on the thing.
    NotNow,
    /// Never: its owner was forgotten, or has another certificate by now, or is to have one.
    Never,
}

/// What an attempt to send it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// It waits on.
    Later,
    /// It was sent.
    Sent,
    /// It is given up.
    InVain(Bounce),
}

/// Whether the mail with this certificate should be sent. Until its first attempt is over (`first`), whoever has handed it over is about
/// to say in the record that it was delivered; afterwards only a certificate counts of which record or shadow says so, for any other is
/// taken out of service by the next contact.
pub async fn wanted<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    label: &Label,
    first: bool,
    now: u64,
) -> Result<Wanted, LifecycleError> {
    let Some(entry) = named(registry, label).await? else { return Ok(Wanted::Never) };
    let marked = async || {
        Ok::<_, LifecycleError>(shadows.read(&label.thing).await?.is_some_and(|it| it.delivered.as_ref() == Some(&label.certificate)))
    };
    let counts = first || entry.record.delivered.is_some() || marked().await?;
    Ok(match is_active(registry, label).await? {
        _ if !counts && !entry.record.is_held(now) => Wanted::Never,
        true if counts && entry.record.suspended.is_none() => Wanted::Now,
        _ => Wanted::NotNow,
    })
}

async fn is_active<R: Registry>(registry: &R, label: &Label) -> Result<bool, RegistryError> {
    Ok(registry.describe(&label.certificate).await?.is_some_and(|certificate| certificate.active))
}

/// The thing of a mail, where its record names the mail's certificate as its own.
async fn named<R: Registry>(registry: &R, label: &Label) -> Result<Option<Entry>, RegistryError> {
    let entry = registry.look(&label.thing).await?;
    Ok(entry.filter(|entry| entry.record.certificate.as_ref() == Some(&label.certificate) && !entry.record.forget))
}

/// Notes on the thing what an attempt to send its mail came to. `lease` keeps others away meanwhile; while another does so, nothing is
/// noted.
pub async fn attempted<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    label: &Label,
    what: Attempted,
) -> Result<(), LifecycleError> {
    let now = (lease.now)();
    let Some(entry) = named(registry, label).await? else { return Ok(()) };
    if entry.record.delivered.is_none() && !is_active(registry, label).await? {
        // Somebody has taken it out of service meanwhile, and the next contact goes on from there.
        return Ok(());
    }
    let in_vain = matches!(what, Attempted::InVain(_));
    // Where only the record was written, the shadow is still to be told.
    if !in_vain && noted(&entry.record, what, now) == entry.record {
        return Ok(());
    }
    let held = Held::take(registry, &label.thing, lease, entry, |record| *record = noted(record, what, now)).await?;
    if in_vain {
        shadows.update(&label.thing, &Patch::undelivered(now)).await?;
    }
    Ok(held.release(|_| {}).await?)
}

/// The record after an attempt.
fn noted(record: &Record, what: Attempted, now: u64) -> Record {
    let mut record = record.clone();
    // Half a day is more than there is between two attempts, so a record is not written at each.
    let is_short = record.replaced.last().is_some_and(|replaced| replaced.until < now + A_DAY / 2);
    match what {
        Attempted::InVain(how) => (record.delivered, record.bounce) = (None, Some(how)),
        Attempted::Later if is_short => {}
        Attempted::Later => return record,
        Attempted::Sent => {
            record.delivered = Some(now);
            record.sent.pop();
            record.sent.push(now);
            record.bounce.take_if(|how| *how == Bounce::Unsent);
        }
    }
    if let Some(replaced) = record.replaced.last_mut() {
        replaced.until = now + A_DAY;
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::CertificateId;
    use crate::registry::Replaced;

    const NOW: u64 = 1_795_305_600;

    fn record(until: u64) -> Record {
        let replaced = vec![Replaced { certificate: CertificateId::of(b"old"), until }];
        let certificate = Some(CertificateId::of(b"new"));
        Record { certificate, delivered: Some(NOW - 9), sent: vec![NOW - 99, NOW - 9], replaced, ..Record::default() }
    }

    #[test]
    fn a_replaced_certificate_works_for_a_day_after_the_mail_was_sent() {
        let soon = record(NOW + A_DAY - 9);
        assert_eq!(noted(&soon, Attempted::Later, NOW), soon, "nothing to write yet");
        let late = record(NOW + 9);
        assert_eq!(noted(&late, Attempted::Later, NOW).replaced[0].until, NOW + A_DAY);
        let sent = noted(&soon, Attempted::Sent, NOW);
        assert_eq!((sent.delivered, sent.sent, sent.replaced[0].until), (Some(NOW), vec![NOW - 99, NOW], NOW + A_DAY));
        let first = Record { replaced: Vec::new(), ..late };
        assert_eq!(noted(&first, Attempted::Later, NOW), first);
    }
}
