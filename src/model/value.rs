//! What a property or an argument can be, and how a slot's words become it.

use serde_json::json;

use crate::alexa::built_in::Duration;
use crate::alexa::request::{NOT_UNDERSTOOD, SlotValue};
use crate::locales::{Locale, Words};

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
    pub words: Words,
}

/// Why words do not fit, for the owner to hear.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// Not a number at all.
    NotANumber(String),
    /// A duration that is no whole number of the unit.
    NotWhole {
        /// What was said.
        said: String,
        /// As spoken.
        unit: String,
    },
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
    /// Turns the values of a slot into a value of this kind. `None` when the slot is not filled. `now`, in seconds since the epoch, is
    /// for the words of dates.
    pub fn read(&self, slot: &[SlotValue], locale: Locale, now: u64) -> Option<Result<Value, Misfit>> {
        let is_number = matches!(self, ValueKind::Number { .. });
        // Words that Alexa could not make a value of say nothing, but of a number the owner hears that it was not understood.
        let said: Vec<&SlotValue> = slot.iter().filter(|value| is_number || value.spoken != NOT_UNDERSTOOD).collect();
        match (self, said.as_slice()) {
            (_, []) => None,
            (ValueKind::Text { .. }, several) => Some(self.read_text(several, locale, now)),
            (_, [one]) => Some(self.read_one(one, locale, now)),
            _ => Some(Err(Misfit::TooMany)),
        }
    }

    /// A text takes the name of each value. What a built-in type made of the words stays as it is, and is spoken in words.
    fn read_text(&self, values: &[&SlotValue], locale: Locale, now: u64) -> Result<Value, Misfit> {
        let name = |value: &SlotValue| value.matches.iter().find_map(|found| found.name.clone());
        let texts: Vec<String> = values.iter().map(|value| name(value).unwrap_or_else(|| value.spoken.clone())).collect();
        let words = |(value, text): (&&SlotValue, &String)| match value.matches.as_slice() {
            [] => locale.words(text, now),
            _ => text.clone().into(),
        };
        let mut words: Vec<Words> = values.iter().zip(&texts).map(words).collect();
        let words = match words.len() {
            1 => words.remove(0),
            _ => locale.list(&words.into_iter().map(|words| words.text).collect::<Vec<_>>()).into(),
        };
        Ok(Value { json: self.accept(&texts.join(", "), &words.text)?, words })
    }

    /// Tries all that a value may be: the id of each match, its name, and at last the words. An id that Alexa has made, which is the MD5
    /// of the name or an address under `AlexaEntities`, is none that a device model has.
    fn read_one(&self, value: &SlotValue, locale: Locale, now: u64) -> Result<Value, Misfit> {
        let spoken = locale.words(&value.spoken, now);
        let mut misfit = None;
        for found in &value.matches {
            let words = found.name.as_ref().unwrap_or(&spoken.text);
            for said in [&found.id, &found.name].into_iter().flatten() {
                match self.accept(said, words) {
                    Ok(json) => return Ok(Value { json, words: self.words(words).into() }),
                    Err(out @ Misfit::OutOfRange { .. }) => misfit = Some(out),
                    Err(_) => {}
                }
            }
        }
        if let (ValueKind::Number { unit: Some(unit), .. }, Some(duration)) = (self, Duration::parse(&value.spoken)) {
            return self.read_duration(duration, unit, spoken, locale);
        }
        match self.accept(&value.spoken, &spoken.text) {
            Ok(json) => Ok(Value { json, words: Words { text: self.words(&spoken.text), ..spoken } }),
            Err(out @ Misfit::OutOfRange { .. }) => Err(out),
            Err(other) => Err(misfit.unwrap_or(other)),
        }
    }

    /// A duration as an amount of a unit of time.
    fn read_duration(&self, duration: Duration, unit: &str, words: Words, locale: Locale) -> Result<Value, Misfit> {
        let Some((seconds, of_unit)) = duration.seconds().zip(locale.seconds_of(unit)) else { return Err(Misfit::NotANumber(words.text)) };
        let whole = matches!(self, ValueKind::Number { whole: true, .. });
        if whole && !seconds.is_multiple_of(of_unit) {
            return Err(Misfit::NotWhole { said: words.text, unit: unit.to_owned() });
        }
        #[allow(clippy::cast_precision_loss, reason = "no duration that is said has 2^53 seconds")]
        let amount = seconds as f64 / of_unit as f64;
        Ok(Value { json: self.accept(&amount.to_string(), &words.text)?, words: Words { unit: Some(unit.to_owned()), ..words } })
    }

    /// "On" at the end of a sentence is "on".
    fn words(&self, words: &str) -> String {
        if *self == ValueKind::Switch { words.to_lowercase() } else { words.to_owned() }
    }

    /// The value that a text stands for; `words` name it to the owner where it does not fit.
    fn accept(&self, said: &str, words: &str) -> Result<serde_json::Value, Misfit> {
        let not_one_of = |values: &[String]| Misfit::NotOneOf { said: words.to_owned(), values: values.to_vec() };
        let said = said.trim();
        Ok(match self {
            ValueKind::Switch => match said.to_ascii_uppercase().as_str() {
                on_off @ ("ON" | "OFF") => json!(on_off),
                _ => return Err(not_one_of(&["on".into(), "off".into()])),
            },
            ValueKind::Choice { values } => json!(choice(values, said).ok_or_else(|| not_one_of(values))?),
            ValueKind::Text { max_length } if said.chars().count() > *max_length => return Err(Misfit::TooLong { limit: *max_length }),
            ValueKind::Text { .. } => json!(said.replace(char::is_control, " ")),
            ValueKind::Number { min, max, unit, whole } => {
                let number: f64 = said.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| Misfit::NotANumber(words.to_owned()))?;
                if number < *min || number > *max || (*whole && number.fract() != 0.0) {
                    return Err(Misfit::OutOfRange { said: words.to_owned(), min: *min, max: *max, unit: unit.clone() });
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

/// `200`, not `200.0`, where there is no fraction.
fn plain_number(number: f64) -> serde_json::Value {
    let text = number.to_string();
    text.parse::<i64>().map_or_else(|_| json!(number), |whole| json!(whole))
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
