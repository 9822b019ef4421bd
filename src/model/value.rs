//! What a property or an argument can be, and how a slot's words become it.

use serde_json::json;

use crate::alexa::request::SlotValue;

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

/// A value for the shadow, with the words that name it to the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// For the device.
    pub json: serde_json::Value,
    /// For the owner.
    pub words: String,
}

/// Why words do not fit, for the owner to hear.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// Not a number at all.
    NotANumber(String),
    /// Below or above.
    OutOfRange {
        /// What was said.
        said: String,
        /// The lowest.
        min: f64,
        /// The highest.
        max: f64,
        /// As spoken.
        unit: Option<String>,
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
    /// Turns the values of a slot into a value of this kind. `None` when the slot is not filled.
    pub fn read(&self, slot: &[SlotValue]) -> Option<Result<Value, Misfit>> {
        match (self, slot) {
            (_, []) => None,
            (ValueKind::Text { .. }, several) => {
                let join = |part: fn(&SlotValue) -> &str| several.iter().map(part).collect::<Vec<_>>().join(", ");
                Some(self.accept(&join(resolved), join(named)))
            }
            (_, [one]) => Some(self.accept(resolved(one), named(one).to_owned())),
            _ => Some(Err(Misfit::TooMany)),
        }
    }

    fn accept(&self, said: &str, words: String) -> Result<Value, Misfit> {
        let not_one_of = |values: &[String]| Misfit::NotOneOf { said: words.clone(), values: values.to_vec() };
        let json = match self {
            ValueKind::Switch => match said.to_ascii_uppercase().as_str() {
                on_off @ ("ON" | "OFF") => json!(on_off),
                _ => return Err(not_one_of(&["on".into(), "off".into()])),
            },
            ValueKind::Choice { values } => {
                json!(values.iter().find(|value| value.eq_ignore_ascii_case(said)).ok_or_else(|| not_one_of(values))?)
            }
            ValueKind::Text { max_length } if said.chars().count() > *max_length => return Err(Misfit::TooLong { limit: *max_length }),
            ValueKind::Text { .. } => json!(said.replace(char::is_control, " ")),
            ValueKind::Number { min, max, unit, whole } => {
                let number: f64 = said.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| Misfit::NotANumber(words.clone()))?;
                if number < *min || number > *max || (*whole && number.fract() != 0.0) {
                    return Err(Misfit::OutOfRange { said: words, min: *min, max: *max, unit: unit.clone() });
                }
                plain_number(number)
            }
        };
        let words = if *self == ValueKind::Switch { words.to_lowercase() } else { words };
        Ok(Value { json, words })
    }

    /// A JSON value of this kind as the shadow keeps it: `21` for 21.0. `None` where it is none of this kind.
    pub fn fit(&self, value: &serde_json::Value) -> Option<serde_json::Value> {
        let said = match (self, value) {
            (ValueKind::Number { .. }, serde_json::Value::Number(number)) => number.to_string(),
            (ValueKind::Switch | ValueKind::Choice { .. } | ValueKind::Text { .. }, serde_json::Value::String(text)) => text.clone(),
            _ => return None,
        };
        self.accept(&said, said.clone()).ok().map(|accepted| accepted.json)
    }

    /// Whether a JSON value from a device model is of this kind.
    pub(super) fn allows(&self, value: &serde_json::Value) -> bool {
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.accept(&said, said.clone()).is_ok_and(|accepted| accepted.json == *value)
    }
}

/// The id of the match where there is one, else its name, else the words.
fn resolved(value: &SlotValue) -> &str {
    value.id.as_deref().or(value.name.as_deref()).unwrap_or(&value.spoken)
}

fn named(value: &SlotValue) -> &str {
    value.name.as_deref().unwrap_or(&value.spoken)
}

/// `200`, not `200.0`, where there is no fraction.
fn plain_number(number: f64) -> serde_json::Value {
    let text = number.to_string();
    text.parse::<i64>().map_or_else(|_| json!(number), |whole| json!(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(words: &str) -> SlotValue {
        SlotValue { spoken: words.into(), id: None, name: None }
    }

    fn check(kind: &ValueKind, said: &str, expected: &Result<serde_json::Value, Misfit>) {
        assert_eq!(&kind.read(&[spoken(said)]).unwrap().map(|v| v.json), expected, "{kind:?} {said}");
    }

    fn degrees() -> ValueKind {
        ValueKind::Number { min: 0.0, max: 300.0, unit: Some("degrees".into()), whole: false }
    }

    #[test]
    fn a_number_is_checked_against_its_range() {
        let out = |said: &str| Misfit::OutOfRange { said: said.into(), min: 0.0, max: 300.0, unit: Some("degrees".into()) };
        check(&degrees(), "200", &Ok(json!(200)));
        check(&degrees(), "0", &Ok(json!(0)));
        check(&degrees(), "20.5", &Ok(json!(20.5)));
        check(&degrees(), "301", &Err(out("301")));
        check(&degrees(), "-1", &Err(out("-1")));
        check(&degrees(), "?", &Err(Misfit::NotANumber("?".into())));
        check(&degrees(), "NaN", &Err(Misfit::NotANumber("NaN".into())));
        check(&degrees(), "inf", &Err(Misfit::NotANumber("inf".into())));
    }

    #[test]
    fn a_whole_number_has_no_fraction() {
        let copies = ValueKind::Number { min: 1.0, max: 20.0, unit: None, whole: true };
        check(&copies, "3", &Ok(json!(3)));
        assert!(matches!(copies.read(&[spoken("1.5")]), Some(Err(Misfit::OutOfRange { .. }))));
    }

    #[test]
    fn the_id_of_a_match_is_used_and_its_name_is_spoken() {
        let one = SlotValue { spoken: "hot end".into(), id: Some("nozzle".into()), name: Some("the nozzle".into()) };
        let part = ValueKind::Choice { values: vec!["nozzle".into(), "bed".into()] };
        assert_eq!(part.read(&[one]), Some(Ok(Value { json: json!("nozzle"), words: "the nozzle".into() })));
    }

    #[test]
    fn a_slot_list_is_one_text_or_a_question() {
        let two = [spoken("vase"), spoken("cup")];
        let text = ValueKind::Text { max_length: 64 };
        assert_eq!(text.read(&two).unwrap().unwrap().json, json!("vase, cup"));
        assert_eq!(degrees().read(&two), Some(Err(Misfit::TooMany)));
        assert_eq!(degrees().read(&[]), None);
    }

    #[test]
    fn a_value_out_of_json_is_of_its_own_type() {
        assert_eq!(degrees().fit(&json!(21.0)), Some(json!(21)));
        assert_eq!(degrees().fit(&json!(20.5)), Some(json!(20.5)));
        assert_eq!(degrees().fit(&json!(301)), None);
        assert_eq!(degrees().fit(&json!("21")), None);
        assert_eq!(ValueKind::Switch.fit(&json!("on")), Some(json!("ON")));
        assert_eq!(ValueKind::Switch.fit(&json!(true)), None);
        let text = ValueKind::Text { max_length: 4 };
        assert_eq!(text.fit(&json!("a\nb")), Some(json!("a b")));
        assert_eq!(text.fit(&json!("vases")), None);
        assert_eq!(text.fit(&json!({"a": 1})), None);
        assert_eq!(text.fit(&json!(null)), None);
    }

    #[test]
    fn text_is_limited_and_has_no_control_characters() {
        let text = ValueKind::Text { max_length: 4 };
        check(&text, "a\nb", &Ok(json!("a b")));
        check(&text, "vases", &Err(Misfit::TooLong { limit: 4 }));
    }
}
