//! The document of a shadow, and how it changes.
//!
//! [`Document`] is pure and does what AWS IoT's shadow service documents
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>): objects are
//! merged, `null` deletes, arrays are replaced whole, every change counts the version, and metadata holds
//! the second in which each value was written. An update is taken as a whole or not at all.
//!
//! Numbers are what `serde_json` makes of them: whole numbers of 64 bits, signed or not, and all others the
//! nearest double, written so that it is read back as the same. `1` and `1.0` are two values. Of two fields
//! of one name in an object the last counts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rejected::Rejected;
use super::update::{Change, SIZE_LIMIT, Update, length};
use super::written::{Fields, ShownFields, Written};

/// A shadow. The default is one that does not exist yet, of version 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub(super) desired: Section,
    pub(super) reported: Section,
    pub(super) version: u64,
}

/// `desired` or `reported`: values, and in the same shape when each was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) values: Map<String, Value>,
    pub(super) written: Fields,
}

/// What is desired and not reported, and when it was desired.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) values: Map<String, Value>,
    pub(super) written: Fields,
}

impl Document {
    /// Takes an update, `{"state":{"desired":…,"reported":…},"version":…}`. `now` is in seconds since the
    /// epoch.
    pub fn update(&mut self, update: &Value, now: u64) -> Result<(), Rejected> {
        *self = self.after(&Update::parse(update)?, now)?;
        Ok(())
    }

    /// What an update makes of it.
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

    /// What is desired and not reported, by the path to each value.
    pub fn delta(&self) -> Map<String, Value> {
        self.difference().values
    }

    /// What is desired.
    pub fn desired(&self) -> &Map<String, Value> {
        &self.desired.values
    }

    /// What the device said.
    pub fn reported(&self) -> &Map<String, Value> {
        &self.reported.values
    }

    /// Counts the updates.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The document that GetThingShadow returns.
    pub fn read(&self, now: u64) -> Value {
        let delta = self.difference();
        let read = Read { shown: self.shown(Some(&delta)), timestamp: now };
        // It fails only for names that are no strings, and these are.
        serde_json::to_value(read).unwrap_or_default()
    }

    pub(super) fn difference(&self) -> Delta {
        difference(&self.desired.values, &self.desired.written, &self.reported.values)
    }

    /// As messages show it; with a delta where they do so.
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

/// Those sections that hold anything.
#[derive(Serialize)]
struct Sections<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<T>,
}

/// A document as messages show it.
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

/// An object that would come into being with nothing but deletions does not; one that loses its last field stays.
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
