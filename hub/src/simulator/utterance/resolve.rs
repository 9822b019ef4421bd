//! The resolution of an utterance to an intent with its slots: the sample that matches the words best.
//!
//! A literal word of a sample scores most, then a word of a value that the slot type has, then any word in a slot. So "print
//! three vases" is three copies of a vase, and not one model called "three vases". A match is certain only with a literal word of
//! the sample or a value of a slot type: otherwise a sample that consists of slots would match every utterance.

use std::cmp::Reverse;

use jiff::civil::DateTime;
use onething::speech::slot_value::NOT_UNDERSTOOD;

use super::built_in;
use super::english::is_article;
use super::interaction::{Intent, InteractionModel, Part, Sample, Slot, SlotKind, SlotValue};
use super::slot_type::{self, BuiltIn, ValueType};
use super::words::{MAX_WORDS, Phrase};

/// The score of each literal word of the sample.
const LITERAL: i32 = 10;
/// The score of each word of a value that the slot type has.
const KNOWN: i32 = 6;
/// The score of each other word in a slot.
const FREE: i32 = -1;
/// The score of words that a built-in type cannot convert to a value.
const NO_VALUE: i32 = -25;
/// The largest number of words in a list of values.
const MAX_LISTED: usize = 24;
/// The largest number of words in a name from a list of Amazon.
const MAX_NAME: usize = 4;

/// The match of an utterance with a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The name of the intent.
    pub intent: String,
    /// The filled slots: the name of the slot, and one value or a list of several values.
    pub slots: Vec<(String, Vec<Filled>)>,
    /// The score of the match, for comparison only.
    pub score: i32,
    /// Whether the utterance has a literal word of the sample or a value of a slot type. Any other meaning has precedence over a
    /// match that is not certain.
    pub certain: bool,
}

impl Match {
    /// The sort key of matches: the greater, the better.
    pub fn rank(&self) -> (bool, i32) {
        (self.certain, self.score)
    }
}

/// The value of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The words, or the value that a built-in type converts them to; `?` if the conversion fails.
    pub value: String,
    /// The entity resolution; `None` for types without one.
    pub resolution: Option<Resolution>,
}

/// The entity resolution of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The source of the values.
    pub authority: Authority,
    /// The matching values; empty if no value matches.
    pub values: Vec<SlotValue>,
}

/// The source of the values of a slot type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The interaction model; the name of the slot type.
    SlotType(String),
    /// A list that Amazon maintains.
    AlexaEntities,
}

impl InteractionModel {
    /// The best match among all samples; `None` if no sample matches. `now` is the local time, for relative dates and times.
    pub fn resolve(&self, said: Phrase<'_>, now: DateTime) -> Option<Match> {
        if said.is_empty() || said.len() > MAX_WORDS {
            return None;
        }
        let mut best: Option<Match> = None;
        for intent in &self.intents {
            for sample in &intent.samples {
                let bar = best.as_ref().filter(|best| best.certain).map(|best| best.score);
                let found = self.fit(intent, sample, said, now, bar).filter(|found| found.certain || is_a_name(intent, sample, said));
                if let Some(found) = found.filter(|found| best.as_ref().is_none_or(|best| found.rank() > best.rank())) {
                    best = Some(found);
                }
            }
        }
        best
    }

    /// The fallback intent; `None` if the model has none.
    pub fn fallback(&self) -> Option<Match> {
        let intent = self.intent(built_in::FALLBACK)?.name.clone();
        Some(Match { intent, slots: Vec::new(), score: 0, certain: false })
    }

    /// The best match of an utterance as the answer to the question for one slot: by the samples of the slot, or as the value
    /// alone.
    pub fn resolve_slot(&self, intent: &str, slot: &str, said: Phrase<'_>, now: DateTime) -> Option<Match> {
        let intent = self.intent(intent)?;
        let at = intent.slots.iter().position(|known| known.name == slot)?;
        if said.is_empty() || said.len() > MAX_WORDS {
            return None;
        }
        let alone = vec![Part::Slot(at)];
        let mut best: Option<Match> = None;
        for sample in intent.slots[at].samples.iter().chain([&alone]) {
            let bar = best.as_ref().map(|best| best.score);
            best = self.fit(intent, sample, said, now, bar).or(best);
        }
        best
    }

