//! The registry of things and certificates, and what it keeps about an owner.
//!
//! There is no database. A thing is the record of its owner: creating it and changing it at a known
//! version is the lock, and its attributes say who works on it until when, which certificate is its own,
//! and what is still to be done.

pub mod attributes;
pub(crate) mod revoke;
pub mod signing_request;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::certificate::{Certificate, IssuedCertificate};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use crate::registry::signing_request::CertificateRequest;

/// The longest lease that may be configured. One that ends later was written by a clock that is off,
/// and does not count.
pub const LONGEST_LEASE: u64 = 900;

/// Things and certificates.
///
/// Calls about a certificate come after one that names the account (creating, reading a thing or a list): before
/// that they have no clear answer. What is already so is a success for every call but [`Registry::claim`] and [`Registry::write`]:
/// detaching, deactivating and deleting what is gone, attaching what is attached.
pub trait Registry: Send + Sync {
    /// The same registry, for things of another kind.
    fn of_kind(&self, kind: Kind) -> Self
    where
        Self: Sized;
    /// Makes an INACTIVE certificate with its key pair, whose subject names the thing it is meant for.
    /// Never retried: a lost answer is a lost key.
    fn create_certificate(&self, thing: &ThingName) -> impl Future<Output = Result<Certificate, RegistryError>> + Send;
    /// Makes an INACTIVE certificate for the key in a device's own request. Never retried, either.
    fn certify(
        &self,
        thing: &ThingName,
        request: &CertificateRequest,
    ) -> impl Future<Output = Result<IssuedCertificate, RegistryError>> + Send;
    /// Creates the thing; [`RegistryError::Taken`] when it exists with another record.
    fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Reads the thing.
    fn look(&self, thing: &ThingName) -> impl Future<Output = Result<Option<Entry>, RegistryError>> + Send;
    /// Replaces the thing's record; [`RegistryError::Taken`] when its version is not `version` any more. What the device has said
    /// is added to and never taken away.
    fn write(&self, thing: &ThingName, version: i64, record: &Record) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Deletes the thing; [`RegistryError::Taken`] as above, [`RegistryError::InUse`] while a certificate is.
    fn remove(&self, thing: &ThingName, version: i64) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// The certificates attached to the thing.
    fn attached(&self, thing: &ThingName) -> impl Future<Output = Result<Vec<CertificateId>, RegistryError>> + Send;
    /// Gives the certificate the device policy.
    fn attach_policy(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Ties the certificate to this thing and to no other.
    fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Makes the certificate ACTIVE.
    fn activate(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Makes the certificate INACTIVE.
    fn deactivate(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Takes the device policy away.
    fn detach_policy(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Unties the certificate from the thing.
    fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Deletes a certificate; [`RegistryError::InUse`] while it is ACTIVE or attached.
    fn delete(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// The things whose record names this Alexa user. A search: slow, and limited to few per second.
    fn things_of(&self, user: &AlexaUser) -> impl Future<Output = Result<Vec<ThingName>, RegistryError>> + Send;
    /// A page of the things whose record is unfinished ([`Record::is_unfinished`]).
    fn unfinished(&self, page: Option<&str>) -> impl Future<Output = Result<Listing<ThingName>, RegistryError>> + Send;
    /// A page of the account's certificates, newest first; also those of others.
    fn certificates(&self, page: Option<&str>) -> impl Future<Output = Result<Listing<Registered>, RegistryError>> + Send;
    /// What is known about one certificate; `None` when it is gone.
    fn describe(&self, certificate: &CertificateId) -> impl Future<Output = Result<Option<Described>, RegistryError>> + Send;
    /// Whether the certificate is attached to any thing.
    fn is_attached(&self, certificate: &CertificateId) -> impl Future<Output = Result<bool, RegistryError>> + Send;
}

/// What things of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Their thing type.
    pub thing_type: String,
    /// The policies of their certificates.
    pub policies: Vec<String>,
}

/// A page of a list, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// Asks for the next page; `None` at the end.
    pub next: Option<String>,
}

/// A certificate in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Which one.
    pub id: CertificateId,
    /// Whether it is INACTIVE; REVOKED and PENDING ones are nobody's to touch.
    pub inactive: bool,
    /// When it was made, in seconds since the epoch.
    pub made_at: u64,
}

/// A certificate, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whether it is ACTIVE: one that is neither this nor INACTIVE was taken out of service for good.
    pub active: bool,
    /// Whether it is INACTIVE.
    pub inactive: bool,
    /// Whether this skill or the agent of a device asked for it, by its subject: nobody else writes such subjects.
    pub ours: bool,
    /// The thing it was created for, where its subject says so. A device that asks for its first certificate may not know.
    pub made_for: Option<ThingName>,
}

/// Why the registry did not do it.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Somebody else was first.
    #[error("somebody else works on the thing")]
    Taken,
    /// The stack of the account lacks this thing type.
    #[error("the account has no thing type `{0}`")]
    ThingTypeMissing(String),
    /// The stack of the account lacks the device policy.
    #[error("the account has no IoT policy `{0}`")]
    PolicyMissing(String),
    /// Over a quota; nothing was done.
    #[error("throttled")]
    Throttled,
    /// It is ACTIVE or attached, or was until a moment ago, which takes seconds to spread; nothing was done.
    #[error("it is still in use")]
    InUse,
    /// Refused for good; nothing was done.
    #[error("refused with {0}")]
    Refused(String),
    /// No answer that says whether it was done.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl RegistryError {
    /// Whether the call certainly had no effect.
    pub fn is_definite(&self) -> bool {
        !matches!(self, RegistryError::Unclear(_))
    }
}

