//! Tests of the resolution: a model of a lamp with cases that regular expressions get wrong, and every sample of the printer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::simulator::utterance::interaction::InteractionModel;
use crate::simulator::utterance::words::Utterance;

/// A Tuesday.
const NOW: DateTime = jiff::civil::datetime(2026, 12, 1, 8, 0, 0, 0);

fn lamp() -> InteractionModel {
    let devices = json!([
        {"id": "lamp", "name": {"value": "living room lamp", "synonyms": ["lamp", "light"]}},
        {"id": "fan", "name": {"value": "fan", "synonyms": ["bob's fan"]}},
        {"name": {"value": "spare", "synonyms": ["light"]}},
    ]);
    let states = json!([{"id": "ON", "name": {"value": "on", "synonyms": ["up"]}}, {"id": "OFF", "name": {"value": "off"}}]);
    let file = json!({"interactionModel": {"languageModel": {
        "invocationName": "smart home",
        "intents": [
            {"name": "SwitchIntent",
             "slots": [{"name": "device", "type": "DEVICE"}, {"name": "state", "type": "STATE"}],
             "samples": ["turn {device} {state}", "turn the {device} {state}", "switch {device} {state}", "{state} {device}"]},
            {"name": "LevelIntent",
             "slots": [{"name": "device", "type": "DEVICE"}, {"name": "level", "type": "AMAZON.NUMBER"}],
             "samples": ["set {device} to {level}", "set the {device} to {level} percent"]},
            {"name": "OwnerIntent", "slots": [{"name": "who", "type": "AMAZON.FirstName"}], "samples": ["is it {who}'s lamp", "what's {who}'s"]},
            {"name": "SearchIntent", "slots": [{"name": "query", "type": "AMAZON.SearchQuery"}], "samples": ["search for {query}", "look {query} up"]},
            {"name": "WhenIntent",
             "slots": [{"name": "day", "type": "AMAZON.DATE"}, {"name": "time", "type": "AMAZON.TIME"}],
             "samples": ["wake me on {day} at {time}"]},
            {"name": "AMAZON.HelpIntent"}, {"name": "AMAZON.StopIntent"}, {"name": "AMAZON.CancelIntent"},
            {"name": "AMAZON.FallbackIntent"}, {"name": "AMAZON.YesIntent"}, {"name": "AMAZON.NoIntent"}, {"name": "AMAZON.NavigateHomeIntent"}
        ],
        "types": [{"name": "DEVICE", "values": devices}, {"name": "STATE", "values": states}],
    }}});
    InteractionModel::parse(&file.to_string()).unwrap()
}

/// A match as text: the intent, and each slot with its words and its resolution.
fn meaning(found: Option<Match>) -> String {
    let Some(found) = found else { return "nothing".into() };
    let mut text = found.intent;
    for (name, values) in found.slots {
        let _ = write!(text, " {name}=");
        for (at, filled) in values.iter().enumerate() {
            let _ = write!(text, "{}{}", if at > 0 { "+" } else { "" }, filled.value);
            if let Some(resolution) = &filled.resolution {
                let values: Vec<&str> = resolution.values.iter().map(|value| value.id.as_deref().unwrap_or(&value.name)).collect();
                let _ = write!(text, "({})", values.join("|"));
            }
        }
    }
    text
}

fn check(model: &InteractionModel, said: &str, expected: &str) {
    assert_eq!(meaning(model.resolve(Utterance::read(said).all(), NOW).or_else(|| model.fallback())), expected, "{said}");
}

#[test]
fn adjacent_slots_numbers_and_unlisted_values_are_resolved() {
    let lamp = lamp();
    check(&lamp, "turn the living room lamp off", "SwitchIntent device=living room lamp(lamp) state=off(OFF)");
    check(&lamp, "Switch fan up", "SwitchIntent device=fan(fan) state=up(ON)");
    check(&lamp, "on lamp", "SwitchIntent state=on(ON) device=lamp(lamp)");
    check(&lamp, "set light to fifty", "LevelIntent device=light(lamp|spare) level=50");
    check(&lamp, "set the fan to 60%", "LevelIntent device=fan(fan) level=60");
    check(&lamp, "turn the toaster on", "SwitchIntent device=toaster() state=on(ON)");
    check(&lamp, "turn the old bread toaster on", "SwitchIntent device=old bread toaster() state=on(ON)");
    check(&lamp, "set fan to lots", "LevelIntent device=fan(fan) level=?");
    check(&lamp, "colourless green ideas", "AMAZON.FallbackIntent");
    check(&lamp, "", "AMAZON.FallbackIntent");
    check(&lamp, &"word ".repeat(100), "AMAZON.FallbackIntent");
}

