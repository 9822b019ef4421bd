//! Device model, skill package and code say the same: every intent, slot and value.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};

use onething::alexa::request::{Kind, Request, SlotMatch, SlotValue};
use onething::answer::OWN_INTENTS;
use onething::locales::Locale;
use onething::model::{Model, ValueKind};
use onething::wish::{Wish, wish};
use serde_json::{Value, json};

const MODEL: &str = include_str!("../skill-package/interactionModels/custom/en-US.json");

/// The built-in intents that certification needs, and the two that answer a plain question; `src/answer`
/// answers each.
const BUILT_IN: [&str; 7] = [
    "AMAZON.CancelIntent",
    "AMAZON.FallbackIntent",
    "AMAZON.HelpIntent",
    "AMAZON.NavigateHomeIntent",
    "AMAZON.NoIntent",
    "AMAZON.StopIntent",
    "AMAZON.YesIntent",
];

fn interaction_model() -> Value {
    serde_json::from_str::<Value>(MODEL).unwrap()["interactionModel"]["languageModel"].clone()
}

fn device_model() -> Model {
    Model::parse(include_str!("../device.toml")).unwrap()
}

fn each<'v>(value: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    value[list].as_array().into_iter().flatten()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap().to_owned()
}

fn of_the_device(intent: &&Value) -> bool {
    !name(intent).starts_with("AMAZON.") && !OWN_INTENTS.contains(&name(intent).as_str())
}

/// The values of each slot type of our own, as Alexa resolves them.
fn slot_types() -> BTreeMap<String, Vec<SlotValue>> {
    let value = |value: &Value| SlotValue {
        spoken: value["name"]["value"].as_str().unwrap().to_owned(),
        matches: vec![SlotMatch { id: value["id"].as_str().map(str::to_owned), name: value["name"]["value"].as_str().map(str::to_owned) }],
    };
    each(&interaction_model(), "types").map(|kind| (name(kind), each(kind, "values").map(value).collect())).collect()
}

#[test]
fn every_intent_is_in_both_and_nothing_else() {
    let interaction: BTreeSet<String> = each(&interaction_model(), "intents").map(name).collect();
    let handled: BTreeSet<String> =
        device_model().intents.keys().cloned().chain(BUILT_IN.into_iter().chain(OWN_INTENTS).map(str::to_owned)).collect();
    assert_eq!(interaction, handled);
}

#[test]
fn the_invocation_name_is_the_device_models() {
    assert_eq!(interaction_model()["invocationName"], device_model().invocation);
}

#[test]
fn every_slot_is_filled_by_the_one_and_used_by_the_other() {
    let model = device_model();
    for intent in each(&interaction_model(), "intents").filter(of_the_device) {
        let declared: BTreeSet<String> = each(intent, "slots").map(name).collect();
        let used: BTreeSet<String> = model.slots(&model.intents[&name(intent)]).into_iter().map(|(slot, _)| slot).collect();
        assert_eq!(declared, used, "{}", name(intent));
    }
}

#[test]
fn every_value_of_a_slot_fits_what_it_fills() {
    let (model, types) = (device_model(), slot_types());
    for intent in each(&interaction_model(), "intents").filter(of_the_device) {
        let kinds: BTreeMap<String, ValueKind> = model.slots(&model.intents[&name(intent)]).into_iter().collect();
        for slot in each(intent, "slots") {
            let (kind, slot_type) = (&kinds[&name(slot)], slot["type"].as_str().unwrap());
            let Some(values) = types.get(slot_type) else {
                // A built-in type: a number for a number, and any for a text.
                let fits =
                    matches!(kind, ValueKind::Number { .. }) && slot_type == "AMAZON.NUMBER" || matches!(kind, ValueKind::Text { .. });
                assert!(fits && slot_type.starts_with("AMAZON."), "{slot_type} for {kind:?}");
                continue;
            };
            let accepted: BTreeSet<String> = values
                .iter()
                .map(|value| kind.read(std::slice::from_ref(value), Locale::English, 0).unwrap().unwrap().json.as_str().unwrap().to_owned())
                .collect();
            let ids: BTreeSet<String> = values.iter().filter_map(|value| value.matches[0].id.clone()).collect();
            assert_eq!(accepted, ids, "{slot_type}");
            match kind {
                ValueKind::Switch => assert_eq!(accepted, BTreeSet::from(["ON".to_owned(), "OFF".to_owned()])),
                ValueKind::Choice { values } => assert_eq!(accepted, values.iter().cloned().collect()),
                _ => {}
            }
        }
    }
}

/// Each intent with every slot filled by a value of its type comes to something.
#[test]
fn every_intent_of_the_package_is_understood_by_the_code() {
    let (model, types) = (device_model(), slot_types());
    for intent in each(&interaction_model(), "intents").filter(of_the_device) {
        let filled = |slot: &Value| match types.get(slot["type"].as_str().unwrap()).map(|values| &values[0]) {
            Some(value) => json!({"value": value.spoken, "resolutions": {"resolutionsPerAuthority": [
                {"status": {"code": "ER_SUCCESS_MATCH"}, "values": [{"value": {"id": value.matches[0].id, "name": value.matches[0].name}}]}]}}),
            None => json!({"value": "3"}),
        };
        let slots: serde_json::Map<String, Value> = each(intent, "slots").map(|slot| (name(slot), filled(slot))).collect();
        let request = json!({"request": {"type": "IntentRequest",
            "intent": {"name": name(intent), "confirmationStatus": "CONFIRMED", "slots": slots}}});
        let Kind::Intent(read) = Request::read(&request).kind else { panic!("an intent") };
        let wish = wish(&model, &read, Locale::English, 0);
        assert!(matches!(wish, Wish::Change { .. } | Wish::Answer(_)), "{} {wish:?}", name(intent));
    }
}
