//! Checks sample utterances by Alexa's rules
//! (<https://developer.amazon.com/docs/alexa/custom-skills/create-intents-utterances-and-slots.html>).

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Models};
use crate::simulator::utterance::built_in;
use crate::simulator::utterance::interaction_file as raw;
use crate::simulator::utterance::slot_type::BuiltIn;
use crate::simulator::utterance::words::Utterance;

/// One element of a sample.
enum Piece<'s> {
    Text(&'s str),
    Slot(&'s str),
}

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    // From the normalised sample to its intent.
    let mut intents: BTreeMap<String, &str> = BTreeMap::new();
    for intent in &models.interaction.language.intents {
        for text in built_in::samples(&intent.name) {
            intents.insert(Utterance::read(text).text().to_owned(), &intent.name);
        }
    }
    for intent in &models.interaction.language.intents {
        let place = format!("languageModel.intents.{}", intent.name);
        let mut written = BTreeSet::new();
        for text in &intent.samples {
            let place = format!("{place}.samples, \"{text}\"");
            sample(&place, intent, text, findings);
            let other = intents.insert(normalised(intent, text), &intent.name).filter(|other| *other != intent.name);
            if !written.insert(as_written(text)) {
                findings.interaction(place, "the sample is there twice", "remove one of them");
            } else if let Some(other) = other {
                let fault = format!("{other} is said in the same words, and Alexa chooses");
                findings.interaction(place, fault, "leave it to one of the two intents");
            }
        }
        for slot in &intent.slots {
            let mut written = BTreeSet::new();
            for text in &slot.samples {
                let place = format!("{place}.slots.{}.samples, \"{text}\"", slot.name);
                characters(&place, text, findings);
                if !slots(text).any(|name| name == slot.name) {
                    findings.interaction(&place, format!("it says nothing for `{}`", slot.name), format!("put {{{}}} into it", slot.name));
                }
                if !written.insert(as_written(text)) {
                    findings.interaction(place, "the sample is there twice", "remove one of them");
                }
            }
        }
    }
}

/// The names of the slots in a sample.
pub(super) fn slots(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Slot(name) => Some(name),
        Piece::Text(_) => None,
    })
}

fn sample(place: &str, intent: &raw::Intent, text: &str, findings: &mut Findings) {
    characters(place, text, findings);
    let named: Vec<&str> = slots(text).collect();
    if let Some(twice) = named.iter().enumerate().find_map(|(at, name)| named[..at].contains(name).then_some(name)) {
        findings.interaction(place, format!("the slot `{twice}` is in it twice"), "name each slot once");
    }
    let is_phrase = |name: &&str| intent.slots.iter().any(|slot| slot.name == **name && BuiltIn::of(&slot.kind) == Some(BuiltIn::Phrase));
    let Some(phrase) = named.iter().find(|name| is_phrase(name)) else { return };
    let carried = pieces(text).iter().any(|piece| matches!(piece, Piece::Text(words) if words.contains(char::is_alphabetic)));
    if !carried {
        let fault = format!("`{phrase}` takes any words, and Alexa wants some of the sample's own beside it");
        findings.interaction(place, fault, format!("write something like \"search for {{{phrase}}}\""));
    }
    if named.len() > 1 {
        let fault = format!("`{phrase}` takes any words, and Alexa refuses another slot beside it");
        findings.interaction(place, fault, "ask for the others in a dialog");
    }
}

fn characters(place: &str, text: &str, findings: &mut Findings) {
    let refused = |c: char| !(c.is_alphabetic() || c.is_whitespace() || "'’._-".contains(c));
    let words = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Text(words) => Some(words),
        Piece::Slot(_) => None,
    });
    if let Some(c) = words.flat_map(str::chars).find(|c| refused(*c)) {
        let fix = if c.is_ascii_digit() { "write numbers as words" } else { "write it as it is spoken" };
        findings.interaction(place, format!("Alexa refuses `{c}` in a sample"), fix);
    }
}

/// A sample in a uniform spelling. Contractions are not expanded, because both forms may be given.
fn as_written(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !(c.is_alphanumeric() || "'’{}_".contains(c)));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A sample for the comparison between intents: normalised words, and the slots by their types.
fn normalised(intent: &raw::Intent, text: &str) -> String {
    let slot_type = |name: &str| intent.slots.iter().find(|slot| slot.name == name).map_or("", |slot| slot.kind.as_str());
    let parts = pieces(text).into_iter().map(|piece| match piece {
        Piece::Text(words) => Utterance::read(words).text().to_owned(),
        Piece::Slot(name) => format!("{{{}}}", slot_type(name)),
    });
    parts.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((words, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        pieces.extend([Piece::Text(words), Piece::Slot(name.trim())]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}
