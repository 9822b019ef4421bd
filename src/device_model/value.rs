//! The types and ranges of properties and arguments.

use serde_json::json;

/// The type of a value, with its range.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// `ON` or `OFF`.
    Switch,
    /// One of several values.
    Choice {
        /// The allowed values.
        values: Vec<String>,
    },
    /// A text.
    Text {
        /// The maximum length, in characters.
        max_length: usize,
    },
    /// A number.
    Number {
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
        /// The unit as it is spoken after a number, such as `degrees`.
        unit: Option<String>,
        /// Whether only whole numbers are allowed.
        whole: bool,
    },
}

/// Why the value of a slot is invalid. The skill tells the reason to the owner.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidSlot {
    /// The value is no number. Contains the spoken words.
    NotANumber(String),
    /// The value is a duration that is not a whole number of the unit.
    NotWhole {
        /// The spoken words.
        said: String,
        /// The spoken unit.
        unit: String,
    },
    /// The number is below or above the range, or has a fraction although only whole numbers are allowed.
    OutOfRange {
        /// The spoken words.
        said: String,
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
        /// The spoken unit.
        unit: Option<String>,
        /// Whether the number is within the range and only its fraction is not allowed.
        fraction: bool,
    },
    /// The value is not one of the allowed values.
    NotOneOf {
        /// The spoken words.
        said: String,
        /// The allowed values.
        values: Vec<String>,
    },
    /// The text is too long.
    TooLong {
        /// The maximum length, in characters.
        limit: usize,
    },
    /// The slot has several values, but only one is allowed.
    TooMany,
}

impl ValueKind {
    /// Parses a text as a value of this type. The error contains `words`, the spoken form of the text.
    pub(crate) fn accept(&self, said: &str, words: &str) -> Result<serde_json::Value, InvalidSlot> {
        let not_one_of = |values: &[String]| InvalidSlot::NotOneOf { said: words.to_owned(), values: values.to_vec() };
        let said = said.trim();
        Ok(match self {
            ValueKind::Switch => match said.to_ascii_uppercase().as_str() {
                on_off @ ("ON" | "OFF") => json!(on_off),
                _ => return Err(not_one_of(&["on".into(), "off".into()])),
            },
            ValueKind::Choice { values } => json!(choice(values, said).ok_or_else(|| not_one_of(values))?),
            ValueKind::Text { max_length } if said.chars().count() > *max_length => {
                return Err(InvalidSlot::TooLong { limit: *max_length });
            }
            ValueKind::Text { .. } => json!(said.replace(char::is_control, " ")),
            ValueKind::Number { min, max, unit, whole } => {
                let number: f64 =
                    said.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| InvalidSlot::NotANumber(words.to_owned()))?;
                let fraction = *whole && number.fract() != 0.0 && (*min..=*max).contains(&number);
                if number < *min || number > *max || fraction {
                    return Err(InvalidSlot::OutOfRange { said: words.to_owned(), min: *min, max: *max, unit: unit.clone(), fraction });
                }
                plain_number(number)
            }
        })
    }

    /// Validates a JSON value and returns it in the form in which the shadow stores it: `21` for 21.0. `None` if it is not of
    /// this type or out of range.
    pub fn fit(&self, value: &serde_json::Value) -> Option<serde_json::Value> {
        let said = match (self, value) {
            (ValueKind::Number { .. }, serde_json::Value::Number(number)) => number.to_string(),
            (ValueKind::Switch | ValueKind::Choice { .. } | ValueKind::Text { .. }, serde_json::Value::String(text)) => text.clone(),
            _ => return None,
        };
        self.accept(&said, &said).ok()
    }

    /// A description of the range, such as "a number from 0 to 300 degrees".
    pub fn range(&self) -> String {
        match self {
            ValueKind::Switch => "ON or OFF".to_owned(),
            ValueKind::Choice { values } => format!("one of {}", values.join(", ")),
            ValueKind::Text { max_length } => format!("a text of at most {max_length} characters"),
            ValueKind::Number { min, max, unit, whole } => {
                let unit = unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
                format!("a {} from {min} to {max}{unit}", if *whole { "whole number" } else { "number" })
            }
        }
    }

    /// Validates a JSON value that a device has reported and returns it in canonical form: `12` for 12.0, and at most two decimal
    /// places. `None` if it is not of this type or out of range.
    pub fn reported(&self, value: &serde_json::Value) -> Option<serde_json::Value> {
        match (self, value) {
            (ValueKind::Switch, serde_json::Value::Bool(on)) => Some(json!(if *on { "ON" } else { "OFF" })),
            (ValueKind::Number { .. }, serde_json::Value::Number(number)) => {
                let rounded = to_two_places(number.as_f64()?);
                self.accept(&rounded.to_string(), "").ok()
            }
            _ => self.fit(value),
        }
    }

    /// Whether a JSON value from a device model is a valid value of this type in canonical form.
    pub(super) fn allows(&self, value: &serde_json::Value) -> bool {
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.accept(&said, &said).is_ok_and(|accepted| accepted == *value)
    }
}

