//! The decision on the next step of an onboarding attempt, as a pure function of what the attempt knows.

use crate::identifiers::{AlexaUser, CertificateId};
use crate::registry::{A_DAY, Bounce, Entry, Record, within_a_day};
use crate::shadow::Shadow;

/// The number of certificates by mail that an owner may ask for in a day.
const MAILS_A_DAY: usize = 3;
/// The largest number of replaced certificates that stay valid. They must also fit into one thing attribute.
const MOST_REPLACED: usize = 8;

/// What caused the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The owner linked an account. Alexa sends an event, and there is no spoken response.
    Linked,
    /// The owner used the skill by voice.
    Speech,
    /// The owner asked for another certificate and confirmed it.
    AsksForAnother,
    /// A device registers at the registration endpoint. The certificate is in the response, and no mail is sent. The shadow is
    /// not read, because the endpoint has no permission for that.
    Registers,
}

/// The trigger of an attempt, with what is known before the registry is read.
#[derive(Clone, Debug, PartialEq)]
pub struct OnboardingRequest {
    /// The time of the utterance or the event, as Unix time in seconds.
    pub at: u64,
    /// The cause of the attempt.
    pub trigger: Trigger,
    /// The hashed Alexa user id.
    pub alexa_user: Option<AlexaUser>,
    /// The shadow of the thing, if it exists and was read.
    pub shadow: Option<Shadow>,
}

impl OnboardingRequest {
    pub(super) fn asks(&self) -> bool {
        self.trigger == Trigger::AsksForAnother
    }

    pub(super) fn registers(&self) -> bool {
        self.trigger == Trigger::Registers
    }

    /// Whether the request asks for a certificate, whatever the record says.
    fn wants_one(&self) -> bool {
        self.asks() || self.registers()
    }

    /// Whether this attempt has to create a certificate.
    fn is_for_one(&self, record: &Record) -> bool {
        self.registers() || record.needs_certificate()
    }

    fn hears(&self) -> bool {
        self.trigger != Trigger::Linked
    }

    /// The bounce of the last mail, if the owner must be told before another mail is sent.
    fn untold(&self, record: &Record) -> Option<Bounce> {
        record.bounce.filter(|_| !record.forget && !self.registers())
    }

    fn seems_ready(&self) -> bool {
        self.shadow.as_ref().is_some_and(Shadow::is_ready)
    }

    /// Whether the shadow has the mark of an onboarded owner.
    pub(super) fn is_onboarded(&self) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.onboarded)
    }

    fn in_use(&self) -> Option<&CertificateId> {
        self.shadow.as_ref()?.in_use.as_ref()
    }

    /// The record, corrected by the shadow: a certificate that the shadow marks as delivered was delivered, and only the write to
    /// the record was lost.
    pub(super) fn complete(&self, mut record: Record) -> Record {
        let mark = self.shadow.as_ref().and_then(|shadow| shadow.delivered.as_ref());
        if record.delivered.is_none() && !record.forget && mark.is_some() && mark == record.certificate.as_ref() {
            record.delivered = Some(self.at);
        }
        record
    }

    /// Whether an event was created before the owner disabled the skill. Such an event is ignored. Speech never is.
    fn is_outdated(&self, record: &Record) -> bool {
        !self.hears() && record.suspended.is_some_and(|since| self.at <= since)
    }

    /// Whether the mark in the shadow agrees with the record.
    fn is_marked(&self, record: &Record) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.onboarded && shadow.look == record.wants_a_look())
    }

    /// Whether there is work for which the lease is needed.
    fn has_business(&self, record: &Record, now: u64) -> bool {
        self.wants_one()
            || record.forget
            || record.coming.is_some()
            || record.needs_certificate()
            || record.suspended.is_some()
            || record.overdue(self.in_use(), now).next().is_some()
            || (self.hears() && record.bounce.is_some())
            || (self.alexa_user.is_some() && record.alexa_user != self.alexa_user)
            || (!self.hears() && record.linked < self.at)
            || !self.is_marked(record)
    }

    /// The number of seconds until the owner may have another certificate, unless that is now. Work that was started is completed
    /// in any case.
    fn has_to_wait(&self, record: &Record, now: u64) -> Option<u64> {
        let today = within_a_day(&record.sent, now);
        let first = today.iter().min()?;
        (self.asks() && !record.needs_certificate() && today.len() >= MAILS_A_DAY).then(|| first + A_DAY - now)
    }
}

/// The state of the thing, as far as this attempt knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not read. Most likely the thing does not exist.
    Unknown,
    /// The thing exists, or a response was lost. The record must be read.
    Unread,
    /// The thing as read. This attempt does not hold the lease.
    Theirs(Entry),
    /// This attempt holds the lease.
    Ours(Entry),
}

/// Everything that an attempt knows; the input of [`next`].
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The request of the attempt.
    pub request: OnboardingRequest,
    /// The state of the thing.
    pub place: Place,
    /// The certificate that this attempt created.
    pub created: Option<CertificateId>,
    /// Undelivered certificates of earlier attempts. `None` if they were not listed yet.
    pub leftovers: Option<Vec<CertificateId>>,
    /// Certificates that this attempt has revoked.
    pub revoked: Vec<CertificateId>,
    /// Whether the certificates of a returning owner were activated again.
    pub resumed: bool,
    /// Whether the new certificate has its policy and its thing and is ACTIVE.
    pub attached: bool,
    /// Whether the new certificate was delivered.
    pub mailed: bool,
    /// Whether the shadow says that the owner is ready.
    pub ready: bool,
    /// Whether the record says that the work is complete.
    pub completed: bool,
}

