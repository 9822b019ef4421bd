//! Resolves an intent: to a change for the device, to an answer, or to a question to the user.
//!
//! The module has no side effects. The interaction model defines the slots, and the device model defines their types and ranges.
//! An invalid value leads to an answer for the user and is never written to a shadow.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::alexa::request::{Confirmation, Intent};
use crate::alexa::response::{Can, CanFulfill};
use crate::device_model::{Action, Argument, IntentRule, InvalidSlot, Model, Sentence, ValueKind, is_named};
use crate::speech::locales::{Locale, Words};
use crate::speech::slot_value::{SlotReader, Value};

/// The result of resolving an intent.
#[derive(Clone, Debug)]
pub enum ResolvedIntent<'m> {
    /// A change for the device.
    Change {
        /// The change of the shadow.
        change: Change,
        /// The speech that announces the change.
        says: String,
    },
    /// A question about the device. Contains the sentences of the answer.
    Answer(&'m [Sentence]),
    /// A required slot is not filled.
    Elicit {
        /// The slot.
        slot: String,
        /// The question of the device model. `None` if Alexa uses the prompts of the interaction model.
        question: Option<String>,
    },
    /// The user must confirm first. Contains the question.
    Confirm(String),
    /// The user has denied the confirmation.
    Denied,
    /// The value of a slot is invalid.
    InvalidSlot {
        /// The slot, which must be elicited again.
        slot: String,
        /// The reason.
        why: InvalidSlot,
    },
    /// The device model does not contain the intent.
    Unknown,
}

/// A change of the shadow.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets properties.
    Set(Map<String, Json>),
    /// Sends a command.
    Command {
        /// The name of the command.
        name: String,
        /// The arguments of the command.
        args: Map<String, Json>,
    },
}

/// Resolves an intent by the rules of the device model.
pub fn resolve<'m>(model: &'m Model, intent: &Intent, reader: SlotReader) -> ResolvedIntent<'m> {
    let Some(rule) = model.intents.get(&intent.name) else { return ResolvedIntent::Unknown };
    if intent.confirmation == Confirmation::Denied {
        return ResolvedIntent::Denied;
    }
    let change = match read_change(model, rule, &Slots { intent, reader }) {
        Ok(None) => return answer(rule),
        Ok(Some(change)) => change,
        Err(Gap::Unfilled(slot)) => return ResolvedIntent::Elicit { question: rule.ask.get(&slot).cloned(), slot },
        Err(Gap::InvalidSlot(slot, why)) => return ResolvedIntent::InvalidSlot { slot, why },
    };
    match &rule.confirm {
        Some(question) if intent.confirmation != Confirmation::Confirmed => {
            ResolvedIntent::Confirm(fill(question, &change.words, reader.locale))
        }
        _ => ResolvedIntent::Change { says: fill(change.sentence(rule), &change.words, reader.locale), change: change.change },
    }
}

/// Whether the intent could be fulfilled, for the CanFulfillIntentRequest of Alexa. Nothing is changed.
pub fn can_fulfill(model: &Model, intent: &Intent) -> CanFulfill {
    let Some(rule) = model.intents.get(&intent.name) else {
        return CanFulfill { intent: Can::No, slots: Vec::new() };
    };
    let wanted: BTreeMap<String, ValueKind> = model.slots(rule).into_iter().collect();
    // The response contains no speech, so the language does not matter.
    let reader = SlotReader { locale: Locale::default(), now: 0 };
    let judge = |name: &str| match wanted.get(name).map(|kind| reader.read(kind, &intent.slot(name))) {
        None => (Can::No, Can::No),
        Some(None) => (Can::Yes, Can::Maybe),
        Some(Some(Ok(_))) => (Can::Yes, Can::Yes),
        Some(Some(Err(_))) => (Can::Yes, Can::No),
    };
    let slots: Vec<_> = intent.slot_names().map(|name| (name.to_owned(), judge(name))).collect();
    let whole = match read_change(model, rule, &Slots { intent, reader }) {
        Ok(_) => Can::Yes,
        Err(Gap::Unfilled(_)) => Can::Maybe,
        Err(Gap::InvalidSlot(..)) => Can::No,
    };
    CanFulfill { intent: whole, slots: slots.into_iter().map(|(name, (understand, fulfill))| (name, understand, fulfill)).collect() }
}

/// A change, with the words for each name that a sentence about it may contain.
struct Read {
    change: Change,
    words: BTreeMap<String, Words>,
    /// The values of the same names.
    values: BTreeMap<String, Json>,
}

