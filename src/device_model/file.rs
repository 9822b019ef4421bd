//! Parses the TOML file. All faults are collected, each with its place.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::action::{RawActions, actions};
use super::command::{CommandRule, RawMember, commands};
use super::faults::{Faults, in_its_line};
use super::raw_value::{RawValue, Writer, is_name, kind};
use super::report::{RawReport, reports};
use super::{Action, IntentRule, Model, Property, Sentence, Simulation, ValueKind};
use crate::identifiers::ThingPrefix;

/// The keys of a shadow that are no properties. A property cannot have such a name.
pub const RESERVED: [&str; 6] = ["certificateId", "command", "commands", "commandQueue", "failures", "onboarded"];

/// The maximum size of the device part of a model, in bytes. The agent refuses a larger file in a bundle.
const PART_LIMIT: usize = 48 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    device: Device,
    #[serde(default)]
    property: BTreeMap<String, RawValue>,
    #[serde(default)]
    command: BTreeMap<String, BTreeMap<String, RawMember>>,
    #[serde(default)]
    intent: BTreeMap<String, RawIntent>,
    #[serde(default)]
    action: RawActions,
    #[serde(default)]
    report: BTreeMap<String, RawReport>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    name: String,
    invocation: String,
    thing_type: String,
    thing_prefix: String,
    #[serde(default = "one_hour")]
    command_lifetime: u64,
    #[serde(default = "five_minutes")]
    report_is_old_after: u64,
    simulates: Option<Simulation>,
}

fn one_hour() -> u64 {
    3_600
}

