//! The registry of things and certificates, as onboarding needs it.

use thiserror::Error;

use crate::thing::{Certificate, CertificateId, OwnerId, ThingName};

/// The longest lease that may be configured. One that ends later was written by a clock that is off,
/// and does not count.
pub const LONGEST_LEASE: u64 = 900;

/// Things and certificates.
///
/// What is already so is a success for every call but [`Registry::claim`] and [`Registry::hold`]:
/// detaching, deactivating and deleting what is gone, attaching what is attached.
pub trait Registry: Send + Sync {
    /// Makes an INACTIVE certificate with its key pair. Never retried: a lost answer is a lost key.
    fn mint(&self) -> impl Future<Output = Result<Certificate, RegistryError>> + Send;
    /// Creates the thing; [`RegistryError::Taken`] when it exists with other attributes.
    fn claim(&self, thing: &ThingName, owner: &OwnerId, hold: &Hold) -> impl Future<Output = Result<(), RegistryError>> + Send;
    /// Reads the thing.
    fn look(&self, thing: &ThingName) -> impl Future<Output = Result<Option<Record>, RegistryError>> + Send;
    /// Changes the thing's record; [`RegistryError::Taken`] when its version is not `version` any more.
    fn hold(&self, thing: &ThingName, version: i64, hold: &Hold) -> impl Future<Output = Result<(), RegistryError>> + Send;
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
    /// Deletes an INACTIVE, unattached certificate; refused while a detachment is still spreading.
    fn delete(&self, certificate: &CertificateId) -> impl Future<Output = Result<(), RegistryError>> + Send;
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
    /// Refused for good; nothing was done.
    #[error("refused with {0}")]
    Refused(String),
    /// No answer that says whether it was done.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl RegistryError {
    /// Whether the call certainly had no effect.
    pub(super) fn is_definite(&self) -> bool {
        !matches!(self, RegistryError::Unclear(_))
    }
}

/// What an attempt writes into the thing's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The attempt's nonce.
    pub run: String,
    /// Until when others keep away, in seconds since the epoch; 0 gives the thing free.
    pub until: u64,
    /// The certificate that is meant to be the thing's own; `None` leaves what is written there.
    pub certificate: Option<CertificateId>,
    /// When certificates were sent; `None` leaves what is written there.
    pub sent: Option<Vec<u64>>,
}

/// A thing as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts the changes, from 1.
    pub version: i64,
    /// The nonce of the attempt that holds or held it.
    pub run: String,
    /// Until when it is held.
    pub until: u64,
    /// The certificate that was meant to be its own.
    pub certificate: Option<CertificateId>,
    /// When certificates were sent, in seconds since the epoch. The device cannot write here.
    pub sent: Vec<u64>,
}

/// For how long a certificate that was sent counts, in seconds.
pub const A_DAY: u64 = 86_400;

/// Of the times at which certificates were sent, those within the last day.
pub fn within_a_day(sent: &[u64], now: u64) -> Vec<u64> {
    let day = now.saturating_sub(A_DAY) + 1..=now;
    sent.iter().copied().filter(|sent| day.contains(sent)).collect()
}

impl Record {
    pub(super) fn is_held(&self, now: u64) -> bool {
        (now + 1..=now + LONGEST_LEASE).contains(&self.until)
    }
}