#[test]
fn possession_is_not_a_contraction() {
    let lamp = lamp();
    check(&lamp, "Turn Bob's fan off!", "SwitchIntent device=bob's fan(fan) state=off(OFF)");
    check(&lamp, "is it Ana's lamp?", "OwnerIntent who=ana(Ana)");
    check(&lamp, "What is Ana's", "OwnerIntent who=ana(Ana)");
}

#[test]
fn a_search_query_keeps_its_words() {
    let lamp = lamp();
    check(&lamp, "search for the Meaning of Life", "SearchIntent query=the meaning of life");
    check(&lamp, "look forty two up", "SearchIntent query=forty two");
    check(&lamp, "wake me on next Monday at five o'clock", "WhenIntent day=2026-12-07 time=05:00");
    check(&lamp, "wake me on tomorrow at whatever you like", "WhenIntent day=2026-12-02 time=?");
    check(&lamp, "search for", "AMAZON.FallbackIntent");
}

#[test]
fn built_in_intents_have_their_own_samples() {
    let lamp = lamp();
    for (said, intent) in [
        ("help me", "AMAZON.HelpIntent"),
        ("stop", "AMAZON.StopIntent"),
        ("never mind", "AMAZON.CancelIntent"),
        ("yes", "AMAZON.YesIntent"),
        ("No, thanks.", "AMAZON.NoIntent"),
        ("go home", "AMAZON.NavigateHomeIntent"),
    ] {
        check(&lamp, said, intent);
    }
}

#[test]
fn without_a_fallback_unknown_words_match_nothing() {
    let file = json!({"interactionModel": {"languageModel": {"invocationName": "x", "intents": [{"name": "A", "samples": ["a"]}]}}});
    let model = InteractionModel::parse(&file.to_string()).unwrap();
    assert_eq!((model.resolve(Utterance::read("b").all(), NOW), model.fallback()), (None, None));
}

#[test]
fn utterances_for_the_printer_are_resolved() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    check(&printer, "print three vases", "PrintIntent copies=3 model=vases(vase)");
    check(&printer, "print a three d benchy", "PrintIntent model=three d benchy(benchy)");
    check(&printer, "print twenty one red dragons", "PrintIntent copies=21 model=red dragons()");
    check(&printer, "print something", "PrintIntent");
    check(&printer, "set the nozzle to two hundred degrees", "SetTemperatureIntent part=nozzle(nozzle) degrees=200");
    check(&printer, "set the print bed to 60", "SetTemperatureIntent part=print bed(bed) degrees=60");
    check(&printer, "turn it off", "SetPowerIntent power=off(OFF)");
    check(&printer, "turn my printer on", "SetPowerIntent power=on(ON)");
    check(&printer, "what's the status?", "StatusIntent");
    check(&printer, "is my printer connected", "ConnectionIntent");
    check(&printer, "why doesn't my printer answer", "AMAZON.FallbackIntent");
    check(&printer, "cancel", "AMAZON.CancelIntent");
    check(&printer, "cancel the print", "CancelPrintIntent");
}

#[test]
fn the_answer_to_a_question_may_be_the_value_alone() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    let answer = |slot: &str, said: &str| {
        let intent = if slot == "model" || slot == "copies" { "PrintIntent" } else { "SetTemperatureIntent" };
        meaning(printer.resolve_slot(intent, slot, Utterance::read(said).all(), NOW))
    };
    assert_eq!(answer("model", "a vase"), "PrintIntent model=vase(vase)");
    assert_eq!(answer("model", "vase"), "PrintIntent model=vase(vase)");
    assert_eq!(answer("model", "two vases"), "PrintIntent copies=2 model=vases(vase)");
    assert_eq!(answer("model", "teapot"), "PrintIntent model=teapot()");
    assert_eq!(answer("copies", "a hundred and five"), "PrintIntent copies=105");
    assert_eq!(answer("degrees", "to 200 degrees"), "SetTemperatureIntent degrees=200");
    assert_eq!(answer("degrees", "very hot"), "SetTemperatureIntent degrees=?");
    assert_eq!(answer("part", "the hot end"), "SetTemperatureIntent part=hot end(nozzle)");
    assert_eq!(answer("nowhere", "x"), "nothing");
}

