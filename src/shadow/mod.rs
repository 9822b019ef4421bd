//! A command to the thing's shadow, and what became of it.
//!
//! Settings are plain properties of `desired`: the last one wins. An action is `desired.command` with an
//! id and an expiry, because a shadow is a state and not a queue: without a fresh id the same command
//! twice would be no change, and without an expiry a device back from the dark would print yesterday's vase.

mod commands;
mod failures;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

pub use self::commands::{Commands, Waiting};
pub use self::failures::{Failed, Failure};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::{CertificateId, ThingName};

/// A change of a shadow: the document that AWS IoT's UpdateThingShadow takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch(Value);

impl Patch {
    /// The mark of an owner who has been onboarded at `at` with this certificate. It stands in `reported`,
    /// where it makes no delta. With `look`, the next contact has to read the registry's record first.
    pub fn ready(at: u64, certificate: Option<&CertificateId>, look: Option<u64>) -> Self {
        let certificate = certificate.map(CertificateId::as_str);
        Self(json!({"state": {"reported": {"onboarded": {"at": at, "certificate": certificate, "look": look}}}}))
    }

    /// Makes the next contact read the registry's record before it goes on.
    pub fn look(now: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"look": now}}}}))
    }

    /// Takes back that a certificate was delivered, and makes the next contact read the record.
    pub fn undelivered(now: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"certificate": null, "look": now}}}}))
    }

    /// What the device failed to do up to this second has been told to the owner.
    pub fn told(at: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"told": at}}}}))
    }

    /// Properties to be set.
    pub fn set(properties: Map<String, Value>) -> Self {
        let desired = Value::Object(properties);
        Self(json!({"state": {"desired": desired}}))
    }

    /// A command to be done once.
    pub fn command(command: &Command) -> Self {
        let command = json!({
            "id": command.id,
            "name": command.name,
            "args": command.args,
            "issuedAt": command.issued_at,
            "expiresAt": command.expires_at,
        });
        Self(json!({"state": {"desired": {"command": command}}}))
    }

    /// A command for a device that keeps a queue, behind those that wait. What has expired goes out of the queue. The command also
    /// stands where every other device looks for it.
    pub fn queued(command: &Command, order: u64, known: &Commands, now: u64) -> Self {
        let arguments = |args: &Map<String, Value>| -> Map<String, Value> {
            args.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut queue: Map<String, Value> = known.expired(now).into_iter().map(|id| (id, Value::Null)).collect();
        if let Some((id, mut entry)) = known.outside_queue(now).filter(|(id, _)| *id != command.id) {
            let args = entry.get("args").and_then(Value::as_object).map(arguments);
            entry.insert("args".to_owned(), json!(args.unwrap_or_default()));
            entry.insert("order".to_owned(), json!(order.saturating_sub(1)));
            queue.insert(id, Value::Object(entry));
        }
        let entry = json!({
            "name": command.name,
            "args": arguments(&command.args),
            "issuedAt": command.issued_at,
            "expiresAt": command.expires_at,
            "order": order,
        });
        queue.insert(command.id.clone(), entry);
        Self::command(command).and(&Self(json!({"state": {"desired": {"commands": queue}}})))
    }

    /// Both changes in one.
    pub fn and(mut self, other: &Patch) -> Self {
        merge(&mut self.0, &other.0);
        self
    }

    /// Whether it holds a command, which expires, or settings, which do not.
    pub fn is_command(&self) -> bool {
        self.0.pointer("/state/desired/command").is_some()
    }

    /// The JSON document.
    pub fn document(&self) -> &Value {
        &self.0
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// An action for the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Unlike every other: the id of the request that asked for it.
    pub id: String,
    /// What to do.
    pub name: String,
    /// With what. An argument of other commands is `null`: a shadow merges, and would keep the old one.
    pub args: Map<String, Value>,
    /// Seconds since the epoch.
    pub issued_at: u64,
    /// Seconds since the epoch; from then on the device skips it.
    pub expires_at: u64,
}

/// A shadow, as far as answers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadow {
    /// What the device said last, without the mark of onboarding.
    pub reported: Map<String, Value>,
    /// When it said so, in seconds since the epoch.
    pub reported_at: Option<u64>,
    /// When it last said each of it.
    pub reported_times: BTreeMap<String, u64>,
    /// Whether it bears the mark of onboarding. A shadow alone proves nothing: any update makes one.
    pub onboarded: bool,
    /// The certificate that the mark names: it was delivered.
    pub delivered: Option<CertificateId>,
    /// Whether the registry's record has something for this contact.
    pub look: bool,
    /// The certificate that the device says it uses.
    pub in_use: Option<CertificateId>,
    /// What the device could not do.
    pub failures: Vec<Failure>,
    /// Until when the owner has been told of it, in seconds since the epoch.
    pub told: u64,
    /// The commands that wait for the device.
    pub commands: Commands,
}

