//! Tests of the checks: models without a mistake, and each mistake alone.

mod intents;
mod slots;
mod words;

use serde_json::{Value, json};

use super::*;
use crate::simulator::utterance::interaction::InteractionModel;

/// The device model of a heater, with every kind of property, argument and intent.
const DEVICE: &str = r#"
[device]
name = "heater"
invocation = "my heater"
thing_type = "heater"
thing_prefix = "Heater-"

[property.power]
type = "switch"

[property.mode]
type = "choice"
values = ["eco", "full power"]

[property.status]
type = "choice"
values = ["idle", "heating"]
written_by = "device"

[property.warmth]
type = "number"
min = 0
max = 100
unit = "degrees"
written_by = "device"

[property.upstairs]
type = "integer"
min = 5
max = 30

[property.downstairs]
type = "integer"
min = 5
max = 30

[command.boost.for]
type = "integer"
min = 1
max = 240
unit = "minutes"

[command.boost.level]
type = "choice"
values = ["low", "high", "medium"]
default = "medium"

[command.name.to]
type = "text"
max_length = 20

[intent.PowerIntent]
set = { power = "state" }
ask = { state = "On or off?" }
says = "Switching the heater {power}."

[intent.ModeIntent]
set = { mode = "mode" }
says = "Setting the mode to {mode}."

[intent.TargetIntent]
set_one = { slot = "floor", value = "degrees", properties = { upstairs = "upstairs", downstairs = "downstairs" } }
ask = { floor = "Upstairs or downstairs?" }
says = "Setting {floor} to {degrees} degrees."

[intent.BoostIntent]
command = "boost"
args = { for = "duration", level = "level" }
ask = { duration = "For how long?" }
confirm = "Shall I boost for {duration}?"
says = "Boosting for {duration}."

[intent.RenameIntent]
command = "name"
args = { to = "words" }
says = "I call it {words} now."

[intent.StateIntent]
answer = [
  { say = "The heater is {status}." },
  { say = "It has {warmth} degrees.", when = { status = "heating" } },
]
"#;

fn interaction() -> Value {
    let names = |names: &[&str]| names.iter().map(|name| json!({"name": {"value": name}})).collect::<Vec<_>>();
    let asked = |name: &str, slots: Value| json!({"name": name, "confirmationRequired": false, "prompts": {}, "slots": slots});
    let slot = |name: &str, kind: &str, prompt: Option<&str>| {
        let prompts = prompt.map_or_else(|| json!({}), |prompt| json!({"elicitation": prompt}));
        json!({"name": name, "type": kind, "confirmationRequired": false, "elicitationRequired": prompt.is_some(), "prompts": prompts})
    };
    let prompt = |id: &str| json!({"id": id, "variations": [{"type": "PlainText", "value": "What?"}]});
    let confirmed = |name: &str| json!({"name": name, "confirmationRequired": true, "prompts": {"confirmation": "Sure"}, "slots": []});
    json!({"interactionModel": {
        "languageModel": {
            "invocationName": "my heater",
            "modelConfiguration": {"fallbackIntentSensitivity": {"level": "LOW"}},
            "intents": [
                {"name": "PowerIntent", "slots": [{"name": "state", "type": "STATE"}], "samples": ["turn it {state}", "turn {state} the heater"]},
                {"name": "ModeIntent", "slots": [{"name": "mode", "type": "MODE", "samples": ["to {mode}"]}], "samples": ["set the mode to {mode}"]},
                {"name": "TargetIntent", "slots": [{"name": "floor", "type": "FLOOR"}, {"name": "degrees", "type": "AMAZON.NUMBER"}],
                 "samples": ["set {floor} to {degrees} degrees"]},
                {"name": "BoostIntent", "slots": [{"name": "duration", "type": "AMAZON.DURATION"}, {"name": "level", "type": "LEVEL"}],
                 "samples": ["boost for {duration}", "boost {level}", "what's a boost"]},
                {"name": "RenameIntent", "slots": [{"name": "words", "type": "AMAZON.SearchQuery"}], "samples": ["call it {words}"]},
                {"name": "StateIntent", "slots": [], "samples": ["how is it"]},
                {"name": "SendCertificateIntent", "samples": ["send my certificate"]},
                {"name": "ForgetMeIntent", "samples": ["forget me"]},
                {"name": "GiveCodeIntent", "samples": ["give me a code"]},
                {"name": "ConnectionIntent", "samples": ["is it connected"]},
                {"name": "AMAZON.HelpIntent", "samples": []},
                {"name": "AMAZON.StopIntent", "samples": []},
                {"name": "AMAZON.CancelIntent", "samples": []},
                {"name": "AMAZON.FallbackIntent", "samples": []},
                {"name": "AMAZON.NavigateHomeIntent", "samples": []},
                {"name": "AMAZON.YesIntent", "samples": []},
                {"name": "AMAZON.NoIntent", "samples": []},
            ],
            "types": [
                {"name": "STATE", "values": names(&["on", "off"])},
                {"name": "MODE", "values": [{"id": "eco", "name": {"value": "green", "synonyms": ["saving"]}}, {"name": {"value": "full power"}}]},
                {"name": "FLOOR", "values": names(&["upstairs", "downstairs"])},
                {"name": "LEVEL", "values": names(&["low", "high"])},
            ],
        },
        "dialog": {
            "delegationStrategy": "SKILL_RESPONSE",
            "intents": [
                asked("PowerIntent", json!([slot("state", "STATE", Some("State"))])),
                asked("ModeIntent", json!([slot("mode", "MODE", None)])),
                asked("TargetIntent", json!([slot("floor", "FLOOR", Some("State")), slot("degrees", "AMAZON.NUMBER", None)])),
                {"name": "BoostIntent", "confirmationRequired": true, "prompts": {"confirmation": "Sure"},
                 "slots": [slot("duration", "AMAZON.DURATION", Some("State")), slot("level", "LEVEL", None)]},
                asked("RenameIntent", json!([slot("words", "AMAZON.SearchQuery", None)])),
                confirmed("SendCertificateIntent"),
                confirmed("ForgetMeIntent"),
            ],
        },
        "prompts": [prompt("State"), prompt("Sure")],
    }})
}