/// A model of a garden with every kind of built-in type, several values in a slot, and samples that consist of one slot.
fn garden() -> InteractionModel {
    let beds = json!([{"name": {"value": "roses", "synonyms": ["rose bed"]}}, {"name": {"value": "lawn"}}, {"name": {"value": "salt and pepper"}}]);
    let file = json!({"interactionModel": {"languageModel": {
        "invocationName": "my garden",
        "intents": [
            {"name": "WaterIntent",
             "slots": [{"name": "beds", "type": "BED", "multipleValues": {"enabled": true}}, {"name": "for", "type": "AMAZON.DURATION"},
                       {"name": "pause", "type": "AMAZON.DURATION"}],
             "samples": ["water {beds}", "water {beds} for {for}", "water for {for} {pause}", "please water the {beds} please", "{for}"]},
            {"name": "BuyIntent", "slots": [{"name": "things", "type": "AMAZON.Food", "multipleValues": {"enabled": true}}],
             "samples": ["buy {things}"]},
            {"name": "PlanIntent",
             "slots": [{"name": "day", "type": "AMAZON.DATE"}, {"name": "time", "type": "AMAZON.TIME"}],
             "samples": ["water on {day} at {time}", "water {time}", "{day}", "{time}"]},
            {"name": "PinIntent", "slots": [{"name": "pin", "type": "AMAZON.FOUR_DIGIT_NUMBER"}], "samples": ["{pin}", "my pin is {pin}"]},
            {"name": "NameIntent", "slots": [{"name": "name", "type": "AMAZON.FirstName"}], "samples": ["{name}", "i am {name}"]},
            {"name": "CallIntent", "slots": [{"name": "number", "type": "AMAZON.PhoneNumber"}], "samples": ["call {number}"]},
            {"name": "ValveIntent", "slots": [{"name": "valve", "type": "AMAZON.Ordinal"}], "samples": ["open the {valve} valve"]},
            {"name": "DayIntent", "slots": [{"name": "weekday", "type": "AMAZON.DayOfWeek"}], "samples": ["every {weekday}"]},
            {"name": "AMAZON.HelpIntent"}, {"name": "AMAZON.FallbackIntent"}
        ],
        "types": [{"name": "BED", "values": beds}],
    }}});
    InteractionModel::parse(&file.to_string()).unwrap()
}

#[test]
fn built_in_types_convert_words_to_values() {
    let garden = garden();
    check(&garden, "water the roses for an hour and a half", "WaterIntent beds=roses(roses) for=PT1H30M");
    check(&garden, "water on tomorrow at seven p.m.", "PlanIntent day=2026-12-02 time=19:00");
    check(&garden, "water on the third of May at half past six in the morning", "PlanIntent day=2027-05-03 time=06:30");
    check(&garden, "water in the evening", "PlanIntent time=EV");
    check(&garden, "my pin is nineteen eighty four", "PinIntent pin=1984");
    check(&garden, "my pin is secret", "PinIntent pin=?");
    check(&garden, "call 555-1212", "CallIntent number=5551212");
    check(&garden, "open the twenty first valve", "ValveIntent valve=21");
    check(&garden, "every Monday", "DayIntent weekday=monday(Monday)");
}

#[test]
fn a_sample_of_one_slot_alone_matches_a_value_of_its_type() {
    let garden = garden();
    check(&garden, "1234", "PinIntent pin=1234");
    check(&garden, "one two three four", "PinIntent pin=1234");
    check(&garden, "ten minutes", "WaterIntent for=PT10M");
    check(&garden, "tomorrow", "PlanIntent day=2026-12-02");
    check(&garden, "noon", "PlanIntent time=12:00");
    check(&garden, "Sarah", "NameIntent name=sarah(Sarah)");
    check(&garden, "i am mary ann", "NameIntent name=mary ann(Mary Ann)");
}

