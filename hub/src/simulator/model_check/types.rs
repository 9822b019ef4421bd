//! Checks slot types and their values against the arguments and properties that they fill.

use std::collections::{BTreeMap, BTreeSet};

use onething::alexa::request::{SlotMatch, SlotValue};
use onething::device_model::{InvalidSlot, ValueKind};

use super::intents::is_name;
use super::uses::Use;
use super::{Findings, Models, READER, numbers};
use crate::simulator::utterance::interaction_file as raw;
use crate::simulator::utterance::slot_type::BuiltIn;
use crate::simulator::utterance::words::Utterance;

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    let slots = models.interaction.language.intents.iter().flat_map(|intent| &intent.slots);
    let used: BTreeSet<&str> = slots.map(|slot| slot.kind.as_str()).collect();
    for kind in &models.interaction.language.types {
        let place = format!("languageModel.types.{}", kind.name);
        if !used.contains(kind.name.as_str()) {
            findings.interaction(&place, "no slot has this type", "remove it, or give it to a slot");
        }
        if !is_name(kind.name.strip_prefix("AMAZON.").unwrap_or(&kind.name)) {
            findings.interaction(&place, "Alexa takes names of letters and `_`", "correct the name");
        }
        if kind.values.is_empty() && kind.supplier.is_none() {
            findings.interaction(format!("{place}.values"), "the type has no values", "add those that can be said");
        }
        spellings(&place, kind, findings);
    }
    // The values that slots can supply for each argument and property of the device model.
    let mut sayable: BTreeMap<&str, Sayable<'_>> = BTreeMap::new();
    for used in &models.uses {
        let slot = models.intent(&used.intent).and_then(|intent| intent.slots.iter().find(|slot| slot.name == used.slot));
        let Some(slot) = slot else { continue };
        let said = sayable.entry(&used.declared).or_insert_with(|| Sayable { used, values: BTreeSet::new(), open: false });
        match (models.slot_type(&slot.kind), BuiltIn::of(&slot.kind)) {
            (_, Some(BuiltIn::Value(kind))) => {
                said.open |= numbers::check(used, slot, kind, findings);
            }
            (Some(kind), _) => {
                said.open |= kind.supplier.is_some() || kind.name.starts_with("AMAZON.");
                said.values.extend(values(used, kind, findings));
            }
            (None, _) => said.open = true,
        }
    }
    for (place, said) in sayable.iter().filter(|(_, said)| !said.open) {
        let wanted = match &said.used.kind {
            ValueKind::Switch => vec!["ON".to_owned(), "OFF".to_owned()],
            ValueKind::Choice { values } => values.clone(),
            _ => continue,
        };
        for value in wanted.iter().filter(|value| !said.values.contains(*value) && said.used.default.as_ref() != Some(value)) {
            let fault = format!("`{value}` can never be said: no value of the slot `{}` of {} is it", said.used.slot, said.used.intent);
            findings.device(place, fault, "add it to the slot type, or remove it here");
        }
    }
}

/// The values that can be said for one argument or property of the device model.
struct Sayable<'u> {
    used: &'u Use,
    values: BTreeSet<String>,
    /// Whether further values can be said that are not known here.
    open: bool,
}

/// The values of the device model that the values of a slot type resolve to. A value that resolves to none is reported.
fn values(used: &Use, kind: &raw::SlotType, findings: &mut Findings) -> Vec<String> {
    let mut accepted = Vec::new();
    for value in &kind.values {
        let name = &value.name.value;
        let found = SlotMatch { id: value.id.clone().filter(|id| !id.is_empty()), name: Some(name.clone()) };
        let said = SlotValue { input: name.clone(), matches: vec![found] };
        match READER.read(&used.kind, &[said]) {
            Some(Ok(value)) => accepted.extend(value.json.as_str().map(str::to_owned)),
            Some(Err(why)) => {
                let why = match &why {
                    InvalidSlot::TooLong { limit } => format!("is longer than the {limit} characters of {}", used.declared),
                    InvalidSlot::OutOfRange { min, max, .. } => format!("is not from {min} to {max}, as {} has it", used.declared),
                    _ => format!("is no value of {}", used.declared),
                };
                let place = format!("languageModel.types.{}.values.{name}", kind.name);
                let fix = "correct the name, or give it an `id` that the device model has";
                findings.interaction(place, format!("`{name}` {why}: an owner who says it for {} is refused", used.intent), fix);
            }
            None => {}
        }
    }
    accepted
}

/// Reports spellings and ids that two values of a type share.
fn spellings(place: &str, kind: &raw::SlotType, findings: &mut Findings) {
    let (mut spellings, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for value in &kind.values {
        let name = &value.name.value;
        for spelling in std::iter::once(name).chain(&value.name.synonyms) {
            let words = Utterance::read(spelling).text().to_owned();
            if words.is_empty() {
                findings.interaction(
                    format!("{place}.values.{name}"),
                    format!("`{spelling}` has no word in it"),
                    "write the word that is said",
                );
            } else if let Some(other) = spellings.insert(words, name).filter(|other| *other != name) {
                let fault = format!("`{spelling}` is said for `{other}` too, and Alexa chooses");
                findings.interaction(format!("{place}.values.{name}"), fault, "leave it to one of them");
            }
        }
        if let Some(id) = value.id.as_ref().filter(|id| !id.is_empty())
            && let Some(other) = ids.insert(id, name)
        {
            let fault = format!("`{other}` has the id `{id}` too");
            findings.interaction(format!("{place}.values.{name}.id"), fault, "make it a synonym of the other, or give it an id of its own");
        }
    }
}
