//! The failures that the owner is notified of: `reported.failures`, a map by property name, with the key `command` for the newest
//! command that failed.
//!
//! An entry contains the time of the failure, so that the owner can be notified once and with the age of the failure. An entry is
//! removed when the property has been set, or when a command of the same name has succeeded.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::order::{Answer, plain, plain_within};

/// The key in `reported`.
pub(super) const FAILURES: &str = "failures";
const COMMAND: &str = "command";
/// The largest number of entries. A shadow document is limited to 8 KB.
const LENGTH: usize = 8;
/// The largest length of a detail, in characters.
const DETAIL_LIMIT: usize = 160;
/// The largest size of a value, in bytes of JSON: a longer value is cut to its beginning.
const VALUE_LIMIT: usize = 160;

/// The failures that are not resolved.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<String, Value>);

impl Failures {
    /// Takes the entries of the shadow from before this process.
    pub(super) fn adopt(&mut self, reported: &Map<String, Value>) {
        for (name, failure) in reported.get(FAILURES).and_then(Value::as_object).into_iter().flatten() {
            if failure.get("at").is_some_and(Value::is_u64) && self.0.len() < LENGTH {
                self.0.entry(name.clone()).or_insert_with(|| failure.clone());
            }
        }
    }

    /// Records that a property could not be set. If a retry of the same request fails in the same way, the entry keeps its time.
    pub(super) fn property_failed(&mut self, name: &str, value: &Value, why: &str, requested: Option<u64>, now: u64) {
        let mut failure = json!({"value": short(value), "detail": plain_within(why, DETAIL_LIMIT)});
        let before = self.0.get(name).filter(|before| ["value", "detail"].iter().all(|field| before.get(field) == failure.get(field)));
        let since = before.and_then(|before| before.get("at")?.as_u64()).filter(|at| requested.is_none_or(|requested| requested <= *at));
        failure["at"] = json!(since.unwrap_or(now));
        self.insert(name, failure);
    }

    /// Removes the entry of a property that has been set.
    pub(super) fn property_set(&mut self, name: &str) {
        if name != COMMAND {
            self.0.remove(name);
        }
    }

    /// Records that a command was refused or has failed.
    pub(super) fn command_failed(&mut self, name: &str, answer: &Answer, now: u64) {
        let detail = plain_within(&answer.detail, DETAIL_LIMIT);
        self.insert(COMMAND, json!({"id": answer.id, "name": plain(name), "status": answer.status, "detail": detail, "at": now}));
    }

    /// Removes the entry of a command that has succeeded.
    pub(super) fn command_done(&mut self, name: &str) {
        if self.0.get(COMMAND).is_some_and(|failure| failure["name"] == plain(name)) {
            self.0.remove(COMMAND);
        }
    }

    /// Removes the failures of properties that now have the desired value.
    pub(super) fn forget_resolved(&mut self, is_as_wanted: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| name == COMMAND || !is_as_wanted(name));
    }

    /// The value to report if the shadow holds `held`: `null` removes an entry that the shadow holds and that no longer exists.
    pub(super) fn report(&self, held: Option<&Value>) -> Option<Value> {
        let held = held.and_then(Value::as_object);
        let mut all: Map<String, Value> = held.into_iter().flat_map(Map::keys).map(|name| (name.clone(), Value::Null)).collect();
        all.extend(self.0.iter().map(|(name, failure)| (name.clone(), failure.clone())));
        (!all.is_empty()).then_some(Value::Object(all))
    }

    fn insert(&mut self, name: &str, failure: Value) {
        self.0.insert(name.to_owned(), failure);
        if self.0.len() > LENGTH {
            let others = self.0.iter().filter(|(other, _)| *other != name && *other != COMMAND);
            let oldest = others.min_by_key(|(_, failure)| failure["at"].as_u64()).map(|(other, _)| other.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
    }
}

fn short(value: &Value) -> Value {
    if value.to_string().len() <= VALUE_LIMIT {
        return value.clone();
    }
    let words = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // A character needs at most four bytes, or six if JSON escapes it.
    let beginning: String = plain_within(&words, DETAIL_LIMIT).chars().take(VALUE_LIMIT / 6).collect();
    json!(format!("{beginning}…"))
}
