//! A mail with a certificate waits on this machine, because the mail server does not take it yet.
//!
//! For the record it counts as delivered from the moment that it is kept: who is ready is ready, and no second certificate is made
//! beside the one that waits. So whoever keeps mail sees to what that promises:
//! - it is sent only while the record still names its certificate as the thing's own ([`wanted`]); so the last mail of an owner is
//!   the one whose certificate counts;
//! - a certificate that it replaces works for a day after it was sent, not after it was written ([`Attempted::Later`]);
//! - where it can never be sent, its certificate was given to nobody: the record says so, what it replaced goes on, and the
//!   next word of the owner makes another one ([`Attempted::InVain`]).

use super::CareError;
use crate::deliver::Label;
use crate::lease::{Held, Lease};
use crate::registry::{A_DAY, Entry, Record, Registry, RegistryError, Returned};
use crate::relay::{Patch, Shadows};

/// How often a note is tried that somebody else's write gets ahead of.
const TRIES: usize = 5;

/// Whether a mail that waits should be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Now.
    Now,
    /// Not while its owner has the skill disabled.
    NotNow,
    /// Never: its owner was forgotten, or has another certificate by now.
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
    InVain(Returned),
}

/// Whether the mail with this certificate should be sent.
pub async fn wanted<R: Registry>(registry: &R, label: &Label) -> Result<Wanted, RegistryError> {
    Ok(match named(registry, label).await? {
        None => Wanted::Never,
        Some(entry) if entry.record.paused.is_some() => Wanted::NotNow,
        Some(_) => Wanted::Now,
    })
}

/// The thing of a mail, where its record names the mail's certificate as its own.
async fn named<R: Registry>(registry: &R, label: &Label) -> Result<Option<Entry>, RegistryError> {
    let entry = registry.look(&label.thing).await?;
    Ok(entry.filter(|entry| entry.record.certificate.as_ref() == Some(&label.certificate) && !entry.record.forget))
}

/// Notes on the thing what an attempt to send its mail came to. `lease` keeps others away meanwhile.
pub async fn attempted<R: Registry, S: Shadows>(
    registry: &R,
    shadows: &S,
    lease: &Lease,
    label: &Label,
    what: Attempted,
) -> Result<(), CareError> {
    let now = (lease.now)();
    for _ in 0..TRIES {
        let Some(entry) = named(registry, label).await? else { return Ok(()) };
        if let Attempted::InVain(how) = what {
            let give_up = |record: &mut Record| (record.delivered, record.returned) = (None, Some(how));
            let held = Held::take(registry, &label.thing, lease, entry, give_up).await?;
            shadows.update(&label.thing, &Patch::undelivered(now)).await?;
            return Ok(held.release(|_| {}).await?);
        }
        let record = noted(&entry.record, what, now);
        if record == entry.record {
            return Ok(());
        }
        match registry.write(&label.thing, entry.version, &record).await {
            Ok(()) => return Ok(()),
            Err(RegistryError::Taken | RegistryError::Unclear(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RegistryError::Taken.into())
}

/// The record after an attempt that ended well, or will be followed by others.
fn noted(record: &Record, what: Attempted, now: u64) -> Record {
    let mut record = record.clone();
    if what == Attempted::Sent {
        record.delivered = record.delivered.map(|_| now);
        record.sent.pop();
        record.sent.push(now);
    }
    // Half a day is more than there is between two attempts, so a record is not written at each.
    let short = what == Attempted::Sent || record.replaced.last().is_some_and(|replaced| replaced.until < now + A_DAY / 2);
    if let Some(replaced) = record.replaced.last_mut().filter(|_| short) {
        replaced.until = now + A_DAY;
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Replaced;
    use crate::thing::CertificateId;

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
