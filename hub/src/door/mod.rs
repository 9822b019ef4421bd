//! The door of this hub, where devices register themselves: [`onething::registration`] with the ports of this machine.

pub mod audit;
pub mod claims;
pub mod file;

use onething::registration::{Door, HttpHook, Ports};

pub use self::audit::LocalAudit;
pub use self::claims::LocalClaims;
use crate::hub::LocalPorts;
use crate::registry::LocalRegistry;
use crate::sign_in::SignIn;

/// The door that this hub has.
pub type LocalDoor = Door<LocalPorts>;

impl Ports for LocalPorts {
    type Login = SignIn;
    type Registry = LocalRegistry;
    type Claims = LocalClaims;
    type Hook = HttpHook;
    type Audit = LocalAudit;
}
