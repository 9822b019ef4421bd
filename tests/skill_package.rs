//! The code understands every intent of the skill package with all slots filled. The model check of the hub verifies that the
//! package matches the device model.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use onething::alexa::request::{Kind, Request};
use onething::device_model::Model;
use onething::skill::OWN_INTENTS;
use onething::speech::intent::{ResolvedIntent, resolve};
use onething::speech::locales::Locale;
use onething::speech::slot_value::SlotReader;
use serde_json::{Value, json};

const MODEL: &str = include_str!("../skill-package/interactionModels/custom/en-US.json");

fn each<'v>(value: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    value[list].as_array().into_iter().flatten()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

#[test]
fn every_intent_of_the_package_is_understood_by_the_code() {
    let model = Model::parse(include_str!("../device.toml")).unwrap();
    let language = serde_json::from_str::<Value>(MODEL).unwrap()["interactionModel"]["languageModel"].take();
    let filled = |slot: &Value| match each(&language, "types").find(|kind| kind["name"] == slot["type"]) {
        Some(kind) => {
            let value = json!({"id": kind["values"][0]["id"], "name": kind["values"][0]["name"]["value"]});
            let authority = json!({"status": {"code": "ER_SUCCESS_MATCH"}, "values": [{"value": value}]});
            json!({"value": "what was said", "resolutions": {"resolutionsPerAuthority": [authority]}})
        }
        None => json!({"value": "3"}),
    };
    let of_the_device = |intent: &&Value| !name(intent).starts_with("AMAZON.") && !OWN_INTENTS.contains(&name(intent));
    for intent in each(&language, "intents").filter(of_the_device) {
        let slots: serde_json::Map<String, Value> = each(intent, "slots").map(|slot| (name(slot).to_owned(), filled(slot))).collect();
        let request = json!({"request": {"type": "IntentRequest",
            "intent": {"name": name(intent), "confirmationStatus": "CONFIRMED", "slots": slots}}});
        let Kind::Intent(read) = Request::read(&request).kind else { panic!("an intent") };
        let resolved = resolve(&model, &read, SlotReader { locale: Locale::English, now: 0 });
        assert!(matches!(resolved, ResolvedIntent::Change { .. } | ResolvedIntent::Answer(_)), "{} {resolved:?}", name(intent));
    }
}
