//! A validated update of a shadow, `{"state":{"desired":…,"reported":…},"version":…}`.
//!
//! Fields other than `state`, `version` and `clientToken` are ignored
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/diagnosing-shadows.html>).

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use super::rejected::{DEPTH_LIMIT, Rejected};

/// The largest size of `desired` and `reported` together, without metadata and white space, in bytes.
pub(super) const SIZE_LIMIT: usize = 8 * 1024;

/// The parsed update.
pub(super) struct Update<'a> {
    /// The `state` as it was sent.
    pub(super) state: &'a Value,
    pub(super) desired: Change<'a>,
    pub(super) reported: Change<'a>,
    /// The version that the shadow must have. `None` if the update applies to any version.
    pub(super) version: Option<u64>,
}

/// The change of one section.
pub(super) enum Change<'a> {
    Nothing,
    /// The section is removed.
    Clear,
    Merge(&'a Map<String, Value>),
}

impl<'a> Update<'a> {
    pub(super) fn parse(request: &'a Value) -> Result<Self, Rejected> {
        let request = request.as_object().ok_or(Rejected::InvalidJson)?;
        let state = request.get("state").ok_or(Rejected::MissingState)?;
        let version = match request.get("version") {
            None | Some(Value::Null) => None,
            Some(version) => Some(version.as_u64().ok_or(Rejected::InvalidVersion)?),
        };
        let (desired, reported) = match state {
            // The shadow becomes empty, but is not deleted.
            Value::Null => (Change::Clear, Change::Clear),
            Value::Object(sections) => {
                if let Some(other) = sections.keys().find(|name| *name != "desired" && *name != "reported") {
                    return Err(Rejected::InvalidNode(other.clone()));
                }
                let desired = Change::parse(sections.get("desired"), Rejected::DesiredNotObject)?;
                (desired, Change::parse(sections.get("reported"), Rejected::ReportedNotObject)?)
            }
            _ => return Err(Rejected::StateNotObject),
        };
        if length(state) > SIZE_LIMIT {
            return Err(Rejected::TooLarge);
        }
        Ok(Self { state, desired, reported, version })
    }
}

impl<'a> Change<'a> {
    fn parse(section: Option<&'a Value>, no_object: Rejected) -> Result<Self, Rejected> {
        match section {
            None => Ok(Self::Nothing),
            Some(Value::Null) => Ok(Self::Clear),
            Some(Value::Object(change)) if levels(change) > DEPTH_LIMIT => Err(Rejected::TooDeep),
            Some(Value::Object(change)) => match array_with_null(change) {
                Some(name) => Err(Rejected::InvalidNode(name.to_owned())),
                None => Ok(Self::Merge(change)),
            },
            Some(_) => Err(no_object),
        }
    }
}

/// Returns the levels of nesting. Each field name is a level, and so is an object or array inside an array.
fn levels(object: &Map<String, Value>) -> usize {
    object.values().map(|value| 1 + levels_below(value)).max().unwrap_or_default()
}

fn levels_below(value: &Value) -> usize {
    match value {
        Value::Object(object) => levels(object),
        Value::Array(items) => {
            let nested = items.iter().filter(|item| item.is_object() || item.is_array());
            nested.map(|item| 1 + levels_below(item)).max().unwrap_or_default()
        }
        _ => 0,
    }
}

/// Returns the name of an array that contains `null` at any depth.
fn array_with_null(object: &Map<String, Value>) -> Option<&str> {
    object.iter().find_map(|(name, value)| match value {
        Value::Object(inner) => array_with_null(inner),
        Value::Array(items) => items.iter().any(holds_null).then_some(name.as_str()),
        _ => None,
    })
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

/// Returns the size of a value as JSON without white space, in bytes.
pub(super) fn length(value: &impl Serialize) -> usize {
    struct Counted(usize);

    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counted = Counted(0);
    match serde_json::to_writer(&mut counted, value) {
        Ok(()) => counted.0,
        // A value that cannot be serialized exceeds every limit.
        Err(_) => usize::MAX,
    }
}
