//! The rest of an identity's life: out of service while the skill is disabled, told about when a mail
//! came back, forgotten on its owner's word, and swept up after.
//!
//! Everything here holds the thing first ([`crate::onboarding::lease`]) and can be repeated: whatever stops half way
//! stands in the record, and the next contact, the next delivery of the event or the next sweep goes on.

mod bounce;
mod forget;
mod in_use;
mod suspend;
mod sweep;
mod waiting;

use thiserror::Error;

pub use self::bounce::{Notice, note};
pub use self::forget::{Forgotten, forget};
pub use self::in_use::in_use;
pub use self::suspend::suspend;
pub use self::sweep::{Report, Sweep, sweep};
pub use self::waiting::{Attempted, Wanted, attempted, wanted};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::ThingName;
use crate::registry::RegistryError;
use crate::shadow::{ShadowError, Shadows};

/// Ends the connection of a device whose certificates are out of service. AWS does so by itself, within
/// minutes; this does it now.
async fn cut_off(shadows: &impl Shadows, thing: &ThingName) {
    if let Err(error) = shadows.disconnect(thing).await {
        tracing::info!(%thing, %error, "the device may stay connected for some minutes");
    }
}

/// Why it was not done.
#[derive(Debug, Error)]
pub enum LifecycleError {
    /// The registry failed at a step.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The shadow could not be changed.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl LifecycleError {
    /// Whether somebody else works on the thing, so that a moment later it can be done.
    pub fn is_busy(&self) -> bool {
        matches!(self, LifecycleError::Registry(RegistryError::Taken))
    }
}

impl ClassifiedError for LifecycleError {
    fn step(&self) -> Step {
        Step::Lifecycle
    }

    fn fault(&self) -> Fault {
        match self {
            LifecycleError::Registry(error) => error.fault(),
            LifecycleError::Shadow(error) => error.fault(),
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            LifecycleError::Registry(error) => error.cause(),
            LifecycleError::Shadow(error) => error.cause(),
        }
    }
}
