//! The request envelope of the Alexa service, reduced to the fields that the skill uses.
//!
//! A field that is missing or that has another type than documented counts as absent. Unknown fields and unknown request types
//! are ignored, so that a new request type does not make the function fail.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identifiers::AlexaUser;
use crate::login::AccessToken;

/// An Alexa request: the `request` object and the parts of its envelope that the skill uses.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `request.requestId`.
    pub id: Option<String>,
    /// The request type and its content.
    pub kind: Kind,
    /// `request.locale`, such as `en-US`. Skill events have no locale.
    pub locale: Option<String>,
    /// Whether `request.dialogState` is `STARTED` or `IN_PROGRESS`: Alexa still collects slots with the prompts of the
    /// interaction model.
    pub dialog_open: bool,
    /// `session.attributes`: the session attributes that the last response of this session set.
    pub attributes: Map<String, Value>,
    /// Whether the envelope has a `session`. Skill events and audio player requests have none.
    pub has_session: bool,
    /// The access token of the account that the owner linked.
    pub access_token: Option<AccessToken>,
    /// The hashed Alexa user id. An event about a disabled skill identifies the user by this id only.
    pub alexa_user: Option<AlexaUser>,
    /// The time at which a skill event was created, as Unix time in seconds. The event may arrive an hour later.
    pub event_at: Option<u64>,
    /// The API endpoint and the token for a progressive response, if the request has both.
    pub progressive_response: Option<ProgressiveResponse>,
    skill_ids: [Option<String>; 2],
}

/// The address and the access token of the Alexa API for the duration of one request.
#[derive(Clone, Debug)]
pub struct ProgressiveResponse {
    /// `context.System.apiEndpoint`: the regional base URL.
    pub endpoint: String,
    /// `context.System.apiAccessToken`: the bearer token for `endpoint`.
    pub token: AccessToken,
}

/// The request types that the skill distinguishes.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// `LaunchRequest`: the user opens the skill without an intent.
    Launch,
    /// `IntentRequest`: an utterance that the interaction model resolved to an intent.
    Intent(Intent),
    /// `CanFulfillIntentRequest`: Alexa asks whether the skill can handle the intent. The skill must not act on it.
    CanFulfill(Intent),
    /// `SessionEndedRequest`: the session ended, but not by a response of the skill. Alexa accepts no response to it.
    SessionEnded {
        /// `USER_INITIATED`, `ERROR` or `EXCEEDED_MAX_REPROMPTS`.
        reason: String,
        /// The error of Alexa about the last response, if there is one.
        error: Option<AlexaError>,
    },
    /// `SessionResumedRequest`: the session continues after a skill connection to another skill.
    SessionResumed,
    /// `System.ExceptionEncountered`: Alexa could not use the last response. Alexa accepts no response to it.
    Exception(AlexaError),
    /// `AlexaSkillEvent.SkillAccountLinked`: the owner linked an account in the Alexa app.
    AccountLinked,
    /// `AlexaSkillEvent.SkillDisabled`: the owner disabled the skill.
    Disabled,
    /// Any other request type: the value of `request.type`.
    Other(String),
    /// An envelope without `request.type`.
    #[default]
    Missing,
}

/// An error that Alexa reports about a response of the skill.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AlexaError {
    /// `INVALID_RESPONSE`, `DEVICE_COMMUNICATION_ERROR`, `INTERNAL_SERVICE_ERROR` or `ENDPOINT_TIMEOUT`.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: String,
    /// The explanation in English, for the log.
    #[serde(default, deserialize_with = "lenient")]
    pub message: String,
}

/// An intent with its slots.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Intent {
    /// The name of the intent in the interaction model.
    #[serde(default, deserialize_with = "lenient")]
    pub name: String,
    /// `confirmationStatus`: whether the user confirmed the intent.
    #[serde(rename = "confirmationStatus", default, deserialize_with = "lenient")]
    pub confirmation: Confirmation,
    #[serde(default, deserialize_with = "lenient")]
    slots: Map<String, Value>,
    /// The intent exactly as received, for `updatedIntent` of a dialog directive.
    #[serde(skip)]
    pub wire: Value,
}

/// The values of `confirmationStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Confirmation {
    /// The user was not asked, or has not answered yet.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// The user confirmed the intent.
    #[serde(rename = "CONFIRMED")]
    Confirmed,
    /// The user denied the intent.
    #[serde(rename = "DENIED")]
    Denied,
}

