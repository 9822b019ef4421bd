//! One turn of a conversation with an Echo.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was said, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// When, in seconds since the epoch.
    pub at: u64,
    /// The words, where there were any.
    pub say: Option<String>,
    /// The envelope that went to the skill; `None` when it was not for the skill.
    pub request: Option<Value>,
    /// The envelope that came back.
    pub response: Option<Value>,
    /// What that comes to, for somebody in the room.
    pub output: Value,
}
