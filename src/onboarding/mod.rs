//! Onboarding: one owner, one thing, one valid certificate.
//!
//! [`next`] decides on the next step from what an attempt knows, without side effects. [`onboard`] executes the step and calls
//! [`next`] again. It onboards new owners. For known owners it completes whatever their record marks as unfinished: a requested
//! certificate, replaced certificates whose time is over, a skill that was enabled again.
//!
//! Invariants, whatever fails and whenever:
//! - A certificate is created INACTIVE, without policy and thing. If the response is lost, the certificate is useless.
//! - Its id is written to the record of the thing before the certificate is used. So the next attempt finds the certificate in
//!   any state, even ACTIVE but not attached.
//! - The mail is sent only with a certificate that works. Only then the record says *delivered* and the shadow says *onboarded*.
//!   A delivered certificate is never revoked in favour of an undelivered one.
//! - A device that registers gets its certificate in addition to the valid one (`coming`). The new certificate replaces the valid
//!   one only when the record says so. An incomplete registration revokes nothing, and a registration sends no mail.
//! - An attempt does nothing after its lease has expired, because another attempt may hold the thing.

mod attempt;
mod decision;
pub mod lease;

use std::collections::BTreeMap;

use thiserror::Error;
use tokio::time::Instant;

use self::attempt::Attempt;
pub use self::decision::{Known, OnboardingRequest, Place, Step, Trigger, next};
use crate::fault::{ClassifiedError, Fault, Step as StoryStep};
use crate::identifiers::{CertificateId, OwnerId, ThingName};
use crate::mail::{Delivery, MailError};
use crate::metrics::Meter;
use crate::onboarding::lease::Lease;
use crate::registry::signing_request::CertificateRequest;
use crate::registry::{Bounce, Registry, RegistryError};
use crate::shadow::{Patch, ShadowError, Shadows};

/// Why an owner could not be onboarded.
#[derive(Debug, Error)]
pub enum OnboardError {
    /// Another request of the same owner holds the thing.
    #[error("another request is onboarding this owner")]
    Busy,
    /// The time left until the deadline is too short to start.
    #[error("too little time is left to make a certificate")]
    NoTime,
    /// The last mail bounced. The owner must be told before another mail is sent.
    #[error("the last mail came back: {0:?}")]
    Bounced(Bounce),
    /// The limit of certificates for one day is reached. The value is the number of seconds until the next one is allowed.
    #[error("the next certificate may be sent in {0} seconds")]
    TooOften(u64),
    /// The thing with this name belongs to another owner or has another thing type.
    #[error("the thing belongs to somebody else")]
    NotTheirs,
    /// The owner has disabled the skill or asked for deletion. No device of this owner can register.
    #[error("the owner's identity is out of service")]
    OutOfService,
    /// A registry call failed.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The mail was not sent.
    #[error("the mail was not sent")]
    Mail(#[from] MailError),
    /// The shadow is unavailable or could not be updated.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl OnboardError {
    /// Whether the failed step certainly had no effect, so that the steps before it can be undone.
    fn is_definite(&self) -> bool {
        match self {
            OnboardError::Busy | OnboardError::NoTime | OnboardError::NotTheirs | OnboardError::OutOfService => true,
            OnboardError::Registry(error) => error.is_definite(),
            OnboardError::Mail(error) => error.is_definite(),
            // Either no step was started, or the mail is already sent. The certificate of the owner must not be revoked in that
            // case.
            OnboardError::Bounced(_) | OnboardError::TooOften(_) | OnboardError::Shadow(_) => false,
        }
    }
}

impl ClassifiedError for OnboardError {
    fn step(&self) -> StoryStep {
        match self {
            OnboardError::Mail(_) | OnboardError::Bounced(_) | OnboardError::TooOften(_) => StoryStep::Deliver,
            _ => StoryStep::Onboard,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            OnboardError::Busy | OnboardError::NoTime => Fault::Again,
            OnboardError::Bounced(_) | OnboardError::TooOften(_) => Fault::Speaker,
            OnboardError::NotTheirs | OnboardError::OutOfService => Fault::Speaker,
            OnboardError::Mail(error) => error.fault(),
            OnboardError::Shadow(error) => error.fault(),
            OnboardError::Registry(error) => error.fault(),
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            OnboardError::Busy => "busy",
            OnboardError::NoTime => "no_time",
            OnboardError::NotTheirs => "not_theirs",
            OnboardError::OutOfService => "out_of_service",
            OnboardError::Bounced(_) => "mail_returned",
            OnboardError::TooOften(_) => "mail_too_often",
            OnboardError::Mail(error) => error.cause(),
            OnboardError::Shadow(error) => error.cause(),
            OnboardError::Registry(error) => error.cause(),
        }
    }
}

/// The owner to onboard, the thing and the options of this attempt.
pub struct OnboardingTarget<'a, D> {
    /// The user id of the owner, or the id that stands for a device.
    pub owner: &'a OwnerId,
    /// The thing of the owner.
    pub thing: &'a ThingName,
    /// The trigger, and the shadow as read before.
    pub request: OnboardingRequest,
    /// The command or settings of a new owner's first utterance, to be written with the first state of the shadow.
    pub wanted: Option<&'a Patch>,
    /// The thing type that an existing thing must have. `Some` if devices choose the thing name: the owner of the thing must
    /// match then, too.
    pub thing_type: Option<&'a str>,
    /// The certificate signing request of the device. `None`: the registry creates the key pair.
    pub csr: Option<&'a CertificateRequest>,
    /// The certificate that the device used to request a new one.
    pub predecessor: Option<&'a CertificateId>,
    /// Attributes that the device reports about itself.
    pub said: &'a BTreeMap<String, String>,
    /// Delivers the new certificate, by mail or in the response.
    pub delivery: D,
}

/// The dependencies and limits of an attempt.
pub struct Context<'a, R, S> {
    /// The registry of things and certificates.
    pub registry: &'a R,
    /// The shadow service.
    pub shadows: &'a S,
    /// The lease under which this attempt holds the thing.
    pub lease: Lease,
    /// The time by which the attempt must have ended.
    pub deadline: Instant,
    /// Receives counts and durations.
    pub measure: Meter,
    /// [`next`] in production. Tests substitute a faulty decision to verify that it is detected.
    pub decide: fn(&Known, u64) -> Step,
}

/// The result of a successful onboarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onboarded {
    /// Whether this attempt delivered a certificate.
    pub mailed: bool,
    /// The bounce of an earlier mail that the owner has not been told about yet.
    pub bounce: Option<Bounce>,
}

/// Onboards an owner, and completes whatever the record of a known owner marks as unfinished.
pub async fn onboard<R, S, D>(means: &Context<'_, R, S>, who: &OnboardingTarget<'_, D>) -> Result<Onboarded, OnboardError>
where
    R: Registry,
    S: Shadows,
    D: Delivery,
{
    Attempt::new(means, who).run().await
}
