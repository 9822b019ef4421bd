//! The words for a value, and how they stand in a sentence.

use super::Locale;

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
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Words {
    /// Appends the words to a sentence, and returns what is still to come of its rest.
    pub fn append<'s>(&self, sentence: &mut String, rest: &'s str, locale: Locale) -> &'s str {
        match (&self.phrase, locale.before_preposition(sentence)) {
            (Some(phrase), Some(before)) => {
                sentence.truncate(before);
                sentence.push_str(phrase);
            }
            _ => sentence.push_str(&self.text),
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