/// One value of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotValue {
    /// The words of the user. For a slot of a built-in type, the value that Alexa derived from the words, such as `PT10M`.
    pub input: String,
    /// The matching values of the slot types. The matches of one authority are ordered by likelihood, the most likely first.
    pub matches: Vec<SlotMatch>,
}

/// A value of a slot type that matches the words of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMatch {
    /// The id in the interaction model. For a value without an id, Alexa sends the MD5 of its name in hexadecimal digits. For an
    /// entity of the Alexa catalogue, Alexa sends a URL
    /// (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution.html>).
    pub id: Option<String>,
    /// The canonical name of the value.
    pub name: Option<String>,
}

impl Intent {
    /// The values of a slot: none if the slot is not filled, several if the slot is a list.
    pub fn slot(&self, name: &str) -> Vec<SlotValue> {
        let Some(slot) = self.slots.get(name) else { return Vec::new() };
        let listed = slot.pointer("/slotValue/values").and_then(Value::as_array);
        match listed {
            Some(values) => values.iter().filter_map(slot_value).collect(),
            None => slot_value(slot).or_else(|| slot.get("slotValue").and_then(slot_value)).into_iter().collect(),
        }
    }

    /// The names of all slots in the request, whether filled or not.
    pub fn slot_names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }
}