fn five_minutes() -> u64 {
    300
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIntent {
    command: Option<String>,
    #[serde(default)]
    args: BTreeMap<String, String>,
    set: Option<BTreeMap<String, String>>,
    set_one: Option<RawSetOne>,
    answer: Option<Vec<RawSentence>>,
    #[serde(default)]
    ask: BTreeMap<String, String>,
    confirm: Option<String>,
    #[serde(default, deserialize_with = "sentences")]
    says: Vec<RawSentence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSetOne {
    slot: String,
    value: String,
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSentence {
    say: String,
    #[serde(default)]
    when: BTreeMap<String, String>,
}

/// Deserializes a single sentence, or a list of sentences with conditions.
fn sentences<'de, D: Deserializer<'de>>(says: D) -> Result<Vec<RawSentence>, D::Error> {
    struct Says;

    impl<'de> Visitor<'de> for Says {
        type Value = Vec<RawSentence>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sentence, or a list of sentences such as { say = \"…\", when = { name = \"value\" } }")
        }

        fn visit_str<E>(self, say: &str) -> Result<Self::Value, E> {
            Ok(vec![RawSentence { say: say.to_owned(), when: BTreeMap::new() }])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut sentences = Vec::new();
            while let Some(sentence) = list.next_element()? {
                sentences.push(sentence);
            }
            Ok(sentences)
        }
    }

    says.deserialize_any(Says)
}

/// The part of the model that the device needs: all tables except the intents.
fn device_part(toml: &str, faults: &mut Faults) -> String {
    let mut table: toml::Table = toml::from_str(toml).unwrap_or_default();
    table.remove("intent");
    let part = toml::to_string(&table).unwrap_or_default();
    faults.check(
        part.len() <= PART_LIMIT,
        "device",
        format_args!("without its intents the model has {} bytes, and a bundle holds {PART_LIMIT}", part.len()),
    );
    part
}

pub(super) fn parse(toml: &str) -> Result<Model, Vec<String>> {
    let file: File = toml::from_str(toml).map_err(|error| vec![in_its_line(toml, &error, error.message())])?;
    let mut faults = Faults::default();
    let faults_ref = &mut faults;
    let device_part = device_part(toml, faults_ref);

    let properties: BTreeMap<_, _> = file.property.into_iter().map(|(name, raw)| property(name, &raw, faults_ref)).collect();
    let commands = commands(file.command, faults_ref);
    let thing_prefix = ThingPrefix::parse(&file.device.thing_prefix);
    faults.check(thing_prefix.is_some(), "device.thing_prefix", "must be letters, digits, `_` and `-`, at most 38");
    let thing_type = &file.device.thing_type;
    faults.check(
        (1..=128).contains(&thing_type.len()) && is_name(thing_type, "_-:"),
        "device.thing_type",
        "must be 1 to 128 letters, digits, `_`, `-` and `:`",
    );
    faults.check(!file.device.name.trim().is_empty(), "device.name", "must not be empty");
    faults.check(!file.device.invocation.trim().is_empty(), "device.invocation", "must not be empty");
    faults.check(file.device.command_lifetime > 0, "device.command_lifetime", "must be more than 0 seconds");

    let mut intents = BTreeMap::new();
    for (name, raw) in file.intent {
        let place = format!("intent.{name}");
        if let Some(rule) = intent(&place, raw, &properties, &commands, &mut faults) {
            intents.insert(name, rule);
        }
    }
    let actions = actions(file.action, &properties, &commands, &mut faults);
    let reports = reports(file.report, &properties, &mut faults);
    match thing_prefix {
        Some(thing_prefix) if faults.0.is_empty() => Ok(Model {
            name: file.device.name,
            invocation: file.device.invocation,
            thing_type: file.device.thing_type,
            thing_prefix,
            command_lifetime: file.device.command_lifetime,
            report_is_old_after: file.device.report_is_old_after,
            properties,
            commands,
            intents,
            actions,
            reports,
            simulates: file.device.simulates,
            device_part,
        }),
        _ => Err(faults.0),
    }
}

fn property(name: String, raw: &RawValue, faults: &mut Faults) -> (String, Property) {
    let place = format!("property.{name}");
    faults.check(is_name(&name, "_-") && !RESERVED.contains(&name.as_str()), &place, "is not a name a property can have");
    faults.check(raw.default.is_none(), &place, "`default` is for arguments of commands");
    let reported_only = raw.written_by == Some(Writer::Device);
    let kind = kind(&place, raw, faults);
    let words = words(&place, raw, &kind, faults);
    (name, Property { kind, reported_only, words })
}

/// The spoken words for values. The keys become the values as the shadow stores them.
fn words(place: &str, raw: &RawValue, kind: &ValueKind, faults: &mut Faults) -> BTreeMap<String, String> {
    let has_values = matches!(kind, ValueKind::Switch | ValueKind::Choice { .. });
    faults.check(raw.words.is_empty() || has_values, place, "`words` does not belong to this type");
    let mut words = BTreeMap::new();
    for (value, said) in raw.words.iter().filter(|_| has_values) {
        faults.check(!said.trim().is_empty(), place, format_args!("`words.{value}` must not be empty"));
        match kind.accept(value, value) {
            Ok(serde_json::Value::String(value)) => drop(words.insert(value, said.clone())),
            _ => faults.add(place, format_args!("`words.{value}` is for a value that it cannot have")),
        }
    }
    words
}

fn intent(
    place: &str,
    raw: RawIntent,
    properties: &BTreeMap<String, Property>,
    commands: &BTreeMap<String, CommandRule>,
    faults: &mut Faults,
) -> Option<IntentRule> {
    let mut settable = |property: &str| {
        let known = properties.get(property);
        faults.check(known.is_some(), place, format_args!("there is no property `{property}`"));
        faults.check(known.is_none_or(|p| !p.reported_only), place, format_args!("property `{property}` is written by the device only"));
    };
    // The slots that fill an argument or a property, and the names that a sentence may contain.
    let (action, slots, names): (_, Vec<&String>, Vec<&String>) = match (&raw.command, &raw.set, &raw.set_one, &raw.answer) {
        (Some(name), None, None, None) => {
            let known = commands.get(name).map(|command| &command.arguments);
            faults.check(known.is_some(), place, format_args!("there is no command `{name}`"));
            for arg in raw.args.keys() {
                faults.check(
                    known.is_none_or(|args| args.contains_key(arg)),
                    place,
                    format_args!("command `{name}` has no argument `{arg}`"),
                );
            }
            for (arg, argument) in known.into_iter().flatten() {
                let filled = raw.args.contains_key(arg) || argument.default.is_some();
                faults.check(filled, place, format_args!("argument `{arg}` of `{name}` has neither a slot nor a default"));
            }
            (
                Action::Command { name: name.clone(), args: raw.args.clone() },
                raw.args.values().collect(),
                known.into_iter().flat_map(BTreeMap::keys).chain(raw.args.values()).collect(),
            )
        }
        (None, Some(set), None, None) => {
            set.keys().for_each(|property| settable(property));
            (Action::Set(set.clone()), set.values().collect(), set.keys().chain(set.values()).collect())
        }
        (None, None, Some(one), None) => {
            one.properties.values().for_each(|property| settable(property));
            faults.check(!one.properties.is_empty(), place, "`set_one` needs properties to choose from");
            let action = Action::SetOne { slot: one.slot.clone(), value: one.value.clone(), properties: one.properties.clone() };
            (action, vec![&one.slot, &one.value], vec![&one.slot, &one.value])
        }
        (None, None, None, Some(answer)) => {
            for sentence in answer {
                for name in placeholders(&sentence.say).chain(sentence.when.keys().map(String::as_str)) {
                    faults.check(properties.contains_key(name), place, format_args!("there is no property `{name}`"));
                }
            }
            let sentences = answer.iter().map(|s| Sentence { say: s.say.clone(), when: s.when.clone() });
            (Action::Answer(sentences.collect()), Vec::new(), Vec::new())
        }
        _ => {
            faults.add(place, "needs exactly one of `command`, `set`, `set_one` and `answer`");
            return None;
        }
    };
    let question = matches!(action, Action::Answer(_));
    faults.check(raw.args.is_empty() || raw.command.is_some(), place, "`args` goes with `command`");
    let is_said = !raw.says.is_empty() && raw.says.iter().all(|sentence| !sentence.say.trim().is_empty());
    faults.check(question || is_said, place, "`says` is missing");
    let always = raw.says.iter().position(|sentence| sentence.when.is_empty());
    faults.check(
        raw.says.is_empty() || always == Some(raw.says.len() - 1),
        place,
        "the last sentence of `says`, and no other, must be without `when`",
    );
    faults.check(!question || (raw.says.is_empty() && raw.confirm.is_none()), place, "a question has neither `says` nor `confirm`");
    for slot in raw.ask.keys() {
        faults.check(slots.contains(&slot), place, format_args!("`ask.{slot}` is for a slot that fills nothing"));
    }
    let says = raw.says.iter().flat_map(|sentence| placeholders(&sentence.say).chain(sentence.when.keys().map(String::as_str)));
    let confirm = raw.confirm.iter().flat_map(|sentence| placeholders(sentence));
    for (key, name) in says.map(|name| ("says", name)).chain(confirm.map(|name| ("confirm", name))) {
        faults.check(names.iter().any(|known| *known == name), place, format_args!("`{key}` names `{name}`, which nothing fills"));
    }
    let says = raw.says.into_iter().map(|sentence| Sentence { say: sentence.say, when: sentence.when }).collect();
    Some(IntentRule { action, ask: raw.ask, confirm: raw.confirm, says })
}

/// The names in braces.
pub(crate) fn placeholders(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}
