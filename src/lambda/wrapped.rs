//! Detection of an Alexa request that is wrapped in another event, such as one of API Gateway or a message of a queue.
//!
//! A wrapped request is only reported and never handled, because the wrapper does not authenticate the caller.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use thiserror::Error;

/// The maximum depth of the search. An SNS message in an SQS message in an event has a depth of six.
const DEPTH: usize = 8;
/// The longest member name that an error message repeats.
const LONGEST_NAME: usize = 40;

/// An event that is not an Alexa request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAnAlexaRequest {
    /// An Alexa request inside another event.
    #[error(
        "an Alexa request is expected as it is, with `version`, `session`, `context` and `request` at the top, and this one is inside \
         `{0}`: whatever wraps it, such as an API Gateway or a queue, has to pass on what is inside and nothing else, or Alexa has to \
         call this endpoint itself"
    )]
    Wrapped(Place),
    /// The `request` object of an Alexa request without its envelope.
    #[error(
        "a whole Alexa request is expected, with `version`, `session`, `context` and `request` at the top, and this is only what \
         belongs into `request`"
    )]
    WithoutEnvelope,
    /// An HTTP request whose body is not an Alexa request.
    #[error(
        "an Alexa request is expected, and this is the event of an HTTP request, as API Gateway, a function URL or a load balancer makes \
         it: devices register at the registration function, `POST /register`"
    )]
    HttpEvent,
}

/// The location of a value within an event, such as `Records[0].body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "a JSON text" } else { &self.0 })
    }
}

impl Place {
    /// The location of a member. An unusual name is replaced by `…`, because it may be a secret.
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
    /// Classifies an event that is not an Alexa request. `None` for an Alexa request and for an unrelated event.
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

/// Whether the value is an Alexa request with its envelope, for any skill.
pub fn is_envelope(value: &Value) -> bool {
    let has_request = value.get("request").and_then(|request| request.get("type")).is_some_and(Value::is_string);
    has_request && (value.get("session").is_some() || value.get("context").is_some())
}

/// The location of an Alexa request within a value. Texts are searched as JSON and as base64.
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
