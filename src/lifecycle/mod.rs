//! The later life cycle of an identity: suspension while the skill is disabled, mail bounces, deletion and clean-up.
//!
//! All operations here take the lease of the thing first ([`crate::onboarding::lease`]) and can be repeated. An interrupted
//! operation is visible in the record, and the next contact, the next delivery of the event or the next sweep completes it.

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

/// Ends the connection of a device whose certificates are inactive. AWS does the same, but only after some minutes.
async fn cut_off(shadows: &impl Shadows, thing: &ThingName) {
    if let Err(error) = shadows.disconnect(thing).await {
        tracing::info!(%thing, %error, "the device may stay connected for some minutes");
    }
}

/// Why an operation failed.
#[derive(Debug, Error)]
pub enum LifecycleError {
    /// A registry call failed.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// A shadow update failed.
    #[error("the shadow failed")]
    Shadow(#[from] ShadowError),
}

impl LifecycleError {
    /// Whether another attempt holds the lease, so that the operation can succeed later.
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
