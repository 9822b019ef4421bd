//! An update of a shadow, `{"state":{"desired":…,"reported":…},"version":…}`, once it is known to be one.
//!
//! What is outside `state`, `version` and `clientToken` is ignored
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/diagnosing-shadows.html>).

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use super::rejected::{DEPTH_LIMIT, Rejected};

/// Of `desired` and `reported` together, without metadata and white space, in bytes.
pub(super) const SIZE_LIMIT: usize = 8 * 1024;

/// What is to be changed.
pub(super) struct Update<'a> {
    /// As it was sent.
    pub(super) state: &'a Value,
    pub(super) desired: Change<'a>,
    pub(super) reported: Change<'a>,
    /// Of the shadow for which it is meant, if it is not for any.
    pub(super) version: Option<u64>,
}

/// What is to be changed in one section.
pub(super) enum Change<'a> {
    Nothing,
    /// The section is to be removed.
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
            // The shadow stays, and nothing in it.
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

/// Each name is a level, and so is an array of objects or arrays.
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

/// The name of an array that holds `null`, however deep.
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

/// Bytes of a value as JSON without white space.
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
        // What cannot be written fits nowhere.
        Err(_) => usize::MAX,
    }
}