impl ClassifiedError for RegistryError {
    fn step(&self) -> Step {
        Step::Onboard
    }

    fn fault(&self) -> Fault {
        match self {
            RegistryError::ThingTypeMissing(_) | RegistryError::PolicyMissing(_) | RegistryError::Refused(_) => Fault::Maker,
            RegistryError::Taken | RegistryError::Throttled | RegistryError::InUse | RegistryError::Unclear(_) => Fault::Again,
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            RegistryError::Taken => "thing_taken",
            RegistryError::ThingTypeMissing(_) => "thing_type_missing",
            RegistryError::PolicyMissing(_) => "policy_missing",
            RegistryError::Throttled => "registry_throttled",
            RegistryError::InUse => "registry_in_use",
            RegistryError::Refused(_) => "registry_refused",
            RegistryError::Unclear(_) => "registry_unclear",
        }
    }
}

/// A thing as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts the changes, from 1.
    pub version: i64,
    /// Whose thing it is, which never changes; `None` where that is not written, or not legibly.
    pub owner: Option<OwnerId>,
    /// Its thing type.
    pub thing_type: Option<String>,
    /// What is known about its owner.
    pub record: Record,
}

impl Entry {
    /// The thing as it is when this record has been written over it.
    pub fn after(&self, record: Record) -> Self {
        Self { version: self.version + 1, record, ..self.clone() }
    }
}

/// What a thing's attributes say. The device cannot write here. All times are seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The nonce of whoever holds or held the thing.
    pub run: String,
    /// Until when it is held; 0 is free.
    pub until: u64,
    /// The certificate that is, or is to become, the thing's own. It stands here before anything is done
    /// with it, so that whoever comes next finds it in every state.
    pub certificate: Option<CertificateId>,
    /// When the mail with that certificate was accepted, or a device registered with it; `None` until then.
    pub delivered: Option<u64>,
    /// The certificate that a device is being given which registers itself. It becomes the thing's own when all is done; until
    /// then `certificate` goes on as it was.
    pub coming: Option<CertificateId>,
    /// When certificates were sent, within the last day or so.
    pub sent: Vec<u64>,
    /// Delivered certificates that `certificate` has taken the place of and that go on working for a while.
    pub replaced: Vec<Replaced>,
    /// The one of those by which the device itself asked for `certificate`, whose answer may have been lost. It may ask once
    /// more; the others may not, or whoever has found an old one would outlive every new one.
    pub predecessor: Option<CertificateId>,
    /// The owner has asked for another certificate.
    pub again: bool,
    /// Since when the owner has the skill disabled.
    pub suspended: Option<u64>,
    /// The last mail came back, and the owner has not been told yet.
    pub bounce: Option<Bounce>,
    /// The owner has asked to be forgotten.
    pub forget: bool,
    /// Who disables the skill, when that is all that is known about them.
    pub alexa_user: Option<AlexaUser>,
    /// When the account was last known to be linked.
    pub linked: u64,
    /// What the device said about itself when it registered, as further attributes.
    pub said: BTreeMap<String, String>,
}

