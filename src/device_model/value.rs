//! What a property or an argument can be.

use serde_json::json;

/// The kinds of value a device model knows.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// `ON` or `OFF`.
    Switch,
    /// One of a list.
    Choice {
        /// The list.
        values: Vec<String>,
    },
    /// Words.
    Text {
        /// In characters.
        max_length: usize,
    },
    /// A number.
    Number {
        /// The lowest that is allowed.
        min: f64,
        /// The highest that is allowed.
        max: f64,
        /// As spoken.
        unit: Option<String>,
        /// Whether it has no fraction.
        whole: bool,
    },
}

/// Why words do not fit, for the owner to hear.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidSlot {
    /// Not a number at all.
    NotANumber(String),
    /// A duration that is no whole number of the unit.
    NotWhole {
        /// What was said.
        said: String,
        /// As spoken.
        unit: String,
    },
    /// Below or above, or a fraction where there is none.
    OutOfRange {
        /// What was said.
        said: String,
        /// The lowest.
        min: f64,
        /// The highest.
        max: f64,
        /// As spoken.
        unit: Option<String>,
        /// Whether it is within these, and has a fraction that it may not have.
        fraction: bool,
    },
    /// Not in the list.
    NotOneOf {
        /// What was said.
        said: String,
        /// The list.
        values: Vec<String>,
    },
    /// Too many words.
    TooLong {
        /// In characters.
        limit: usize,
    },
    /// Several values where one is needed.
    TooMany,
}

impl ValueKind {
    /// The value that a text stands for; `words` name it to the owner where it does not fit.
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

    /// A JSON value of this kind as the shadow keeps it: `21` for 21.0. `None` where it is none of this kind.
    pub fn fit(&self, value: &serde_json::Value) -> Option<serde_json::Value> {
        let said = match (self, value) {
            (ValueKind::Number { .. }, serde_json::Value::Number(number)) => number.to_string(),
            (ValueKind::Switch | ValueKind::Choice { .. } | ValueKind::Text { .. }, serde_json::Value::String(text)) => text.clone(),
            _ => return None,
        };
        self.accept(&said, &said).ok()
    }

    /// What it can be, in words: "a number from 0 to 300 degrees".
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

    /// A JSON value that a device has reported, as this kind has it: `12` for 12.0 where there is no fraction, and a number at most to the
    /// second decimal place. `None` where it is of another type or out of the range.
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

    /// Whether a JSON value from a device model is of this kind.
    pub(super) fn allows(&self, value: &serde_json::Value) -> bool {
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.accept(&said, &said).is_ok_and(|accepted| accepted == *value)
    }
}

/// The value of a list that a text names, in capitals or not, with spaces or with `_` and `-` between its words.
fn choice<'v>(values: &'v [String], said: &str) -> Option<&'v String> {
    let loose = |text: &str| text.to_lowercase().split([' ', '_', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let same = |value: &&String| value.to_lowercase() == said.to_lowercase();
    values.iter().find(same).or_else(|| values.iter().find(|value| loose(value) == loose(said)))
}

/// A number without what a device computes beyond the second decimal place.
fn to_two_places(number: f64) -> f64 {
    let rounded = (number * 100.0).round() / 100.0;
    // No minus in front of a zero; and what is too large to have decimal places stays as it is.
    if rounded.is_finite() { rounded + 0.0 } else { number }
}

/// Whether a JSON value is the one that a condition names.
pub(crate) fn is_named(value: &serde_json::Value, name: &str) -> bool {
    match value {
        serde_json::Value::String(text) => text == name,
        serde_json::Value::Number(number) => name.parse().is_ok_and(|named: f64| number.as_f64() == Some(named)),
        _ => false,
    }
}

/// `200`, not `200.0`, where there is no fraction.
fn plain_number(number: f64) -> serde_json::Value {
    let text = number.to_string();
    text.parse::<i64>().map_or_else(|_| json!(number), |whole| json!(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_number_is_read_by_its_type_and_its_range() {
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
    fn a_value_out_of_json_is_of_its_own_type() {
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
    fn a_range_is_said_in_words() {
        let number = |whole, unit: Option<&str>| ValueKind::Number { min: 0.5, max: 300.0, unit: unit.map(str::to_owned), whole };
        assert_eq!(number(false, Some("degrees")).range(), "a number from 0.5 to 300 degrees");
        assert_eq!(number(true, None).range(), "a whole number from 0.5 to 300");
        assert_eq!(ValueKind::Choice { values: vec!["idle".into(), "busy".into()] }.range(), "one of idle, busy");
        assert_eq!(ValueKind::Text { max_length: 64 }.range(), "a text of at most 64 characters");
        assert_eq!(ValueKind::Switch.range(), "ON or OFF");
    }
}
