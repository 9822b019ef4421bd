//! What a half-made thing still needs: a pure decision over what an attempt knows.

use crate::identifiers::{AlexaUser, CertificateId};
use crate::registry::{A_DAY, Bounce, Entry, Record, within_a_day};
use crate::shadow::Shadow;

/// So many mails with a certificate an owner may ask for in a day.
const MAILS_A_DAY: usize = 3;
/// So many replaced certificates are kept working at most; they have to fit into one attribute, too.
const MOST_REPLACED: usize = 8;

/// What brings the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// They linked their account: Alexa tells, and nobody listens to the answer.
    Linked,
    /// They spoke.
    Speech,
    /// They asked for another certificate, and confirmed it.
    AsksForAnother,
    /// A device registers itself: it waits for the certificate, and nobody is mailed. It has no right to read a shadow.
    Registers,
}

/// An owner, and what can be known about them before the registry is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct OnboardingRequest {
    /// When they spoke or linked, in seconds since the epoch.
    pub at: u64,
    /// What brings them.
    pub trigger: Trigger,
    /// Who they are to Alexa.
    pub alexa_user: Option<AlexaUser>,
    /// Their shadow, where there is one.
    pub shadow: Option<Shadow>,
}

impl OnboardingRequest {
    pub(super) fn asks(&self) -> bool {
        self.trigger == Trigger::AsksForAnother
    }

    pub(super) fn registers(&self) -> bool {
        self.trigger == Trigger::Registers
    }

    /// Whether a certificate is wanted, whatever the record says.
    fn wants_one(&self) -> bool {
        self.asks() || self.registers()
    }

    /// Whether this request is for a certificate.
    fn is_for_one(&self, record: &Record) -> bool {
        self.registers() || record.needs_certificate()
    }

    fn hears(&self) -> bool {
        self.trigger != Trigger::Linked
    }

    /// What became of the last mail, where that has to be said before another one goes out.
    fn untold(&self, record: &Record) -> Option<Bounce> {
        record.bounce.filter(|_| !record.forget && !self.registers())
    }

    fn seems_ready(&self) -> bool {
        self.shadow.as_ref().is_some_and(Shadow::is_ready)
    }

    /// Whether the shadow bears the mark of an owner who has been onboarded.
    pub(super) fn is_onboarded(&self) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.onboarded)
    }

    fn in_use(&self) -> Option<&CertificateId> {
        self.shadow.as_ref()?.in_use.as_ref()
    }

    /// The record with what the shadow knows better: a certificate that its mark names was delivered, and
    /// only the note of it was lost.
    pub(super) fn complete(&self, mut record: Record) -> Record {
        let mark = self.shadow.as_ref().and_then(|shadow| shadow.delivered.as_ref());
        if record.delivered.is_none() && !record.forget && mark.is_some() && mark == record.certificate.as_ref() {
            record.delivered = Some(self.at);
        }
        record
    }

    /// An event from before the owner disabled the skill tells nothing about now. Speech does.
    fn is_outdated(&self, record: &Record) -> bool {
        !self.hears() && record.suspended.is_some_and(|since| self.at <= since)
    }

    /// Whether the shadow's mark says what the record says.
    fn is_marked(&self, record: &Record) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.onboarded && shadow.look == record.wants_a_look())
    }

    /// Whether there is anything to be done for which the thing must be held.
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

    /// In how many seconds the owner may have another certificate, where that is not now. What was begun is
    /// finished all the same.
    fn has_to_wait(&self, record: &Record, now: u64) -> Option<u64> {
        let today = within_a_day(&record.sent, now);
        let first = today.iter().min()?;
        (self.asks() && !record.needs_certificate() && today.len() >= MAILS_A_DAY).then(|| first + A_DAY - now)
    }
}

/// Who the thing belongs to at the moment, as far as this attempt knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing is known: most likely there is no thing.
    Unknown,
    /// There is a thing, or an answer was lost: its record must be read.
    Unread,
    /// Another attempt wrote this.
    Theirs(Entry),
    /// This attempt holds it.
    Ours(Entry),
}