/// A certificate that another one has taken the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Which.
    pub certificate: CertificateId,
    /// Until when it works at most.
    pub until: u64,
}

/// What became of a mail after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounce {
    /// It could not be delivered.
    Bounced,
    /// Its recipient called it spam.
    Complained,
    /// It waited on this machine until there was no use in trying on, and was sent to nobody.
    Unsent,
}

impl Record {
    /// Whether somebody works on the thing.
    pub fn is_held(&self, now: u64) -> bool {
        (now + 1..=now + LONGEST_LEASE).contains(&self.until)
    }

    /// Whether there is no certificate that its owner was sent and still wants.
    pub fn needs_certificate(&self) -> bool {
        self.delivered.is_none() || self.again || self.forget
    }

    /// Whether a device of the owner can connect, with the newest certificate or one that it replaces.
    pub fn serves(&self) -> bool {
        (self.delivered.is_some() || !self.replaced.is_empty()) && self.suspended.is_none() && !self.forget
    }

    /// The replaced certificates that have had their time: the new one is in use, or their day is over.
    pub fn overdue(&self, in_use: Option<&CertificateId>, now: u64) -> impl Iterator<Item = &CertificateId> {
        let settled = !self.needs_certificate();
        let connected = in_use.is_some() && in_use == self.certificate.as_ref();
        let overdue = move |replaced: &&Replaced| settled && (connected || now >= replaced.until);
        self.replaced.iter().filter(overdue).map(|replaced| &replaced.certificate)
    }

    /// Another certificate takes the place of the thing's own. The last one that somebody has goes on working for a day.
    pub fn replace(&mut self, by: Option<CertificateId>, now: u64) {
        let (old, until) = (std::mem::replace(&mut self.certificate, by), now + A_DAY);
        match (old.filter(|_| self.delivered.is_some()), self.replaced.last_mut()) {
            (Some(certificate), _) => self.replaced.push(Replaced { certificate, until }),
            (None, Some(last)) => last.until = until,
            (None, None) => {}
        }
    }

    /// Replaced certificates that are no more are not named any longer.
    pub fn let_go(&mut self, revoked: &[CertificateId]) {
        self.replaced.retain(|replaced| !revoked.contains(&replaced.certificate));
    }

    /// Whether a device may ask for another certificate by this one.
    pub fn may_renew(&self, certificate: &CertificateId) -> bool {
        [&self.certificate, &self.predecessor].into_iter().flatten().any(|may| may == certificate)
    }

    /// Whether there is something for a later contact or the sweep to do.
    pub fn is_unfinished(&self) -> bool {
        self.needs_certificate() || !self.replaced.is_empty() || self.suspended.is_some() || self.coming.is_some()
    }

    /// Whether the next contact has to read this record before it goes on.
    pub fn wants_a_look(&self) -> bool {
        self.is_unfinished() || self.bounce.is_some()
    }

    /// The certificates that it names.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateId> {
        let replaced = self.replaced.iter().map(|replaced| &replaced.certificate);
        self.certificate.iter().chain(&self.coming).chain(replaced)
    }
}

/// For how long a certificate that was sent counts, and one that was replaced goes on, in seconds.
pub const A_DAY: u64 = 86_400;

/// Of the times at which certificates were sent, those within the last day.
pub fn within_a_day(sent: &[u64], now: u64) -> Vec<u64> {
    let day = now.saturating_sub(A_DAY) + 1..=now;
    sent.iter().copied().filter(|sent| day.contains(sent)).collect()
}
