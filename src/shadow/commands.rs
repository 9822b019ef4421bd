//! The pending commands in a shadow.
//!
//! Every device reads `desired.command`: the newest command, which replaces the one before it. A device that reports
//! `commandQueue` also performs the commands in `desired.commands`, which are keyed by id, in their order. It removes each
//! command that it has answered.

use serde_json::{Map, Value};

/// The commands in a shadow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commands {
    /// Whether the device has a command queue.
    pub takes_queue: bool,
    /// The commands in the queue, `desired.commands`.
    pub queue: Vec<Waiting>,
    /// The newest command, `desired.command`. The device may have answered it already.
    pub newest: Option<Waiting>,
    /// `desired.command` as JSON.
    entry: Map<String, Value>,
    /// The id of the command that the device answered last.
    pub answered: Option<String>,
}

/// A command in a shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The id of the command.
    pub id: String,
    /// The name of the command in the device model.
    pub name: String,
    /// The position in the queue. 0 outside the queue.
    pub order: u64,
    /// The expiry time, as Unix time in seconds.
    pub expires_at: u64,
}

impl Waiting {
    fn read(id: &str, entry: &Value) -> Option<Self> {
        let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or_default();
        let name = entry.get("name")?.as_str()?.to_owned();
        Some(Self { id: id.to_owned(), name, order: number("order"), expires_at: number("expiresAt") })
    }
}

impl Commands {
    pub(super) fn read(desired: &Map<String, Value>, reported: &Map<String, Value>) -> Self {
        let queue = desired.get("commands").and_then(Value::as_object);
        let newest = desired.get("command");
        let id = |command: Option<&Value>| command.and_then(|command| command.get("id")?.as_str().map(str::to_owned));
        Self {
            takes_queue: reported.get("commandQueue") == Some(&Value::Bool(true)),
            queue: queue.into_iter().flatten().filter_map(|(id, entry)| Waiting::read(id, entry)).collect(),
            newest: newest.and_then(|command| Waiting::read(&id(newest)?, command)),
            entry: newest.and_then(Value::as_object).cloned().unwrap_or_default(),
            answered: id(reported.get("command")),
        }
    }

    /// The largest position in the queue.
    pub fn last_place(&self) -> u64 {
        self.queue.iter().map(|waiting| waiting.order).max().unwrap_or_default()
    }

    /// The ids of the expired commands in the queue, which the device will not perform.
    pub fn expired(&self, now: u64) -> Vec<String> {
        self.queue.iter().filter(|waiting| waiting.expires_at <= now).map(|waiting| waiting.id.clone()).collect()
    }

    /// The newest command as an entry of the queue, if it is unanswered and not in the queue. It was then written before the
    /// skill knew that the device has a queue.
    pub(super) fn outside_queue(&self, now: u64) -> Option<(String, Map<String, Value>)> {
        let id = &self.unanswered(now).filter(|newest| !self.queue.iter().any(|waiting| waiting.id == newest.id))?.id;
        let mut entry = self.entry.clone();
        entry.remove("id");
        Some((id.clone(), entry))
    }

    /// The newest command, if it has not expired and the device has not answered it.
    pub fn unanswered(&self, now: u64) -> Option<&Waiting> {
        self.newest.as_ref().filter(|newest| newest.expires_at > now && self.answered.as_ref() != Some(&newest.id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::shadow::{Command, Patch, Shadow};

    fn commands(desired: &Value, reported: &Value) -> Commands {
        Shadow::read(&json!({"state": {"desired": desired, "reported": reported}})).commands
    }

    #[test]
    fn a_command_is_appended_to_the_queue_and_expired_ones_are_removed() {
        let known = commands(
            &json!({"commands": {"a": {"name": "cancel", "expiresAt": 50, "order": 7}, "b": {"name": "print", "expiresAt": 90, "order": 8}}}),
            &json!({"commandQueue": true}),
        );
        assert!(known.takes_queue);
        assert_eq!((known.last_place(), known.expired(50)), (8, vec!["a".to_owned()]));
        let args = json!({"model": "frog", "other": null}).as_object().cloned().unwrap();
        let command = Command { id: "c".into(), name: "print".into(), args, issued_at: 60, expires_at: 99 };
        let patch = Patch::queued(&command, 9, &known, 50);
        let desired = &patch.document()["state"]["desired"];
        let entry = json!({"name": "print", "args": {"model": "frog"}, "issuedAt": 60, "expiresAt": 99, "order": 9});
        assert_eq!(desired["commands"], json!({"a": null, "c": entry}));
        assert_eq!(desired["command"]["id"], "c");
    }

    #[test]
    fn a_command_from_before_the_queue_is_added_before_the_new_one() {
        let command = json!({"id": "a", "name": "cancel", "args": {"model": null}, "issuedAt": 40, "expiresAt": 70});
        let known = commands(&json!({"command": command}), &json!({"commandQueue": true}));
        let next = Command { id: "c".into(), name: "print".into(), args: Map::new(), issued_at: 60, expires_at: 99 };
        let queue = |now: u64| Patch::queued(&next, 61, &known, now).document()["state"]["desired"]["commands"].clone();
        assert_eq!(queue(60)["a"], json!({"name": "cancel", "args": {}, "issuedAt": 40, "expiresAt": 70, "order": 60}));
        assert_eq!(queue(70)["a"], Value::Null, "the command has expired");
        let answered = json!({"commandQueue": true, "command": {"id": "a", "status": "done"}});
        let known = commands(&json!({"command": command}), &answered);
        assert_eq!(Patch::queued(&next, 61, &known, 60).document()["state"]["desired"]["commands"]["a"], Value::Null);
    }

    #[test]
    fn a_command_is_unanswered_until_its_answer_or_its_expiry() {
        let desired = json!({"command": {"id": "a", "name": "cancel", "expiresAt": 50}});
        let known = commands(&desired, &json!({"command": {"id": "0", "status": "done"}}));
        assert_eq!(known.unanswered(49).map(|waiting| waiting.name.as_str()), Some("cancel"));
        assert_eq!(known.unanswered(50), None);
        assert_eq!(commands(&desired, &json!({"command": {"id": "a", "status": "accepted"}})).unanswered(49), None);
        assert_eq!(commands(&json!({}), &json!({})).unanswered(49), None);
    }
}
