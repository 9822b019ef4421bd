//! What the shadow holds as desired, and what has changed on the device itself since: by a button, a clamp, a step up or down.
//!
//! Such a change is a request of whoever made it. It goes into `desired` in the update that reports it; otherwise the shadow would want
//! the old value for ever, and the device would go back to it with its next start. A request of the owner that is newer than the change
//! wins.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// In seconds. Times in a shadow are whole seconds: where the order of two is not clear, the owner's request counts as the newer one.
const UNCLEAR: u64 = 1;

/// A desired value.
#[derive(Clone, Debug, PartialEq)]
struct Stated {
    value: Value,
    /// The shadow's note about when it was written.
    written: Option<Value>,
}

#[derive(Debug)]
struct Change {
    value: Value,
    /// On the clock of [`super::Moment::uptime`].
    at: Duration,
    /// The desired value that was known then.
    over: Option<Stated>,
}

/// The time by the shadow's clock, which the device's own need not agree with.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShadowTime {
    /// Seconds since the epoch.
    pub(super) now: u64,
    /// The same moment on the device's steady clock.
    pub(super) uptime: Duration,
}

impl ShadowTime {
    /// When something was, not before it was.
    fn of(self, at: Duration) -> u64 {
        self.now.saturating_sub(self.uptime.saturating_sub(at).as_secs())
    }
}

#[derive(Debug, Default)]
pub(super) struct Desired {
    known: BTreeMap<String, Stated>,
    changes: BTreeMap<String, Change>,
}

impl Desired {
    /// Takes all that is desired, as the answer to the question for the shadow says it.
    pub(super) fn take_all(&mut self, desired: &Map<String, Value>, metadata: Option<&Value>, time: ShadowTime) {
        for (name, value) in desired {
            self.counts(name, value, metadata.and_then(|metadata| metadata.get(name)), time);
        }
        let stated = |(name, value): (&String, &Value)| {
            let written = metadata.and_then(|metadata| metadata.get(name)).cloned();
            (name.clone(), Stated { value: value.clone(), written })
        };
        self.known = desired.iter().map(stated).collect();
    }

    /// Takes a desired value. Whether it counts: a change on the device that is newer stands against it.
    pub(super) fn take(&mut self, name: &str, value: &Value, written: Option<&Value>, time: ShadowTime) -> bool {
        let counts = self.counts(name, value, written, time);
        if counts {
            self.known.insert(name.to_owned(), Stated { value: value.clone(), written: written.cloned() });
        }
        counts
    }

    /// The shadow has taken an update of this device.
    pub(super) fn was_taken(&mut self, desired: &Map<String, Value>) {
        self.changes.retain(|name, change| desired.get(name) != Some(&change.value));
    }

    /// A property has changed on the device.
    pub(super) fn change(&mut self, name: &str, value: &Value, at: Duration) {
        let over = self.known.get(name).cloned();
        self.changes.insert(name.to_owned(), Change { value: value.clone(), at, over });
    }

    /// Whether there are changes to be written, on a device of which this is so.
    pub(super) fn has_changes(&self, so: &Map<String, Value>) -> bool {
        self.changes.iter().any(|(name, change)| self.is_unwritten(name, change) && so.get(name) == Some(&change.value))
    }

    /// The changes to be written into `desired`; from here on they count as written. What is no more so is no change.
    pub(super) fn write(&mut self, so: &Map<String, Value>) -> Map<String, Value> {
        self.changes.retain(|name, change| so.get(name) == Some(&change.value));
        let changes = self.changes.iter().filter(|(name, change)| self.is_unwritten(name, change));
        let changes: Map<String, Value> = changes.map(|(name, change)| (name.clone(), change.value.clone())).collect();
        for (name, value) in &changes {
            self.known.insert(name.clone(), Stated { value: value.clone(), written: None });
        }
        changes
    }

    /// The shadow has refused an update: what it was to change is written again.
    pub(super) fn was_refused(&mut self) {
        self.known.retain(|name, _| !self.changes.contains_key(name));
    }

    /// The value that is wanted now, as far as is known.
    pub(super) fn wanted(&self, name: &str) -> Option<&Value> {
        self.known.get(name).map(|stated| &stated.value)
    }

    fn is_unwritten(&self, name: &str, change: &Change) -> bool {
        self.known.get(name).is_none_or(|stated| stated.value != change.value)
    }

    fn counts(&mut self, name: &str, value: &Value, written: Option<&Value>, time: ShadowTime) -> bool {
        let Some(change) = self.changes.get(name) else { return true };
        let is_what_was = change.over.as_ref().is_some_and(|over| over.value == *value && over.written.as_ref() == written);
        let second = written.and_then(|written| written.get("timestamp")).and_then(Value::as_u64);
        let is_newer = !is_what_was && second.is_none_or(|second| second.saturating_add(UNCLEAR) >= time.of(change.at));
        if change.value == *value || is_newer {
            self.changes.remove(name);
            return true;
        }
        false
    }
}