/// One change of a file.
enum Change {
    /// Replaces a text of the device model by another.
    Toml(&'static str, &'static str),
    /// Adds a member to an object of the interaction model, or replaces it.
    Member(&'static str, &'static str, Value),
    /// Replaces the value at a JSON pointer.
    Put(&'static str, Value),
    /// Appends a value to a list.
    Push(&'static str, Value),
    /// Removes the element with this name from a list.
    Without(&'static str, &'static str),
}

use Change::{Member, Push, Put, Toml, Without};

fn changed(changes: Vec<Change>) -> Vec<Finding> {
    let (mut device, mut interaction) = (DEVICE.to_owned(), interaction());
    let model = &mut interaction["interactionModel"];
    for change in changes {
        match change {
            Toml(from, to) => {
                assert_eq!(device.matches(from).count(), 1, "{from}");
                device = device.replace(from, to);
            }
            Member(at, name, value) => model.pointer_mut(at).expect(at)[name] = value,
            Put(at, value) => *model.pointer_mut(at).expect(at) = value,
            Push(at, value) => model.pointer_mut(at).and_then(Value::as_array_mut).expect(at).push(value),
            Without(at, name) => {
                let list = model.pointer_mut(at).and_then(Value::as_array_mut).expect(at);
                let before = list.len();
                list.retain(|entry| entry["name"] != *name);
                assert_eq!(list.len() + 1, before, "{name}");
            }
        }
    }
    check(&Model::parse(&device).unwrap(), &interaction.to_string())
}

/// Checks that the changes result in exactly one finding, in this file and at this place.
#[track_caller]
fn found(changes: Vec<Change>, file: File, place: &str, fault: &str) {
    let findings = changed(changes);
    let [finding] = findings.as_slice() else { panic!("not one finding at {place} but {findings:#?}") };
    assert_eq!((finding.file, finding.place.as_str()), (file, place), "{finding}");
    assert!(finding.fault.contains(fault) && !finding.fix.is_empty(), "{finding}");
}

#[track_caller]
fn in_the_device_model(change: Change, place: &str, fault: &str) {
    found(vec![change], File::DeviceModel, place, fault);
}

#[track_caller]
fn in_the_interaction_model(change: Change, place: &str, fault: &str) {
    found(vec![change], File::InteractionModel, place, fault);
}

use in_the_device_model as device;
use in_the_interaction_model as language;

const INTENTS: &str = "/languageModel/intents";
const TYPES: &str = "/languageModel/types";
const DIALOG: &str = "/dialog/intents";

#[test]
fn models_without_a_mistake_have_no_finding() {
    assert_eq!(check(&Model::parse(DEVICE).unwrap(), &interaction().to_string()), []);
}

#[test]
fn the_printers_own_files_have_no_finding() {
    for device in [Model::SAMPLE, include_str!("../../../../../device.toml")] {
        assert_eq!(check(&Model::parse(device).unwrap(), InteractionModel::SAMPLE), []);
    }
}

#[test]
fn only_the_first_findings_are_reported() {
    let intents: Vec<Value> = (0..500).map(|_| json!({"name": "a1", "samples": ["x1"]})).collect();
    let file = json!({"interactionModel": {"languageModel": {"invocationName": "x", "intents": intents}}});
    assert_eq!(check(&Model::parse(DEVICE).unwrap(), &file.to_string()).len(), MAX_FINDINGS);
    assert_eq!(check(&Model::parse(DEVICE).unwrap(), "no JSON"), []);
}
