//! `device.toml`: what a device can do, and which intent asks for what. The one file a maker edits.

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
    /// How Alexa calls the device.
    pub name: String,
    /// The invocation name of the skill.
    pub invocation: String,
    /// AWS IoT thing type.
    pub thing_type: String,
    /// What all things' names begin with.
    pub thing_prefix: ThingPrefix,
    /// Seconds until a command expires.
    pub command_lifetime: u64,
    /// Seconds after which an answer says how old a report is.
    pub report_is_old_after: u64,
    /// Properties of the shadow.
    pub properties: BTreeMap<String, Property>,
    /// Commands, by name.
    pub commands: BTreeMap<String, CommandRule>,
    /// Intents of the interaction model.
    pub intents: BTreeMap<String, IntentRule>,
    /// What the device does.
    pub actions: Actions,
    /// What the device measures by itself, by property.
    pub reports: BTreeMap<String, DeviceReport>,
    /// What the agent plays on a device without actions.
    pub simulates: Option<Simulation>,
    /// The model without its intents, in TOML: what the agent on the device needs, and what a bundle carries.
    pub device_part: String,
}

/// A device that the agent can play.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Simulation {
    /// The 3D printer.
    Printer,
}

/// A property of the shadow.
#[derive(Clone, Debug)]
pub struct Property {
    /// What it can be.
    pub kind: ValueKind,
    /// Whether only the device writes it.
    pub reported_only: bool,
    /// What the owner hears instead of a value: `in an error state` for `error`.
    pub words: BTreeMap<String, String>,
}

/// What an intent does.
#[derive(Clone, Debug)]
pub struct IntentRule {
    /// Its effect.
    pub action: Action,
    /// The question for a slot that is not filled.
    pub ask: BTreeMap<String, String>,
    /// The question to be agreed to before anything is done.
    pub confirm: Option<String>,
    /// What Alexa says when it is sent to the device: the first sentence whose conditions hold. The last one has none.
    pub says: Vec<Sentence>,
}

/// The effect of an intent.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends a command; argument to slot.
    Command {
        /// The command.
        name: String,
        /// Which slot fills which argument.
        args: BTreeMap<String, String>,
    },
    /// Sets properties; property to slot.
    Set(BTreeMap<String, String>),
    /// Sets the property that one slot chooses to the value of another.
    SetOne {
        /// The slot that chooses.
        slot: String,
        /// The slot with the value.
        value: String,
        /// Which choice sets which property.
        properties: BTreeMap<String, String>,
    },
    /// Answers from what the device reported.
    Answer(Vec<Sentence>),
}

/// A sentence. One of an answer is said when the device has reported everything in it.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// With `{property}`, or `{argument}`, where a value goes.
    pub say: String,
    /// Said only while these properties or arguments have these values.
    pub when: BTreeMap<String, String>,
}

/// Everything that is wrong with a device model.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the device model has {} fault(s):\n{}", .0.len(), .0.join("\n"))]
pub struct ModelError(pub Vec<String>);

impl Model {
    /// The 3D printer, which is built in.
    pub const SAMPLE: &str = include_str!("printer.toml");

    /// Reads a device model; all faults are reported at once, each with its place.
    pub fn parse(toml: &str) -> Result<Self, ModelError> {
        file::parse(toml).map_err(ModelError)
    }

    /// The slots an intent uses, each with what it has to be.
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
                // The value's range depends on the choice; the widest kind stands for all.
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
