//! What could not be done, for the owner to be told: `reported.failures`, a map by property, and `command` for the newest command
//! that failed.
//!
//! An entry says when it failed, so that it can be told once and with its age. It goes when the property has been set, or when a
//! command of the same name has been done.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::order::{Answer, plain, plain_within};

/// The key in `reported`.
pub(super) const FAILURES: &str = "failures";
const COMMAND: &str = "command";
/// The shadow holds 8 KB.
const LENGTH: usize = 8;
/// In characters.
const DETAIL_LIMIT: usize = 160;
/// In bytes of JSON: of a longer value the beginning is kept.
const VALUE_LIMIT: usize = 160;

/// The failures that have not been made good.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<String, Value>);

impl Failures {
    /// What the shadow holds from the time before this process.
    pub(super) fn adopt(&mut self, reported: &Map<String, Value>) {
        for (name, failure) in reported.get(FAILURES).and_then(Value::as_object).into_iter().flatten() {
            if failure.get("at").is_some_and(Value::is_u64) && self.0.len() < LENGTH {
                self.0.entry(name.clone()).or_insert_with(|| failure.clone());
            }
        }
    }

    /// A property could not be set. To try the same request again, and to fail again, is no new failure.
    pub(super) fn property_failed(&mut self, name: &str, value: &Value, why: &str, requested: Option<u64>, now: u64) {
        let mut failure = json!({"value": short(value), "detail": plain_within(why, DETAIL_LIMIT)});
        let before = self.0.get(name).filter(|before| ["value", "detail"].iter().all(|field| before.get(field) == failure.get(field)));
        let since = before.and_then(|before| before.get("at")?.as_u64()).filter(|at| requested.is_none_or(|requested| requested <= *at));
        failure["at"] = json!(since.unwrap_or(now));
        self.insert(name, failure);
    }

    /// A property has been set.
    pub(super) fn property_set(&mut self, name: &str) {
        if name != COMMAND {
            self.0.remove(name);
        }
    }

    /// A command was refused or has failed.
    pub(super) fn command_failed(&mut self, name: &str, answer: &Answer, now: u64) {
        let detail = plain_within(&answer.detail, DETAIL_LIMIT);
        self.insert(COMMAND, json!({"id": answer.id, "name": plain(name), "status": answer.status, "detail": detail, "at": now}));
    }

    /// A command has been done.
    pub(super) fn command_done(&mut self, name: &str) {
        if self.0.get(COMMAND).is_some_and(|failure| failure["name"] == plain(name)) {
            self.0.remove(COMMAND);
        }
    }

    /// Forgets the failures of properties that are as they are wanted now.
    pub(super) fn forget_resolved(&mut self, is_as_wanted: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| name == COMMAND || !is_as_wanted(name));
    }

    /// What is to be reported where the shadow holds this: `null` removes what it holds and is no more.
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
    // A character takes four bytes at most, and six where JSON escapes it.
    let beginning: String = plain_within(&words, DETAIL_LIMIT).chars().take(VALUE_LIMIT / 6).collect();
    json!(format!("{beginning}…"))
}