impl Read {
    /// The first sentence whose conditions hold.
    fn sentence<'r>(&self, rule: &'r IntentRule) -> &'r str {
        let holds = |(name, value): (&String, &String)| self.values.get(name).is_some_and(|given| is_named(given, value));
        rule.says.iter().find(|sentence| sentence.when.iter().all(holds)).map_or("", |sentence| &sentence.say)
    }
}

/// The slots of an intent, with their reader.
struct Slots<'i> {
    intent: &'i Intent,
    reader: SlotReader,
}

/// Why the slots give no change.
enum Gap {
    Unfilled(String),
    InvalidSlot(String, InvalidSlot),
}

fn answer(rule: &IntentRule) -> ResolvedIntent<'_> {
    match &rule.action {
        Action::Answer(sentences) => ResolvedIntent::Answer(sentences),
        _ => ResolvedIntent::Unknown,
    }
}

fn read_change(model: &Model, rule: &IntentRule, said: &Slots<'_>) -> Result<Option<Read>, Gap> {
    let mut words = BTreeMap::new();
    let mut values = BTreeMap::new();
    let mut name = |name: &str, value: &Value| {
        words.insert(name.to_owned(), value.words.clone());
        values.insert(name.to_owned(), value.json.clone());
    };
    let change = match &rule.action {
        Action::Answer(_) => return Ok(None),
        Action::Command { name: command, args: slots } => {
            let mut args = Map::new();
            for (arg, argument) in model.commands.get(command).into_iter().flat_map(|rule| &rule.arguments) {
                let value = match slots.get(arg).map(|slot| (slot, said.read(slot, &argument.kind))) {
                    Some((_, Ok(value))) => value,
                    Some((_, Err(Gap::Unfilled(_)))) | None if argument.default.is_some() => said.default(argument),
                    Some((_, Err(gap))) => return Err(gap),
                    None => continue,
                };
                name(arg, &value);
                slots.get(arg).into_iter().for_each(|slot| name(slot, &value));
                args.insert(arg.clone(), value.json);
            }
            // An update of a shadow merges objects: without `null`, the shadow would keep the arguments of the last command.
            for arg in model.commands.values().flat_map(|command| command.arguments.keys()) {
                args.entry(arg.clone()).or_insert(Json::Null);
            }
            Change::Command { name: command.clone(), args }
        }
        Action::Set(slots) => {
            let mut set = Map::new();
            for (property, slot) in slots {
                let Some(known) = model.properties.get(property) else { continue };
                let value = said.read(slot, &known.kind)?;
                name(property, &value);
                name(slot, &value);
                set.insert(property.clone(), value.json);
            }
            Change::Set(set)
        }
        Action::SetOne { slot, value: value_slot, properties } => {
            let choice = said.read(slot, &ValueKind::Choice { values: properties.keys().cloned().collect() })?;
            let property = choice.json.as_str().and_then(|choice| properties.get(choice)).cloned().unwrap_or_default();
            let Some(known) = model.properties.get(&property) else { return Ok(None) };
            let value = said.read(value_slot, &known.kind)?;
            name(slot, &choice);
            name(value_slot, &value);
            Change::Set(Map::from_iter([(property, value.json)]))
        }
    };
    Ok(Some(Read { change, words, values }))
}

impl Slots<'_> {
    fn read(&self, slot: &str, kind: &ValueKind) -> Result<Value, Gap> {
        let value = self.reader.read(kind, &self.intent.slot(slot)).ok_or_else(|| Gap::Unfilled(slot.to_owned()))?;
        value.map_err(|why| Gap::InvalidSlot(slot.to_owned(), why))
    }

    fn default(&self, argument: &Argument) -> Value {
        let json = argument.default.clone().unwrap_or_default();
        Value { words: self.reader.locale.value(&argument.kind, &json, self.reader.now), json }
    }
}

/// Replaces each `{name}` in a sentence by its words.
pub(crate) fn fill(sentence: &str, words: &BTreeMap<String, Words>, locale: Locale) -> String {
    let mut filled = String::with_capacity(sentence.len());
    let mut parts = sentence.split('{');
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = match part.split_once('}') {
            Some((name, rest)) => words.get(name).map_or(rest, |words| words.append(&mut filled, rest, locale)),
            None => part,
        };
        filled.push_str(rest);
    }
    filled
}

#[cfg(test)]
#[path = "intent_tests.rs"]
mod tests;
