//! Classic device shadows: what is wanted of a device, what it says, and the difference.
//!
//! [`Document`] is pure and does what AWS IoT's shadow service documents
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>): objects are
//! merged, `null` deletes, arrays are replaced whole, every change counts the version, and metadata holds
//! the second in which each value was written. An update is taken as a whole or not at all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onething::relay::{Connection, Patch, Shadow, ShadowError, Shadows};
use onething::thing::ThingName;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// Of `desired` and `reported` together, without metadata.
const SIZE_LIMIT: usize = 8 * 1024;
/// Levels of names in `desired` or `reported`.
const DEPTH_LIMIT: usize = 8;

/// Why an update was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Rejected {
    /// 400.
    #[error("the update {0}")]
    Invalid(&'static str),
    /// 409: the update is for another version.
    #[error("the shadow has another version")]
    Conflict,
    /// 413.
    #[error("the shadow would be larger than {SIZE_LIMIT} bytes")]
    TooLarge,
}

/// A shadow. The default is one that does not exist yet, of version 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    desired: Section,
    reported: Section,
    version: u64,
}

/// `desired` or `reported`: values, and in the same shape when each was written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Section {
    values: Map<String, Value>,
    written: Map<String, Value>,
}

impl Document {
    /// Takes an update, `{"state":{"desired":…,"reported":…},"version":…}`. `now` is in seconds since the
    /// epoch.
    pub fn update(&mut self, update: &Value, now: u64) -> Result<(), Rejected> {
        let Some(state) = update.get("state").and_then(Value::as_object) else {
            return Err(Rejected::Invalid("has no state"));
        };
        match update.get("version") {
            None | Some(Value::Null) => {}
            Some(version) if version.as_u64() == Some(self.version) => {}
            Some(version) if version.is_u64() => return Err(Rejected::Conflict),
            Some(_) => return Err(Rejected::Invalid("has a version that is no number")),
        }
        let mut updated = self.clone();
        for (name, change) in state {
            let section = match name.as_str() {
                "desired" => &mut updated.desired,
                "reported" => &mut updated.reported,
                _ => return Err(Rejected::Invalid("has a state other than desired and reported")),
            };
            section.update(change, now)?;
        }
        if updated.state().to_string().len() > SIZE_LIMIT {
            return Err(Rejected::TooLarge);
        }
        updated.version += 1;
        *self = updated;
        Ok(())
    }

    /// What is desired and not reported, by the path to each value.
    pub fn delta(&self) -> Map<String, Value> {
        delta(&self.desired.values, &self.reported.values)
    }

    /// What is desired.
    pub fn desired(&self) -> &Map<String, Value> {
        &self.desired.values
    }

    /// The document that GetThingShadow returns.
    pub fn read(&self, now: u64) -> Value {
        let mut state = self.state();
        let delta = self.delta();
        if !delta.is_empty() {
            state["delta"] = Value::Object(delta);
        }
        let metadata = sections([("desired", &self.desired.written), ("reported", &self.reported.written)]);
        json!({"state": state, "metadata": metadata, "version": self.version, "timestamp": now})
    }

    fn state(&self) -> Value {
        sections([("desired", &self.desired.values), ("reported", &self.reported.values)])
    }
}

/// Those sections that hold anything.
fn sections(sections: [(&str, &Map<String, Value>); 2]) -> Value {
    let filled = sections.into_iter().filter(|(_, content)| !content.is_empty());
    filled.map(|(name, content)| (name.to_owned(), Value::Object(content.clone()))).collect()
}

impl Section {
    fn update(&mut self, change: &Value, now: u64) -> Result<(), Rejected> {
        match change {
            Value::Null => *self = Self::default(),
            Value::Object(change) if change.values().any(has_null_in_array) => {
                return Err(Rejected::Invalid("has a null in an array"));
            }
            Value::Object(change) if levels(change) > DEPTH_LIMIT => {
                return Err(Rejected::Invalid("has too many levels"));
            }
            Value::Object(change) => merge(&mut self.values, &mut self.written, change, now),
            _ => return Err(Rejected::Invalid("has a section that is no object")),
        }
        Ok(())
    }
}

