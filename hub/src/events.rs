//! What happens, for whoever is watching: the page shows it as it comes.
//!
//! Events say that something has changed and whose it is; what it is now is read again by who wants to know.
//! Nobody has to listen, and who is too slow misses some.

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::sign_in::UserName;

/// How many events a slow listener may be behind.
const BEHIND: usize = 256;

/// Something that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Who the users are.
    Users,
    /// Whether the account is linked.
    Link,
    /// What was said.
    Echo,
    /// A mail has come.
    Mail,
    /// The shadow or the connection of the thing.
    Shadow,
    /// The simulated device.
    Device,
}

impl Subject {
    fn as_str(self) -> &'static str {
        match self {
            Subject::Users => "users",
            Subject::Link => "link",
            Subject::Echo => "echo",
            Subject::Mail => "mail",
            Subject::Shadow => "shadow",
            Subject::Device => "device",
        }
    }
}

/// Tells events to all who listen; clones tell the same ones.
#[derive(Clone)]
pub struct Events {
    told: broadcast::Sender<Value>,
}

impl Default for Events {
    fn default() -> Self {
        Self { told: broadcast::channel(BEHIND).0 }
    }
}

impl Events {
    /// Something of a user has changed.
    pub fn tell(&self, user: &UserName, what: Subject) {
        // Without a listener there is nothing to do.
        let _ = self.told.send(json!({"user": user.as_str(), "what": what.as_str()}));
    }

    /// The same, with what it is now.
    pub fn tell_with(&self, user: &UserName, what: Subject, now: &Value) {
        let _ = self.told.send(json!({"user": user.as_str(), "what": what.as_str(), (what.as_str()): now}));
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.told.receiver_count() > 0
    }

    /// From now on hears everything.
    pub fn listen(&self) -> broadcast::Receiver<Value> {
        self.told.subscribe()
    }
}
