//! Checks the dialog model. A dialog directive for an intent or a slot that is not in the dialog model is an error, and Alexa
//! then says nothing (<https://developer.amazon.com/docs/alexa/custom-skills/dialog-interface-reference.html>).

use std::collections::BTreeSet;

use onething::device_model::{Action, IntentRule};

use super::{Findings, Models};
use crate::simulator::utterance::interaction_file as raw;

/// The skill's own intents that need a confirmation.
const CONFIRMED: &[&str] = &["SendCertificateIntent", "ForgetMeIntent"];

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    for (name, rule) in models.device.intents.iter().filter(|(name, _)| models.intent(name).is_some()) {
        of_device(models, name, rule, findings);
    }
    for name in CONFIRMED.iter().filter(|name| models.intent(name).is_some() && models.dialog(name).is_none()) {
        let fault = format!("{name} is not there, and the skill asks whether to do it: Alexa then stays silent");
        findings.interaction("dialog.intents", fault, "take it over from the printer's interaction model");
    }
    let mut names = BTreeSet::new();
    for dialog in &models.interaction.dialog.intents {
        let place = format!("dialog.intents.{}", dialog.name);
        if !names.insert(&dialog.name) {
            findings.interaction(&place, "the entry is there twice", "make one of the two");
        }
        of_interaction(models, &place, dialog, findings);
    }
    prompts(models, findings);
}

/// Checks that the dialog model allows the questions that the device model has for an intent.
fn of_device(models: &Models<'_>, name: &str, rule: &IntentRule, findings: &mut Findings) {
    let silent = "Alexa takes the question for a fault and stays silent";
    let key = match &rule.action {
        Action::Command { .. } => "args",
        Action::Set(_) => "set",
        Action::SetOne { .. } => "set_one",
        Action::Answer(_) => return,
    };
    let slots: BTreeSet<&str> = models.uses_of(name).map(|used| used.slot.as_str()).collect();
    let Some(dialog) = models.dialog(name) else {
        let what = match (&rule.confirm, rule.ask.is_empty(), slots.is_empty()) {
            (Some(_), ..) => "confirm",
            (None, false, _) => "ask",
            (None, true, false) => key,
            (None, true, true) => return,
        };
        let why = if what == key { "a value that does not fit is asked for again" } else { "the skill asks about this intent" };
        let fault = format!("{why}, and the interaction model has no dialog about it: {silent}");
        findings.device(format!("intent.{name}.{what}"), fault, format!("add {name} with its slots to dialog.intents"));
        return;
    };
    let own = |slot: &&str| models.intent(name).is_some_and(|intent| intent.slots.iter().any(|known| known.name == **slot));
    for slot in slots.into_iter().filter(own).filter(|slot| !dialog.slots.iter().any(|known| known.name == *slot)) {
        let place = match rule.ask.contains_key(slot) {
            true => format!("intent.{name}.ask.{slot}"),
            false => format!("intent.{name}.{key}"),
        };
        let fault = format!("the dialog model of {name} does not have the slot `{slot}`: where it is asked for, {silent}");
        findings.device(place, fault, format!("add it to the slots of {name} in dialog.intents"));
    }
    match (rule.confirm.is_some(), dialog.confirmation_required) {
        (true, false) => {
            let fault = "the interaction model does not know that this is confirmed";
            let fix = format!("set confirmationRequired, with a prompt, at {name} in dialog.intents");
            findings.device(format!("intent.{name}.confirm"), fault, fix);
        }
        (false, true) => {
            let fault = "the device model has no `confirm`, so it is done without a question";
            let fix = format!("add `confirm` to [intent.{name}], or set this to false");
            findings.interaction(format!("dialog.intents.{name}.confirmationRequired"), fault, fix);
        }
        _ => {}
    }
}

/// Checks the dialog model of an intent against the language model.
fn of_interaction(models: &Models<'_>, place: &str, dialog: &raw::DialogIntent, findings: &mut Findings) {
    unasked(place, dialog.confirmation_required, dialog.prompts.confirmation.as_ref(), "confirmation", findings);
    let strategies = [&dialog.delegation, &models.interaction.dialog.delegation];
    for (strategy, place) in strategies.into_iter().zip([place, "dialog"]) {
        if let Some(other) = strategy.as_ref().filter(|strategy| !["ALWAYS", "SKILL_RESPONSE"].contains(&strategy.as_str())) {
            let fault = format!("Alexa knows no strategy `{other}`");
            findings.interaction(format!("{place}.delegationStrategy"), fault, "write SKILL_RESPONSE: the skill asks");
        }
    }
    let mut names = BTreeSet::new();
    for slot in &dialog.slots {
        let place = format!("{place}.slots.{}", slot.name);
        if !names.insert(&slot.name) {
            findings.interaction(&place, "the entry is there twice", "make one of the two");
        }
        unasked(&place, slot.elicitation_required, slot.prompts.elicitation.as_ref(), "elicitation", findings);
        unasked(&place, slot.confirmation_required, slot.prompts.confirmation.as_ref(), "confirmation", findings);
        let intent = models.intent(&dialog.name);
        let known = intent.and_then(|intent| intent.slots.iter().find(|known| known.name == slot.name));
        if let (Some(known), Some(kind)) = (known, &slot.kind)
            && known.kind != *kind
        {
            let fault = format!("its type is {kind} here, and {} in the language model", known.kind);
            findings.interaction(format!("{place}.type"), fault, "write the same type");
        }
    }
}

/// Reports a prompt that is given but not required, so that Alexa never asks it.
fn unasked(place: &str, required: bool, prompt: Option<&String>, what: &str, findings: &mut Findings) {
    if let Some(prompt) = prompt.filter(|_| !required) {
        let fault = format!("the prompt {prompt} is never asked: {what}Required is not set");
        findings.interaction(format!("{place}.prompts.{what}"), fault, format!("set {what}Required to true, or remove the prompt"));
    }
}

fn prompts(models: &Models<'_>, findings: &mut Findings) {
    let dialogs = &models.interaction.dialog.intents;
    let of_slots = dialogs.iter().flat_map(|dialog| &dialog.slots);
    let validations = of_slots.clone().flat_map(|slot| slot.validations.iter().filter_map(|validation| validation.prompt.as_ref()));
    let asked: BTreeSet<&String> = of_slots
        .flat_map(|slot| [&slot.prompts.elicitation, &slot.prompts.confirmation])
        .chain(dialogs.iter().map(|dialog| &dialog.prompts.confirmation))
        .flatten()
        .chain(validations.clone())
        .collect();
    let mut ids = BTreeSet::new();
    for prompt in &models.interaction.prompts {
        let place = format!("prompts.{}", prompt.id);
        if !ids.insert(&prompt.id) {
            findings.interaction(place, "the prompt is there twice", "put the variations into one of the two");
        } else if !asked.contains(&prompt.id) {
            findings.interaction(place, "no dialog uses the prompt", "name it in the dialog, or remove it");
        } else if prompt.variations.is_empty() {
            findings.interaction(format!("{place}.variations"), "the prompt has no variations", "add the question");
        }
    }
    for missing in validations.filter(|id| !ids.contains(*id)).collect::<BTreeSet<_>>() {
        findings.interaction("prompts", format!("{missing} is missing, which a validation asks"), "add it");
    }
}
