//! The `desired` section of the shadow, and the values that have changed on the device itself since then: by a button, a clamp,
//! or a relative step.
//!
//! Such a change counts as a request. It is written to `desired` in the same update that reports it. Otherwise the shadow would
//! keep the old desired value, and the device would return to that value at its next start. A request of the owner that is newer
//! than the change wins.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// The resolution of the timestamps in a shadow, in seconds. If the order of two times is not clear, the request of the owner
/// counts as the newer one.
const UNCLEAR: u64 = 1;

/// A desired value.
#[derive(Clone, Debug, PartialEq)]
struct Stated {
    value: Value,
    /// The metadata of the shadow for this value, with the time of the write.
    written: Option<Value>,
}

#[derive(Debug)]
struct Change {
    value: Value,
    /// The time of the change, on the clock of [`super::Moment::uptime`].
    at: Duration,
    /// The desired value that was known at that time.
    over: Option<Stated>,
}

/// The time by the clock of the shadow, which may differ from the clock of the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShadowTime {
    /// Unix time in seconds.
    pub(super) now: u64,
    /// The same moment on the monotonic clock of the device.
    pub(super) uptime: Duration,
}

impl ShadowTime {
    /// The shadow time of an earlier moment, rounded up to a whole second.
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
    /// Takes the complete `desired` section from the response to a shadow get request.
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

    /// Takes a desired value. Returns whether the value takes effect: a newer change on the device overrides it.
    pub(super) fn take(&mut self, name: &str, value: &Value, written: Option<&Value>, time: ShadowTime) -> bool {
        let counts = self.counts(name, value, written, time);
        if counts {
            self.known.insert(name.to_owned(), Stated { value: value.clone(), written: written.cloned() });
        }
        counts
    }

    /// The shadow has accepted an update of this device.
    pub(super) fn was_taken(&mut self, desired: &Map<String, Value>) {
        self.changes.retain(|name, change| desired.get(name) != Some(&change.value));
    }

    /// A property has changed on the device.
    pub(super) fn change(&mut self, name: &str, value: &Value, at: Duration) {
        let over = self.known.get(name).cloned();
        self.changes.insert(name.to_owned(), Change { value: value.clone(), at, over });
    }

    /// Whether there are changes to write to `desired`, for a device with these current properties.
    pub(super) fn has_changes(&self, so: &Map<String, Value>) -> bool {
        self.changes.iter().any(|(name, change)| self.is_unwritten(name, change) && so.get(name) == Some(&change.value))
    }

    /// The changes to write to `desired`; from now on they count as written. A change whose value is no longer current is
    /// dropped.
    pub(super) fn write(&mut self, so: &Map<String, Value>) -> Map<String, Value> {
        self.changes.retain(|name, change| so.get(name) == Some(&change.value));
        let changes = self.changes.iter().filter(|(name, change)| self.is_unwritten(name, change));
        let changes: Map<String, Value> = changes.map(|(name, change)| (name.clone(), change.value.clone())).collect();
        for (name, value) in &changes {
            self.known.insert(name.clone(), Stated { value: value.clone(), written: None });
        }
        changes
    }

    /// The shadow has rejected an update: its changes have to be written again.
    pub(super) fn was_refused(&mut self) {
        self.known.retain(|name, _| !self.changes.contains_key(name));
    }

    /// The value that is desired now, as far as the agent knows.
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
