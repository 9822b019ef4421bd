//! Checks for sentences that can never be spoken, and for commands and properties that no intent uses.

use std::collections::BTreeSet;

use onething::device_model::{Action, IntentRule, Model, Sentence, ValueKind};
use serde_json::{Value, json};

use super::{Findings, Models};

pub(super) fn check(models: &Models<'_>, findings: &mut Findings) {
    let device = models.device;
    for (name, rule) in &device.intents {
        let place = format!("intent.{name}");
        for (slot, question) in &rule.ask {
            let place = format!("{place}.ask.{slot}");
            braces(&place, question, findings);
            if question.contains('{') && question.contains('}') {
                findings.device(&place, "a question is asked before any slot is filled, so the braces are spoken", "ask without them");
            }
            if question.trim().is_empty() {
                findings.device(place, "the question is empty", "write one");
            }
        }
        braces(&format!("{place}.confirm"), rule.confirm.as_deref().unwrap_or_default(), findings);
        match rule.says.as_slice() {
            [only] => braces(&format!("{place}.says"), &only.say, findings),
            several => {
                for (at, sentence) in several.iter().enumerate() {
                    says(&format!("{place}.says[{at}]"), device, rule, sentence, &several[..at], findings);
                }
            }
        }
        if let Action::Answer(sentences) = &rule.action {
            if sentences.is_empty() {
                findings.device(format!("{place}.answer"), "the answer has no sentences", "add one");
            }
            for (at, sentence) in sentences.iter().enumerate() {
                answer(&format!("{place}.answer[{at}]"), device, sentence, &sentences[..at], findings);
            }
        }
    }
    unreached(device, findings);
}

fn answer(place: &str, device: &Model, sentence: &Sentence, before: &[Sentence], findings: &mut Findings) {
    braces(&format!("{place}.say"), &sentence.say, findings);
    if sentence.say.trim().is_empty() {
        findings.device(format!("{place}.say"), "the sentence is empty", "write one");
    }
    for (property, value) in &sentence.when {
        let Some(known) = device.properties.get(property) else { continue };
        condition(&format!("{place}.when.{property}"), property, value, &known.kind, findings);
    }
    if before.iter().any(|other| other.say == sentence.say && other.when.iter().all(|(name, value)| sentence.when.get(name) == Some(value)))
    {
        findings.device(place, "an earlier sentence says the same whenever this one is said", "remove one of them");
    }
}

/// Checks one of several response sentences of an intent.
fn says(place: &str, device: &Model, rule: &IntentRule, sentence: &Sentence, before: &[Sentence], findings: &mut Findings) {
    braces(&format!("{place}.say"), &sentence.say, findings);
    for (name, value) in &sentence.when {
        if let Some(kind) = kind_of(device, rule, name) {
            condition(&format!("{place}.when.{name}"), name, value, &kind, findings);
        }
    }
    if before.iter().any(|other| other.when.iter().all(|(name, value)| sentence.when.get(name) == Some(value))) {
        findings.device(place, "an earlier sentence is said whenever this one could be", "put this one before it, or remove it");
    }
}

/// The value kind of an argument, a property or a slot of an intent.
fn kind_of(device: &Model, rule: &IntentRule, name: &str) -> Option<ValueKind> {
    let by_slot = device.slots(rule).into_iter().find(|(slot, _)| slot == name).map(|(_, kind)| kind);
    match &rule.action {
        Action::Command { name: command, .. } => {
            device.commands.get(command)?.arguments.get(name).map(|argument| argument.kind.clone()).or(by_slot)
        }
        Action::Set(_) => device.properties.get(name).map(|property| property.kind.clone()).or(by_slot),
        Action::SetOne { slot, .. } => by_slot.filter(|_| name == slot),
        Action::Answer(_) => None,
    }
}

/// Reports a condition that can never be true.
fn condition(place: &str, name: &str, value: &str, kind: &ValueKind, findings: &mut Findings) {
    let number = value.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number));
    let could_be = |json: &Value| kind.fit(json).is_some_and(|fit| fit.as_str().is_none_or(|fit| fit == value));
    if !could_be(&json!(value)) && !could_be(&number) {
        findings.device(
            place,
            format!("`{name}` is never `{value}`, so this is never said"),
            format!("write a value that `{name}` can have"),
        );
    }
}

/// Reports an unbalanced brace, which would be spoken.
fn braces(place: &str, sentence: &str, findings: &mut Findings) {
    let opened = sentence.split('{').skip(1).any(|rest| !rest.contains('}'));
    let closed = sentence.split('}').rev().skip(1).any(|rest| !rest.contains('{'));
    if opened || closed {
        findings.device(place, "a brace stands alone in it, and is spoken", "write `{name}`");
    }
}

/// Reports commands and properties that no intent uses.
fn unreached(device: &Model, findings: &mut Findings) {
    let (mut commands, mut properties) = (BTreeSet::new(), BTreeSet::new());
    for rule in device.intents.values() {
        match &rule.action {
            Action::Command { name, .. } => {
                commands.insert(name);
            }
            Action::Set(set) => properties.extend(set.keys()),
            Action::SetOne { properties: set, .. } => properties.extend(set.values()),
            Action::Answer(sentences) => properties.extend(sentences.iter().flat_map(|sentence| {
                device.properties.keys().filter(|name| sentence.when.contains_key(*name) || sentence.say.contains(&format!("{{{name}}}")))
            })),
        }
    }
    for command in device.commands.keys().filter(|name| !commands.contains(name)) {
        findings.device(format!("command.{command}"), "no intent sends the command", "add an intent, or remove it");
    }
    for (property, _) in device.properties.iter().filter(|(name, known)| !known.reported_only && !properties.contains(name)) {
        findings.device(format!("property.{property}"), "no intent sets it and no answer names it", "add an intent, or remove it");
    }
}
