//! Notifications about changes, which the page in a browser receives.
//!
//! An event names what has changed and for which user. Most events do not contain the new state, so the receiver reads it again.
//! A receiver that is too slow misses events.

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::sign_in::UserName;

/// The number of events that a slow receiver may be behind.
const BEHIND: usize = 256;

/// The part of a user's state that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The list of users.
    Users,
    /// The link between the user's account and the skill.
    Link,
    /// The conversation with the Echo.
    Echo,
    /// The mail: a message has arrived, or an outgoing mail has changed its state.
    Mail,
    /// The shadow, the connection or the refusals of the thing.
    Shadow,
    /// The state of the simulated device.
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

/// Publishes events to all receivers. Clones share the receivers.
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
    /// Publishes that a part of the user's state has changed.
    pub fn tell(&self, user: &UserName, what: Subject) {
        // An error only means that there is no receiver.
        let _ = self.told.send(json!({"user": user.as_str(), "what": what.as_str()}));
    }

    /// Publishes a change together with the new state `now`.
    pub fn tell_with(&self, user: &UserName, what: Subject, now: &Value) {
        let _ = self.told.send(json!({"user": user.as_str(), "what": what.as_str(), (what.as_str()): now}));
    }

    /// Whether there is a receiver.
    pub fn is_heard(&self) -> bool {
        self.told.receiver_count() > 0
    }

    /// A receiver of all events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Value> {
        self.told.subscribe()
    }
}
