//! The device shadow: the changes that the skill writes, and the state that it reads.
//!
//! Settings are plain properties of `desired`: the last value wins. An action is `desired.command` with an id and an expiry time,
//! because a shadow is a state and not a queue. Without a new id, the same command twice would be no change. Without an expiry
//! time, a device that was offline for a day would print yesterday's vase.

mod commands;
mod failures;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

pub use self::commands::{Commands, Waiting};
pub use self::failures::{Failed, Failure};
use crate::fault::{ClassifiedError, Fault, Step};
use crate::identifiers::{CertificateId, ThingName};

/// A change of a shadow: the document for UpdateThingShadow of AWS IoT.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch(Value);

impl Patch {
    /// Marks the owner as onboarded at `at` with this certificate. The mark is in `reported`, where it causes no delta. If `look`
    /// is set, the next request must read the registry's record first.
    pub fn ready(at: u64, certificate: Option<&CertificateId>, look: Option<u64>) -> Self {
        let certificate = certificate.map(CertificateId::as_str);
        Self(json!({"state": {"reported": {"onboarded": {"at": at, "certificate": certificate, "look": look}}}}))
    }

    /// Makes the next request read the registry's record first.
    pub fn look(now: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"look": now}}}}))
    }

    /// Removes the certificate from the mark, because it was not delivered, and makes the next request read the record.
    pub fn undelivered(now: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"certificate": null, "look": now}}}}))
    }

    /// Records that the owner was told about all failures of the device up to `at`, as Unix time in seconds.
    pub fn told(at: u64) -> Self {
        Self(json!({"state": {"reported": {"onboarded": {"told": at}}}}))
    }

    /// Sets properties in `desired`.
    pub fn set(properties: Map<String, Value>) -> Self {
        let desired = Value::Object(properties);
        Self(json!({"state": {"desired": desired}}))
    }

    /// Sets the newest command in `desired.command`.
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

    /// Appends a command to the queue of a device that has one, and removes expired commands. The command is also written to
    /// `desired.command`, where devices without a queue read it.
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

    /// Merges both changes into one. For the same key, the value of `other` wins.
    pub fn and(mut self, other: &Patch) -> Self {
        merge(&mut self.0, &other.0);
        self
    }

    /// Whether the change contains a command, which expires. Settings do not expire.
    pub fn is_command(&self) -> bool {
        self.0.pointer("/state/desired/command").is_some()
    }

    /// The JSON document of the change.
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

/// A command for the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The unique id: the id of the request that caused the command.
    pub id: String,
    /// The name of the command in the device model.
    pub name: String,
    /// The arguments. Arguments that belong to other commands are `null`, because an update merges objects and would otherwise
    /// keep the arguments of the last command.
    pub args: Map<String, Value>,
    /// The creation time, as Unix time in seconds.
    pub issued_at: u64,
    /// The expiry time, as Unix time in seconds. From then on, the device ignores the command.
    pub expires_at: u64,
}

/// The parts of a shadow that the skill needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadow {
    /// The reported state of the device, without the mark of the onboarding.
    pub reported: Map<String, Value>,
    /// The time of the newest reported value, as Unix time in seconds.
    pub reported_at: Option<u64>,
    /// The time of the last report of each property, as Unix time in seconds.
    pub reported_times: BTreeMap<String, u64>,
    /// Whether the shadow has the mark of the onboarding. The existence of a shadow proves nothing, because any update creates
    /// one.
    pub onboarded: bool,
    /// The certificate in the mark, which was delivered.
    pub delivered: Option<CertificateId>,
    /// Whether the next request must read the registry's record first.
    pub look: bool,
    /// The certificate that the device reports to use.
    pub in_use: Option<CertificateId>,
    /// The failures that the device reports.
    pub failures: Vec<Failure>,
    /// The time up to which the owner was told about failures, as Unix time in seconds.
    pub told: u64,
    /// The commands in the shadow.
    pub commands: Commands,
}

impl Shadow {
    /// Parses the document that GetThingShadow returns.
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

    /// Whether the owner is onboarded and the registry's record needs no work.
    pub fn is_ready(&self) -> bool {
        self.onboarded && !self.look
    }

    /// The failures that the owner was not told about yet, oldest first.
    pub fn untold(&self) -> Vec<Failure> {
        let mut untold: Vec<Failure> = self.failures.iter().filter(|failure| failure.at > self.told).cloned().collect();
        untold.sort_by_key(|failure| failure.at);
        untold
    }

    /// Whether the device has ever reported a value.
    pub fn has_been_online(&self) -> bool {
        !self.reported.is_empty()
    }
}

