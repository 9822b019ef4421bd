//! The metadata of a shadow: the time at which each value was written, as a tree with the shape of the state.
//!
//! In messages a time is `{"timestamp":1591057529}`
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>). An object with a field `timestamp` has
//! the same form. In the database a time is therefore a bare number, which is unambiguous.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// The times at which the fields of an object were written.
pub(super) type Fields = BTreeMap<String, Written>;

/// The times at which a value was written. It serializes to bare numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Written {
    /// A scalar: the Unix time in seconds.
    At(u64),
    /// An object: the times of each field.
    Fields(Fields),
    /// An array: the times of each item.
    Items(Vec<Written>),
}

impl Written {
    /// Returns the times of a value that is written completely at `now`.
    pub(super) fn whole(value: &Value, now: u64) -> Self {
        match value {
            Value::Array(items) => Self::Items(items.iter().map(|item| Self::whole(item, now)).collect()),
            Value::Object(fields) => Self::Fields(fields.iter().map(|(name, field)| (name.clone(), Self::whole(field, now))).collect()),
            _ => Self::At(now),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

/// Deserializes [`Written`] by the type of the JSON value.
struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a second, or an object or array of them")
    }

    fn visit_u64<E: Error>(self, second: u64) -> Result<Written, E> {
        Ok(Written::At(second))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, written)) = map.next_entry()? {
            fields.insert(name, written);
        }
        Ok(Written::Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Written, A::Error> {
        let mut items = Vec::new();
        while let Some(written) = sequence.next_element()? {
            items.push(written);
        }
        Ok(Written::Items(items))
    }
}

/// Serializes times in their form in messages.
pub(super) struct Shown<'a>(pub(super) &'a Written);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Written::At(second) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("timestamp", second)?;
                map.end()
            }
            Written::Fields(fields) => ShownFields(fields).serialize(serializer),
            Written::Items(items) => serializer.collect_seq(items.iter().map(Shown)),
        }
    }
}

/// Serializes the times of an object in their form in messages.
pub(super) struct ShownFields<'a>(pub(super) &'a Fields);

impl Serialize for ShownFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, written)| (name, Shown(written))))
    }
}