    /// The match of all words with a sample, if its score is greater than `bar`.
    fn fit(&self, intent: &Intent, sample: &Sample, said: Phrase<'_>, now: DateTime, bar: Option<i32>) -> Option<Match> {
        if !may_fit(sample, said) {
            return None;
        }
        // For each part of the sample and each word, from the end: the best score of the rest, and the end of a slot that starts
        // there.
        let width = said.len() + 1;
        let mut table: Vec<Option<(i32, usize)>> = vec![None; (sample.len() + 1) * width];
        table[sample.len() * width + said.len()] = Some((0, 0));
        for (at, part) in sample.iter().enumerate().rev() {
            for from in 0..said.len() {
                let rest = |to: usize| table[(at + 1) * width + to].map(|(score, _)| score);
                table[at * width + from] = match part {
                    Part::Word(word) if said.word(from) == Some(word) => rest(from + 1).map(|score| (score + LITERAL, from + 1)),
                    Part::Word(_) => None,
                    Part::Slot(slot) => {
                        let slot = &intent.slots[*slot];
                        let ends =
                            (from + 1..=said.len()).filter_map(|to| Some((rest(to)? + self.worth(slot, said.part(from, to), now), to)));
                        match slot.kind {
                            // With equal scores, the longest: "one hour thirty minutes" is one duration.
                            SlotKind::BuiltIn(BuiltIn::Value(ValueType::Duration)) => ends.max_by_key(|(score, to)| (*score, *to)),
                            // With equal scores, the shortest: the words after it may belong to the next part.
                            _ => ends.max_by_key(|(score, to)| (*score, Reverse(*to))),
                        }
                    }
                };
            }
        }
        let (score, _) = table[0]?;
        if bar.is_some_and(|bar| score <= bar) {
            return None;
        }
        let mut found = Match { intent: intent.name.clone(), slots: Vec::new(), score, certain: false };
        let mut from = 0;
        for (at, part) in sample.iter().enumerate() {
            let (_, to) = table[at * width + from]?;
            match part {
                Part::Word(_) => found.certain = true,
                Part::Slot(slot) => {
                    let (slot, words) = (&intent.slots[*slot], said.part(from, to));
                    found.certain |= self.worth(slot, words, now) > 0;
                    let filled = self.fill(slot, words, now);
                    if !filled.is_empty() {
                        found.slots.push((slot.name.clone(), filled));
                    }
                }
            }
            from = to;
        }
        Some(found)
    }

    fn worth(&self, slot: &Slot, words: Phrase<'_>, now: DateTime) -> i32 {
        let count = i32::try_from(words.len()).unwrap_or(i32::MAX);
        let known = self.value(&slot.kind, words, now).is_some() || slot.multiple && self.listed(&slot.kind, words, now).is_some();
        match &slot.kind {
            _ if known => KNOWN * count,
            SlotKind::BuiltIn(BuiltIn::Value(_)) => NO_VALUE + FREE * count,
            _ => FREE * count,
        }
    }

    /// The values of a slot for these words; empty if the words name nothing.
    fn fill(&self, slot: &Slot, words: Phrase<'_>, now: DateTime) -> Vec<Filled> {
        if let Some(known) = self.value(&slot.kind, words, now) {
            return vec![known];
        }
        let values = match slot.multiple {
            true => self.listed(&slot.kind, words, now).unwrap_or_else(|| items(words)),
            false => vec![words],
        };
        let named = values.into_iter().filter(|words| words.words().any(|word| word.contains(char::is_alphanumeric) && !is_article(word)));
        named.map(|words| self.value(&slot.kind, words, now).unwrap_or_else(|| unknown(&slot.kind, words))).collect()
    }

    /// The value for these words, if the type has one.
    fn value(&self, kind: &SlotKind, words: Phrase<'_>, now: DateTime) -> Option<Filled> {
        match kind {
            SlotKind::BuiltIn(BuiltIn::Value(kind)) => Some(Filled { value: kind.read(words, now)?, resolution: None }),
            SlotKind::BuiltIn(BuiltIn::Names(list)) => slot_type::is_on_list(list, words).then(|| name(list, words)),
            SlotKind::BuiltIn(BuiltIn::Phrase) => None,
            SlotKind::Listed(name) => {
                let known = self.slot_type(name).filter(|known| words.len() <= known.longest)?;
                let meanings = known.spellings.get(words.text())?;
                let values = meanings.iter().filter_map(|at| known.values.get(*at).cloned()).collect();
                let resolution = Resolution { authority: Authority::SlotType(name.clone()), values };
                Some(Filled { value: words.input().to_owned(), resolution: Some(resolution) })
            }
        }
    }