/// Reads `{value, resolutions}`. An authority without a match has no `values`.
fn slot_value(value: &Value) -> Option<SlotValue> {
    let input = match value.get("value")? {
        Value::String(text) if !text.trim().is_empty() => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let authorities = value.pointer("/resolutions/resolutionsPerAuthority").and_then(Value::as_array);
    let matched = authorities
        .into_iter()
        .flatten()
        .filter(|authority| authority.pointer("/status/code").and_then(Value::as_str) == Some("ER_SUCCESS_MATCH"));
    let values = matched.filter_map(|authority| authority.get("values")?.as_array()).flatten();
    let text = |value: &Value, field: &str| {
        let text = value.pointer(field).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let matches = values.map(|value| SlotMatch { id: text(value, "/value/id"), name: text(value, "/value/name") });
    Some(SlotValue { input, matches: matches.filter(|found| found.id.is_some() || found.name.is_some()).collect() })
}

impl Request {
    /// Reads a request envelope. This never fails: a missing or invalid field is `None` or empty.
    pub fn read(envelope: &Value) -> Self {
        let at = |pointer: &str| envelope.pointer(pointer);
        let text = |pointer: &str| at(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        // The token of the account (`user`), not of the recognised speaker (`person`): a device belongs to an account.
        let token = text("/context/System/user/accessToken").or_else(|| text("/session/user/accessToken"));
        let kind = kind(at("/request").unwrap_or(&Value::Null));
        let token = match kind {
            Kind::AccountLinked => text("/request/body/accessToken").or(token),
            _ => token,
        };
        Self {
            id: text("/request/requestId"),
            kind,
            locale: text("/request/locale"),
            dialog_open: matches!(text("/request/dialogState").as_deref(), Some("STARTED" | "IN_PROGRESS")),
            attributes: at("/session/attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
            has_session: at("/session").is_some_and(Value::is_object),
            access_token: token.map(AccessToken::new),
            alexa_user: text("/context/System/user/userId").or_else(|| text("/session/user/userId")).map(|id| AlexaUser::of(&id)),
            event_at: text("/request/eventCreationTime").or_else(|| text("/request/timestamp")).and_then(|time| seconds(&time)),
            progressive_response: text("/context/System/apiEndpoint")
                .zip(text("/context/System/apiAccessToken"))
                .map(|(endpoint, token)| ProgressiveResponse { endpoint, token: AccessToken::new(token) }),
            skill_ids: [text("/context/System/application/applicationId"), text("/session/application/applicationId")],
        }
    }

    /// Whether the request is addressed to one of these skills. The id in `context.System` is required. The id in `session` must
    /// agree if there is a session. Alexa sets both.
    pub fn is_for(&self, skill_ids: &[String]) -> bool {
        let ours = |id: &String| skill_ids.contains(id);
        let [context, session] = &self.skill_ids;
        context.as_ref().is_some_and(ours) && session.as_ref().is_none_or(ours)
    }
}

fn kind(request: &Value) -> Kind {
    let error = |field: &str| request.get(field).map(|e| AlexaError::deserialize(e).unwrap_or_default());
    let intent = || {
        let wire = request.get("intent").cloned().unwrap_or_default();
        Intent { wire: wire.clone(), ..Intent::deserialize(wire).unwrap_or_default() }
    };
    let name = request.get("type").and_then(Value::as_str).unwrap_or_default();
    match name {
        "" => Kind::Missing,
        "LaunchRequest" => Kind::Launch,
        "IntentRequest" => Kind::Intent(intent()),
        "CanFulfillIntentRequest" => Kind::CanFulfill(intent()),
        "SessionEndedRequest" => Kind::SessionEnded {
            reason: request.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
            error: error("error"),
        },
        "SessionResumedRequest" => Kind::SessionResumed,
        "System.ExceptionEncountered" => Kind::Exception(error("error").unwrap_or_default()),
        "AlexaSkillEvent.SkillAccountLinked" => Kind::AccountLinked,
        "AlexaSkillEvent.SkillDisabled" => Kind::Disabled,
        other => Kind::Other(other.to_owned()),
    }
}

/// Parses an ISO 8601 time to Unix time in seconds.
fn seconds(time: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

/// Deserialises a field. A value of an unexpected type becomes the default.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(deserializer)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slot(slot: &Value) -> Vec<SlotValue> {
        let request = json!({"request": {"type": "IntentRequest", "intent": {"name": "A", "slots": {"s": slot}}}});
        let Kind::Intent(intent) = Request::read(&request).kind else { panic!("no intent") };
        intent.slot("s")
    }

    fn authority(name: &str, values: &[(&str, &str)]) -> Value {
        let values: Vec<Value> = values.iter().map(|(id, name)| json!({"value": {"id": id, "name": name}})).collect();
        match values.is_empty() {
            true => json!({"authority": name, "status": {"code": "ER_SUCCESS_NO_MATCH"}}),
            false => json!({"authority": name, "status": {"code": "ER_SUCCESS_MATCH"}, "values": values}),
        }
    }

    fn found(id: &str, name: &str) -> SlotMatch {
        SlotMatch { id: Some(id.into()), name: Some(name.into()) }
    }

    #[test]
    fn all_matches_of_all_authorities_are_read() {
        let of_the_skill = authority("amzn1.er-authority.echo-sdk.amzn1.ask.skill.x.ROOM", &[("1", "kitchen"), ("2", " bath ")]);
        let dynamic = authority("amzn1.er-authority.echo-sdk.dynamic.amzn1.ask.skill.x.ROOM", &[("3", "den")]);
        let none = authority("AlexaEntities", &[]);
        let value = json!({"value": "the room", "resolutions": {"resolutionsPerAuthority": [none, dynamic, of_the_skill]}});
        let matches = vec![found("3", "den"), found("1", "kitchen"), found("2", "bath")];
        assert_eq!(slot(&value), [SlotValue { input: "the room".into(), matches }]);
        let matched = json!({"code": "ER_SUCCESS_MATCH"});
        let odd = json!({"value": "x", "resolutions": {"resolutionsPerAuthority": [
            {"status": matched}, {"status": matched, "values": [{}, {"value": {"id": 7, "name": ""}}, null]},
            {"status": {"code": "ER_ERROR_TIMEOUT"}, "values": [{"value": {"id": "a", "name": "a"}}]}, 7]}});
        assert_eq!(slot(&odd), [SlotValue { input: "x".into(), matches: Vec::new() }]);
    }

    #[test]
    fn a_slot_list_is_read_with_the_matches_of_each_value() {
        let resolutions = json!({"resolutionsPerAuthority": [authority("x", &[("v", "vase")])]});
        let value = json!({"slotValue": {"type": "List", "values": [
            {"type": "Simple", "value": "vases", "resolutions": resolutions},
            {"type": "Simple", "value": "cup"},
            {"type": "Simple", "value": " "},
        ]}});
        let cup = SlotValue { input: "cup".into(), matches: Vec::new() };
        assert_eq!(slot(&value), [SlotValue { input: "vases".into(), matches: vec![found("v", "vase")] }, cup]);
        assert_eq!(slot(&json!({"slotValue": {"type": "List", "values": []}})), []);
    }
}
