//! Checks that each slot is in both models and that an utterance can fill the slot.

use std::collections::BTreeSet;

use onething::device_model::ValueKind;
use onething::skill::OWN_INTENTS;

use super::intents::is_name;
use super::{Findings, Models, samples};
use crate::simulator::utterance::slot_type::BuiltIn;

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    let mut named = BTreeSet::new();
    for used in &models.uses {
        let Some(intent) = models.intent(&used.intent) else { continue };
        if !intent.slots.iter().any(|slot| slot.name == used.slot) && named.insert((&used.intent, &used.slot)) {
            let fault = format!("the interaction model's {} has no slot `{}`, so it is never filled", used.intent, used.slot);
            findings.device(&used.place, fault, "name a slot that the intent has, or add this one there");
        }
    }
    for intent in &models.interaction.language.intents {
        let place = format!("languageModel.intents.{}", intent.name);
        let known = models.device.intents.contains_key(&intent.name) || OWN_INTENTS.contains(&intent.name.as_str());
        for slot in &intent.slots {
            let place = format!("{place}.slots.{}", slot.name);
            if !is_name(&slot.name) {
                findings.interaction(&place, "Alexa takes names of letters and `_`", "correct the name in both files");
            }
            if slot.kind.starts_with("AMAZON.") && BuiltIn::of(&slot.kind).is_none() && models.slot_type(&slot.kind).is_none() {
                findings.interaction(
                    &place,
                    format!("Alexa knows no type {}", slot.kind),
                    "correct the name, or define a type of your own",
                );
            }
            let mut uses = models.uses_of(&intent.name).filter(|used| used.slot == slot.name).peekable();
            if uses.peek().is_none() {
                if known {
                    let fault = "the device model does not use the slot: a value that is said for it is lost";
                    findings.interaction(&place, fault, format!("use it in [intent.{}], or remove it", intent.name));
                }
                continue;
            }
            let takes_list = uses.all(|used| matches!(used.kind, ValueKind::Text { .. }));
            if slot.multiple.enabled && !takes_list {
                let fault = "the slot takes several values and fills one: the owner is asked which of them is meant";
                findings.interaction(format!("{place}.multipleValues"), fault, "remove it, or let it fill a text");
            }
            let is_asked = models.device.intents.get(&intent.name).is_some_and(|rule| rule.ask.contains_key(&slot.name));
            let in_a_sample = intent.samples.iter().any(|text| samples::slots(text).any(|name| name == slot.name));
            if !in_a_sample && !is_asked && !is_elicited(models, &intent.name, &slot.name) {
                findings.interaction(
                    &place,
                    "no sample names the slot and no question asks for it, so it is never filled",
                    "add it to a sample",
                );
            }
        }
    }
}

fn is_elicited(models: &Models<'_>, intent: &str, slot: &str) -> bool {
    let dialog = models.dialog(intent);
    dialog.is_some_and(|dialog| dialog.slots.iter().any(|known| known.name == slot && known.elicitation_required))
}