/// What an attempt knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Whom it is for, and why.
    pub request: OnboardingRequest,
    /// Whose thing it is.
    pub place: Place,
    /// This attempt's certificate.
    pub created: Option<CertificateId>,
    /// Certificates that others left half made; `None` when nobody has looked yet.
    pub leftovers: Option<Vec<CertificateId>>,
    /// Certificates that this attempt took out of service.
    pub revoked: Vec<CertificateId>,
    /// The certificates of an owner who is back are ACTIVE again.
    pub resumed: bool,
    /// The new certificate has policy and thing and is ACTIVE.
    pub attached: bool,
    /// The mail was accepted.
    pub mailed: bool,
    /// The shadow says that the owner is ready.
    pub ready: bool,
    /// The record says so too.
    pub completed: bool,
}

impl Known {
    /// What is known at first: without a shadow there is most likely no thing either.
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

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make an INACTIVE certificate.
    CreateCertificate,
    /// Create the thing, which names this attempt and its certificate.
    Claim,
    /// Read the thing.
    Look,
    /// Another attempt holds the thing: see whether it has finished.
    Wait,
    /// Delete this attempt's certificate, which is of no use now.
    Discard,
    /// Hold the thing: there is something to do, and nobody else does it.
    TakeOver,
    /// Say in the shadow that something may be half made: the next contact has to look.
    Warn,
    /// Make the certificates of an owner who is back ACTIVE again.
    Resume,
    /// List the certificates attached to the thing.
    Survey,
    /// Take a certificate out of service and delete it.
    Revoke(CertificateId),
    /// Name this attempt's certificate in the record.
    Record,
    /// Policy, thing and ACTIVE, side by side.
    AttachAndActivate,
    /// Send the bundle.
    Mail,
    /// Say in record and shadow, side by side, that all is done; the thing is free.
    Complete,
    /// Before any other mail the owner has to hear that the last one came back.
    Tell(Bounce),
    /// The owner has had enough mails for a day; the next one in so many seconds.
    Refuse(u64),
    /// No device is let in while the owner has the skill disabled, or wants to be forgotten.
    Close,
    /// Nothing is left to do.
    Done,
}

impl Step {
    /// For logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Step::CreateCertificate => "create_certificate",
            Step::Claim => "claim",
            Step::Look => "look",
            Step::Wait => "wait",
            Step::Discard => "discard",
            Step::TakeOver => "take_over",
            Step::Warn => "warn",
            Step::Resume => "resume",
            Step::Survey => "survey",
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

/// What to do next. The certificate is created before the thing is claimed, because then one write both
/// takes the lock and names the certificate.
pub fn next(known: &Known, now: u64) -> Step {
    match &known.place {
        Place::Unknown if known.created.is_none() => Step::CreateCertificate,
        Place::Unknown => Step::Claim,
        Place::Unread => Step::Look,
        Place::Theirs(entry) => outside(known, &entry.record, now),
        Place::Ours(entry) => inside(known, &entry.record, now),
    }
}

/// The thing is not held by this attempt.
fn outside(known: &Known, record: &Record, now: u64) -> Step {
    let request = &known.request;
    let held = record.is_held(now);
    let idle = !request.has_business(record, now) || request.is_outdated(record);
    // Whoever holds the thing of an owner who can do without will see to it.
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

/// The thing is held by this attempt.
fn inside(known: &Known, record: &Record, now: u64) -> Step {
    let overdue = record.overdue(known.request.in_use(), now).find(|id| !known.revoked.contains(id));
    if known.mailed || !known.request.is_for_one(record) {
        // A registration that nobody finished: its device never had an answer.
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
        _ if known.request.seems_ready() => Step::Warn,
        _ if record.suspended.is_some() && !known.resumed && !record.forget => Step::Resume,
        (None, _) => Step::Survey,
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
