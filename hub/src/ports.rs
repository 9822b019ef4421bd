//! The ports of the skill and of the registration on this machine: which implementation is behind each.

use onething::registration::{self, Endpoint, HttpHook};
use onething::skill::{self, Skill};

use crate::mail::outgoing::Outgoing;
use crate::registration::{LocalAudit, LocalClaims};
use crate::registry::LocalRegistry;
use crate::shadow::LocalShadows;
use crate::sign_in::SignIn;

/// The skill that this hub is.
pub type LocalSkill = Skill<LocalPorts>;

/// The endpoint that this hub has.
pub type LocalEndpoint = Endpoint<LocalPorts>;

/// The ports of this machine.
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