impl Known {
    /// The initial knowledge. Without a shadow the thing most likely does not exist.
    pub fn at_first(request: OnboardingRequest) -> Self {
        let place = if request.shadow.is_some() || request.registers() { Place::Unread } else { Place::Unknown };
        Self {
            request,
            place,
            created: None,
            leftovers: None,
            revoked: Vec::new(),
            resumed: false,
            attached: false,
            mailed: false,
            ready: false,
            completed: false,
        }
    }
}

/// The next step of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create an INACTIVE certificate.
    CreateCertificate,
    /// Create the thing. Its record names this attempt and its certificate.
    Claim,
    /// Read the thing and its record.
    Look,
    /// Wait for the attempt that holds the lease, then read the thing again.
    Wait,
    /// Delete this attempt's certificate, which is not needed any more.
    Discard,
    /// Take the lease: there is work, and no other attempt does it.
    TakeOver,
    /// Set `look` in the shadow, so that the next contact reads the record, because the work may remain incomplete.
    MarkUnfinished,
    /// Activate the certificates of a returning owner again.
    Resume,
    /// List the certificates that are attached to the thing.
    ListCertificates,
    /// Revoke and delete a certificate.
    Revoke(CertificateId),
    /// Write this attempt's certificate to the record.
    Record,
    /// Attach policy and thing to the certificate and activate it, concurrently.
    AttachAndActivate,
    /// Deliver the certificate.
    Mail,
    /// Write the completion to the record and the shadow.
    Complete,
    /// Fail, so that the owner is told about the bounce of the last mail before another mail is sent.
    Tell(Bounce),
    /// Fail: the limit of mails for a day is reached. The value is the number of seconds until the next one is allowed.
    Refuse(u64),
    /// Fail: a device cannot register while the owner has disabled the skill or asked for deletion.
    Close,
    /// No work is left.
    Done,
}

impl Step {
    /// The name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Step::CreateCertificate => "create_certificate",
            Step::Claim => "claim",
            Step::Look => "look",
            Step::Wait => "wait",
            Step::Discard => "discard",
            Step::TakeOver => "take_over",
            Step::MarkUnfinished => "warn",
            Step::Resume => "resume",
            Step::ListCertificates => "survey",
            Step::Revoke(_) => "revoke",
            Step::Record => "record",
            Step::AttachAndActivate => "attach_and_activate",
            Step::Mail => "mail",
            Step::Complete => "complete",
            Step::Tell(_) => "tell",
            Step::Refuse(_) => "refuse",
            Step::Close => "close",
            Step::Done => "done",
        }
    }
}

/// The next step. The certificate is created before the thing, so that one write both takes the lease and names the certificate.
pub fn next(known: &Known, now: u64) -> Step {
    match &known.place {
        Place::Unknown if known.created.is_none() => Step::CreateCertificate,
        Place::Unknown => Step::Claim,
        Place::Unread => Step::Look,
        Place::Theirs(entry) => outside(known, &entry.record, now),
        Place::Ours(entry) => inside(known, &entry.record, now),
    }
}

/// The next step while this attempt does not hold the lease.
fn outside(known: &Known, record: &Record, now: u64) -> Step {
    let request = &known.request;
    let held = record.is_held(now);
    let idle = !request.has_business(record, now) || request.is_outdated(record);
    // If the owner has a working certificate, the holder of the lease completes the work.
    let others_do_it = held && record.serves() && request.is_onboarded() && !request.wants_one();
    let closed = request.registers() && (record.forget || record.suspended.is_some());
    let useless = idle || held || closed || !(record.needs_certificate() || request.wants_one());
    match request.untold(record) {
        _ if known.created.is_some() && useless => Step::Discard,
        _ if closed => Step::Close,
        _ if idle || others_do_it => Step::Done,
        _ if held => Step::Wait,
        Some(how) if !request.hears() && record.needs_certificate() => Step::Tell(how),
        _ => request.has_to_wait(record, now).map_or(Step::TakeOver, Step::Refuse),
    }
}

/// The next step while this attempt holds the lease.
fn inside(known: &Known, record: &Record, now: u64) -> Step {
    let overdue = record.overdue(known.request.in_use(), now).find(|id| !known.revoked.contains(id));
    if known.mailed || !known.request.is_for_one(record) {
        // An incomplete registration: its device never got a response.
        let half_made = record.coming.as_ref().filter(|id| !known.request.registers() && !known.revoked.contains(id));
        return match overdue {
            _ if record.suspended.is_some() && !known.resumed => Step::Resume,
            _ if let Some(half_made) = half_made => Step::Revoke(half_made.clone()),
            Some(old) if !known.mailed => Step::Revoke(old.clone()),
            _ if !(known.ready && known.completed) => Step::Complete,
            _ => Step::Done,
        };
    }
    match (&known.leftovers, known.request.untold(record)) {
        (_, Some(how)) => Step::Tell(how),
        _ if known.request.seems_ready() => Step::MarkUnfinished,
        _ if record.suspended.is_some() && !known.resumed && !record.forget => Step::Resume,
        (None, _) => Step::ListCertificates,
        (Some(left), _) if !left.is_empty() => Step::Revoke(left[0].clone()),
        _ if known.created.is_none() => match overdue {
            Some(old) => Step::Revoke(old.clone()),
            None if known.revoked.is_empty() && record.replaced.len() >= MOST_REPLACED => {
                Step::Revoke(record.replaced[0].certificate.clone())
            }
            None => Step::CreateCertificate,
        },
        _ if (if known.request.registers() { &record.coming } else { &record.certificate }) != &known.created => Step::Record,
        _ if !known.attached => Step::AttachAndActivate,
        _ => Step::Mail,
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
