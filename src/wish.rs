//! An intent to a wish: what the owner wants of the device, or what has to be asked first.
//!
//! Pure: the interaction model gave the slots, the device model says what they may be. A value that does
//! not fit is an answer for the owner and never reaches a shadow.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::alexa::request::{Confirmation, Intent};
use crate::alexa::response::{Can, CanFulfill};
use crate::model::{Action, IntentRule, Misfit, Model, Sentence, Value, ValueKind};

/// What an intent comes to.
#[derive(Clone, Debug)]
pub enum Wish<'m> {
    /// Something for the device, and the words that say so.
    Change {
        /// What.
        change: Change,
        /// The words.
        says: String,
    },
    /// A question about the device.
    Answer(&'m [Sentence]),
    /// A slot has to be filled first.
    Elicit {
        /// The slot.
        slot: String,
        /// The question; without one Alexa asks by the prompts of the interaction model.
        question: Option<String>,
    },
    /// The owner has to agree first.
    Confirm(String),
    /// The owner did not agree.
    Declined,
    /// What was said for this slot cannot be.
    Misfit {
        /// The slot, to be asked for again.
        slot: String,
        /// Why.
        misfit: Misfit,
    },
    /// The device model has no such intent.
    Unknown,
}

/// A change for the shadow.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Properties.
    Set(Map<String, Json>),
    /// A command with its arguments.
    Command {
        /// The name.
        name: String,
        /// The arguments.
        args: Map<String, Json>,
    },
}

/// Reads an intent by the device model.
pub fn wish<'m>(model: &'m Model, intent: &Intent) -> Wish<'m> {
    let Some(rule) = model.intents.get(&intent.name) else { return Wish::Unknown };
    if intent.confirmation == Confirmation::Denied {
        return Wish::Declined;
    }
    let change = match read_change(model, rule, intent) {
        Ok(None) => return answer(rule),
        Ok(Some(change)) => change,
        Err(Gap::Unfilled(slot)) => return Wish::Elicit { question: rule.ask.get(&slot).cloned(), slot },
        Err(Gap::Misfit(slot, misfit)) => return Wish::Misfit { slot, misfit },
    };
    match &rule.confirm {
        Some(question) if intent.confirmation != Confirmation::Confirmed => Wish::Confirm(fill(question, &change.words)),
        _ => Wish::Change { says: fill(&rule.says, &change.words), change: change.change },
    }
}

/// Whether an intent could be done, for Alexa's name-free interaction: nothing is done.
pub fn can_fulfill(model: &Model, intent: &Intent) -> CanFulfill {
    let Some(rule) = model.intents.get(&intent.name) else {
        return CanFulfill { intent: Can::No, slots: Vec::new() };
    };
    let wanted: BTreeMap<String, ValueKind> = model.slots(rule).into_iter().collect();
    let judge = |name: &str| match wanted.get(name).map(|kind| kind.read(&intent.slot(name))) {
        None => (Can::No, Can::No),
        Some(None) => (Can::Yes, Can::Maybe),
        Some(Some(Ok(_))) => (Can::Yes, Can::Yes),
        Some(Some(Err(_))) => (Can::Yes, Can::No),
    };
    let slots: Vec<_> = intent.slot_names().map(|name| (name.to_owned(), judge(name))).collect();
    let whole = match read_change(model, rule, intent) {
        Ok(_) => Can::Yes,
        Err(Gap::Unfilled(_)) => Can::Maybe,
        Err(Gap::Misfit(..)) => Can::No,
    };
    CanFulfill { intent: whole, slots: slots.into_iter().map(|(name, (understand, fulfill))| (name, understand, fulfill)).collect() }
}

/// A change with the words for each name its sentence may hold.
struct Read {
    change: Change,
    words: BTreeMap<String, String>,
}

/// Why there is no change yet.
enum Gap {
    Unfilled(String),
    Misfit(String, Misfit),
}

fn answer(rule: &IntentRule) -> Wish<'_> {
    match &rule.action {
        Action::Answer(sentences) => Wish::Answer(sentences),
        _ => Wish::Unknown,
    }
}

fn read_change(model: &Model, rule: &IntentRule, intent: &Intent) -> Result<Option<Read>, Gap> {
    let mut words = BTreeMap::new();
    let change = match &rule.action {
        Action::Answer(_) => return Ok(None),
        Action::Command { name, args: slots } => {
            let mut args = Map::new();
            for (arg, argument) in model.commands.get(name).into_iter().flatten() {
                let value = match slots.get(arg).map(|slot| (slot, read_slot(intent, slot, &argument.kind))) {
                    Some((_, Ok(value))) => value,
                    Some((_, Err(Gap::Unfilled(_)))) | None if argument.default.is_some() => spoken_default(argument.default.as_ref()),
                    Some((_, Err(gap))) => return Err(gap),
                    None => continue,
                };
                words.insert(arg.clone(), value.words.clone());
                slots.get(arg).map(|slot| words.insert(slot.clone(), value.words.clone()));
                args.insert(arg.clone(), value.json);
            }
            // A shadow merges: without a null it would keep the arguments of the command before.
            for arg in model.commands.values().flat_map(BTreeMap::keys) {
                args.entry(arg.clone()).or_insert(Json::Null);
            }
            Change::Command { name: name.clone(), args }
        }
        Action::Set(slots) => {
            let mut set = Map::new();
            for (property, slot) in slots {
                let Some(known) = model.properties.get(property) else { continue };
                let value = read_slot(intent, slot, &known.kind)?;
                words.insert(property.clone(), value.words.clone());
                words.insert(slot.clone(), value.words);
                set.insert(property.clone(), value.json);
            }
            Change::Set(set)
        }
        Action::SetOne { slot, value: value_slot, properties } => {
            let choice = read_slot(intent, slot, &ValueKind::Choice { values: properties.keys().cloned().collect() })?;
            let property = choice.json.as_str().and_then(|choice| properties.get(choice)).cloned().unwrap_or_default();
            let Some(known) = model.properties.get(&property) else { return Ok(None) };
            let value = read_slot(intent, value_slot, &known.kind)?;
            words.insert(slot.clone(), choice.words);
            words.insert(value_slot.clone(), value.words);
            Change::Set(Map::from_iter([(property, value.json)]))
        }
    };
    Ok(Some(Read { change, words }))
}

