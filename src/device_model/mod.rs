//! The device model, `device.toml`: the properties and commands of a device, and the effect of each intent. It is the only file
//! that the maker of a device has to edit.

mod abilities;
mod action;
mod command;
mod faults;
mod file;
mod raw_value;
mod report;
mod value;

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

pub use self::abilities::Ability;
pub use self::action::{Actions, DeviceAction, GpioLine, LoopbackUrl, Means};
pub use self::command::{Argument, CommandRule};
pub(crate) use self::faults::in_its_line;
pub use self::file::RESERVED;
pub(crate) use self::file::placeholders;
pub use self::report::{DeviceReport, ReportSource};
pub(crate) use self::value::is_named;
pub use self::value::{InvalidSlot, ValueKind};
use crate::identifiers::ThingPrefix;

/// A device and the speech about it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The spoken name of the device.
    pub name: String,
    /// The invocation name of the skill.
    pub invocation: String,
    /// The AWS IoT thing type.
    pub thing_type: String,
    /// The prefix of the names of all things.
    pub thing_prefix: ThingPrefix,
    /// The number of seconds from the creation of a command to its expiry.
    pub command_lifetime: u64,
    /// The age of a report, in seconds, above which an answer mentions it.
    pub report_is_old_after: u64,
    /// The properties of the shadow, by name.
    pub properties: BTreeMap<String, Property>,
    /// The commands, by name.
    pub commands: BTreeMap<String, CommandRule>,
    /// The intents of the interaction model, by name.
    pub intents: BTreeMap<String, IntentRule>,
    /// The actions that the agent performs on the device.
    pub actions: Actions,
    /// The values that the agent measures on the device, by property.
    pub reports: BTreeMap<String, DeviceReport>,
    /// The simulation that the agent runs on a device without actions.
    pub simulates: Option<Simulation>,
    /// The model without its intents, in TOML. A bundle contains it for the agent on the device.
    pub device_part: String,
}

/// A device that the agent can simulate.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Simulation {
    /// A 3D printer.
    Printer,
}

/// A property of the shadow.
#[derive(Clone, Debug)]
pub struct Property {
    /// The type of the value.
    pub kind: ValueKind,
    /// Whether only the device writes the property.
    pub reported_only: bool,
    /// The spoken words for a value, such as `in an error state` for `error`. The key is the value.
    pub words: BTreeMap<String, String>,
}

/// The rule for an intent.
#[derive(Clone, Debug)]
pub struct IntentRule {
    /// The effect of the intent.
    pub action: Action,
    /// The question for each unfilled slot, by slot.
    pub ask: BTreeMap<String, String>,
    /// The question that the user must confirm first.
    pub confirm: Option<String>,
    /// The speech when the change is sent to the device: the first sentence whose conditions hold. The last sentence has no
    /// condition.
    pub says: Vec<Sentence>,
}

/// The effect of an intent.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends a command.
    Command {
        /// The name of the command.
        name: String,
        /// The slot for each argument, by argument.
        args: BTreeMap<String, String>,
    },
    /// Sets properties. Contains the slot for each property, by property.
    Set(BTreeMap<String, String>),
    /// Sets the property that one slot selects to the value of another slot.
    SetOne {
        /// The slot that selects the property.
        slot: String,
        /// The slot with the value.
        value: String,
        /// The property for each value of the selecting slot.
        properties: BTreeMap<String, String>,
    },
    /// Answers with the state that the device has reported.
    Answer(Vec<Sentence>),
}

/// A sentence of an answer or of the speech for a change. A sentence of an answer is used if the device has reported all
/// properties in it.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// The text, with the placeholders `{property}` or `{argument}` for values.
    pub say: String,
    /// The condition: the required value of each property or argument.
    pub when: BTreeMap<String, String>,
}

/// All faults of a device model.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the device model has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct ModelError(pub Vec<String>);

impl Model {
    /// The built-in model of a 3D printer.
    pub const SAMPLE: &str = include_str!("printer.toml");

    /// Parses a device model. The error contains all faults, each with its place.
    pub fn parse(toml: &str) -> Result<Self, ModelError> {
        file::parse(toml).map_err(ModelError)
    }

    /// The slots that an intent uses, each with the type of its value.
    pub fn slots(&self, rule: &IntentRule) -> Vec<(String, ValueKind)> {
        match &rule.action {
            Action::Command { name, args } => {
                let arguments = self.commands.get(name).map(|command| &command.arguments);
                let kind = |arg| arguments.and_then(|known| known.get(arg)).map(|a: &Argument| a.kind.clone());
                args.iter().filter_map(|(arg, slot)| Some((slot.clone(), kind(arg)?))).collect()
            }
            Action::Set(set) => {
                set.iter().filter_map(|(property, slot)| Some((slot.clone(), self.properties.get(property)?.kind.clone()))).collect()
            }
            Action::SetOne { slot, value, properties } => {
                let choices = ValueKind::Choice { values: properties.keys().cloned().collect() };
                // The range of the value depends on the selected property. The type of the first property is used for all.
                let kind = properties.values().next().and_then(|p| self.properties.get(p)).map(|p| p.kind.clone());
                let value = kind.map(|kind| (value.clone(), kind));
                [Some((slot.clone(), choices)), value].into_iter().flatten().collect()
            }
            Action::Answer(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