#[test]
fn a_name_slot_does_not_match_other_utterances() {
    let garden = garden();
    check(&garden, "help", "AMAZON.HelpIntent");
    check(&garden, "colourless green ideas", "AMAZON.FallbackIntent");
    check(&garden, "blah blah", "AMAZON.FallbackIntent");
    check(&garden, "the", "AMAZON.FallbackIntent");
    check(&garden, "555", "AMAZON.FallbackIntent");
}

#[test]
fn two_adjacent_durations_are_split_correctly() {
    let garden = garden();
    check(&garden, "water for one hour thirty minutes ten minutes", "WaterIntent for=PT1H30M pause=PT10M");
    check(&garden, "water for ten minutes five minutes", "WaterIntent for=PT10M pause=PT5M");
    check(&garden, "water for an hour and a half two minutes ten seconds", "WaterIntent for=PT1H30M pause=PT2M10S");
    check(&garden, "water for half an hour a minute", "WaterIntent for=PT30M pause=PT1M");
}

#[test]
fn a_slot_with_several_values_has_each_value_separately() {
    let garden = garden();
    check(&garden, "water the roses and the lawn", "WaterIntent beds=roses(roses)+lawn(lawn)");
    check(
        &garden,
        "water rose bed, lawn, and salt and pepper",
        "WaterIntent beds=rose bed(roses)+lawn(lawn)+salt and pepper(salt and pepper)",
    );
    check(&garden, "water salt and pepper", "WaterIntent beds=salt and pepper(salt and pepper)");
    check(&garden, "water the roses and the tulips", "WaterIntent beds=roses(roses)+tulips()");
    check(&garden, "water lawn for ten minutes", "WaterIntent beds=lawn(lawn) for=PT10M");
    check(
        &garden,
        "buy a pear, two red apples and some salt",
        "BuyIntent things=pear(pear)+two red apples(two red apples)+some salt(some salt)",
    );
    check(&garden, "buy milk", "BuyIntent things=milk(milk)");
}

#[test]
fn please_makes_no_difference() {
    let garden = garden();
    let watered = "WaterIntent beds=lawn(lawn)";
    for said in ["water the lawn", "please water the lawn please"] {
        let utterance = Utterance::read(said);
        let read = crate::simulator::utterance::interpretation::read(&garden, &utterance, NOW);
        assert_eq!(
            read,
            crate::simulator::utterance::interpretation::Interpretation::Unnamed(
                garden.resolve(Utterance::read("water the lawn").all(), NOW)
            ),
            "{said}"
        );
    }
    check(&garden, "water the lawn", watered);
}

#[test]
fn words_without_meaning_leave_a_slot_unfilled() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    for said in ["print a \u{1f3fa}", "print the", "print a", "print an ..."] {
        check(&printer, said, "PrintIntent");
    }
    check(&printer, "print a \u{1f3fa} vase", "PrintIntent model=vase(vase)");
    check(&printer, "set the nozzle to a", "SetTemperatureIntent part=nozzle(nozzle)");
    let garden = garden();
    check(&garden, "water the", "WaterIntent");
    check(&garden, "i am a", "NameIntent");
}

/// Utterances of a user who has not read the documentation.
#[test]
fn utterances_of_a_new_user_are_resolved() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    check(&printer, "print", "PrintIntent");
    check(&printer, "start printing", "PrintIntent");
    check(&printer, "print something for me", "PrintIntent");
    check(&printer, "I want to print two vases", "PrintIntent copies=2 model=vases(vase)");
    check(&printer, "pause my printer", "PauseIntent");
    check(&printer, "continue my print", "ResumeIntent");
    check(&printer, "stop the printer", "CancelPrintIntent");
    check(&printer, "turn off my printer", "SetPowerIntent power=off(OFF)");
    check(&printer, "switch my printer on", "SetPowerIntent power=on(ON)");
    check(&printer, "preheat the bed", "SetTemperatureIntent part=bed(bed)");
    check(&printer, "how is my print going", "StatusIntent");
    check(&printer, "is it finished?", "StatusIntent");
}

/// If two intents shared a sample, the first intent would always match and the second never.
#[test]
fn no_two_intents_of_the_printer_share_a_sample() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    let mut owners: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for intent in &printer.intents {
        for sample in &intent.samples {
            let words = sample.iter().map(|part| match part {
                Part::Word(word) => word.as_str(),
                Part::Slot(_) => "{}",
            });
            owners.entry(words.collect::<Vec<_>>().join(" ")).or_default().insert(&intent.name);
        }
    }
    owners.retain(|_, intents| intents.len() > 1);
    assert_eq!(owners, BTreeMap::new());
}

