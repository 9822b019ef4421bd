//! The description of a value in `device.toml`, and its conversion to a [`ValueKind`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ValueKind;
use super::faults::Faults;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValue {
    #[serde(rename = "type")]
    kind: RawKind,
    values: Option<Vec<String>>,
    max_length: Option<usize>,
    min: Option<f64>,
    max: Option<f64>,
    unit: Option<String>,
    pub(super) default: Option<serde_json::Value>,
    pub(super) written_by: Option<Writer>,
    #[serde(default)]
    pub(super) words: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Switch,
    Choice,
    Text,
    Integer,
    Number,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Writer {
    Device,
    Skill,
}

/// Whether a name is not empty and consists of ASCII letters, ASCII digits and the characters of `also`.
pub(super) fn is_name(name: &str, also: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

/// The type of a value. Adds a fault for each option that is missing or does not belong to the type.
pub(super) fn kind(place: &str, raw: &RawValue, faults: &mut Faults) -> ValueKind {
    let numeric = matches!(raw.kind, RawKind::Integer | RawKind::Number);
    let belongs = [
        ("values", raw.values.is_some(), raw.kind == RawKind::Choice, raw.kind == RawKind::Choice),
        ("max_length", raw.max_length.is_some(), raw.kind == RawKind::Text, raw.kind == RawKind::Text),
        ("min", raw.min.is_some(), numeric, numeric),
        ("max", raw.max.is_some(), numeric, numeric),
        ("unit", raw.unit.is_some(), numeric, false),
    ];
    for (option, given, allowed, needed) in belongs {
        faults.check(!given || allowed, place, format_args!("`{option}` does not belong to this type"));
        faults.check(given || !needed, place, format_args!("`{option}` is missing"));
    }
    match raw.kind {
        RawKind::Switch => ValueKind::Switch,
        RawKind::Choice => {
            let values = raw.values.clone().unwrap_or_default();
            faults.check(!values.is_empty(), place, "`values` must not be empty");
            ValueKind::Choice { values }
        }
        RawKind::Text => {
            let max_length = raw.max_length.unwrap_or_default();
            faults.check((1..=1_000).contains(&max_length), place, "`max_length` must be from 1 to 1000: a shadow holds 8 KB");
            ValueKind::Text { max_length }
        }
        RawKind::Integer | RawKind::Number => {
            let (min, max) = (raw.min.unwrap_or_default(), raw.max.unwrap_or_default());
            faults.check(min <= max, place, "`min` must not be above `max`");
            ValueKind::Number { min, max, unit: raw.unit.clone(), whole: raw.kind == RawKind::Integer }
        }
    }
}
