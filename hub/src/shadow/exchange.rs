//! The shadow service: the effect of a request, and the messages to publish.
//!
//! This module does no I/O. The caller reads the stored shadow and writes [`Exchange::change`] in one transaction, and publishes
//! [`Exchange::messages`]. The messages are those of
//! <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html>.

use std::str;

use serde::Serialize;
use serde_json::{Map, Value};

use super::document::{Document, Shown};
use super::rejected::Rejected;
use super::stored::Stored;
use super::topic::{Operation, ShadowKey};
use super::update::Update;
use super::written::{self, ShownFields, Written};

/// The largest payload of a message, in bytes: the limit of the AWS IoT broker.
const PAYLOAD_LIMIT: usize = 128 * 1024;
/// The longest client token, in bytes.
const TOKEN_LIMIT: usize = 64;

/// The result of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// The new stored shadow. `None` if it does not change.
    pub change: Option<Stored>,
    /// The messages to publish, in this order.
    pub messages: Vec<Message>,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: String,
    /// The payload: a JSON object.
    pub payload: Vec<u8>,
}

/// Processes a message on a request topic of a shadow. `now` is the Unix time in seconds.
pub fn exchange(current: Option<&Stored>, key: &ShadowKey, operation: Operation, payload: &[u8], now: u64) -> Exchange {
    let mut token = None;
    let done = parse(operation, payload).and_then(|request| {
        token = client_token(&request)?.map(str::to_owned);
        let token = token.as_deref();
        match operation {
            Operation::Get => get(current, key, token, now),
            Operation::Update => updated(current, key, &request, token, now),
            Operation::Delete => deleted(current, key, token, now),
        }
    });
    done.unwrap_or_else(|rejected| {
        let (code, message) = (rejected.code(), rejected.to_string());
        let refusal = Refusal { code, message, timestamp: now, client_token: token.as_deref() };
        Exchange { change: None, messages: vec![Message::new(key.rejected(operation), &refusal)] }
    })
}

/// Applies an update of the hub, `{"state":…,"version":…}`. `now` is the Unix time in seconds.
pub fn update(current: Option<&Stored>, key: &ShadowKey, patch: &Value, now: u64) -> Result<Exchange, Rejected> {
    updated(current, key, patch, client_token(patch)?, now)
}

/// Deletes a shadow for the hub. `now` is the Unix time in seconds.
pub fn delete(current: Option<&Stored>, key: &ShadowKey, now: u64) -> Result<Exchange, Rejected> {
    deleted(current, key, None, now)
}

/// Parses the payload of a request. Only an update needs a payload.
fn parse(operation: Operation, payload: &[u8]) -> Result<Value, Rejected> {
    if payload.len() > PAYLOAD_LIMIT {
        return Err(Rejected::TooLarge);
    }
    match operation {
        Operation::Update => {
            let text = str::from_utf8(payload).map_err(|_| Rejected::NotUtf8)?;
            serde_json::from_str(text).map_err(|_| Rejected::InvalidJson)
        }
        // The payload should be empty. Only an object with a client token has an effect.
        Operation::Get | Operation::Delete => Ok(serde_json::from_slice(payload).unwrap_or_default()),
    }
}

fn client_token(request: &Value) -> Result<Option<&str>, Rejected> {
    match request.get("clientToken") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if token.len() <= TOKEN_LIMIT => Ok(Some(token)),
        Some(_) => Err(Rejected::InvalidClientToken),
    }
}

fn present<'a>(current: Option<&'a Stored>, key: &ShadowKey) -> Result<&'a Document, Rejected> {
    let missing = || Rejected::NotFound(key.name().unwrap_or(key.thing()).to_owned());
    current.and_then(Stored::document).ok_or_else(missing)
}

fn get(current: Option<&Stored>, key: &ShadowKey, client_token: Option<&str>, timestamp: u64) -> Result<Exchange, Rejected> {
    let document = present(current, key)?;
    let delta = document.difference();
    let answer = Whole { shown: document.shown(Some(&delta)), timestamp, client_token };
    Ok(Exchange { change: None, messages: vec![Message::new(key.accepted(Operation::Get), &answer)] })
}

fn deleted(current: Option<&Stored>, key: &ShadowKey, client_token: Option<&str>, timestamp: u64) -> Result<Exchange, Rejected> {
    let version = present(current, key)?.version();
    let answer = Gone { version, timestamp, client_token };
    let messages = vec![Message::new(key.accepted(Operation::Delete), &answer)];
    Ok(Exchange { change: Some(Stored::Deleted { version, at: timestamp }), messages })
}

/// Applies an update. If a delta remains, it is published completely, even if the update did not change it
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html#update-delta-pub-sub-topic>).
fn updated(
    current: Option<&Stored>,
    key: &ShadowKey,
    request: &Value,
    client_token: Option<&str>,
    timestamp: u64,
) -> Result<Exchange, Rejected> {
    let update = Update::parse(request)?;
    let previous = Stored::base(current, timestamp);
    let document = previous.after(&update, timestamp)?;
    let version = document.version();

    let written = Written::whole(update.state, timestamp);
    let accepted = Part { state: update.state, metadata: written::Shown(&written), version, timestamp, client_token };
    let mut messages = vec![Message::new(key.accepted(Operation::Update), &accepted)];
    let delta = document.difference();
    if !delta.values.is_empty() {
        let metadata = ShownFields(&delta.written);
        let delta: Part<'_, &Map<String, Value>, _> = Part { state: &delta.values, metadata, version, timestamp, client_token };
        messages.push(Message::new(key.delta(), &delta));
    }
    let documents = Documents { previous: previous.shown(None), current: document.shown(None), timestamp, client_token };
    messages.push(Message::new(key.documents(), &documents));
    Ok(Exchange { change: Some(Stored::Present(document)), messages })
}

impl Message {
    fn new(topic: String, content: &impl Serialize) -> Self {
        // Serialization fails only for map keys that are not strings. All keys here are strings.
        Self { topic, payload: serde_json::to_vec(content).unwrap_or_default() }
    }
}

/// The payload of `get/accepted`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// The payload of `update/accepted`, with the state of the request, and of `update/delta`, with the delta.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a, S, M> {
    state: S,
    metadata: M,
    version: u64,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// The payload of `update/documents`: the shadow before and after an update.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Documents<'a> {
    previous: Shown<'a>,
    current: Shown<'a>,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// The payload of `delete/accepted`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gone<'a> {
    version: u64,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// The payload of `get/rejected`, `update/rejected` and `delete/rejected`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal<'a> {
    code: u16,
    message: String,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
