//! The implementations of the ports of the skill and of the registration endpoint on this machine.

use onething::registration::{self, Endpoint, HttpHook};
use onething::skill::{self, Skill};

use crate::mail::outgoing::Outgoing;
use crate::registration::{LocalAudit, LocalClaims};
use crate::registry::LocalRegistry;
use crate::shadow::LocalShadows;
use crate::sign_in::SignIn;

/// The skill with the ports of this machine.
pub type LocalSkill = Skill<LocalPorts>;

/// The registration endpoint with the ports of this machine.
pub type LocalEndpoint = Endpoint<LocalPorts>;

/// The types that implement the ports on this machine.
pub struct LocalPorts;

impl skill::Ports for LocalPorts {
    type Login = SignIn;
    type Registry = LocalRegistry;
    type Shadows = LocalShadows;
    type Mailer = Outgoing;
    type Claims = LocalClaims;
}

impl registration::Ports for LocalPorts {
    type Login = SignIn;
    type Registry = LocalRegistry;
    type Claims = LocalClaims;
    type Hook = HttpHook;
    type Audit = LocalAudit;
}
