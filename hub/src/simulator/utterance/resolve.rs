//! Which intent is meant, with which slots: the sample that covers the words best.
//!
//! A word of the sample that was said counts most, then a word of a value that the slot's type has, then any word in a slot; so
//! "print three vases" is three of a vase and not a thing called "three vases". A match needs a word of the
//! sample or a value of a type: otherwise a sample of nothing but slots would take everything.

use std::cmp::Reverse;

use jiff::civil::DateTime;
use onething::speech::slot_value::NOT_UNDERSTOOD;

use super::built_in;
use super::english::is_article;
use super::interaction::{Intent, InteractionModel, Part, Sample, Slot, SlotKind, SlotValue};
use super::slot_type::{self, BuiltIn, ValueType};
use super::words::{MAX_WORDS, Phrase};

/// For each word of the sample.
const LITERAL: i32 = 10;
/// For each word of a value that the slot's type has.
const KNOWN: i32 = 6;
/// For each other word in a slot.
const FREE: i32 = -1;
/// For words that a type should make a value of, and cannot.
const NO_VALUE: i32 = -25;
/// More words than a list of values has.
const MAX_LISTED: usize = 24;
/// More words than a name has.
const MAX_NAME: usize = 4;

/// What an utterance means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The intent's name.
    pub intent: String,
    /// What was said for its slots, in a list several values; the others are unfilled.
    pub slots: Vec<(String, Vec<Filled>)>,
    /// How well it matches; for comparison only.
    pub score: i32,
    /// Whether a word of a sample or a value of a type was said. A match that is not certain gives way to anything else.
    pub certain: bool,
}

impl Match {
    /// By what matches are compared: the greater, the better.
    pub fn rank(&self) -> (bool, i32) {
        (self.certain, self.score)
    }
}

/// What a slot is filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// What was said, or what a built-in type makes of it; `?` where it cannot.
    pub value: String,
    /// How it was resolved; `None` for types that resolve nothing.
    pub resolution: Option<Resolution>,
}

/// A slot's words against the values of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Who knows the values.
    pub authority: Authority,
    /// The values that it may be; none for what is not known.
    pub values: Vec<SlotValue>,
}

/// Who knows the values of a slot type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The interaction model, by the name of the slot type.
    SlotType(String),
    /// Amazon.
    AlexaEntities,
}

impl InteractionModel {
    /// The meaning of an utterance: the best match among all samples. `None` when nothing matches. `now`, in local time, is for
    /// dates.
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

    /// The intent for what matches nothing; `None` when the model has none.
    pub fn fallback(&self) -> Option<Match> {
        let intent = self.intent(built_in::FALLBACK)?.name.clone();
        Some(Match { intent, slots: Vec::new(), score: 0, certain: false })
    }

    /// The meaning of an utterance as the answer to the question for one slot: by the slot's own samples, or
    /// as nothing but its value.
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

    /// The best way to cover all words by a sample, if it is better than `bar`.
    fn fit(&self, intent: &Intent, sample: &Sample, said: Phrase<'_>, now: DateTime, bar: Option<i32>) -> Option<Match> {
        if !may_fit(sample, said) {
            return None;
        }
        // For each part of the sample and each word, from the end: the best score of the rest, and where a
        // slot that begins there ends.
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
                            // Of equals the longest: "one hour thirty minutes" is one duration.
                            SlotKind::BuiltIn(BuiltIn::Value(ValueType::Duration)) => ends.max_by_key(|(score, to)| (*score, *to)),
                            // Of equals the shortest: what follows may be more of the same.
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

    /// What a slot holds after these words: nothing where they name nothing.
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

    /// A value that the type has.
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

    /// Several values that the type has, with "and" between them or nothing, and articles before them.
    fn listed<'u>(&self, kind: &SlotKind, words: Phrase<'u>, now: DateTime) -> Option<Vec<Phrase<'u>>> {
        if words.len() > MAX_LISTED {
            return None;
        }
        // For each word, from the end: where the value ends that begins there, if all that follows are values too.
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

/// Whether a sample asks for nothing but a name of one of Amazon's lists, and one word was said. More words that are not known are
/// more likely something that nobody understands.
fn is_a_name(intent: &Intent, sample: &Sample, said: Phrase<'_>) -> bool {
    let [Part::Slot(slot)] = sample.as_slice() else { return false };
    let open = matches!(intent.slots[*slot].kind, SlotKind::BuiltIn(BuiltIn::Names(list)) if !slot_type::is_closed(list));
    open && said.len() == 1 && said.text().contains(char::is_alphabetic) && !is_article(said.text())
}

/// The items of a list that is not known, at its pauses and each "and".
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

/// What a type holds of words that it does not know.
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

/// A name out of one of Amazon's lists. Which names are in it only Amazon knows: here it is any that is short.
fn name(list: &str, words: Phrase<'_>) -> Filled {
    let known = words.len() <= MAX_NAME;
    let values = known.then(|| SlotValue { id: None, name: slot_type::written(list, words.input()) });
    let resolution = Resolution { authority: Authority::AlexaEntities, values: values.into_iter().collect() };
    Filled { value: words.input().to_owned(), resolution: Some(resolution) }
}

/// A quick look before the table is made: most samples begin or end with another word.
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
