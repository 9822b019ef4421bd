//! The commands of a device: the tables `[command.…]` of `device.toml`.
//!
//! A table inside a command is an argument. The key `interrupts` with an array lists the commands that this command interrupts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::ValueKind;
use super::faults::Faults;
use super::raw_value::{RawValue, is_name, kind};

/// The key with the names of the commands that a command interrupts.
const INTERRUPTS: &str = "interrupts";

/// A command of the device.
#[derive(Clone, Debug, Default)]
pub struct CommandRule {
    /// The arguments, by name.
    pub arguments: BTreeMap<String, Argument>,
    /// The commands that this command ends, instead of waiting until they are done. They are names of commands of the same model.
    pub interrupts: Vec<String>,
}

/// An argument of a command.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The type of the value.
    pub kind: ValueKind,
    /// The value if the owner does not say one.
    pub default: Option<serde_json::Value>,
}

/// The value of a key in the table of a command.
pub(super) enum RawMember {
    Argument(Box<RawValue>),
    Names(Vec<String>),
}

// An untagged enum would not work: its errors contain neither the line nor the key.
impl<'de> Deserialize<'de> for RawMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Member;

        impl<'de> Visitor<'de> for Member {
            type Value = RawMember;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "the table of an argument, or `{INTERRUPTS}` with an array of commands")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawMember, A::Error> {
                RawValue::deserialize(MapAccessDeserializer::new(map)).map(|value| RawMember::Argument(Box::new(value)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawMember, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawMember::Names)
            }
        }

        deserializer.deserialize_any(Member)
    }
}

/// Validates the commands, and adds a fault for each mistake.
pub(super) fn commands(raw: BTreeMap<String, BTreeMap<String, RawMember>>, faults: &mut Faults) -> BTreeMap<String, CommandRule> {
    let commands: BTreeMap<_, _> = raw.into_iter().map(|(name, members)| command(name, members, faults)).collect();
    for (name, rule) in &commands {
        let place = format!("command.{name}.{INTERRUPTS}");
        let mut seen = BTreeSet::new();
        for other in &rule.interrupts {
            faults.check(commands.contains_key(other), &place, format_args!("there is no command `{other}`"));
            faults.check(seen.insert(other), &place, format_args!("`{other}` is named twice"));
        }
    }
    commands
}

fn command(name: String, members: BTreeMap<String, RawMember>, faults: &mut Faults) -> (String, CommandRule) {
    let place = format!("command.{name}");
    faults.check(is_name(&name, "_-"), &place, "is not a name a command can have");
    let mut rule = CommandRule::default();
    for (member, raw) in members {
        let place = format!("{place}.{member}");
        match raw {
            RawMember::Names(names) if member == INTERRUPTS => {
                faults.check(!names.is_empty(), &place, "names no command: leave it out, or name those that this command ends");
                rule.interrupts = names;
            }
            RawMember::Names(_) => faults.add(&place, format_args!("an argument is a table; only `{INTERRUPTS}` is an array")),
            RawMember::Argument(raw) => {
                rule.arguments.insert(member.clone(), argument(&place, &member, *raw, faults));
            }
        }
    }
    (name, rule)
}

fn argument(place: &str, name: &str, raw: RawValue, faults: &mut Faults) -> Argument {
    faults.check(is_name(name, "_-"), place, "is not a name an argument can have");
    faults.check(raw.written_by.is_none(), place, "`written_by` is for properties");
    faults.check(raw.words.is_empty(), place, "`words` is for properties");
    let kind = kind(place, &raw, faults);
    if let Some(default) = &raw.default {
        faults.check(kind.allows(default), place, format_args!("the default {default} is not a value it can have"));
    }
    Argument { kind, default: raw.default }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
