//! The registry of things and certificates, and the record of an owner that it stores.
//!
//! There is no database. The record of an owner is stored in the attributes of the owner's thing. The creation of the thing, or
//! its update at an expected version, takes the lease. The attributes contain the lease, the certificate of the thing, and the
//! work that is not finished.

pub mod attributes;
pub(crate) mod revoke;
pub mod signing_request;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::certificate::{Certificate, IssuedCertificate};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::{AlexaUser, CertificateId, OwnerId, ThingName};
use crate::registry::signing_request::CertificateRequest;

/// The longest lease that can be configured, in seconds. A lease in a record that ends later is ignored: the clock that wrote it
/// was wrong.
pub const LONGEST_LEASE: u64 = 900;

/// The operations on things and certificates.
///
/// A call about a certificate must follow a call whose response contains an ARN (creating or reading a thing, or reading a list).
/// Before that, the AWS implementation does not know its account and returns [`RegistryError::Unclear`]. All operations except
/// [`Registry::claim`] and [`Registry::write`] succeed if the requested state already exists: an object to detach, deactivate or
/// delete is gone, or an object to attach is attached.
pub trait Registry: Send + Sync {
    /// The same registry for things of another kind.
    fn of_kind(&self, kind: Kind) -> Self
    where
        Self: Sized;
    /// Creates a key pair and an INACTIVE certificate for it. The subject of the certificate names the thing. The call is never
    /// retried: if the response is lost, so is the key.
    fn create_certificate(&self, thing: &ThingName) -> impl Future<Output = Result<Certificate, RegistryError>> + Send;
    /// Creates an INACTIVE certificate for the key of a device's own certificate request. The call is never retried.
    fn certify(
        &self,
        thing: &ThingName,
        request: &CertificateRequest,
    ) -> impl Future<Output = Result<IssuedCertificate, RegistryError>> + Send;
    /// Creates the thing. Returns [`RegistryError::Taken`] if the thing exists with another record.
    fn claim(&self, thing: &ThingName, owner: &OwnerId, record: &Record) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Reads the thing. `None` if it does not exist.
    fn look(&self, thing: &ThingName) -> impl Future<Output = Result<Option<Entry>, RegistryError>> + Send;
    /// Replaces the record of the thing. Returns [`RegistryError::Taken`] if the version of the thing is no longer `version`.
    /// Attributes that the device has sent ([`Record::said`]) are added or replaced, but never removed.
    fn write(&self, thing: &ThingName, version: i64, record: &Record) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Deletes the thing. Returns [`RegistryError::Taken`] if its version is no longer `version`, and [`RegistryError::InUse`] if
    /// a certificate is attached to it.
    fn remove(&self, thing: &ThingName, version: i64) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// The certificates that are attached to the thing.
    fn attached(&self, thing: &ThingName) -> impl Future<Output = Result<Vec<CertificateId>, RegistryError>> + Send;
    /// Attaches the policies of the kind to the certificate.
    fn attach_policy(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Attaches the certificate to this thing exclusively.
    fn attach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Makes the certificate ACTIVE.
    fn activate(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Makes the certificate INACTIVE.
    fn deactivate(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Detaches the policies of the kind from the certificate.
    fn detach_policy(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Detaches the certificate from the thing.
    fn detach_thing(&self, certificate: &CertificateId, thing: &ThingName) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Deletes the certificate. Returns [`RegistryError::InUse`] while it is ACTIVE or attached.
    fn delete(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// The things whose record names this Alexa user. This is a search, which is slow and has a low rate limit.
    fn things_of(&self, user: &AlexaUser) -> impl Future<Output = Result<Vec<ThingName>, RegistryError>> + Send;
    /// One page of the things whose record is unfinished ([`Record::is_unfinished`]).
    fn unfinished(&self, page: Option<&str>) -> impl Future<Output = Result<Listing<ThingName>, RegistryError>> + Send;
    /// One page of the certificates of the account, newest first. The list includes certificates that this skill did not create.
    fn certificates(&self, page: Option<&str>) -> impl Future<Output = Result<Listing<Registered>, RegistryError>> + Send;
    /// The description of a certificate. `None` if it does not exist.
    fn describe(&self, certificate: &CertificateId) -> impl Future<Output = Result<Option<Described>, RegistryError>> + Send;
    /// Whether the certificate is attached to any thing.
    fn is_attached(&self, certificate: &CertificateId) -> impl Future<Output = Result<bool, RegistryError>> + Send;
}

/// The properties that all things of one kind share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The thing type.
    pub thing_type: String,
    /// The names of the IoT policies that are attached to each certificate.
    pub policies: Vec<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries of the page.
    pub items: Vec<T>,
    /// The token of the next page. `None` on the last page.
    pub next: Option<String>,
}

/// A certificate in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The id of the certificate.
    pub id: CertificateId,
    /// Whether the certificate is INACTIVE. A certificate that is REVOKED or PENDING must not be changed.
    pub inactive: bool,
    /// The creation time, as Unix time in seconds.
    pub made_at: u64,
}

/// The description of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whether the certificate is ACTIVE. A certificate that is neither ACTIVE nor INACTIVE is out of service permanently.
    pub active: bool,
    /// Whether the certificate is INACTIVE.
    pub inactive: bool,
    /// Whether this skill or the agent on a device requested the certificate, according to its subject. No other program writes
    /// such a subject.
    pub ours: bool,
    /// The thing that the certificate was created for, if the subject names one. A device that requests its first certificate may
    /// not know the name of its thing.
    pub made_for: Option<ThingName>,
}

/// Why an operation of the registry failed.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Another process has created or changed the thing first.
    #[error("somebody else works on the thing")]
    Taken,
    /// The account does not have this thing type.
    #[error("the account has no thing type `{0}`")]
    ThingTypeMissing(String),
    /// The account does not have this IoT policy.
    #[error("the account has no IoT policy `{0}`")]
    PolicyMissing(String),
    /// A quota is exceeded. The call had no effect.
    #[error("throttled")]
    Throttled,
    /// The certificate is ACTIVE or attached, or it was until recently: AWS needs some seconds to apply a change. The call had no
    /// effect.
    #[error("it is still in use")]
    InUse,
    /// The call was refused permanently and had no effect.
    #[error("refused with {0}")]
    Refused(String),
    /// There is no response, or no intelligible one. The call may have had an effect.
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

/// A thing in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version of the thing. It starts at 1, and every change increments it.
    pub version: i64,
    /// The owner of the thing, which never changes. `None` if the attribute is missing or invalid.
    pub owner: Option<OwnerId>,
    /// The thing type, if the thing has one.
    pub thing_type: Option<String>,
    /// The record of the owner.
    pub record: Record,
}

impl Entry {
    /// The thing after a successful write of this record.
    pub fn after(&self, record: Record) -> Self {
        Self { version: self.version + 1, record, ..self.clone() }
    }
}

/// The record of an owner, which the attributes of the thing contain. The device cannot write it. All times are Unix time in
/// seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The nonce of the process that holds or last held the lease.
    pub run: String,
    /// The expiry time of the lease. 0 if the lease was released.
    pub until: u64,
    /// The current certificate of the thing, or the one that is to become current. It is recorded before any operation on it, so
    /// that a later process can find it in every state.
    pub certificate: Option<CertificateId>,
    /// The time when the mail with `certificate` was accepted, or when a device registered with it. `None` until then.
    pub delivered: Option<u64>,
    /// The new certificate of a device that is registering itself. It becomes `certificate` when the registration is complete.
    /// Until then, `certificate` does not change.
    pub coming: Option<CertificateId>,
    /// The times when certificates were sent, within about the last day.
    pub sent: Vec<u64>,
    /// Delivered certificates that `certificate` has replaced and that stay valid for a limited time.
    pub replaced: Vec<Replaced>,
    /// The replaced certificate with which the device requested `certificate`. The response to that request may have been lost,
    /// so the device may use this certificate for another request. Other replaced certificates may not be used: otherwise a
    /// stolen old certificate could always be renewed.
    pub predecessor: Option<CertificateId>,
    /// Whether the owner has requested another certificate.
    pub again: bool,
    /// The time when the owner disabled the skill, if it is disabled.
    pub suspended: Option<u64>,
    /// What happened to the last mail, if it was not delivered and the owner has not been told yet.
    pub bounce: Option<Bounce>,
    /// Whether the owner has requested the deletion of all data.
    pub forget: bool,
    /// The Alexa user id of the owner. The event that the skill was disabled contains only this id.
    pub alexa_user: Option<AlexaUser>,
    /// The time of the last request or event that proves that the account is linked.
    pub linked: u64,
    /// The attributes that the device sent when it registered. They are stored as further attributes of the thing.
    pub said: BTreeMap<String, String>,
}

