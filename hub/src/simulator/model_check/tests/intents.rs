//! Tests of mistakes in intents and in their dialog models.

use super::*;

#[test]
fn an_intent_in_one_file_only_is_found() {
    let mood = "[intent.MoodIntent]\nanswer = [{ say = \"It is {status}.\" }]\n[intent.StateIntent]\nanswer";
    device(Toml("[intent.StateIntent]\nanswer", mood), "intent.MoodIntent", "cannot be said");
    language(Push(INTENTS, json!({"name": "DanceIntent", "samples": ["dance"]})), "languageModel.intents.DanceIntent", "not understood");
}

#[test]
fn a_missing_required_intent_is_found() {
    for name in ["Help", "Stop", "Cancel", "Fallback", "NavigateHome", "Yes", "No"] {
        let name: &'static str = format!("AMAZON.{name}Intent").leak();
        language(Without(INTENTS, name), "languageModel.intents", &format!("{name} is missing"));
    }
    for name in ["GiveCodeIntent", "ConnectionIntent"] {
        language(Without(INTENTS, name), "languageModel.intents", &format!("{name} is missing"));
    }
    for name in ["SendCertificateIntent", "ForgetMeIntent"] {
        found(
            vec![Without(INTENTS, name), Without(DIALOG, name)],
            File::InteractionModel,
            "languageModel.intents",
            &format!("{name} is missing"),
        );
        language(Without(DIALOG, name), "dialog.intents", "Alexa then stays silent");
    }
}

#[test]
fn an_intent_that_cannot_be_said_or_is_not_handled_is_found() {
    language(
        Push(INTENTS, json!({"name": "AMAZON.DanceIntent"})),
        "languageModel.intents.AMAZON.DanceIntent",
        "Alexa knows no such intent",
    );
    language(Push(INTENTS, json!({"name": "AMAZON.NextIntent"})), "languageModel.intents.AMAZON.NextIntent", "does not answer this intent");
    language(Put("/languageModel/intents/9/samples", json!([])), "languageModel.intents.ConnectionIntent", "has no samples");
    let answered = Toml(
        "[intent.StateIntent]\nanswer",
        "[intent.\"AMAZON.PauseIntent\"]\nanswer = [{ say = \"It is {status}.\" }]\n[intent.StateIntent]\nanswer",
    );
    assert_eq!(changed(vec![Push(INTENTS, json!({"name": "AMAZON.PauseIntent"})), answered]), []);
}

#[test]
fn a_question_that_the_dialog_model_does_not_know_is_found() {
    device(Without(DIALOG, "PowerIntent"), "intent.PowerIntent.ask", "stays silent");
    device(Without(DIALOG, "BoostIntent"), "intent.BoostIntent.confirm", "stays silent");
    device(Without(DIALOG, "ModeIntent"), "intent.ModeIntent.set", "a value that does not fit is asked for again");
    device(Put("/dialog/intents/0/slots", json!([])), "intent.PowerIntent.ask.state", "does not have the slot `state`");
    device(Put("/dialog/intents/1/slots", json!([])), "intent.ModeIntent.set", "does not have the slot `mode`");
}

#[test]
fn a_confirmation_in_one_file_only_is_found() {
    let unconfirmed = json!({"name": "BoostIntent", "slots": [{"name": "duration"}, {"name": "level"}]});
    device(Put("/dialog/intents/3", unconfirmed), "intent.BoostIntent.confirm", "does not know that this is confirmed");
    let place = "dialog.intents.BoostIntent.confirmationRequired";
    language(Toml("confirm = \"Shall I boost for {duration}?\"\n", ""), place, "without a question");
}

#[test]
fn a_name_that_alexa_rejects_is_found() {
    let both = |what: &'static str| {
        vec![Push(INTENTS, json!({"name": what, "samples": ["dance"]})), Toml("[intent.StateIntent]\nanswer", answer_to(what))]
    };
    found(both("Dance2Intent"), File::InteractionModel, "languageModel.intents.Dance2Intent", "letters and `_`");
    let slot = json!([{"name": "mode1", "type": "MODE"}]);
    let changes = vec![
        Put("/languageModel/intents/1/slots", slot.clone()),
        Put("/languageModel/intents/1/samples", json!(["set the mode to {mode1}"])),
        Put("/dialog/intents/1/slots", slot),
        Toml("set = { mode = \"mode\" }", "set = { mode = \"mode1\" }"),
    ];
    found(changes, File::InteractionModel, "languageModel.intents.ModeIntent.slots.mode1", "letters and `_`");
    let changes = vec![
        Put("/languageModel/types/1/name", json!("MODE1")),
        Put("/languageModel/intents/1/slots/0/type", json!("MODE1")),
        Put("/dialog/intents/1/slots/0/type", json!("MODE1")),
    ];
    found(changes, File::InteractionModel, "languageModel.types.MODE1", "letters and `_`");
}

fn answer_to(intent: &str) -> &'static str {
    format!("[intent.{intent}]\nanswer = [{{ say = \"It is {{status}}.\" }}]\n[intent.StateIntent]\nanswer").leak()
}

#[test]
fn an_unused_or_missing_prompt_is_found() {
    let prompt = |id: &str| json!({"id": id, "variations": [{"type": "PlainText", "value": "What?"}]});
    language(Push("/prompts", prompt("Other")), "prompts.Other", "no dialog uses the prompt");
    language(Push("/prompts", prompt("Sure")), "prompts.Sure", "is there twice");
    let named = json!({"elicitation": "State"});
    language(Put("/dialog/intents/1/slots/0/prompts", named), "dialog.intents.ModeIntent.slots.mode.prompts.elicitation", "never asked");
    let validation = json!([{"type": "hasEntityResolutionMatch", "prompt": "Gone"}]);
    language(Member("/dialog/intents/1/slots/0", "validations", validation), "prompts", "Gone is missing");
}

#[test]
fn a_dialog_that_does_not_fit_the_language_model_is_found() {
    language(Put("/dialog/intents/1/slots/0/type", json!("LEVEL")), "dialog.intents.ModeIntent.slots.mode.type", "its type is LEVEL here");
    language(Push(DIALOG, json!({"name": "PowerIntent", "slots": [{"name": "state"}]})), "dialog.intents.PowerIntent", "is there twice");
    language(Push("/dialog/intents/1/slots", json!({"name": "mode"})), "dialog.intents.ModeIntent.slots.mode", "is there twice");
    let strategy = Member("/dialog/intents/1", "delegationStrategy", json!("SOMETIMES"));
    language(strategy, "dialog.intents.ModeIntent.delegationStrategy", "no strategy `SOMETIMES`");
}

#[test]
fn an_unused_command_or_property_is_found() {
    device(Toml("[command.name.to]", "[command.beep]\n[command.name.to]"), "command.beep", "no intent sends the command");
    device(Toml("[property.mode]", "[property.lock]\ntype = \"switch\"\n[property.mode]"), "property.lock", "no intent sets it");
}
