//! The words for a value, and their form inside a sentence.

use serde_json::Value;

use super::Locale;
use crate::device_model::{Property, ValueKind};

/// The words for a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words on their own: `ten minutes`, `the morning`.
    pub text: String,
    /// The words with their own preposition, if they have one: `in the morning`, `on December 1st`. It replaces a preposition
    /// that a sentence has in front of the value, because the sentence is written before the value is known.
    pub phrase: Option<String>,
    /// The unit that the words already contain, so that a sentence must not repeat it: `minutes`.
    pub unit: Option<String>,
    /// The words after "is" and "was", if they differ: `in an error state`.
    pub predicate: Option<String>,
    /// The unit of the number 1, in the form of the device model: "1 degrees" becomes "1 degree".
    pub one: Option<String>,
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Locale {
    /// The words for a value of this type in a shadow. A text may contain the value of a built-in slot type. `now` is Unix time
    /// in seconds and determines whether the words for a date contain the year.
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

    /// The words for a value with its unit: "250 degrees".
    pub fn with_unit(self, kind: &ValueKind, words: Words) -> String {
        match (kind, words.one) {
            (ValueKind::Number { unit: Some(_), .. }, Some(unit)) => format!("{} {}", words.text, self.singular(&unit)),
            (ValueKind::Number { unit: Some(unit), .. }, None) => format!("{} {unit}", words.text),
            _ => words.text,
        }
    }

    /// The words for a reported value of a property. Words of the device model for this value have priority.
    pub fn report(self, property: &Property, value: &Value, now: u64) -> Report {
        let Some(value) = property.kind.reported(value) else { return Report::CannotBeRight };
        match value.as_str() {
            // A text that only has symbols cannot be spoken.
            Some(text) if !text.chars().any(char::is_alphanumeric) => Report::Nothing,
            Some(text) => match property.words.get(text) {
                Some(words) => Report::Fits(Words { text: words.clone(), predicate: Some(words.clone()), ..Words::default() }, value),
                None => Report::Fits(self.value(&property.kind, &value, now), value),
            },
            None => Report::Fits(self.value(&property.kind, &value, now), value),
        }
    }
}

/// The result of converting a reported value to words.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The value has no words.
    Nothing,
    /// The value has another type than the property or is out of range.
    CannotBeRight,
    /// The words for the value, and the value in canonical form.
    Fits(Words, Value),
}

impl Words {
    /// Appends the words to a sentence. Returns the rest of the sentence that is still to be appended.
    pub fn append<'s>(&self, sentence: &mut String, rest: &'s str, locale: Locale) -> &'s str {
        match (&self.phrase, locale.before_preposition(sentence), &self.predicate) {
            (Some(phrase), Some(before), _) => {
                sentence.truncate(before);
                sentence.push_str(phrase);
            }
            (_, _, Some(predicate)) if locale.says_how_something_is(sentence) => sentence.push_str(predicate),
            // "Printing 2 a vase" would be wrong.
            _ => sentence.push_str(locale.after(sentence, &self.text)),
        }
        if let Some((unit, rest)) = self.one.as_ref().and_then(|unit| Some((unit, without_unit(rest, unit)?))) {
            sentence.push(' ');
            sentence.push_str(&locale.singular(unit));
            return rest;
        }
        let rest = self.unit.as_ref().and_then(|unit| without_unit(rest, unit)).unwrap_or(rest);
        // A sentence that ends with "at 7 p.m." has only one full stop.
        rest.strip_prefix('.').filter(|_| sentence.ends_with('.')).unwrap_or(rest)
    }
}

/// The rest of a sentence without the unit at its start, in the singular or plural. `None` if it does not start with the unit.
fn without_unit<'s>(rest: &'s str, unit: &str) -> Option<&'s str> {
    let word = rest.strip_prefix(' ')?;
    let (word, rest) = word.split_at(word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len()));
    let one = |unit: &str| unit.to_lowercase().trim_end_matches('s').to_owned();
    (!word.is_empty() && one(word) == one(unit)).then_some(rest)
}