/// A certificate that another certificate has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The id of the replaced certificate.
    pub certificate: CertificateId,
    /// The latest time until which it is valid, as Unix time in seconds.
    pub until: u64,
}

/// What happened to a mail after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounce {
    /// The mail could not be delivered.
    Bounced,
    /// The recipient marked the mail as spam.
    Complained,
    /// The mail stayed in the queue on this machine until its retry period ended. It was never sent.
    Unsent,
}

impl Record {
    /// Whether a process holds the lease at `now`.
    pub fn is_held(&self, now: u64) -> bool {
        (now + 1..=now + LONGEST_LEASE).contains(&self.until)
    }

    /// Whether the owner needs another certificate: the current one was not delivered, the owner has requested another one, or
    /// the data of the owner are being deleted.
    pub fn needs_certificate(&self) -> bool {
        self.delivered.is_none() || self.again || self.forget
    }

    /// Whether a device of the owner can connect, either with the current certificate or with a replaced one.
    pub fn serves(&self) -> bool {
        (self.delivered.is_some() || !self.replaced.is_empty()) && self.suspended.is_none() && !self.forget
    }

    /// The replaced certificates that are to be revoked: the current certificate is in use, or their time is over.
    pub fn overdue(&self, in_use: Option<&CertificateId>, now: u64) -> impl Iterator<Item = &CertificateId> {
        let settled = !self.needs_certificate();
        let connected = in_use.is_some() && in_use == self.certificate.as_ref();
        let overdue = move |replaced: &&Replaced| settled && (connected || now >= replaced.until);
        self.replaced.iter().filter(overdue).map(|replaced| &replaced.certificate)
    }

