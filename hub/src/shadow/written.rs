//! When each value of a shadow was written: a tree of the shape of the state, with a second at each leaf.
//!
//! In messages a second is `{"timestamp":1591057529}`
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html>), and a value of the
//! name `timestamp` looks the same; in the database it is the bare number, which cannot be mistaken.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// When the fields of an object were written.
pub(super) type Fields = BTreeMap<String, Written>;

/// When a value was written. It is kept as bare numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Written {
    /// In seconds since the epoch.
    At(u64),
    /// An object, field by field.
    Fields(Fields),
    /// An array, item by item.
    Items(Vec<Written>),
}

impl Written {
    /// Of a value that is written whole.
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

/// Tells by the look of a value what it is.
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

/// As messages show it.
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

/// An object as messages show it.
pub(super) struct ShownFields<'a>(pub(super) &'a Fields);

impl Serialize for ShownFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, written)| (name, Shown(written))))
    }
}
