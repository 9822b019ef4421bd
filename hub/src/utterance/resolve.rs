//! Which intent is meant, with which slots: the sample that covers the words best.
//!
//! A word of the sample that was said counts most, then a word in a slot's list, then any word in a slot; so
//! "print three vases" is three of a vase and not a thing called "three vases". A match needs a word of the
//! sample or a value of a list: otherwise a sample of nothing but slots would take everything.

use super::built_in;
use super::interaction::{Intent, InteractionModel, Part, Sample, SlotKind, SlotValue};
use super::number::{begins_number, number};
use super::words::{MAX_WORDS, Phrase};

/// For each word of the sample.
const LITERAL: i32 = 10;
/// For each word of a value that is in the list, or of a number.
const KNOWN: i32 = 6;
/// For each other word in a slot.
const FREE: i32 = -1;
/// For a slot of a number without one.
const NO_NUMBER: i32 = -25;

/// What an utterance means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The intent's name.
    pub intent: String,
    /// What was said for its slots; the others are unfilled.
    pub slots: Vec<(String, Filled)>,
    /// How well it matches; for comparison only.
    pub score: i32,
    /// Whether a word of a sample or a value of a list was said, and not only anything.
    pub certain: bool,
}

/// What a slot is filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// What was said; of a number its digits, or `?`.
    pub value: String,
    /// How the model resolved it; `None` for built-in slot types.
    pub resolution: Option<Resolution>,
}

/// A slot's words against the values of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The slot type.
    pub slot_type: String,
    /// The values that it may be; none for what is not in the list.
    pub values: Vec<SlotValue>,
}

impl InteractionModel {
    /// The meaning of an utterance: the best match among all samples. `None` when nothing matches.
    pub fn resolve(&self, said: Phrase<'_>) -> Option<Match> {
        if said.is_empty() || said.len() > MAX_WORDS {
            return None;
        }
        let mut best: Option<Match> = None;
        for intent in &self.intents {
            for sample in &intent.samples {
                let bar = best.as_ref().map(|best| best.score);
                if let Some(found) = self.fit(intent, sample, said, bar).filter(|found| found.certain) {
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
    pub fn resolve_slot(&self, intent: &str, slot: &str, said: Phrase<'_>) -> Option<Match> {
        let intent = self.intent(intent)?;
        let at = intent.slots.iter().position(|known| known.name == slot)?;
        if said.is_empty() || said.len() > MAX_WORDS {
            return None;
        }
        let alone = vec![Part::Slot(at)];
        let mut best: Option<Match> = None;
        for sample in intent.slots[at].samples.iter().chain([&alone]) {
            let bar = best.as_ref().map(|best| best.score);
            best = self.fit(intent, sample, said, bar).or(best);
        }
        best
    }

    /// The best way to cover all words by a sample, if it is better than `bar`.
    fn fit(&self, intent: &Intent, sample: &Sample, said: Phrase<'_>, bar: Option<i32>) -> Option<Match> {
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
                        let kind = &intent.slots[*slot].kind;
                        let ends = (from + 1..=said.len()).filter_map(|to| Some((rest(to)? + self.worth(kind, said.part(from, to)), to)));
                        // Of equals the shortest: what follows may be more of the same.
                        ends.rev().max_by_key(|(score, _)| *score)
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
                    found.certain |= self.worth(&slot.kind, words) > 0;
                    found.slots.push((slot.name.clone(), self.filled(&slot.kind, words)));
                }
            }
            from = to;
        }
        Some(found)
    }

    fn worth(&self, kind: &SlotKind, words: Phrase<'_>) -> i32 {
        let count = i32::try_from(words.len()).unwrap_or(i32::MAX);
        let known = match kind {
            SlotKind::Number => words.word(0).is_some_and(begins_number) && number(words).is_some(),
            SlotKind::Listed(name) => self.meanings(name, words).is_some(),
            SlotKind::Words => false,
        };
        match (known, kind) {
            (true, _) => KNOWN * count,
            (false, SlotKind::Number) => NO_NUMBER + FREE * count,
            (false, _) => FREE * count,
        }
    }

    fn filled(&self, kind: &SlotKind, words: Phrase<'_>) -> Filled {
        match kind {
            SlotKind::Number => Filled { value: number(words).unwrap_or_else(|| "?".into()), resolution: None },
            SlotKind::Words => Filled { value: words.heard().to_owned(), resolution: None },
            SlotKind::Listed(name) => {
                let values = self.meanings(name, words).unwrap_or_default();
                Filled { value: words.heard().to_owned(), resolution: Some(Resolution { slot_type: name.clone(), values }) }
            }
        }
    }

    fn meanings(&self, slot_type: &str, words: Phrase<'_>) -> Option<Vec<SlotValue>> {
        let known = self.slot_type(slot_type)?;
        if words.len() > known.longest {
            return None;
        }
        let meanings = known.spellings.get(words.text())?;
        Some(meanings.iter().filter_map(|at| known.values.get(*at).cloned()).collect())
    }
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
