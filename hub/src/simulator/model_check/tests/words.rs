//! Tests of mistakes in samples, names and sentences, and of unknown keys.

use super::*;

#[test]
fn a_duplicate_sample_is_found() {
    let samples = "/languageModel/intents/3/samples";
    for twice in ["What's a boost", "what's a  boost", "Boost {level}"] {
        let place = format!("languageModel.intents.BoostIntent.samples, \"{twice}\"");
        language(Push(samples, json!(twice)), &place, "is there twice");
    }
    language(
        Push(samples, json!("how is it")),
        "languageModel.intents.StateIntent.samples, \"how is it\"",
        "BoostIntent is said in the same words",
    );
    language(
        Push(samples, json!("cancel that")),
        "languageModel.intents.BoostIntent.samples, \"cancel that\"",
        "AMAZON.CancelIntent is said",
    );
    let of_slot = Put("/languageModel/intents/1/slots/0/samples", json!(["to {mode}", "To {mode}"]));
    language(of_slot, "languageModel.intents.ModeIntent.slots.mode.samples, \"To {mode}\"", "is there twice");
    let contracted = "languageModel.intents.StateIntent.samples, \"what is a boost\"";
    language(Push("/languageModel/intents/5/samples", json!("what is a boost")), contracted, "BoostIntent is said in the same words");
    for other in ["please boost {level}", "what is a boost"] {
        assert_eq!(changed(vec![Push(samples, json!(other))]), [], "{other}");
    }
}

#[test]
fn a_sample_that_alexa_rejects_is_found() {
    let samples = "/languageModel/intents/3/samples";
    for (text, fault) in [
        ("boost for 10 minutes", "refuses `1`"),
        ("boost, please", "refuses `,`"),
        ("boost!", "refuses `!`"),
        ("what is a boost?", "refuses `?`"),
        ("boost {duration} and {duration}", "in it twice"),
    ] {
        let findings = changed(vec![Push(samples, json!(text))]);
        let place = format!("languageModel.intents.BoostIntent.samples, \"{text}\"");
        assert!(findings.iter().any(|finding| finding.place == place && finding.fault.contains(fault)), "{text} {findings:#?}");
    }
    let of_slot = Put("/languageModel/intents/1/slots/0/samples", json!(["like that"]));
    language(of_slot, "languageModel.intents.ModeIntent.slots.mode.samples, \"like that\"", "says nothing for `mode`");
}

#[test]
fn a_search_query_alone_or_with_another_slot_is_found() {
    let samples = "/languageModel/intents/4/samples";
    language(Push(samples, json!("{words}")), "languageModel.intents.RenameIntent.samples, \"{words}\"", "some of the sample's own");
    let changes = vec![
        Push("/languageModel/intents/4/slots", json!({"name": "level", "type": "LEVEL"})),
        Push("/dialog/intents/4/slots", json!({"name": "level"})),
        Toml("[command.name.to]", "[command.name.level]\ntype = \"choice\"\nvalues = [\"low\", \"high\"]\n[command.name.to]"),
        Toml("args = { to = \"words\" }", "args = { to = \"words\", level = \"level\" }"),
        Push(samples, json!("call it {level} {words}")),
    ];
    let place = "languageModel.intents.RenameIntent.samples, \"call it {level} {words}\"";
    found(changes, File::InteractionModel, place, "refuses another slot beside it");
}

#[test]
fn an_invocation_name_that_alexa_rejects_is_found() {
    let named =
        |name: &'static str| vec![Put("/languageModel/invocationName", json!(name)), Toml("invocation = \"my heater\"", toml_name(name))];
    for (name, fault) in [
        ("heater", "one word"),
        ("open heater", "`open` in it"),
        ("heater for me", "`for` in it"),
        ("alexa heater", "`alexa` in it"),
        ("the heater", "article"),
        ("My Heater", "refuses in a name"),
        ("my heater 2", "refuses in a name"),
    ] {
        found(named(name), File::InteractionModel, "languageModel.invocationName", fault);
    }
    let long = "my very long heater name which nobody would ever say";
    found(named(long), File::InteractionModel, "languageModel.invocationName", "2 to 50 characters");
    device(
        Put("/languageModel/invocationName", json!("our heater")),
        "device.invocation",
        "is called `my heater`, and the interaction model `our heater`",
    );
}

