//! Mails with a certificate that wait on this machine, because the mail server does not accept them yet.
//!
//! A waiting mail counts as delivered in the record from the moment it is stored. So the owner is ready, and no second
//! certificate is created. Therefore the mail queue must guarantee the following:
//! - The mail is sent only while the record names its certificate as the current one ([`wanted`]). So the last mail to an owner
//!   contains the valid certificate.
//! - A certificate that it replaces stays valid for a day after the mail was sent, not after the mail was written
//!   ([`Attempted::Later`]).
//! - If the mail can never be sent, its certificate counts as undelivered: the record says so, the replaced certificate stays
//!   valid, and the next request of the owner creates another certificate ([`Attempted::GivenUp`]). If the mail server did accept
//!   the mail but could not confirm it, the owner gets a wrong message and then a mail with a valid certificate.

use super::LifecycleError;
use crate::mail::Label;
use crate::onboarding::lease::{Held, Lease};
use crate::registry::{A_DAY, Bounce, Entry, Record, Registry, RegistryError};
use crate::shadow::{Patch, Shadows};

/// Whether a waiting mail should be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Send the mail now.
    Now,
    /// Keep the mail: the owner has disabled the skill, or another attempt holds the thing.
    NotNow,
    /// Drop the mail: the owner was deleted, or has or will get another certificate.
    Never,
}

/// The result of an attempt to send the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// The mail keeps waiting.
    Later,
    /// The mail was sent.
    Sent,
    /// The mail was given up.
    GivenUp(Bounce),
}

/// Whether the mail with this certificate should be sent. Until its first attempt has ended (`first`), the process that stored
/// the mail may not have written the delivery to the record yet. After that, the mail is sent only if the record or the shadow
/// says that the certificate was delivered, because the next contact revokes any other certificate.
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

/// The registry entry of the mail's thing, if its record names the mail's certificate as the current one.
async fn named<R: Registry>(registry: &R, label: &Label) -> Result<Option<Entry>, RegistryError> {
    let entry = registry.look(&label.thing).await?;
    Ok(entry.filter(|entry| entry.record.certificate.as_ref() == Some(&label.certificate) && !entry.record.forget))
}

/// Records the result of an attempt to send the mail. While another attempt holds the lease, nothing is recorded and the call
/// fails.
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
        // The certificate was deactivated within_lease. The next contact continues from there.
        return Ok(());
    }
    let in_vain = matches!(what, Attempted::GivenUp(_));
    // If an earlier call wrote only the record, the shadow must still be updated.
    if !in_vain && noted(&entry.record, what, now) == entry.record {
        return Ok(());
    }
    let held = Held::take(registry, &label.thing, lease, entry, |record| *record = noted(record, what, now)).await?;
    if in_vain {
        shadows.update(&label.thing, &Patch::undelivered(now)).await?;
    }
    Ok(held.release(|_| {}).await?)
}

/// The record with the result of an attempt at the time `now`.
fn noted(record: &Record, what: Attempted, now: u64) -> Record {
    let mut record = record.clone();
    // The time between two attempts is shorter than half a day, so the record is not written after each attempt.
    let is_short = record.replaced.last().is_some_and(|replaced| replaced.until < now + A_DAY / 2);
    match what {
        Attempted::GivenUp(how) => (record.delivered, record.bounce) = (None, Some(how)),
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
    fn a_replaced_certificate_is_valid_for_a_day_after_the_mail_was_sent() {
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
