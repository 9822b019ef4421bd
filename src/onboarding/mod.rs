//! One owner, one thing, one live certificate: what a half-made thing still needs, and the loop that
//! does it.
//!
//! [`next`] is a pure decision over what an attempt knows; [`onboard`] does that step and asks again. It
//! makes new owners ready, and it finishes whatever the record of a known one says is unfinished: a
//! certificate that was asked for again, replaced ones that have had their time, a skill enabled anew.
//!
//! What keeps the promise, whatever dies when:
//! - A certificate is made INACTIVE and attached to nothing: one whose answer is lost opens nothing.
//! - Its id stands in the thing's record before anything is done with it, so the next attempt finds it in
//!   every state, also ACTIVE and not yet attached.
//! - The mail goes out only with a certificate that works, and only then the record says *delivered* and the
//!   shadow *onboarded*. A certificate that was delivered is never taken away for one that was not.
//! - A device that registers gets its certificate beside the one that works (`coming`), and only when the record says so
//!   does the new one take the other's place. Half a registration takes nothing away, and nobody is mailed for it.
//! - An attempt does nothing after its lease: another may have taken over.

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

/// Why an owner is not ready.
#[derive(Debug, Error)]
pub enum OnboardError {
    /// Another request of the same owner is at work.
    #[error("another request is onboarding this owner")]
    Busy,
    /// Too little time is left to begin.
    #[error("too little time is left to make a certificate")]
    NoTime,
    /// Before another mail goes out, the owner has to hear what became of the last one.
    #[error("the last mail came back: {0:?}")]
    Bounced(Bounce),
    /// The owner has been sent enough certificates today.
    #[error("the next certificate may be sent in {0} seconds")]
    TooOften(u64),
    /// The thing of this name belongs to somebody else, or is of another type.
    #[error("the thing belongs to somebody else")]
    NotTheirs,
    /// The owner has disabled the skill or wants to be forgotten: no device of theirs is let in.
    #[error("the owner's identity is out of service")]
    OutOfService,
    /// The registry failed at a step.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The mail did not go out.
    #[error("the mail was not sent")]
    Mail(#[from] MailError),
    /// The shadow could not be read or made.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl OnboardError {
    /// Whether the step that failed certainly had no effect, so that all before it can be undone.
    fn is_definite(&self) -> bool {
        match self {
            OnboardError::Busy | OnboardError::NoTime | OnboardError::NotTheirs | OnboardError::OutOfService => true,
            OnboardError::Registry(error) => error.is_definite(),
            OnboardError::Mail(error) => error.is_definite(),
            // Nothing was begun; or the mail is out, and what its owner holds is not pulled away.
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

/// The owner to be made ready, and what that takes.
pub struct OnboardingTarget<'a, D> {
    /// Who.
    pub owner: &'a OwnerId,
    /// Their thing.
    pub thing: &'a ThingName,
    /// Why they are here, and what their shadow says.
    pub request: OnboardingRequest,
    /// What a new owner said, to go along with the first state of the shadow.
    pub wanted: Option<&'a Patch>,
    /// The type that the thing must have, and with it the owner, where the name alone does not say whose it is.
    pub thing_type: Option<&'a str>,
    /// Asks for a certificate for a key of the device's own; else the key pair is made here.
    pub csr: Option<&'a CertificateRequest>,
    /// The certificate by which the device asks for its successor.
    pub predecessor: Option<&'a CertificateId>,
    /// What the device says about itself.
    pub said: &'a BTreeMap<String, String>,
    /// Brings them their certificate.
    pub delivery: D,
}

/// What an attempt may use.
pub struct Means<'a, R, S> {
    /// Things and certificates.
    pub registry: &'a R,
    /// Shadows.
    pub shadows: &'a S,
    /// How this attempt keeps others away.
    pub lease: Lease,
    /// When the answer must be ready.
    pub deadline: Instant,
    /// Counts and times what happens.
    pub measure: Meter,
    /// [`next`]; a test may put a mistake here, to see that it is found.
    pub decide: fn(&Known, u64) -> Step,
}

/// An owner who is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onboarded {
    /// Whether this attempt has sent them a certificate.
    pub mailed: bool,
    /// What became of an earlier mail, which they have not heard yet.
    pub bounce: Option<Bounce>,
}

/// Makes an owner ready, and finishes what their record says is unfinished.
pub async fn onboard<R, S, D>(means: &Means<'_, R, S>, who: &OnboardingTarget<'_, D>) -> Result<Onboarded, OnboardError>
where
    R: Registry,
    S: Shadows,
    D: Delivery,
{
    Attempt::new(means, who).run().await
}
