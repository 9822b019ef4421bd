//! Tests of the compilation of valid interaction models, and of the errors for invalid ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::simulator::utterance::slot_type::ValueType;

fn faults(model: &Value) -> Vec<String> {
    match InteractionModel::parse(&json!({"interactionModel": model}).to_string()) {
        Err(InteractionError::Faults(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_is_compiled_with_its_dialog() {
    let model = InteractionModel::parse(InteractionModel::SAMPLE).unwrap();
    assert_eq!((model.invocation_name.as_str(), model.invocation.len()), ("my printer", 2));
    let print = model.intent("PrintIntent").unwrap();
    assert_eq!(print.slot("copies").unwrap().kind, SlotKind::BuiltIn(BuiltIn::Value(ValueType::Number)));
    assert_eq!(print.slot("model").unwrap().kind, SlotKind::Listed("PRINT_MODEL".into()));
    let asked = print.slot("model").unwrap().dialog.as_ref().unwrap();
    assert_eq!((asked.elicitation.as_deref(), &asked.confirmation), (Some("What shall I print?"), &None));
    let cancel = model.intent("CancelPrintIntent").unwrap().dialog.as_ref().unwrap();
    assert!(cancel.confirmation.as_ref().unwrap().ends_with("Shall I cancel the print?") && !cancel.automatic);
    assert!(model.intent("StatusIntent").unwrap().dialog.is_none());
}

#[test]
fn every_fault_is_reported_with_its_place() {
    let model = json!({
        "languageModel": {
            "invocationName": " ! ",
            "intents": [
                {"name": "A", "slots": [{"name": "s", "type": "NOWHERE", "samples": ["{t}"]}], "samples": ["x {s", "{y}", "", "ok {s}"]},
                {"name": "A"},
            ],
            "types": [{"name": "T"}, {"name": "T"}],
        },
        "dialog": {"intents": [
            {"name": "B"},
            {"name": "A", "confirmationRequired": true, "slots": [
                {"name": "s", "elicitationRequired": true, "prompts": {"elicitation": "P"}},
                {"name": "z"},
            ]},
        ]},
        "prompts": [{"id": "P", "variations": []}],
    });
    let expected = [
        "languageModel.invocationName: there is no word in it",
        "languageModel.types: T is there twice",
        "languageModel.intents: A is there twice",
        "languageModel.intents.A.samples, \"x {s\": a brace is not closed",
        "languageModel.intents.A.samples, \"{y}\": the intent has no slot y",
        "languageModel.intents.A.samples, \"\": there is no word in it",
        "languageModel.intents.A.slots.s: there is no type NOWHERE",
        "languageModel.intents.A.slots.s.samples, \"{t}\": the intent has no slot t",
        "dialog.intents.B: the language model has no such intent",
        "dialog.intents.A: there is no prompt (none) with a variation",
        "dialog.intents.A.slots.s: there is no prompt P with a variation",
        "dialog.intents.A.slots.z: the intent has no such slot",
    ];
    assert_eq!(faults(&model), expected);
}

#[test]
fn an_unreadable_file_is_reported_with_the_line() {
    let error = InteractionModel::parse("{\"interactionModel\":\n {\"languageModel\": {\"invocationName\": 7}}}").unwrap_err();
    assert!(onething::fault::chain(&error).contains("line 2"), "{}", onething::fault::chain(&error));
    let large = " ".repeat(MAX_BYTES + 1);
    assert!(matches!(InteractionModel::parse(&large), Err(InteractionError::TooLarge)));
    let deep = "[".repeat(100_000);
    assert!(matches!(InteractionModel::parse(&deep), Err(InteractionError::Form(_))));
    let long = "word ".repeat(MAX_WORDS + 1);
    let model = json!({"languageModel": {"invocationName": "x", "intents": [{"name": "A", "samples": [long]}]}});
    assert!(faults(&model)[0].ends_with("it has more than 64 words"));
}

proptest! {
    /// Any file results in a model or in an error.
    #[test]
    fn any_text_is_a_model_or_an_error(text in "\\PC{0,60}", samples in proptest::collection::vec("(\\{|\\}|s|a|'| |\\PC){0,12}", 0..4)) {
        let _ = InteractionModel::parse(&text);
        let intents = json!([{"name": "A", "slots": [{"name": "s", "type": "AMAZON.NUMBER"}], "samples": samples}]);
        let _ = InteractionModel::parse(&json!({"interactionModel": {"languageModel": {"invocationName": "x", "intents": intents}}}).to_string());
    }
}

#[test]
fn only_the_first_faults_of_a_file_are_reported() {
    let name = "n".repeat(700_000);
    let samples = vec![""; 200_000];
    let model = json!({"languageModel": {"invocationName": "x", "intents": [{"name": name, "samples": samples}]}});
    let reported = faults(&model);
    assert_eq!((reported.len(), reported.last().map(String::as_str)), (51, Some("and more")));
    assert!(reported.iter().all(|fault| fault.len() <= 503));
}