    /// The words of several values of the type, with or without "and" between them, and with articles before them.
    fn listed<'u>(&self, kind: &SlotKind, words: Phrase<'u>, now: DateTime) -> Option<Vec<Phrase<'u>>> {
        if words.len() > MAX_LISTED {
            return None;
        }
        // For each word, from the end: the end of the value that starts there, if all words after it are values too.
        let mut ends: Vec<Option<usize>> = vec![None; words.len() + 1];
        ends[words.len()] = Some(words.len());
        for from in (0..words.len()).rev() {
            let value = |to: &usize| ends[*to].is_some() && self.value(kind, words.part(from, *to), now).is_some();
            let between = words.word(from).is_some_and(|word| word == "and" || is_article(word)) && from + 1 < words.len();
            let skipped = ends[from + 1].filter(|_| between).map(|_| from);
            ends[from] = (from + 1..=words.len()).rev().find(value).or(skipped);
        }
        let (mut values, mut from) = (Vec::new(), 0);
        while from < words.len() {
            let to = ends[from]?;
            if to > from {
                values.push(words.part(from, to));
            }
            from = to.max(from + 1);
        }
        (!values.is_empty()).then_some(values)
    }
}

/// Whether a sample is a single slot of one of Amazon's lists and the utterance is one word. Several unknown words are more
/// likely an utterance that matches nothing.
fn is_a_name(intent: &Intent, sample: &Sample, said: Phrase<'_>) -> bool {
    let [Part::Slot(slot)] = sample.as_slice() else { return false };
    let open = matches!(intent.slots[*slot].kind, SlotKind::BuiltIn(BuiltIn::Names(list)) if !slot_type::is_closed(list));
    open && said.len() == 1 && said.text().contains(char::is_alphabetic) && !is_article(said.text())
}

/// The items of a list of unknown values, split at commas and at each "and".
fn items(words: Phrase<'_>) -> Vec<Phrase<'_>> {
    let (mut items, mut from) = (Vec::new(), 0);
    for at in 0..words.len() {
        let and = words.word(at) == Some("and");
        if and || words.pauses_before(at) {
            items.push(words.part(from, at));
            from = at + usize::from(and);
        }
    }
    items.push(words.part(from, words.len()));
    items.into_iter().filter(|item| !item.is_empty()).map(without_article).collect()
}

fn without_article(words: Phrase<'_>) -> Phrase<'_> {
    if words.len() > 1 && words.word(0).is_some_and(is_article) { words.after(1) } else { words }
}

/// The value of a slot for words that its type does not have.
fn unknown(kind: &SlotKind, words: Phrase<'_>) -> Filled {
    let input = words.input().to_owned();
    match kind {
        SlotKind::BuiltIn(BuiltIn::Value(_)) => Filled { value: NOT_UNDERSTOOD.into(), resolution: None },
        SlotKind::BuiltIn(BuiltIn::Names(list)) => name(list, words),
        SlotKind::BuiltIn(BuiltIn::Phrase) => Filled { value: input, resolution: None },
        SlotKind::Listed(name) => {
            Filled { value: input, resolution: Some(Resolution { authority: Authority::SlotType(name.clone()), values: Vec::new() }) }
        }
    }
}

/// A name from one of Amazon's lists. The contents of the lists are not public, so any short phrase is accepted as a name.
fn name(list: &str, words: Phrase<'_>) -> Filled {
    let known = words.len() <= MAX_NAME;
    let values = known.then(|| SlotValue { id: None, name: slot_type::written(list, words.input()) });
    let resolution = Resolution { authority: Authority::AlexaEntities, values: values.into_iter().collect() };
    Filled { value: words.input().to_owned(), resolution: Some(resolution) }
}

/// A fast check before the table is built: most samples start or end with another word.
fn may_fit(sample: &Sample, said: Phrase<'_>) -> bool {
    let agrees = |part: Option<&Part>, word: Option<&str>| match part {
        Some(Part::Word(wanted)) => word == Some(wanted),
        _ => true,
    };
    let slots = sample.iter().any(|part| matches!(part, Part::Slot(_)));
    let length = if slots { sample.len() <= said.len() } else { sample.len() == said.len() };
    length && agrees(sample.first(), said.word(0)) && agrees(sample.last(), said.len().checked_sub(1).and_then(|last| said.word(last)))
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
