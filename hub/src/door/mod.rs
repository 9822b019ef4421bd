//! The door of this hub, where devices register themselves: [`onething::registration`] with the ports of this machine.

pub mod audit;
pub mod claims;
pub mod file;

use onething::registration::{Door, HttpHook};

pub use self::audit::LocalAudit;
pub use self::claims::LocalClaims;
use crate::registry::LocalRegistry;
use crate::sign_in::SignIn;

/// The door that this hub has.
pub type LocalDoor = Door<SignIn, LocalRegistry, LocalClaims, HttpHook, LocalAudit>;