impl Shadow {
    /// Reads the document that GetThingShadow returns.
    pub fn read(document: &Value) -> Self {
        let section = |pointer: &str| document.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        let certificate = |id: Option<&Value>| id.and_then(Value::as_str).and_then(CertificateId::parse);
        let mut reported = section("/state/reported");
        let mut written = section("/metadata/reported");
        let mark = reported.remove("onboarded").unwrap_or_default();
        written.remove("onboarded");
        Self {
            failures: failures::read(&reported, &written),
            told: mark.get("told").and_then(Value::as_u64).unwrap_or_default(),
            commands: Commands::read(&section("/state/desired"), &reported),
            reported_times: written.iter().filter_map(|(name, times)| Some((name.clone(), latest(times)?))).collect(),
            reported_at: latest(&Value::Object(written)),
            onboarded: mark.get("at").is_some_and(Value::is_u64),
            delivered: certificate(mark.get("certificate")),
            look: mark.get("look").is_some_and(|look| !look.is_null()),
            in_use: certificate(reported.get("certificateId")),
            reported,
        }
    }

    /// Whether the owner is ready, and nothing else is to be done for them.
    pub fn is_ready(&self) -> bool {
        self.onboarded && !self.look
    }

    /// What the device could not do and the owner has not heard of yet, oldest first.
    pub fn untold(&self) -> Vec<Failure> {
        let mut untold: Vec<Failure> = self.failures.iter().filter(|failure| failure.at > self.told).cloned().collect();
        untold.sort_by_key(|failure| failure.at);
        untold
    }

    /// Whether the device has ever reported anything.
    pub fn has_been_online(&self) -> bool {
        !self.reported.is_empty()
    }
}

/// The latest `timestamp` anywhere in shadow metadata.
fn latest(metadata: &Value) -> Option<u64> {
    match metadata {
        Value::Object(fields) => {
            let own = fields.get("timestamp").and_then(Value::as_u64);
            own.into_iter().chain(fields.values().filter_map(latest)).max()
        }
        Value::Array(items) => items.iter().filter_map(latest).max(),
        _ => None,
    }
}

/// Shadows of things.
pub trait Shadows: Send + Sync {
    /// Whether a read costs no round trip, because the shadows are on this machine.
    const AT_HAND: bool = false;

    /// The shadow, or `None` when there is none.
    fn read(&self, thing: &ThingName) -> impl Future<Output = Result<Option<Shadow>, ShadowError>> + Send;
    /// Merges a change in, and makes the shadow where there is none.
    fn update(&self, thing: &ThingName, patch: &Patch) -> impl Future<Output = Result<(), ShadowError>> + Send;
    /// Deletes the shadow; what is gone is deleted.
    fn delete(&self, thing: &ThingName) -> impl Future<Output = Result<(), ShadowError>> + Send;
    /// Whether the thing's device is connected.
    fn connection(&self, thing: &ThingName) -> impl Future<Output = Result<Connection, ShadowError>> + Send;
    /// Ends the connection of the thing's device, if there is one.
    fn disconnect(&self, thing: &ThingName) -> impl Future<Output = Result<(), ShadowError>> + Send;
}

/// The shadows as somebody sees them who has no right on them: there are none, and nothing has to be done about them.
pub struct NoShadows;

impl Shadows for NoShadows {
    async fn read(&self, _: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        Ok(None)
    }

    async fn update(&self, _: &ThingName, _: &Patch) -> Result<(), ShadowError> {
        Ok(())
    }

    async fn delete(&self, _: &ThingName) -> Result<(), ShadowError> {
        Ok(())
    }

    async fn connection(&self, _: &ThingName) -> Result<Connection, ShadowError> {
        Ok(Connection::Unknown)
    }

    async fn disconnect(&self, _: &ThingName) -> Result<(), ShadowError> {
        Ok(())
    }
}