    /// Replaces the current certificate. If it was delivered, it stays valid for one day. If it was not, the most recently
    /// replaced certificate stays valid for one day from `now`.
    pub fn replace(&mut self, by: Option<CertificateId>, now: u64) {
        let (old, until) = (std::mem::replace(&mut self.certificate, by), now + A_DAY);
        match (old.filter(|_| self.delivered.is_some()), self.replaced.last_mut()) {
            (Some(certificate), _) => self.replaced.push(Replaced { certificate, until }),
            (None, Some(last)) => last.until = until,
            (None, None) => {}
        }
    }

    /// Removes revoked certificates from the list of replaced ones.
    pub fn let_go(&mut self, revoked: &[CertificateId]) {
        self.replaced.retain(|replaced| !revoked.contains(&replaced.certificate));
    }

    /// Whether a device may request another certificate with this one.
    pub fn may_renew(&self, certificate: &CertificateId) -> bool {
        [&self.certificate, &self.predecessor].into_iter().flatten().any(|may| may == certificate)
    }

    /// Whether the next request of the owner or the sweep has work to do.
    pub fn is_unfinished(&self) -> bool {
        self.needs_certificate() || !self.replaced.is_empty() || self.suspended.is_some() || self.coming.is_some()
    }

    /// Whether the next request of the owner must read this record first.
    pub fn wants_a_look(&self) -> bool {
        self.is_unfinished() || self.bounce.is_some()
    }

    /// All certificates that the record names.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateId> {
        let replaced = self.replaced.iter().map(|replaced| &replaced.certificate);
        self.certificate.iter().chain(&self.coming).chain(replaced)
    }
}

/// The number of seconds in a day: how long a sent certificate counts for the limit, and how long a replaced certificate stays
/// valid.
pub const A_DAY: u64 = 86_400;

/// The times in `sent` that are within the last day before `now`.
pub fn within_a_day(sent: &[u64], now: u64) -> Vec<u64> {
    let day = now.saturating_sub(A_DAY) + 1..=now;
    sent.iter().copied().filter(|sent| day.contains(sent)).collect()
}
