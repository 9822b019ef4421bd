//! An Alexa request that somebody has put into something else, such as the event of an API Gateway or the message of a queue.
//!
//! What is found is only named, and never answered: a wrapper says nothing about who may call.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use thiserror::Error;

/// So deep an Alexa request is looked for. An SNS message in an SQS message in an event is at a depth of six.
const DEPTH: usize = 8;
/// A longer name is not repeated to whoever sent it.
const LONGEST_NAME: usize = 40;

/// What arrived where an Alexa request was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAnAlexaRequest {
    /// An Alexa request inside something else.
    #[error(
        "an Alexa request is expected as it is, with `version`, `session`, `context` and `request` at the top, and this one is inside \
         `{0}`: whatever wraps it, such as an API Gateway or a queue, has to pass on what is inside and nothing else, or Alexa has to \
         call this endpoint itself"
    )]
    Wrapped(Place),
    /// The inner `request` without its envelope.
    #[error(
        "a whole Alexa request is expected, with `version`, `session`, `context` and `request` at the top, and this is only what \
         belongs into `request`"
    )]
    WithoutEnvelope,
    /// An HTTP request without an Alexa request in its body.
    #[error(
        "an Alexa request is expected, and this is the event of an HTTP request, as API Gateway, a function URL or a load balancer makes \
         it: devices register at the registration function, `POST /register`"
    )]
    HttpEvent,
}

/// Where in an event something is: `Records[0].body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "a JSON text" } else { &self.0 })
    }
}

impl Place {
    /// The member of this name. A name that is none of a format's own is not repeated.
    fn member(&self, name: &str) -> Self {
        let plain = name.len() <= LONGEST_NAME && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let name = if plain { name } else { "…" };
        Self(if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) })
    }

    fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl NotAnAlexaRequest {
    /// What an event is that is no Alexa request. `None` for an Alexa request, and for what has nothing to do with one.
    pub fn find(event: &Value) -> Option<Self> {
        if is_envelope(event) {
            return None;
        }
        if event.get("type").is_some_and(Value::is_string) && event.get("requestId").is_some_and(Value::is_string) {
            return Some(Self::WithoutEnvelope);
        }
        let http = event.get("httpMethod").is_some() || event.pointer("/requestContext/http").is_some();
        inside(event, &Place::default(), DEPTH).map(Self::Wrapped).or(http.then_some(Self::HttpEvent))
    }
}

/// Whether it is an Alexa request with its envelope, whoever it is for.
pub fn is_envelope(value: &Value) -> bool {
    let has_request = value.get("request").and_then(|request| request.get("type")).is_some_and(Value::is_string);
    has_request && (value.get("session").is_some() || value.get("context").is_some())
}

/// Where in a value an Alexa request is, also as text and as base64.
fn inside(value: &Value, place: &Place, depth: usize) -> Option<Place> {
    let depth = depth.checked_sub(1)?;
    let look = |value: &Value, place: Place| if is_envelope(value) { Some(place) } else { inside(value, &place, depth) };
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| look(value, place.member(name))),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, value)| look(value, place.item(index))),
        Value::String(text) => {
            let json = if text.trim_start().starts_with(['{', '[', '"']) { serde_json::from_str(text).ok() } else { None };
            let value: Value = json.or_else(|| serde_json::from_slice(&BASE64_STANDARD.decode(text.as_bytes()).ok()?).ok())?;
            look(&value, place.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "wrapped_tests.rs"]
mod tests;