fn toml_name(name: &str) -> &'static str {
    format!("invocation = \"{name}\"").leak()
}

#[test]
fn a_sentence_that_can_never_be_spoken_is_found() {
    let place = "intent.StateIntent.answer[1].when.status";
    device(Toml("when = { status = \"heating\" }", "when = { status = \"heated\" }"), place, "is never `heated`");
    let power = Toml("when = { status = \"heating\" }", "when = { power = \"on\" }");
    device(power, "intent.StateIntent.answer[1].when.power", "is never `on`");
    let warm = Toml("when = { status = \"heating\" }", "when = { warmth = \"120\" }");
    device(warm, "intent.StateIntent.answer[1].when.warmth", "is never `120`");
    let again = Toml("{ say = \"It has {warmth} degrees.\", when", "{ say = \"The heater is {status}.\", when");
    found(vec![again], File::DeviceModel, "intent.StateIntent.answer[1]", "an earlier sentence");
    device(Toml("{ say = \"The heater is {status}.\" }", "{ say = \" \" }"), "intent.StateIntent.answer[0].say", "is empty");
    for good in ["when = { power = \"ON\" }", "when = { warmth = \"50\" }", "when = { status = \"idle\", power = \"OFF\" }"] {
        assert_eq!(changed(vec![Toml("when = { status = \"heating\" }", good)]), [], "{good}");
    }
}

#[test]
fn one_of_several_sentences_that_can_never_be_said_is_found() {
    let says = |list| Toml("says = \"Boosting for {duration}.\"", list);
    let never = says("says = [{ say = \"Now.\", when = { duration = \"soon\" } }, { say = \"Boosting for {duration}.\" }]");
    device(never, "intent.BoostIntent.says[0].when.duration", "is never `soon`");
    let twice =
        "says = [{ say = \"A.\", when = { duration = \"1\" } }, { say = \"B.\", when = { duration = \"1\" } }, { say = \"{duration}.\" }]";
    device(says(twice), "intent.BoostIntent.says[1]", "an earlier sentence");
    let brace = says("says = [{ say = \"{Now.\", when = { duration = \"1\" } }, { say = \"Boosting for {duration}.\" }]");
    device(brace, "intent.BoostIntent.says[0].say", "a brace stands alone");
    let good = says("says = [{ say = \"For one minute.\", when = { duration = \"1\" } }, { say = \"Boosting for {duration}.\" }]");
    assert_eq!(changed(vec![good]), []);
}

#[test]
fn braces_that_are_spoken_are_found() {
    device(
        Toml("says = \"Boosting for {duration}.\"", "says = \"Boosting for {duration.\""),
        "intent.BoostIntent.says",
        "a brace stands alone",
    );
    device(
        Toml("{ say = \"The heater is {status}.\" }", "{ say = \"The heater is status}.\" }"),
        "intent.StateIntent.answer[0].say",
        "a brace stands alone",
    );
    device(
        Toml("ask = { duration = \"For how long?\" }", "ask = { duration = \"{level} for how long?\" }"),
        "intent.BoostIntent.ask.duration",
        "the braces are spoken",
    );
    device(Toml("ask = { duration = \"For how long?\" }", "ask = { duration = \"\" }"), "intent.BoostIntent.ask.duration", "is empty");
}

#[test]
fn a_key_that_alexa_does_not_know_is_found() {
    let places = [
        ("", "promts", "promts"),
        ("/languageModel", "intent", "languageModel.intent"),
        ("/languageModel/intents/0", "sample", "languageModel.intents.PowerIntent.sample"),
        ("/languageModel/intents/0/slots/0", "sampels", "languageModel.intents.PowerIntent.slots.state.sampels"),
        ("/languageModel/types/1/values/0/name", "synonym", "languageModel.types.MODE.values.green.name.synonym"),
        ("/dialog/intents/0", "confirmationRequred", "dialog.intents.PowerIntent.confirmationRequred"),
        ("/dialog/intents/0/slots/0", "elicitationRequred", "dialog.intents.PowerIntent.slots.state.elicitationRequred"),
        ("/prompts/0", "variation", "prompts.State.variation"),
    ];
    for (at, key, place) in places {
        language(Member(at, key, json!(true)), place, "Alexa knows no such key");
    }
}
