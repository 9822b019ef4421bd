//! The function with device models in the style of public samples, whose slot values have no ids. The requests are exactly those
//! of the simulated Echo of the hub: `hub/tests/hub/models.rs` checks the hub against the same files.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::SHADOW;
use crate::harness::alexa::Echo;
use crate::harness::aws::Aws;
use crate::harness::function::Function;

/// The desired state that the function has written; of a command its name and arguments, without the arguments of other commands.
fn desired(aws: &Aws) -> Map<String, Value> {
    let updates = aws.calls().into_iter().filter(|call| call.operation == "UpdateThingShadow");
    let mut desired = Map::new();
    for update in updates {
        let Some(wanted) = update.json()["state"]["desired"].as_object().cloned() else { continue };
        desired.extend(wanted);
    }
    if let Some(command) = desired.get_mut("command") {
        let mut args = command["args"].as_object().cloned().unwrap_or_default();
        args.retain(|_, value| !value.is_null());
        *command = json!({"name": command["name"], "args": args});
    }
    desired
}

async fn check(name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
    let turns: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(fixtures.join("turns.json")).unwrap()).unwrap();
    let model = fixtures.join("device.toml");
    let function =
        Function::deployed(Aws::with_shadow(SHADOW).await, |deployment| deployment.set("DEVICE_MODEL", model.to_str().unwrap())).await;
    let mut echo = Echo::linked(&function.welcomes("Ada").token);
    for turn in &turns {
        function.aws.forgets();
        let request = echo.turn(turn["request"].clone());
        let answer = function.lambda.answer(&mut echo, &request).await;
        let (say, speech) = (&turn["say"], answer.speech());
        assert!(speech.starts_with(turn["speech"].as_str().unwrap()), "{name}: {say}: {speech}");
        let expected = turn.get("desired").and_then(Value::as_object).cloned().unwrap_or_default();
        assert_eq!(desired(&function.aws), expected, "{name}: {say}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_without_ids_is_understood() {
    check("lamp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pump_takes_durations_dates_and_several_zones() {
    check("irrigation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thermostat_takes_floors_modes_and_times() {
    check("thermostat").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coffee_machine_takes_times_and_cups() {
    check("coffee").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_takes_pins_names_ordinals_and_phone_numbers() {
    check("door").await;
}
