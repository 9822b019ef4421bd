//! The document of a shadow, and its updates.
//!
//! [`Document`] does no I/O and follows the documentation of the AWS IoT Device Shadow service
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>): objects are merged, `null` deletes,
//! arrays are replaced as a whole, each update increments the version, and the metadata holds the time at which each value was
//! written. An update is applied completely or not at all.
//!
//! Numbers are those of `serde_json`: integers of 64 bits, signed or unsigned, and otherwise the nearest `f64`, which is written
//! so that it is read back unchanged. `1` and `1.0` are different values. Of two fields with the same name in an object the last
//! counts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rejected::Rejected;
use super::update::{Change, SIZE_LIMIT, Update, length};
use super::written::{Fields, ShownFields, Written};

/// The document of a shadow. The default has version 0: the shadow does not exist yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub(super) desired: Section,
    pub(super) reported: Section,
    pub(super) version: u64,
}

/// The section `desired` or `reported`: its values, and in the same shape the time at which each value was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) values: Map<String, Value>,
    pub(super) written: Fields,
}

/// The desired values that differ from the reported values, and the times at which they were written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) values: Map<String, Value>,
    pub(super) written: Fields,
}

impl Document {
    /// Applies an update `{"state":{"desired":…,"reported":…},"version":…}`. `now` is the Unix time in seconds.
    pub fn update(&mut self, update: &Value, now: u64) -> Result<(), Rejected> {
        *self = self.after(&Update::parse(update)?, now)?;
        Ok(())
    }

    /// Returns the document after an update.
    pub(super) fn after(&self, update: &Update<'_>, now: u64) -> Result<Self, Rejected> {
        if update.version.is_some_and(|version| version != self.version) {
            return Err(Rejected::Conflict);
        }
        let updated = Self {
            desired: self.desired.after(&update.desired, now),
            reported: self.reported.after(&update.reported, now),
            version: self.version.saturating_add(1),
        };
        if length(&updated.state(None)) > SIZE_LIMIT { Err(Rejected::TooLarge) } else { Ok(updated) }
    }

    /// Returns the delta: the desired values that differ from the reported values, each at its path.
    pub fn delta(&self) -> Map<String, Value> {
        self.difference().values
    }

    /// Returns the desired state.
    pub fn desired(&self) -> &Map<String, Value> {
        &self.desired.values
    }

    /// Returns the reported state.
    pub fn reported(&self) -> &Map<String, Value> {
        &self.reported.values
    }

    /// Returns the version, which each update increments.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the document as GetThingShadow returns it. `now` is the Unix time in seconds.
    pub fn read(&self, now: u64) -> Value {
        let delta = self.difference();
        let read = Read { shown: self.shown(Some(&delta)), timestamp: now };
        // Serialization fails only for map keys that are not strings. All keys here are strings.
        serde_json::to_value(read).unwrap_or_default()
    }

    pub(super) fn difference(&self) -> Delta {
        difference(&self.desired.values, &self.desired.written, &self.reported.values)
    }

    /// Returns the form of the document in messages, with the given delta.
    pub(super) fn shown<'a>(&'a self, delta: Option<&'a Delta>) -> Shown<'a> {
        let filled = |written: &'a Fields| (!written.is_empty()).then_some(ShownFields(written));
        let metadata = Sections {
            desired: filled(&self.desired.written),
            reported: filled(&self.reported.written),
            delta: delta.and_then(|delta| filled(&delta.written)),
        };
        Shown { state: self.state(delta), metadata, version: self.version }
    }

    fn state<'a>(&'a self, delta: Option<&'a Delta>) -> Sections<&'a Map<String, Value>> {
        let filled = |values: &'a Map<String, Value>| (!values.is_empty()).then_some(values);
        Sections {
            desired: filled(&self.desired.values),
            reported: filled(&self.reported.values),
            delta: delta.and_then(|delta| filled(&delta.values)),
        }
    }
}

/// The sections that are not empty.
#[derive(Serialize)]
struct Sections<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<T>,
}

/// The form of a document in messages.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    state: Sections<&'a Map<String, Value>>,
    metadata: Sections<ShownFields<'a>>,
    version: u64,
}

#[derive(Serialize)]
struct Read<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    timestamp: u64,
}

impl Section {
    fn after(&self, change: &Change<'_>, now: u64) -> Self {
        match change {
            Change::Nothing => self.clone(),
            Change::Clear => Self::default(),
            Change::Merge(change) => {
                let mut updated = self.clone();
                merge(&mut updated.values, &mut updated.written, change, now);
                updated
            }
        }
    }
}

/// Merges a change into an object. A new object that would contain only deletions is not created. An existing object that loses
/// its last field stays.
fn merge(values: &mut Map<String, Value>, written: &mut Fields, change: &Map<String, Value>, now: u64) {
    for (name, change) in change {
        let new = match change {
            Value::Null => None,
            Value::Object(change) => {
                if let (Some(Value::Object(values)), Some(Written::Fields(written))) = (values.get_mut(name), written.get_mut(name)) {
                    merge(values, written, change, now);
                    continue;
                }
                let (mut inner, mut inner_written) = (Map::new(), Fields::new());
                merge(&mut inner, &mut inner_written, change, now);
                let deletes_only = inner.is_empty() && !change.is_empty();
                (!deletes_only).then_some((Value::Object(inner), Written::Fields(inner_written)))
            }
            change => Some((change.clone(), Written::whole(change, now))),
        };
        match new {
            None => {
                values.remove(name);
                written.remove(name);
            }
            Some((value, second)) => {
                values.insert(name.clone(), value);
                written.insert(name.clone(), second);
            }
        }
    }
}

fn difference(desired: &Map<String, Value>, written: &Fields, reported: &Map<String, Value>) -> Delta {
    let mut here = Delta::default();
    for (name, wanted) in desired {
        let second = written.get(name);
        let (missing, second) = match (wanted, second, reported.get(name)) {
            (Value::Object(wanted), Some(Written::Fields(written)), Some(Value::Object(said))) => {
                let inner = difference(wanted, written, said);
                if inner.values.is_empty() {
                    continue;
                }
                (Value::Object(inner.values), Some(Written::Fields(inner.written)))
            }
            (wanted, _, Some(said)) if wanted == said => continue,
            (wanted, second, _) => (wanted.clone(), second.cloned()),
        };
        here.values.insert(name.clone(), missing);
        here.written.extend(second.map(|second| (name.clone(), second)));
    }
    here
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