fn read_slot(intent: &Intent, slot: &str, kind: &ValueKind) -> Result<Value, Gap> {
    let value = kind.read(&intent.slot(slot)).ok_or_else(|| Gap::Unfilled(slot.to_owned()))?;
    value.map_err(|misfit| Gap::Misfit(slot.to_owned(), misfit))
}

fn spoken_default(default: Option<&Json>) -> Value {
    let json = default.cloned().unwrap_or_default();
    let words = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    Value { json, words }
}

/// Puts words where a sentence has `{name}`.
pub(crate) fn fill(sentence: &str, words: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(sentence.len());
    let mut parts = sentence.split('{');
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.split_once('}') {
            Some((name, rest)) => {
                filled.push_str(words.get(name).map_or("", String::as_str));
                filled.push_str(rest);
            }
            None => filled.push_str(part),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alexa::request::{Kind, Request};

    fn intent(name: &str, status: &str, slots: &Json) -> Intent {
        let request = json!({"request": {"type": "IntentRequest",
            "intent": {"name": name, "confirmationStatus": status, "slots": slots}}});
        match Request::read(&request).kind {
            Kind::Intent(intent) => intent,
            other => panic!("{other:?}"),
        }
    }

    fn check(name: &str, slots: &Json, expected: &str) {
        let model = Model::parse(Model::SAMPLE).unwrap();
        let got = match wish(&model, &intent(name, "NONE", slots)) {
            Wish::Change { change: Change::Set(set), says } => format!("{says} {}", Json::Object(set)),
            Wish::Change { change: Change::Command { name, args }, says } => format!("{says} {name} {}", Json::Object(args)),
            Wish::Elicit { slot, question } => format!("{slot}? {}", question.unwrap_or_default()),
            Wish::Misfit { slot, misfit } => format!("{slot}! {misfit:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected, "{name} {slots}");
    }

    fn slot(value: &str) -> Json {
        json!({"value": value})
    }

    #[test]
    fn slots_become_changes() {
        check("PrintIntent", &json!({"model": slot("vase")}), r#"Printing 1 vase. print {"copies":1,"model":"vase"}"#);
        check("PrintIntent", &json!({"model": slot("vase"), "copies": slot("3")}), r#"Printing 3 vase. print {"copies":3,"model":"vase"}"#);
        check("PauseIntent", &json!({}), r#"Pausing the print. pause {"copies":null,"model":null}"#);
        check("SetPowerIntent", &json!({"power": slot("On")}), r#"Switching the printer on. {"power":"ON"}"#);
        check(
            "SetTemperatureIntent",
            &json!({"part": slot("nozzle"), "degrees": slot("200")}),
            r#"Setting the nozzle to 200 degrees. {"nozzleTarget":200}"#,
        );
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        check("PrintIntent", &json!({"copies": slot("3")}), "model? What shall I print?");
        check("PrintIntent", &Json::Null, "model? What shall I print?");
        check("SetTemperatureIntent", &json!({"part": slot("bed"), "degrees": {"name": "degrees"}}), "degrees? To how many degrees?");
    }

    #[test]
    fn what_cannot_be_is_an_answer() {
        let out = r#"degrees! OutOfRange { said: "130", min: 0.0, max: 120.0, unit: Some("degrees") }"#;
        check("SetTemperatureIntent", &json!({"part": slot("bed"), "degrees": slot("130")}), out);
        check("PrintIntent", &json!({"model": slot("vase"), "copies": slot("?")}), r#"copies! NotANumber("?")"#);
        check("DanceIntent", &json!({}), "Unknown");
    }

    #[test]
    fn a_confirmed_intent_is_done_and_a_denied_one_is_not() {
        let model = Model::parse(Model::SAMPLE).unwrap();
        let ask = |status: &str| wish(&model, &intent("CancelPrintIntent", status, &json!({}))).clone();
        assert!(matches!(ask("NONE"), Wish::Confirm(_)));
        assert!(matches!(ask("CONFIRMED"), Wish::Change { .. }));
        assert!(matches!(ask("DENIED"), Wish::Declined));
    }

    #[test]
    fn can_fulfill_tells_slot_by_slot() {
        let model = Model::parse(Model::SAMPLE).unwrap();
        let can = |slots| can_fulfill(&model, &intent("PrintIntent", "NONE", &slots));
        let all = can(json!({"model": slot("vase"), "copies": slot("99"), "colour": slot("red")}));
        assert_eq!(all.intent, Can::No);
        let expected = [("colour", Can::No, Can::No), ("copies", Can::Yes, Can::No), ("model", Can::Yes, Can::Yes)];
        assert_eq!(all.slots, expected.map(|(name, a, b)| (name.to_owned(), a, b)));
        assert_eq!(can(json!({"model": slot("vase")})).intent, Can::Yes);
        assert_eq!(can(json!({"model": {"name": "model"}})).intent, Can::Maybe);
    }
}
