//! Test with the complete example *Simulating Device Shadow service communications* of the AWS guide: a lamp, an app, and the
//! messages between them (<https://docs.aws.amazon.com/iot/latest/developerguide/using-device-shadows.html>).

use serde_json::{Value, json};

use super::*;

const SHADOW: &str = "$aws/things/mySimulatedThing/shadow/name/simShadow1";

/// The shadow service with one row in the database.
#[derive(Default)]
struct Service {
    row: Option<String>,
}

impl Service {
    fn receive(&mut self, now: u64, operation: &str, payload: &str) -> Vec<(String, Value)> {
        let (key, operation) = topic::request(&format!("{SHADOW}/{operation}")).unwrap();
        let stored = self.row.as_deref().map(|row| Stored::restore(row).unwrap());
        let Exchange { change, messages } = exchange(stored.as_ref(), &key, operation, payload.as_bytes(), now);
        if let Some(change) = change {
            self.row = Some(change.text());
        }
        messages.into_iter().map(|message| (message.topic, serde_json::from_slice(&message.payload).unwrap())).collect()
    }
}

fn message(topic: &str, payload: Value) -> (String, Value) {
    (format!("{SHADOW}/{topic}"), payload)
}

/// The metadata of a color: an array of three times.
fn color(second: u64) -> Value {
    json!([{"timestamp": second}, {"timestamp": second}, {"timestamp": second}])
}

#[test]
fn the_messages_equal_those_of_the_guide() {
    let mut service = Service::default();
    let missing = json!({"code": 404, "message": "No shadow exists with name: 'simShadow1'", "timestamp": 1_591_140_000});
    assert_eq!(service.receive(1_591_140_000, "get", ""), [message("get/rejected", missing)]);

    // In the guide, the shadow was updated twice before the example.
    service.receive(1_591_140_001, "update", r#"{"state":{}}"#);
    service.receive(1_591_140_002, "update", r#"{"state":{}}"#);
    let (device, app, report) =
        ("426bfd96-e720-46d3-95cd-014e3ef12bb6", "21b21b21-bfd2-4279-8c65-e2f697ff4fab", "a4dc2227-9213-4c6a-a6a5-053304f60258");
    let initial = json!({"state": {"reported": {"ID": "SmartLamp21", "ColorRGB": [128, 128, 128]}}, "clientToken": device});
    let mut created = json!({
        "state": {"reported": {"ID": "SmartLamp21", "ColorRGB": [128, 128, 128]}},
        "metadata": {"reported": {"ID": {"timestamp": 1_591_140_517}, "ColorRGB": color(1_591_140_517)}},
        "version": 3,
        "timestamp": 1_591_140_517,
        "clientToken": device,
    });
    assert_eq!(service.receive(1_591_140_517, "update", &initial.to_string())[0], message("update/accepted", created.clone()));
    let asked = json!({"clientToken": device}).to_string();
    assert_eq!(service.receive(1_591_140_517, "get", &asked), [message("get/accepted", created.clone())]);
    created["timestamp"] = json!(1_591_141_111);
    created.as_object_mut().unwrap().remove("clientToken");
    assert_eq!(service.receive(1_591_141_111, "get", ""), [message("get/accepted", created)]);

    let yellow = json!({"state": {"desired": {"ColorRGB": [255, 255, 0]}}, "clientToken": app});
    let answer = |state: Value, metadata: Value, version: u64, timestamp: u64, token: &str| json!({"state": state, "metadata": metadata, "version": version, "timestamp": timestamp, "clientToken": token});
    let wanted = service.receive(1_591_141_596, "update", &yellow.to_string());
    let written = json!({"ColorRGB": color(1_591_141_596)});
    let accepted = answer(yellow["state"].clone(), json!({"desired": written}), 4, 1_591_141_596, app);
    let delta = answer(json!({"ColorRGB": [255, 255, 0]}), written, 4, 1_591_141_596, app);
    assert_eq!(wanted[..2], [message("update/accepted", accepted), message("update/delta", delta)]);

    let done = json!({"state": {"reported": {"ColorRGB": [255, 255, 0]}}, "clientToken": report});
    let answers = service.receive(1_591_142_747, "update", &done.to_string());
    let accepted = answer(done["state"].clone(), json!({"reported": {"ColorRGB": color(1_591_142_747)}}), 5, 1_591_142_747, report);
    let documents = json!({
        "previous": {
            "state": {
                "desired": {"ColorRGB": [255, 255, 0]},
                "reported": {"ID": "SmartLamp21", "ColorRGB": [128, 128, 128]},
            },
            "metadata": {
                "desired": {"ColorRGB": color(1_591_141_596)},
                "reported": {"ID": {"timestamp": 1_591_140_517}, "ColorRGB": color(1_591_140_517)},
            },
            "version": 4,
        },
        "current": {
            "state": {
                "desired": {"ColorRGB": [255, 255, 0]},
                "reported": {"ID": "SmartLamp21", "ColorRGB": [255, 255, 0]},
            },
            "metadata": {
                "desired": {"ColorRGB": color(1_591_141_596)},
                "reported": {"ID": {"timestamp": 1_591_140_517}, "ColorRGB": color(1_591_142_747)},
            },
            "version": 5,
        },
        "timestamp": 1_591_142_747,
        "clientToken": report,
    });
    assert_eq!(answers, [message("update/accepted", accepted), message("update/documents", documents.clone())]);

    let mut read = documents["current"].clone();
    read["timestamp"] = json!(1_591_143_269);
    assert_eq!(service.receive(1_591_143_269, "get", ""), [message("get/accepted", read)]);
}
