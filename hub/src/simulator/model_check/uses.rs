//! The uses of slots in the device model.

use onething::device_model::{Action, Model, ValueKind};

/// The use of a slot: the slot fills an argument or a property, or selects a property.
pub(super) struct Use {
    /// The name of the intent.
    pub(super) intent: String,
    /// The name of the slot.
    pub(super) slot: String,
    /// The path in the device model at which the slot is used.
    pub(super) place: String,
    /// The path in the device model at which the argument or property is defined.
    pub(super) declared: String,
    /// The allowed values.
    pub(super) kind: ValueKind,
    /// The default of an argument when the slot is not filled, as text.
    pub(super) default: Option<String>,
}

pub(super) fn uses(device: &Model) -> Vec<Use> {
    let mut uses = Vec::new();
    for (intent, rule) in &device.intents {
        let mut add = |slot: &str, place: String, declared: String, kind: &ValueKind, default: Option<String>| {
            uses.push(Use { intent: intent.clone(), slot: slot.to_owned(), place, declared, kind: kind.clone(), default });
        };
        match &rule.action {
            Action::Answer(_) => {}
            Action::Command { name, args } => {
                for (arg, slot) in args {
                    let Some(argument) = device.commands.get(name).and_then(|command| command.arguments.get(arg)) else { continue };
                    let default = argument.default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    add(slot, format!("intent.{intent}.args.{arg}"), format!("command.{name}.{arg}"), &argument.kind, default);
                }
            }
            Action::Set(set) => {
                for (property, slot) in set {
                    let Some(known) = device.properties.get(property) else { continue };
                    add(slot, format!("intent.{intent}.set.{property}"), format!("property.{property}"), &known.kind, None);
                }
            }
            Action::SetOne { slot, value, properties } => {
                let choices = ValueKind::Choice { values: properties.keys().cloned().collect() };
                let place = format!("intent.{intent}.set_one");
                add(slot, format!("{place}.slot"), format!("{place}.properties"), &choices, None);
                for property in properties.values() {
                    let Some(known) = device.properties.get(property) else { continue };
                    add(value, format!("{place}.value"), format!("property.{property}"), &known.kind, None);
                }
            }
        }
    }
    uses
}
