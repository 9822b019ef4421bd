//! From the values of a slot to a value of a device, and the words that name it to the owner.
//!
//! Alexa sends the words, or what a built-in type made of them, and the values of slot types that they may stand for
//! (<https://developer.amazon.com/docs/alexa/custom-skills/entity-resolution.html>).

use serde_json::Value as Json;

use crate::alexa::built_in::Duration;
use crate::alexa::request::SlotValue;
use crate::device_model::{InvalidSlot, ValueKind};
use crate::speech::locales::{Locale, Words};

/// The value of a slot of a built-in type where Alexa heard words and could not make a value of them.
pub const NOT_UNDERSTOOD: &str = "?";

/// A value for the shadow, with the words that name it to the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// For the device.
    pub json: Json,
    /// For the owner.
    pub words: Words,
}

/// Reads slots in the language of a request, on its day.
#[derive(Clone, Copy, Debug)]
pub struct SlotReader {
    /// The language of the request.
    pub locale: Locale,
    /// Seconds since the epoch: some dates are said with their year, and others without it.
    pub now: u64,
}

impl SlotReader {
    /// Turns the values of a slot into a value of this kind. `None` when the slot is not filled: an article alone, and symbols
    /// without a letter or digit, fill nothing, unless they are a value of the slot type.
    pub fn read(self, kind: &ValueKind, slot: &[SlotValue]) -> Option<Result<Value, InvalidSlot>> {
        let is_number = matches!(kind, ValueKind::Number { .. });
        let is_filled = |value: &&SlotValue| match value.input.as_str() {
            // Of a number the owner hears that it was not understood; anything else is asked for.
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

    /// A text takes the name of each value. What a built-in type made of the words stays as it is, and is spoken in words.
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

    /// Tries all that a value may be: the id of each match, its name, and at last the words. An id that Alexa has made, which is the MD5
    /// of the name or an address under `AlexaEntities`, is none that a device model has.
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

    /// A duration as an amount of a unit of time.
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

    /// Whether there is a word that is no article.
    fn names_something(self, spoken: &str) -> bool {
        let words = spoken.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        words.filter(|word| !word.is_empty()).any(|word| !self.locale.is_article(word))
    }
}

/// "On" is "on" within a sentence.
fn within_a_sentence(kind: &ValueKind, words: &str) -> String {
    if *kind == ValueKind::Switch { words.to_lowercase() } else { words.to_owned() }
}

#[cfg(test)]
#[path = "slot_value_tests.rs"]
mod tests;