/// What is known about the connection of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It is connected.
    Connected {
        /// Since when, in seconds since the epoch.
        since: Option<u64>,
    },
    /// It is not connected.
    Disconnected {
        /// Since when, in seconds since the epoch; known for a while only.
        since: Option<u64>,
    },
    /// Nobody can tell.
    Unknown,
}

/// What is known about a device that reports nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is connected, or has reported before.
    Present,
    /// It is not connected now, and was before.
    Away {
        /// Since when, in seconds since the epoch.
        since: u64,
    },
    /// It has never been heard of.
    NeverSeen,
    /// Nobody could be asked.
    Unsure,
}

impl Presence {
    /// Reads what a broker knows about a connection; an error knows nothing.
    pub fn of<E>(connection: &Result<Connection, E>) -> Self {
        match connection {
            Ok(Connection::Connected { .. }) => Presence::Present,
            Ok(Connection::Disconnected { since: Some(since) }) => Presence::Away { since: *since },
            Ok(Connection::Disconnected { since: None } | Connection::Unknown) => Presence::NeverSeen,
            Err(_) => Presence::Unsure,
        }
    }
}

/// Why a shadow was not read or changed.
#[derive(Debug, Error)]
pub enum ShadowError {
    /// Over the size limit of 8 KB.
    #[error("the shadow would be too large")]
    TooLarge,
    /// Changed by somebody else at the same moment.
    #[error("the shadow was changed at the same moment")]
    Conflict,
    /// Over a quota.
    #[error("throttled")]
    Throttled,
    /// Refused for good.
    #[error("refused with {0}")]
    Refused(String),
    /// No answer that says whether it was done.
    #[error("no clear answer: {0}")]
    Unclear(String),
}

impl ClassifiedError for ShadowError {
    fn step(&self) -> Step {
        Step::Relay
    }

    fn fault(&self) -> Fault {
        match self {
            ShadowError::Conflict | ShadowError::Throttled | ShadowError::Unclear(_) => Fault::Again,
            ShadowError::TooLarge | ShadowError::Refused(_) => Fault::Maker,
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            ShadowError::TooLarge => "shadow_too_large",
            ShadowError::Conflict => "shadow_conflict",
            ShadowError::Throttled => "shadow_throttled",
            ShadowError::Refused(_) => "shadow_refused",
            ShadowError::Unclear(_) => "shadow_unclear",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> CertificateId {
        CertificateId::of(b"a certificate")
    }

    #[test]
    fn the_first_state_of_an_owner_with_a_command_holds_both() {
        let set = Patch::set(Map::from_iter([("power".to_owned(), json!("ON"))]));
        let id = certificate();
        assert_eq!(
            Patch::ready(7, Some(&id), None).and(&set).document(),
            &json!({"state": {"reported": {"onboarded": {"at": 7, "certificate": id.as_str(), "look": null}}, "desired": {"power": "ON"}}})
        );
    }

    #[test]
    fn only_the_mark_makes_an_owner_ready() {
        let read = |reported: Value| Shadow::read(&json!({"state": {"reported": reported}}));
        let marked = |look: Value| json!({"onboarded": {"at": 7, "certificate": certificate().as_str(), "look": look}});
        assert!(read(marked(Value::Null)).is_ready());
        assert_eq!(read(marked(Value::Null)).delivered, Some(certificate()));
        assert!(!read(marked(json!(8))).is_ready());
        assert!(!read(json!({"status": "idle"})).is_ready());
        assert!(!read(json!({"onboarded": {"look": 8}})).is_ready());
        assert_eq!(read(json!({"certificateId": certificate().as_str()})).in_use, Some(certificate()));
    }

    #[test]
    fn the_age_of_a_report_is_that_of_its_latest_field() {
        let shadow = Shadow::read(&json!({
            "state": {"reported": {"onboarded": {"at": 90}, "status": "idle", "command": {"id": "x"}}},
            "metadata": {"reported": {
                "onboarded": {"at": {"timestamp": 90}}, "status": {"timestamp": 20}, "command": {"id": {"timestamp": 30}}}},
        }));
        assert_eq!(shadow.reported_at, Some(30));
        assert!(shadow.has_been_online());
    }

    #[test]
    fn a_shadow_with_only_our_mark_is_of_a_device_that_was_never_online() {
        let shadow = Shadow::read(&json!({"state": {"reported": {"onboarded": {"at": 90}}},
            "metadata": {"reported": {"onboarded": {"at": {"timestamp": 90}}}}}));
        assert_eq!((shadow.has_been_online(), shadow.reported_at), (false, None));
    }
}
