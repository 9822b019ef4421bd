//! Tests of published models, whose values have no ids, with a real hub. `tests/lambda/models.rs` sends the same requests to the
//! Lambda function.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::harness::{Client, Starting, serve};

/// The desired state of the device. Of the command, it has only the name and the arguments.
async fn desired(client: &Client) -> Map<String, Value> {
    let mut desired = client.thing("ana").await.unwrap()["shadow"]["state"]["desired"].as_object().cloned().unwrap_or_default();
    if let Some(command) = desired.get_mut("command") {
        *command = json!({"name": command["name"], "args": command.get("args").cloned().unwrap_or_else(|| json!({}))});
    }
    desired
}

/// Speaks each turn of a file, and checks the request, the output and the shadow.
async fn check(name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/models").join(name);
    let turns: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(fixtures.join("turns.json")).unwrap()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut command = serve(place.path());
    command.arg("--device-model").arg(fixtures.join("device.toml")).arg("--interaction-model").arg(fixtures.join("en-US.json"));
    let hub = Starting::start(command).ready();
    let client = hub.client();
    client.link("ana").await.unwrap();
    client.say("ana", turns[0]["say"].as_str().unwrap()).await.unwrap();

    for turn in &turns {
        let (say, before) = (turn["say"].as_str().unwrap(), desired(&client).await);
        let mut answer = client.say("ana", say).await.unwrap();
        let request: Map<String, Value> = ["type", "dialogState", "intent"]
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), answer["request"]["request"].get_mut(field)?.take())))
            .collect();
        assert_eq!(json!(request), turn["request"], "{name}: {say}");
        let speech = answer["heard"]["speech"].as_str().unwrap();
        assert!(speech.starts_with(turn["speech"].as_str().unwrap()), "{name}: {say}: {speech}");
        let mut expected = before;
        expected.extend(turn.get("desired").and_then(Value::as_object).cloned().unwrap_or_default());
        assert_eq!(desired(&client).await, expected, "{name}: {say}");
    }
    hub.signal("TERM");
    let (_, log) = hub.ended().await;
    assert!(!log.contains("WARN"), "{name}: the models have no mistake: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_without_ids_is_controlled() {
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
