//! The words for a value, and how they stand in a sentence.

use serde_json::Value;

use super::Locale;
use crate::device_model::{Property, ValueKind};

/// The words for a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// As they stand for themselves: `ten minutes`, `the morning`.
    pub text: String,
    /// With the preposition that they take, where they take one: `in the morning`, `on December 1st`. A sentence may have another
    /// one in front of the value, because it does not know which value will come.
    pub phrase: Option<String>,
    /// The unit that is part of the words, so that a sentence must not say it once more: `minutes`.
    pub unit: Option<String>,
    /// What they are after "is" and "was", where that differs: `in an error state`.
    pub predicate: Option<String>,
    /// The unit of a number that is one, as a sentence names it for any number: "1 degrees" becomes "1 degree".
    pub one: Option<String>,
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Locale {
    /// The words for a value of this kind, as a shadow has it. A text may hold what a built-in slot type has made of words: `now`, in seconds
    /// since the epoch, says which dates need their year.
    pub fn value(self, kind: &ValueKind, value: &Value, now: u64) -> Words {
        match (kind, value) {
            (ValueKind::Switch, _) => self.switch(value == "ON"),
            (ValueKind::Choice { .. }, Value::String(value)) => self.choice(value),
            (ValueKind::Text { .. }, Value::String(text)) => self.words(text, now),
            (ValueKind::Number { unit, .. }, Value::Number(number)) => {
                let one = unit.clone().filter(|_| number.as_f64() == Some(1.0));
                Words { text: number.to_string(), one, ..Words::default() }
            }
            (_, other) => other.to_string().into(),
        }
    }

    /// Words for a value with its unit: "250 degrees".
    pub fn with_unit(self, kind: &ValueKind, words: Words) -> String {
        match (kind, words.one) {
            (ValueKind::Number { unit: Some(_), .. }, Some(unit)) => format!("{} {}", words.text, self.singular(&unit)),
            (ValueKind::Number { unit: Some(unit), .. }, None) => format!("{} {unit}", words.text),
            _ => words.text,
        }
    }

    /// What a device has reported for a property, in words: the device model's own where it has some.
    pub fn report(self, property: &Property, value: &Value, now: u64) -> Report {
        let Some(value) = property.kind.reported(value) else { return Report::CannotBeRight };
        match value.as_str() {
            // Symbols alone are nothing that can be spoken.
            Some(text) if !text.chars().any(char::is_alphanumeric) => Report::Nothing,
            Some(text) => match property.words.get(text) {
                Some(words) => Report::Fits(Words { text: words.clone(), predicate: Some(words.clone()), ..Words::default() }, value),
                None => Report::Fits(self.value(&property.kind, &value, now), value),
            },
            None => Report::Fits(self.value(&property.kind, &value, now), value),
        }
    }
}

/// What a report of a property comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// There is nothing to say.
    Nothing,
    /// Another type than the property's, or out of its range.
    CannotBeRight,
    /// The words for it, and the value as the property's type has it.
    Fits(Words, Value),
}

impl Words {
    /// Appends the words to a sentence, and returns what is still to come of its rest.
    pub fn append<'s>(&self, sentence: &mut String, rest: &'s str, locale: Locale) -> &'s str {
        match (&self.phrase, locale.before_preposition(sentence), &self.predicate) {
            (Some(phrase), Some(before), _) => {
                sentence.truncate(before);
                sentence.push_str(phrase);
            }
            (_, _, Some(predicate)) if locale.says_how_something_is(sentence) => sentence.push_str(predicate),
            // "Printing 2 a vase" is no English.
            _ => sentence.push_str(locale.after(sentence, &self.text)),
        }
        if let Some((unit, rest)) = self.one.as_ref().and_then(|unit| Some((unit, without_unit(rest, unit)?))) {
            sentence.push(' ');
            sentence.push_str(&locale.singular(unit));
            return rest;
        }
        let rest = self.unit.as_ref().and_then(|unit| without_unit(rest, unit)).unwrap_or(rest);
        // "At 7 p.m." ends a sentence with one full stop.
        rest.strip_prefix('.').filter(|_| sentence.ends_with('.')).unwrap_or(rest)
    }
}

/// The rest of a sentence without the unit at its beginning, be it one or several.
fn without_unit<'s>(rest: &'s str, unit: &str) -> Option<&'s str> {
    let word = rest.strip_prefix(' ')?;
    let (word, rest) = word.split_at(word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len()));
    let one = |unit: &str| unit.to_lowercase().trim_end_matches('s').to_owned();
    (!word.is_empty() && one(word) == one(unit)).then_some(rest)
}