fn merge(values: &mut Map<String, Value>, written: &mut Map<String, Value>, change: &Map<String, Value>, now: u64) {
    for (name, change) in change {
        match change {
            Value::Null => {
                values.remove(name);
                written.remove(name);
            }
            Value::Object(change) => {
                if !values.get(name).is_some_and(Value::is_object) {
                    values.insert(name.clone(), json!({}));
                    written.insert(name.clone(), json!({}));
                }
                if let (Some(Value::Object(values)), Some(Value::Object(written))) = (values.get_mut(name), written.get_mut(name)) {
                    merge(values, written, change, now);
                }
            }
            change => {
                values.insert(name.clone(), change.clone());
                written.insert(name.clone(), stamp(change, now));
            }
        }
    }
}

/// Metadata of a value that is written whole.
fn stamp(value: &Value, now: u64) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| stamp(item, now)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), stamp(field, now))).collect(),
        _ => json!({"timestamp": now}),
    }
}

fn delta(desired: &Map<String, Value>, reported: &Map<String, Value>) -> Map<String, Value> {
    let mut delta_here = Map::new();
    for (name, wanted) in desired {
        let missing = match (wanted, reported.get(name)) {
            (Value::Object(wanted), Some(Value::Object(said))) => {
                Some(delta(wanted, said)).filter(|inner| !inner.is_empty()).map(Value::Object)
            }
            (wanted, Some(said)) if wanted == said => None,
            (wanted, _) => Some(wanted.clone()),
        };
        delta_here.extend(missing.map(|missing| (name.clone(), missing)));
    }
    delta_here
}

fn levels(object: &Map<String, Value>) -> usize {
    fn below(value: &Value) -> usize {
        match value {
            Value::Object(object) => levels(object),
            Value::Array(items) => items.iter().map(below).max().unwrap_or_default(),
            _ => 0,
        }
    }
    object.values().map(|value| 1 + below(value)).max().unwrap_or_default()
}

fn has_null_in_array(value: &Value) -> bool {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(has_null),
            Value::Object(fields) => fields.values().any(has_null),
            _ => false,
        }
    }
    match value {
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null_in_array),
        _ => false,
    }
}

/// The shadows of all things, in memory. A shadow needs no registered thing, as with AWS IoT.
pub struct LocalShadows {
    shadows: Mutex<HashMap<ThingName, Document>>,
    now: fn() -> u64,
}

impl LocalShadows {
    /// No shadows yet. `now` is in seconds since the epoch.
    pub fn new(now: fn() -> u64) -> Self {
        Self { shadows: Mutex::default(), now }
    }

    /// A thing's shadow, where there is one.
    pub fn document(&self, thing: &ThingName) -> Option<Document> {
        self.lock().get(thing).cloned()
    }

    /// Takes an update of a thing's shadow, from the skill or from the device.
    pub fn take(&self, thing: &ThingName, update: &Value) -> Result<(), Rejected> {
        let now = (self.now)();
        let mut shadows = self.lock();
        let mut document = shadows.get(thing).cloned().unwrap_or_default();
        document.update(update, now)?;
        shadows.insert(thing.clone(), document);
        Ok(())
    }

    /// A panic elsewhere leaves whole documents behind: they are exchanged, never changed in place.
    fn lock(&self) -> MutexGuard<'_, HashMap<ThingName, Document>> {
        self.shadows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shadows for LocalShadows {
    async fn read(&self, thing: &ThingName) -> Result<Option<Shadow>, ShadowError> {
        Ok(self.document(thing).map(|document| Shadow::read(&document.read((self.now)()))))
    }

    async fn update(&self, thing: &ThingName, patch: &Patch) -> Result<(), ShadowError> {
        self.take(thing, patch.document()).map_err(|rejected| match rejected {
            Rejected::Invalid(_) => ShadowError::Refused("InvalidRequestException".into()),
            Rejected::Conflict => ShadowError::Conflict,
            Rejected::TooLarge => ShadowError::TooLarge,
        })
    }

    async fn delete(&self, thing: &ThingName) -> Result<(), ShadowError> {
        self.lock().remove(thing);
        Ok(())
    }

    /// There is no broker that could know.
    async fn connection(&self, _: &ThingName) -> Result<Connection, ShadowError> {
        Ok(Connection::Unknown)
    }

    /// Nothing is connected.
    async fn disconnect(&self, _: &ThingName) -> Result<(), ShadowError> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
