//! Tests with the sample printer and with a pump.

use serde_json::json;

use super::*;
use crate::alexa::request::{Kind, Request};
use crate::speech::locales::Phrase;

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
    let got = match resolve(&model, &intent(name, "NONE", slots), READER) {
        ResolvedIntent::Change { change: Change::Set(set), says } => format!("{says} {}", Json::Object(set)),
        ResolvedIntent::Change { change: Change::Command { name, args }, says } => format!("{says} {name} {}", Json::Object(args)),
        ResolvedIntent::Elicit { slot, question } => format!("{slot}? {}", question.unwrap_or_default()),
        ResolvedIntent::InvalidSlot { slot, why } => format!("{slot}! {why:?}"),
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
    check(
        "PrintIntent",
        &json!({"model": slot("vase"), "copies": slot("3")}),
        r#"Printing 3 copies of vase. print {"copies":3,"model":"vase"}"#,
    );
    check("PrintIntent", &json!({"model": slot("a unicorn")}), r#"Printing 1 unicorn. print {"copies":1,"model":"a unicorn"}"#);
    check(
        "PrintIntent",
        &json!({"model": slot("a unicorn"), "copies": slot("2")}),
        r#"Printing 2 copies of a unicorn. print {"copies":2,"model":"a unicorn"}"#,
    );
    check("SetTemperatureIntent", &json!({"part": slot("bed"), "degrees": slot("1")}), r#"Setting the bed to 1 degree. {"bedTarget":1}"#);
    check("PauseIntent", &json!({}), r#"Pausing the print. pause {"copies":null,"model":null}"#);
    check("SetPowerIntent", &json!({"power": slot("On")}), r#"Switching the printer on. {"power":"ON"}"#);
    check(
        "SetTemperatureIntent",
        &json!({"part": slot("nozzle"), "degrees": slot("200")}),
        r#"Setting the nozzle to 200 degrees. {"nozzleTarget":200}"#,
    );
}

#[test]
fn an_unfilled_slot_is_elicited() {
    check("PrintIntent", &json!({"copies": slot("3")}), "model? What shall I print?");
    check("PrintIntent", &Json::Null, "model? What shall I print?");
    check("SetTemperatureIntent", &json!({"part": slot("bed"), "degrees": {"name": "degrees"}}), "degrees? To how many degrees?");
}

#[test]
fn an_invalid_value_and_an_unknown_intent_change_nothing() {
    let out = r#"degrees! OutOfRange { said: "130", min: 0.0, max: 120.0, unit: Some("degrees"), fraction: false }"#;
    check("SetTemperatureIntent", &json!({"part": slot("bed"), "degrees": slot("130")}), out);
    check("PrintIntent", &json!({"model": slot("vase"), "copies": slot("?")}), r#"copies! NotANumber("?")"#);
    check("DanceIntent", &json!({}), "Unknown");
}

#[test]
fn a_confirmed_intent_is_done_and_a_denied_one_is_not() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    let ask = |status: &str| resolve(&model, &intent("CancelPrintIntent", status, &json!({})), READER).clone();
    assert!(matches!(ask("NONE"), ResolvedIntent::Confirm(_)));
    assert!(matches!(ask("CONFIRMED"), ResolvedIntent::Change { .. }));
    assert!(matches!(ask("DENIED"), ResolvedIntent::Denied));
}

#[test]
fn can_fulfill_judges_each_slot() {
    let model = Model::parse(Model::SAMPLE).unwrap();
    let can = |slots| can_fulfill(&model, &intent("PrintIntent", "NONE", &slots));
    let all = can(json!({"model": slot("vase"), "copies": slot("99"), "colour": slot("red")}));
    assert_eq!(all.intent, Can::No);
    let expected = [("colour", Can::No, Can::No), ("copies", Can::Yes, Can::No), ("model", Can::Yes, Can::Yes)];
    assert_eq!(all.slots, expected.map(|(name, a, b)| (name.to_owned(), a, b)));
    assert_eq!(can(json!({"model": slot("vase")})).intent, Can::Yes);
    assert_eq!(can(json!({"model": {"name": "model"}})).intent, Can::Maybe);
}

/// A pump whose intents have slots of built-in types.
const PUMP: &str = r#"
    [device]
    name = "pump"
    invocation = "my pump"
    thing_type = "pump"
    thing_prefix = "Pump-"
    [property.mode]
    type = "choice"
    values = ["eco", "full power"]
    [command.water.for]
    type = "integer"
    min = 1
    max = 240
    unit = "minutes"
    [command.plan.at]
    type = "text"
    max_length = 20
    [command.plan.zones]
    type = "text"
    max_length = 40
    default = "MO"
    [command.plan.day]
    type = "text"
    max_length = 20
    default = "PRESENT_REF"
    [intent.WaterIntent]
    command = "water"
    args = { for = "duration" }
    says = "Watering for {for}."
    [intent.TimedIntent]
    command = "water"
    args = { for = "duration" }
    says = "Watering for {duration} minutes, and then it stops."
    [intent.PlanIntent]
    command = "plan"
    args = { at = "time", zones = "zones", day = "day" }
    confirm = "Shall I begin at {time}?"
    says = "Watering {zones} on {day} at {time}."
    [intent.ModeIntent]
    set = { mode = "mode" }
    says = "Setting the mode to {mode}."
"#;

/// A reader on 2026-12-01.
const READER: SlotReader = SlotReader { locale: Locale::English, now: 1_796_083_200 };

fn says(name: &str, slots: &Json) -> String {
    let model = Model::parse(PUMP).unwrap();
    match resolve(&model, &intent(name, "CONFIRMED", slots), READER) {
        ResolvedIntent::Change { says, .. } => says,
        ResolvedIntent::InvalidSlot { why, .. } => Locale::English.say(&Phrase::DoesNotFit(&why), "pump", "my pump"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_sentence_with_a_duration_names_the_unit_once() {
    let water = |duration: &str| says("WaterIntent", &json!({"duration": slot(duration)}));
    assert_eq!(water("PT10M"), "Watering for ten minutes.");
    assert_eq!(water("PT1H30M"), "Watering for one hour and 30 minutes.");
    assert_eq!(water("PT90S"), "90 seconds is no whole number of minutes. Please say it in whole minutes.");
    assert_eq!(water("PT12H"), "Twelve hours is not possible. Please say a number from 1 to 240 minutes.");
    let timed = |duration: &str| says("TimedIntent", &json!({"duration": slot(duration)}));
    assert_eq!(timed("PT1H"), "Watering for one hour, and then it stops.");
    assert_eq!(timed("PT1M"), "Watering for one minute, and then it stops.");
    assert_eq!(timed("10"), "Watering for 10 minutes, and then it stops.");
}

#[test]
fn a_time_and_a_date_have_their_own_preposition() {
    let plan = |time: &str, day: &str| says("PlanIntent", &json!({"time": slot(time), "day": slot(day), "zones": slot("roses")}));
    assert_eq!(plan("19:00", "2026-12-02"), "Watering roses on December 2nd at 7 p.m.");
    assert_eq!(plan("MO", "2026-W50"), "Watering roses in the week of December 7th in the morning.");
    assert_eq!(plan("NI", "2027-01"), "Watering roses in January 2027 at night.");
    assert_eq!(plan("12:00", "PRESENT_REF"), "Watering roses now at noon.");
}

#[test]
fn several_values_are_spoken_as_an_enumeration() {
    let zones = json!({"slotValue": {"type": "List", "values": [{"value": "roses"}, {"value": "lawn"}, {"value": "hedge"}]}});
    assert_eq!(says("PlanIntent", &json!({"time": slot("06:15"), "zones": zones})), "Watering roses, lawn and hedge now at 6:15 a.m.");
}

#[test]
fn a_default_is_spoken_in_words() {
    assert_eq!(says("PlanIntent", &json!({"time": slot("06:15")})), "Watering the morning now at 6:15 a.m.");
}

#[test]
fn a_confirmation_contains_the_words_for_the_values() {
    let model = Model::parse(PUMP).unwrap();
    let asked = resolve(&model, &intent("PlanIntent", "NONE", &json!({"time": slot("EV")})), READER);
    assert!(matches!(&asked, ResolvedIntent::Confirm(question) if question == "Shall I begin in the evening?"), "{asked:?}");
}

#[test]
fn a_value_without_an_id_of_its_own_is_spoken_by_its_name() {
    let resolved = |status: &str, name: &str| {
        json!({"value": "whatever", "resolutions": {"resolutionsPerAuthority": [
            {"status": {"code": status}, "values": [{"value": {"id": "0d9b9b0b4c8f4b2f8a7f6e5d4c3b2a19", "name": name}}]}]}})
    };
    assert_eq!(says("ModeIntent", &json!({"mode": resolved("ER_SUCCESS_MATCH", "Full power")})), "Setting the mode to Full power.");
    assert_eq!(
        says("ModeIntent", &json!({"mode": resolved("ER_SUCCESS_NO_MATCH", "eco")})),
        "I do not know whatever. It can be eco or full power."
    );
}

#[test]
fn a_slot_with_only_an_article_or_symbols_is_elicited() {
    for nothing in ["a", "The", "\u{1f3fa}", "a \u{1f3fa}", "?"] {
        check("PrintIntent", &json!({"model": slot(nothing)}), "model? What shall I print?");
    }
}
