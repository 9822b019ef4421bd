//! The rest of an identity's life: out of service while the skill is disabled, told about when a mail
//! came back, forgotten on its owner's word, and swept up after.
//!
//! Everything here holds the thing first ([`crate::onboarding::lease`]) and can be repeated: whatever stops half way
//! stands in the record, and the next contact, the next delivery of the event or the next sweep goes on.

mod forget;
mod in_use;
mod pause;
mod returned;
mod sweep;
mod waiting;

use thiserror::Error;

pub use self::forget::{Forgotten, forget};
pub use self::in_use::in_use;
pub use self::pause::pause;
pub use self::returned::{Notice, note};
pub use self::sweep::{Report, Sweep, sweep};
pub use self::waiting::{Attempted, Wanted, attempted, wanted};
use crate::fault::{Blame, Fault, Step};
use crate::registry::RegistryError;
use crate::shadow::{ShadowError, Shadows};
use crate::thing::ThingName;

/// Ends the connection of a device whose certificates are out of service. AWS does so by itself, within
/// minutes; this does it now.
async fn cut_off(shadows: &impl Shadows, thing: &ThingName) {
    if let Err(error) = shadows.disconnect(thing).await {
        tracing::info!(%thing, %error, "the device may stay connected for some minutes");
    }
}

/// Why it was not done.
#[derive(Debug, Error)]
pub enum CareError {
    /// The registry failed at a step.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The shadow could not be changed.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl CareError {
    /// Whether somebody else works on the thing, so that a moment later it can be done.
    pub fn is_busy(&self) -> bool {
        matches!(self, CareError::Registry(RegistryError::Taken))
    }
}

impl Blame for CareError {
    fn step(&self) -> Step {
        Step::Care
    }

    fn fault(&self) -> Fault {
        match self {
            CareError::Registry(error) => error.fault(),
            CareError::Shadow(error) => error.fault(),
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            CareError::Registry(error) => error.cause(),
            CareError::Shadow(error) => error.cause(),
        }
    }
}