/// All spellings that a slot type has, each with the expected value.
fn spellings(model: &InteractionModel, kind: &SlotKind) -> Vec<(String, String)> {
    match kind {
        SlotKind::Listed(name) => {
            let known = model.slot_type(name).unwrap();
            let values = known.spellings.iter().map(|(spelling, values)| (spelling.clone(), known.values[values[0]].name.clone()));
            let mut values: Vec<_> = values.collect();
            values.sort();
            values
        }
        SlotKind::BuiltIn(BuiltIn::Value(ValueType::Number)) => {
            [("seven", "7"), ("twenty one", "21"), ("a hundred and five", "105"), ("205", "205")]
                .map(|(said, value)| (said.to_owned(), value.to_owned()))
                .to_vec()
        }
        SlotKind::BuiltIn(_) => vec![("some words".into(), "some words".into())],
    }
}

/// Resolves a sample with the given choice of values, and checks the intent and the slots.
fn check_sample(model: &InteractionModel, intent: &Intent, sample: &Sample, mut choice: usize) {
    let (mut words, mut expected) = (Vec::new(), BTreeMap::new());
    for part in sample {
        match part {
            Part::Word(word) => words.push(word.clone()),
            Part::Slot(slot) => {
                let slot = &intent.slots[*slot];
                let spellings = spellings(model, &slot.kind);
                let (said, value) = spellings[choice % spellings.len()].clone();
                choice /= spellings.len();
                words.push(said);
                expected.insert(slot.name.clone(), value);
            }
        }
    }
    let said = words.join(" ");
    let found = model.resolve(Utterance::read(&said).all(), NOW).unwrap_or_else(|| panic!("nothing understood: {said}"));
    let name = |filled: &Filled| filled.resolution.as_ref().and_then(|r| r.values.first()).map_or(filled.value.clone(), |v| v.name.clone());
    let got: BTreeMap<String, String> = found.slots.iter().map(|(slot, filled)| (slot.clone(), name(&filled[0]))).collect();
    assert_eq!((found.intent, got), (intent.name.clone(), expected), "{said}");
}

/// Every sample resolves to its own intent, with every value of a slot. "Turn the printer off" matches `turn the printer {power}`
/// and not `turn the {…}`.
#[test]
fn every_sample_resolves_to_its_own_intent_with_every_value() {
    let printer = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    for intent in &printer.intents {
        for sample in &intent.samples {
            let values = |part: &Part| match part {
                Part::Word(_) => 1,
                Part::Slot(slot) => spellings(&printer, &intent.slots[*slot].kind).len(),
            };
            for choice in 0..sample.iter().map(values).product() {
                check_sample(&printer, intent, sample, choice);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_words_are_resolved_without_a_panic(said in "\\PC{0,200}", words in proptest::collection::vec("(turn|set|the|lamp|on|to|is|it|s|two|hundred|search|for|x)", 0..80)) {
        static LAMP: LazyLock<InteractionModel> = LazyLock::new(lamp);
        let lamp = &*LAMP;
        let _ = lamp.resolve(Utterance::read(&said).all(), NOW);
        let _ = lamp.resolve_slot("LevelIntent", "level", Utterance::read(&said).all(), NOW);
        let said = words.join(" ");
        if let Some(found) = lamp.resolve(Utterance::read(&said).all(), NOW) {
            prop_assert!(found.certain && lamp.intent(&found.intent).is_some());
        }
    }

    /// A value that the slot type does not have is taken literally.
    #[test]
    fn any_unlisted_value_fills_a_slot(value in "[b-z]{4,9}( [b-z]{4,9}){0,2}") {
        static PRINTER: LazyLock<InteractionModel> = LazyLock::new(|| InteractionModel::parse(InteractionModel::SAMPLE).unwrap());
        let found = PRINTER.resolve(Utterance::read(&format!("start printing a {value}")).all(), NOW).unwrap();
        prop_assert_eq!(found.intent, "PrintIntent");
        prop_assert_eq!(&found.slots[0].1[0].value, &value);
    }
}