/// The largest `timestamp` at any depth of the shadow metadata.
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

/// The operations on the shadows and connections of things.
pub trait Shadows: Send + Sync {
    /// Whether the shadows are stored on this machine, so that a read needs no network call.
    const AT_HAND: bool = false;

    /// Reads the shadow. `None` if it does not exist.
    fn read(&self, thing: &ThingName) -> impl Future<Output = Result<Option<Shadow>, ShadowError>> + Send;
    /// Merges a change into the shadow, and creates the shadow if it does not exist.
    fn update(&self, thing: &ThingName, patch: &Patch) -> impl Future<Output = Result<(), ShadowError>> + Send;
    /// Deletes the shadow. Succeeds if it does not exist.
    fn delete(&self, thing: &ThingName) -> impl Future<Output = Result<(), ShadowError>> + Send;
    /// Whether the device of the thing is connected.
    fn connection(&self, thing: &ThingName) -> impl Future<Output = Result<Connection, ShadowError>> + Send;
    /// Closes the connection of the device, if it is connected.
    fn disconnect(&self, thing: &ThingName) -> impl Future<Output = Result<(), ShadowError>> + Send;
}

/// An implementation for a process that has no permission for shadows: every shadow is missing, and changes are ignored.
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

/// The state of the connection of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The device is connected.
    Connected {
        /// The start of the connection, as Unix time in seconds.
        since: Option<u64>,
    },
    /// The device is not connected.
    Disconnected {
        /// The end of the last connection, as Unix time in seconds. It is only known for a limited time.
        since: Option<u64>,
    },
    /// The broker does not know the client.
    Unknown,
}

/// Whether a device that reports nothing exists and is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The device is connected, or has reported before.
    Present,
    /// The device is not connected, but was connected before.
    Away {
        /// The end of the last connection, as Unix time in seconds.
        since: u64,
    },
    /// The device has never connected, as far as the broker knows.
    NeverSeen,
    /// The state of the connection is unavailable.
    Unsure,
}

impl Presence {
    /// Converts the state of a connection. An error becomes [`Presence::Unsure`].
    pub fn of<E>(connection: &Result<Connection, E>) -> Self {
        match connection {
            Ok(Connection::Connected { .. }) => Presence::Present,
            Ok(Connection::Disconnected { since: Some(since) }) => Presence::Away { since: *since },
            Ok(Connection::Disconnected { since: None } | Connection::Unknown) => Presence::NeverSeen,
            Err(_) => Presence::Unsure,
        }
    }
}

/// Why a shadow could not be read or changed.
#[derive(Debug, Error)]
pub enum ShadowError {
    /// The shadow would exceed the size limit of 8 KB.
    #[error("the shadow would be too large")]
    TooLarge,
    /// Another client changed the shadow at the same time.
    #[error("the shadow was changed at the same moment")]
    Conflict,
    /// A quota is exceeded.
    #[error("throttled")]
    Throttled,
    /// The call was refused permanently.
    #[error("refused with {0}")]
    Refused(String),
    /// There is no response, or no intelligible one. The call may have had an effect.
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
    fn the_mark_of_a_new_owner_and_their_settings_fit_into_one_patch() {
        let set = Patch::set(Map::from_iter([("power".to_owned(), json!("ON"))]));
        let id = certificate();
        assert_eq!(
            Patch::ready(7, Some(&id), None).and(&set).document(),
            &json!({"state": {"reported": {"onboarded": {"at": 7, "certificate": id.as_str(), "look": null}}, "desired": {"power": "ON"}}})
        );
    }

    #[test]
    fn an_owner_is_ready_only_with_the_mark_and_without_pending_work() {
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
    fn the_time_of_a_report_is_that_of_its_newest_field() {
        let shadow = Shadow::read(&json!({
            "state": {"reported": {"onboarded": {"at": 90}, "status": "idle", "command": {"id": "x"}}},
            "metadata": {"reported": {
                "onboarded": {"at": {"timestamp": 90}}, "status": {"timestamp": 20}, "command": {"id": {"timestamp": 30}}}},
        }));
        assert_eq!(shadow.reported_at, Some(30));
        assert!(shadow.has_been_online());
    }

    #[test]
    fn a_shadow_with_only_the_mark_belongs_to_a_device_that_was_never_online() {
        let shadow = Shadow::read(&json!({"state": {"reported": {"onboarded": {"at": 90}}},
            "metadata": {"reported": {"onboarded": {"at": {"timestamp": 90}}}}}));
        assert_eq!((shadow.has_been_online(), shadow.reported_at), (false, None));
    }
}
