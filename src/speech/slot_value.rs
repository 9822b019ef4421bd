//! Converts the values of a slot to a value for the device, with its words for the owner.
//!
//! Alexa sends the spoken words or the value of a built-in slot type, and the matching values of a custom slot type
//! (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution.html>).

use serde_json::Value as Json;

use crate::alexa::built_in::Duration;
use crate::alexa::request::SlotValue;
use crate::device_model::{InvalidSlot, ValueKind};
use crate::speech::locales::{Locale, Words};

/// The value of a slot of a built-in type if Alexa could not convert the spoken words.
pub const NOT_UNDERSTOOD: &str = "?";

/// A value for the shadow, with its words for the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The value for the shadow.
    pub json: Json,
    /// The spoken form of the value.
    pub words: Words,
}

/// Reads slots in the language and at the time of a request.
#[derive(Clone, Copy, Debug)]
pub struct SlotReader {
    /// The language of the request.
    pub locale: Locale,
    /// The Unix time of the request in seconds. It determines whether the words for a date contain the year.
    pub now: u64,
}

impl SlotReader {
    /// Converts the values of a slot to a value of this type. `None` if the slot is not filled. An article alone, or symbols
    /// without a letter or digit, do not fill a slot, unless they match a value of the slot type.
    pub fn read(self, kind: &ValueKind, slot: &[SlotValue]) -> Option<Result<Value, InvalidSlot>> {
        let is_number = matches!(kind, ValueKind::Number { .. });
        let is_filled = |value: &&SlotValue| match value.input.as_str() {
            // A number that Alexa did not understand is reported as such. Other slots count as unfilled and are elicited.
            NOT_UNDERSTOOD => is_number,
            spoken => !value.matches.is_empty() || self.names_something(spoken),
        };
        let said: Vec<&SlotValue> = slot.iter().filter(is_filled).collect();
        match (kind, said.as_slice()) {
            (_, []) => None,
            (ValueKind::Text { .. }, several) => Some(self.read_text(kind, several)),
            (_, [one]) => Some(self.read_one(kind, one)),
            _ => Some(Err(InvalidSlot::TooMany)),
        }
    }

    /// The value of a text: the names of the matches, or else the spoken words. The value of a built-in type is stored unchanged
    /// and spoken in words.
    fn read_text(self, kind: &ValueKind, values: &[&SlotValue]) -> Result<Value, InvalidSlot> {
        let name = |value: &SlotValue| value.matches.iter().find_map(|found| found.name.clone());
        let texts: Vec<String> = values.iter().map(|value| name(value).unwrap_or_else(|| value.input.clone())).collect();
        let words = |(value, text): (&&SlotValue, &String)| match value.matches.as_slice() {
            [] => self.locale.words(text, self.now),
            _ => text.clone().into(),
        };
        let mut words: Vec<Words> = values.iter().zip(&texts).map(words).collect();
        let words = match words.len() {
            1 => words.remove(0),
            _ => self.locale.list(&words.into_iter().map(|words| words.text).collect::<Vec<_>>()).into(),
        };
        Ok(Value { json: kind.accept(&texts.join(", "), &words.text)?, words })
    }

    /// Tries the possible values in order: the id of each match, its name, and finally the spoken words. An id that Alexa
    /// generated (the MD5 of the name, or a URL below `AlexaEntities`) never equals a value of a device model.
    fn read_one(self, kind: &ValueKind, value: &SlotValue) -> Result<Value, InvalidSlot> {
        let spoken = self.locale.words(&value.input, self.now);
        let mut why = None;
        for found in &value.matches {
            let words = found.name.as_ref().unwrap_or(&spoken.text);
            for said in [&found.id, &found.name].into_iter().flatten() {
                match kind.accept(said, words) {
                    Ok(json) => return Ok(Value { json, words: within_a_sentence(kind, words).into() }),
                    Err(out @ InvalidSlot::OutOfRange { .. }) => why = Some(out),
                    Err(_) => {}
                }
            }
        }
        if let (ValueKind::Number { unit: Some(unit), whole, .. }, Some(duration)) = (kind, Duration::parse(&value.input)) {
            let amount = self.amount(duration, unit, *whole, &spoken.text)?;
            let json = kind.accept(&amount.to_string(), &spoken.text)?;
            return Ok(Value { json, words: Words { unit: Some(unit.clone()), ..spoken } });
        }
        match kind.accept(&value.input, &spoken.text) {
            Ok(json @ Json::Number(_)) => Ok(Value { words: self.locale.value(kind, &json, self.now), json }),
            Ok(json) => Ok(Value { json, words: Words { text: within_a_sentence(kind, &spoken.text), ..spoken } }),
            Err(out @ InvalidSlot::OutOfRange { .. }) => Err(out),
            Err(other) => Err(why.unwrap_or(other)),
        }
    }

    /// A duration as a number of this unit of time.
    fn amount(self, duration: Duration, unit: &str, whole: bool, words: &str) -> Result<f64, InvalidSlot> {
        let Some((seconds, of_unit)) = duration.seconds().zip(self.locale.seconds_of(unit)) else {
            return Err(InvalidSlot::NotANumber(words.to_owned()));
        };
        if whole && !seconds.is_multiple_of(of_unit) {
            return Err(InvalidSlot::NotWhole { said: words.to_owned(), unit: unit.to_owned() });
        }
        #[allow(clippy::cast_precision_loss, reason = "no duration that is said has 2^53 seconds")]
        Ok(seconds as f64 / of_unit as f64)
    }

    /// Whether there is a word other than an article.
    fn names_something(self, spoken: &str) -> bool {
        let words = spoken.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        words.filter(|word| !word.is_empty()).any(|word| !self.locale.is_article(word))
    }
}

/// The words inside a sentence: "on" for "On", if they name a switch value.
fn within_a_sentence(kind: &ValueKind, words: &str) -> String {
    if *kind == ValueKind::Switch { words.to_lowercase() } else { words.to_owned() }
}

#[cfg(test)]
#[path = "slot_value_tests.rs"]
mod tests;