/// Finds the value that a text names. The comparison ignores case, and treats spaces, `_` and `-` as equal if there is no closer
/// match.
fn choice<'v>(values: &'v [String], said: &str) -> Option<&'v String> {
    let loose = |text: &str| text.to_lowercase().split([' ', '_', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let same = |value: &&String| value.to_lowercase() == said.to_lowercase();
    values.iter().find(same).or_else(|| values.iter().find(|value| loose(value) == loose(said)))
}

/// Rounds a number to two decimal places, which removes rounding errors of the device.
fn to_two_places(number: f64) -> f64 {
    let rounded = (number * 100.0).round() / 100.0;
    // `+ 0.0` turns a negative zero into zero. A number that is too large to be multiplied has no decimal places and stays
    // unchanged.
    if rounded.is_finite() { rounded + 0.0 } else { number }
}

/// Whether a JSON value equals the value in a condition, which is always text.
pub(crate) fn is_named(value: &serde_json::Value, name: &str) -> bool {
    match value {
        serde_json::Value::String(text) => text == name,
        serde_json::Value::Number(number) => name.parse().is_ok_and(|named: f64| number.as_f64() == Some(named)),
        _ => false,
    }
}

/// An integer if the number has no fraction: `200`, not `200.0`.
fn plain_number(number: f64) -> serde_json::Value {
    let text = number.to_string();
    text.parse::<i64>().map_or_else(|_| json!(number), |whole| json!(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_value_is_validated_by_its_type_and_range() {
        let number = |whole| ValueKind::Number { min: 0.0, max: 300.0, unit: None, whole };
        for (whole, reported, expected) in [
            (false, json!(200.499_999_999_999_97), Some(json!(200.5))),
            (false, json!(21.0), Some(json!(21))),
            (false, json!(20.126), Some(json!(20.13))),
            (false, json!(-0.001), Some(json!(0))),
            (false, json!(300.004), Some(json!(300))),
            (false, json!(300.01), None),
            (false, json!(1e300), None),
            (false, json!("21"), None),
            (false, json!(true), None),
            (true, json!(12.0), Some(json!(12))),
            (true, json!(11.999_999_999_999_998), Some(json!(12))),
            (true, json!(12.5), None),
            (true, json!(-1), None),
        ] {
            assert_eq!(number(whole).reported(&reported), expected, "{reported}");
        }
        assert_eq!(ValueKind::Switch.reported(&json!(true)), Some(json!("ON")));
        assert_eq!(ValueKind::Switch.reported(&json!("off")), Some(json!("OFF")));
        assert_eq!(ValueKind::Switch.reported(&json!(1)), None);
    }

    #[test]
    fn a_json_value_must_have_the_json_type_of_its_kind() {
        let degrees = ValueKind::Number { min: 0.0, max: 300.0, unit: Some("degrees".into()), whole: false };
        let text = ValueKind::Text { max_length: 4 };
        assert_eq!(degrees.fit(&json!(21.0)), Some(json!(21)));
        assert_eq!(degrees.fit(&json!(20.5)), Some(json!(20.5)));
        assert_eq!(degrees.fit(&json!(301)), None);
        assert_eq!(degrees.fit(&json!("21")), None);
        assert_eq!(ValueKind::Switch.fit(&json!("on")), Some(json!("ON")));
        assert_eq!(ValueKind::Switch.fit(&json!(true)), None);
        assert_eq!(text.fit(&json!("a\nb")), Some(json!("a b")));
        assert_eq!(text.fit(&json!("vases")), None);
        assert_eq!(text.fit(&json!({"a": 1})), None);
        assert_eq!(text.fit(&json!(null)), None);
    }

    #[test]
    fn a_range_is_described_in_words() {
        let number = |whole, unit: Option<&str>| ValueKind::Number { min: 0.5, max: 300.0, unit: unit.map(str::to_owned), whole };
        assert_eq!(number(false, Some("degrees")).range(), "a number from 0.5 to 300 degrees");
        assert_eq!(number(true, None).range(), "a whole number from 0.5 to 300");
        assert_eq!(ValueKind::Choice { values: vec!["idle".into(), "busy".into()] }.range(), "one of idle, busy");
        assert_eq!(ValueKind::Text { max_length: 64 }.range(), "a text of at most 64 characters");
        assert_eq!(ValueKind::Switch.range(), "ON or OFF");
    }
}
