//! Tests of the values and words that slots are converted to.

use serde_json::json;

use super::*;
use crate::alexa::request::SlotMatch;

fn spoken(words: &str) -> SlotValue {
    SlotValue { input: words.into(), matches: Vec::new() }
}

/// A value with its matches, each written as `id=name`. `=name` has no id.
fn matched(words: &str, matches: &[&str]) -> SlotValue {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let one = |found: &&str| found.split_once('=').map(|(id, name)| SlotMatch { id: text(id), name: text(name) }).unwrap();
    SlotValue { input: words.into(), matches: matches.iter().map(one).collect() }
}

fn read(kind: &ValueKind, said: &[SlotValue]) -> Option<Result<Value, InvalidSlot>> {
    // 2026-12-01.
    SlotReader { locale: Locale::English, now: 1_796_083_200 }.read(kind, said)
}

fn check(kind: &ValueKind, said: &str, expected: &Result<serde_json::Value, InvalidSlot>) {
    assert_eq!(&read(kind, &[spoken(said)]).unwrap().map(|v| v.json), expected, "{kind:?} {said}");
}

fn check_words(kind: &ValueKind, said: &SlotValue, json: &serde_json::Value, words: &str) {
    let value = read(kind, std::slice::from_ref(said)).unwrap().unwrap();
    assert_eq!((&value.json, value.words.text.as_str()), (json, words), "{kind:?} {said:?}");
}

