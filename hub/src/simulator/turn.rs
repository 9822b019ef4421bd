//! One turn of a conversation with an Echo.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An utterance or request, the envelopes that were exchanged with the skill, and the output of the Echo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The time of the turn, as Unix time in seconds.
    pub at: u64,
    /// The utterance; `None` if a request was sent without an utterance.
    pub say: Option<String>,
    /// The request envelope that was sent to the skill; `None` if the utterance was not for the skill.
    pub request: Option<Value>,
    /// The response envelope of the skill.
    pub response: Option<Value>,
    /// The output of the Echo: speech, reprompt, card, `listening` and hint.
    #[serde(rename = "heard")]
    pub output: Value,
}