fn choice_of(values: &[&str]) -> ValueKind {
    ValueKind::Choice { values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn text(max_length: usize) -> ValueKind {
    ValueKind::Text { max_length }
}

fn number(max: f64, unit: &str, whole: bool) -> ValueKind {
    ValueKind::Number { min: 0.0, max, unit: Some(unit.into()), whole }
}

fn degrees() -> ValueKind {
    number(300.0, "degrees", false)
}

#[test]
fn a_number_is_checked_against_its_range() {
    let out =
        |said: &str| InvalidSlot::OutOfRange { said: said.into(), min: 0.0, max: 300.0, unit: Some("degrees".into()), fraction: false };
    check(&degrees(), "200", &Ok(json!(200)));
    check(&degrees(), "0", &Ok(json!(0)));
    check(&degrees(), "20.5", &Ok(json!(20.5)));
    check(&degrees(), "301", &Err(out("301")));
    check(&degrees(), "-1", &Err(out("-1")));
    check(&degrees(), "?", &Err(InvalidSlot::NotANumber("?".into())));
    check(&degrees(), "NaN", &Err(InvalidSlot::NotANumber("NaN".into())));
    check(&degrees(), "inf", &Err(InvalidSlot::NotANumber("inf".into())));
}

#[test]
fn a_whole_number_has_no_fraction() {
    let copies = ValueKind::Number { min: 1.0, max: 20.0, unit: None, whole: true };
    check(&copies, "3", &Ok(json!(3)));
    assert!(matches!(read(&copies, &[spoken("1.5")]), Some(Err(InvalidSlot::OutOfRange { fraction: true, .. }))));
    assert!(matches!(read(&copies, &[spoken("20.5")]), Some(Err(InvalidSlot::OutOfRange { fraction: false, .. }))));
}

#[test]
fn the_id_of_a_match_is_used_and_its_name_is_spoken() {
    check_words(&choice_of(&["nozzle", "bed"]), &matched("hot end", &["nozzle=the nozzle"]), &json!("nozzle"), "the nozzle");
    check_words(&ValueKind::Switch, &matched("up", &["ON=On"]), &json!("ON"), "on");
    check_words(&degrees(), &matched("half", &["150=medium"]), &json!(150), "medium");
}

#[test]
fn without_a_known_id_the_name_is_used_and_then_the_spoken_words() {
    let on = "ed2b5c0139cec8ad2873829dc1117d50=on";
    check_words(&ValueKind::Switch, &matched("up", &[on]), &json!("ON"), "on");
    check_words(&choice_of(&["low", "on"]), &matched("turned on", &[on]), &json!("on"), "on");
    check_words(
        &choice_of(&["Berlin"]),
        &matched("berlin", &["https://ld.amazonalexa.com/entities/v1/x= berlin "]),
        &json!("Berlin"),
        " berlin ",
    );
    check_words(&ValueKind::Switch, &matched("Off", &["x=y"]), &json!("OFF"), "off");
    check_words(&degrees(), &matched("sixty", &["11111111111111111111111111111111=60"]), &json!(60), "60");
    check_words(&choice_of(&["living_room"]), &matched("lounge", &["c0ffee=Living Room"]), &json!("living_room"), "Living Room");
    let unknown = matched("toaster", &["c0ffee=oven"]);
    let Some(Err(InvalidSlot::NotOneOf { said, .. })) = read(&ValueKind::Switch, &[unknown]) else { panic!("not refused") };
    assert_eq!(said, "toaster");
}

#[test]
fn the_first_match_that_the_model_knows_is_used() {
    let kitchen = choice_of(&["kitchen", "bed"]);
    check_words(&kitchen, &matched("the room", &["1=bath", "2=kitchen", "bed=bed"]), &json!("kitchen"), "kitchen");
    check_words(&text(64), &matched("the room", &["1=bath", "2=kitchen"]), &json!("bath"), "bath");
}

#[test]
fn a_text_takes_the_name_of_a_match() {
    check_words(&text(64), &matched("flower vase", &["ab12=vase"]), &json!("vase"), "vase");
    check_words(
        &text(64),
        &matched("bezos", &["https://ld.amazonalexa.com/entities/v1/6Zmd=Jeff Bezos"]),
        &json!("Jeff Bezos"),
        "Jeff Bezos",
    );
    check_words(&text(64), &matched("the same", &["vase="]), &json!("the same"), "the same");
}

#[test]
fn several_values_become_one_text_or_are_refused() {
    let two = [spoken("vase"), spoken("cup")];
    let both = read(&text(64), &two).unwrap().unwrap();
    assert_eq!((both.json, both.words.text.as_str()), (json!("vase, cup"), "vase and cup"));
    assert_eq!(read(&degrees(), &two), Some(Err(InvalidSlot::TooMany)));
    assert_eq!(read(&degrees(), &two[..1]), Some(Err(InvalidSlot::NotANumber("vase".into()))));
    assert_eq!(read(&degrees(), &[]), None);
}

#[test]
fn a_value_of_a_built_in_type_is_stored_unchanged_and_spoken_in_words() {
    check_words(&text(64), &spoken("PT1H30M"), &json!("PT1H30M"), "one hour and 30 minutes");
    check_words(&text(64), &spoken("19:30"), &json!("19:30"), "7:30 p.m.");
    check_words(&text(64), &spoken("MO"), &json!("MO"), "the morning");
    check_words(&text(64), &spoken("2026-12-24"), &json!("2026-12-24"), "December 24th");
    check_words(&text(64), &spoken("2026-W49-WE"), &json!("2026-W49-WE"), "the weekend of December 5th");
    check_words(&text(64), &spoken("1234"), &json!("1234"), "1234");
    check_words(&choice_of(&["MO", "EV"]), &spoken("EV"), &json!("EV"), "the evening");
    check_words(&text(64), &matched("MO", &["ab=MO"]), &json!("MO"), "MO");
    assert_eq!(read(&text(64), &[spoken("?")]), None);
}

#[test]
fn a_duration_fills_a_number_with_a_unit_of_time() {
    check_words(&number(120.0, "minutes", true), &spoken("PT1H30M"), &json!(90), "one hour and 30 minutes");
    check_words(&number(120.0, "minutes", true), &spoken("90"), &json!(90), "90");
    check_words(&number(120.0, "seconds", true), &spoken("PT1M30S"), &json!(90), "one minute and 30 seconds");
    check_words(&number(200.0, "hours", true), &spoken("P1W"), &json!(168), "one week");
    check_words(&number(120.0, "Hours", false), &spoken("PT90M"), &json!(1.5), "90 minutes");
    check_words(&number(120.0, "days", true), &spoken("PT24H"), &json!(1), "24 hours");
}

#[test]
fn a_duration_that_does_not_fit_the_unit_or_the_range_is_refused() {
    let minutes = number(120.0, "minutes", true);
    let whole = InvalidSlot::NotWhole { said: "90 seconds".into(), unit: "minutes".into() };
    check(&minutes, "PT90S", &Err(whole));
    let out = InvalidSlot::OutOfRange { said: "three hours".into(), min: 0.0, max: 120.0, unit: Some("minutes".into()), fraction: false };
    check(&minutes, "PT3H", &Err(out));
    check(&minutes, "P1M", &Err(InvalidSlot::NotANumber("one month".into())));
    check(&degrees(), "PT10M", &Err(InvalidSlot::NotANumber("ten minutes".into())));
}

#[test]
fn text_is_limited_and_has_no_control_characters() {
    check(&text(4), "a\nb", &Ok(json!("a b")));
    check(&text(4), "vases", &Err(InvalidSlot::TooLong { limit: 4 }));
}

#[test]
fn an_article_alone_or_symbols_do_not_fill_a_slot() {
    for nothing in ["a", "An", "the", "\u{1f3fa}", "a \u{1f3fa}", "-", "...", "\u{b0}"] {
        assert_eq!(read(&text(64), &[spoken(nothing)]), None, "{nothing}");
        assert_eq!(read(&degrees(), &[spoken(nothing)]), None, "{nothing}");
    }
    for something in ["i", "5", "\u{e9}", "a \u{1f3fa} vase", "a vase"] {
        check_words(&text(64), &spoken(something), &json!(something), something);
    }
    check_words(&choice_of(&["A", "B"]), &matched("a", &["A=a"]), &json!("A"), "a");
    let list = [spoken("vase"), spoken("a"), spoken("cup")];
    assert_eq!(read(&text(64), &list).unwrap().unwrap().json, json!("vase, cup"));
}
