//! Tests of the shadow service with the examples of the AWS guide, and of rejected requests.

use proptest::prelude::*;
use serde_json::json;

use super::super::arbitrary::json as any_json;
use super::*;

const NOW: u64 = 1_591_057_529;
const DAY: u64 = 24 * 60 * 60;

/// A thing with one shadow, which is stored as text between two messages.
struct Thing {
    key: ShadowKey,
    row: Option<String>,
    now: u64,
}

impl Thing {
    fn new() -> Self {
        Self::of(ShadowKey::new("myThing", None).unwrap())
    }

    fn of(key: ShadowKey) -> Self {
        Self { key, row: None, now: NOW }
    }

    fn stored(&self) -> Option<Stored> {
        self.row.as_deref().map(|row| Stored::restore(row).unwrap())
    }

    fn request(&mut self, operation: Operation, payload: impl AsRef<[u8]>) -> Vec<(String, Value)> {
        let Exchange { change, messages } = exchange(self.stored().as_ref(), &self.key, operation, payload.as_ref(), self.now);
        self.row = change.as_ref().map(Stored::text).or(self.row.take());
        let prefix = self.key.request(operation);
        let short = |topic: &str| topic.strip_prefix(&format!("{prefix}/")).unwrap().to_owned();
        messages.iter().map(|message| (short(&message.topic), serde_json::from_slice(&message.payload).unwrap())).collect()
    }

    fn update_with(&mut self, request: &Value) -> Vec<(String, Value)> {
        self.request(Operation::Update, request.to_string())
    }

    fn state(&mut self) -> Value {
        self.request(Operation::Get, "").remove(0).1["state"].take()
    }
}

fn on<'a>(messages: &'a [(String, Value)], topic: &str) -> Option<&'a Value> {
    messages.iter().find(|(name, _)| name == topic).map(|(_, payload)| payload)
}

fn at(second: u64) -> Value {
    json!({"timestamp": second})
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>
#[test]
fn a_desired_state_is_accepted_and_makes_a_delta() {
    let mut thing = Thing::of(ShadowKey::new("thingName", Some("shadowName")).unwrap());
    let state = json!({"desired": {"color": {"r": 10}, "engine": "ON"}});
    let messages = thing.update_with(&json!({"state": state}));
    let metadata = json!({"color": {"r": at(NOW)}, "engine": at(NOW)});
    let delta = json!({"version": 1, "timestamp": NOW, "state": state["desired"], "metadata": metadata});
    let accepted = json!({"version": 1, "timestamp": NOW, "state": state, "metadata": {"desired": metadata}});
    let documents = json!({
        "previous": {"state": {}, "metadata": {}, "version": 0},
        "current": {"state": state, "metadata": {"desired": metadata}, "version": 1},
        "timestamp": NOW,
    });
    assert_eq!(messages, [("accepted".into(), accepted), ("delta".into(), delta), ("documents".into(), documents)]);
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html>
#[test]
fn reporting_the_desired_state_ends_the_delta() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"color": {"r": 10}, "engine": "ON"}}}));
    thing.now += 5;
    let report = json!({"reported": {"color": {"r": 10}, "engine": "ON"}});
    let messages = thing.update_with(&json!({"state": report, "clientToken": "t-1"}));
    let topics: Vec<&str> = messages.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["accepted", "documents"]);
    let accepted = on(&messages, "accepted").unwrap();
    assert_eq!(accepted["state"], report);
    assert_eq!(accepted["metadata"], json!({"reported": {"color": {"r": at(NOW + 5)}, "engine": at(NOW + 5)}}));
    let documents = on(&messages, "documents").unwrap();
    assert_eq!(documents["previous"]["state"], json!({"desired": report["reported"]}));
    assert_eq!((&documents["previous"]["version"], &documents["current"]["version"]), (&json!(1), &json!(2)));
    assert!(messages.iter().all(|(_, payload)| payload["clientToken"] == "t-1"));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html#optimistic-locking>
#[test]
fn an_update_for_another_version_is_rejected() {
    let mut thing = Thing::new();
    for _ in 0..9 {
        thing.update_with(&json!({"state": {}}));
    }
    thing.update_with(&json!({"state": {"desired": {"colors": ["RED", "GREEN", "BLUE"]}}}));
    let token = "426bfd96-e720-46d3-95cd-014e3ef12bb6";
    let mut update = json!({"state": {"desired": {"colors": ["BLUE"]}}, "version": 9, "clientToken": token});
    let rejected = json!({"code": 409, "message": "Version conflict", "timestamp": NOW, "clientToken": token});
    assert_eq!(thing.update_with(&update), [("rejected".into(), rejected)]);
    update["version"] = json!(10);
    assert_eq!(on(&thing.update_with(&update), "accepted").unwrap()["version"], 11);
    assert_eq!(thing.state()["desired"], json!({"colors": ["BLUE"]}));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html#delta-state>
#[test]
fn get_returns_the_delta_with_its_metadata() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"color": "RED", "state": "STOP"}}}));
    thing.now += 1;
    thing.update_with(&json!({"state": {"reported": {"color": "GREEN", "engine": "ON"}}}));
    thing.now += 1;
    let read = json!({
        "state": {
            "desired": {"color": "RED", "state": "STOP"},
            "reported": {"color": "GREEN", "engine": "ON"},
            "delta": {"color": "RED", "state": "STOP"},
        },
        "metadata": {
            "desired": {"color": at(NOW), "state": at(NOW)},
            "reported": {"color": at(NOW + 1), "engine": at(NOW + 1)},
            "delta": {"color": at(NOW), "state": at(NOW)},
        },
        "version": 2,
        "timestamp": NOW + 2,
        "clientToken": "t-2",
    });
    assert_eq!(thing.request(Operation::Get, r#"{"clientToken":"t-2"}"#), [("accepted".into(), read)]);
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html#delta-state>
#[test]
fn a_delta_contains_the_path_all_the_way_to_the_root() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"reported": {"lights": {"color": {"r": 255, "g": 0, "b": 255}}}}}));
    thing.now += 1;
    let messages = thing.update_with(&json!({"state": {"desired": {"lights": {"color": {"r": 255, "g": 255, "b": 255}}}}}));
    let delta = on(&messages, "delta").unwrap();
    assert_eq!(delta["state"], json!({"lights": {"color": {"g": 255}}}));
    assert_eq!(delta["metadata"], json!({"lights": {"color": {"g": at(NOW + 1)}}}));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html#update-delta-pub-sub-topic>
#[test]
fn a_delta_is_complete_even_if_the_update_is_unrelated() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"a": 1, "b": 2}}}));
    thing.update_with(&json!({"state": {"reported": {"a": 1, "own": 3}}}));
    let delta = |messages: &[(String, Value)]| on(messages, "delta").map(|delta| delta["state"].clone());
    let unrelated = thing.update_with(&json!({"state": {"reported": {"own": 4}}}));
    assert_eq!(delta(&unrelated), Some(json!({"b": 2})));
    let deleted = thing.update_with(&json!({"state": {"reported": {"a": null}}}));
    assert_eq!(delta(&deleted), Some(json!({"a": 1, "b": 2})));
    let undesired = thing.update_with(&json!({"state": {"desired": null}}));
    assert_eq!(delta(&undesired), None);
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html#device-shadow-empty-fields>
#[test]
fn a_section_of_null_is_removed() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"color": "RED"}}}));
    thing.now += 1;
    let messages = thing.update_with(&json!({"state": {"reported": {"color": "red"}, "desired": null}}));
    assert_eq!(on(&messages, "accepted").unwrap()["state"], json!({"reported": {"color": "red"}, "desired": null}));
    assert_eq!(on(&messages, "accepted").unwrap()["metadata"], json!({"reported": {"color": at(NOW + 1)}, "desired": at(NOW + 1)}));
    assert_eq!(thing.state(), json!({"reported": {"color": "red"}}));
    thing.update_with(&json!({"state": null}));
    assert_eq!(thing.state(), json!({}));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html#device-shadow-arrays>
#[test]
fn an_array_is_replaced_and_must_not_contain_null() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"colors": ["RED", "GREEN", "BLUE"]}}}));
    thing.update_with(&json!({"state": {"desired": {"colors": ["RED"]}}}));
    assert_eq!(thing.state()["desired"], json!({"colors": ["RED"]}));
    refuses(br#"{"state":{"desired":{"colors":[null,"RED","GREEN"]}}}"#, 400, "State contains an invalid node: 'colors'");
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html#deleting-shadow-property>
#[test]
fn a_property_of_null_is_deleted() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"desired": {"engine": "ON", "light": {"on": true}}}}));
    let messages = thing.update_with(&json!({"state": {"desired": {"engine": null}}}));
    assert_eq!(on(&messages, "accepted").unwrap()["state"], json!({"desired": {"engine": null}}));
    assert_eq!(thing.state(), json!({"desired": {"light": {"on": true}}, "delta": {"light": {"on": true}}}));
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-data-flow.html#deleting-device-shadow>
#[test]
fn the_version_of_a_deleted_shadow_is_remembered_for_two_days() {
    for (waits, next) in [(0, 5), (2 * DAY, 5), (2 * DAY + 1, 1)] {
        let mut thing = Thing::new();
        for _ in 0..4 {
            thing.update_with(&json!({"state": {"reported": {"a": 1}}}));
        }
        assert_eq!(thing.request(Operation::Delete, ""), [("accepted".into(), json!({"version": 4, "timestamp": NOW}))]);
        let missing = json!({"code": 404, "message": "No shadow exists with name: 'myThing'", "timestamp": NOW});
        assert_eq!(thing.request(Operation::Get, ""), [("rejected".into(), missing.clone())]);
        assert_eq!(thing.request(Operation::Delete, "{}"), [("rejected".into(), missing)]);
        thing.now += waits;
        assert_eq!(thing.stored().unwrap().is_forgotten(thing.now), next == 1);
        let messages = thing.update_with(&json!({"state": {"reported": {"b": 1}}, "version": next - 1}));
        assert_eq!(on(&messages, "accepted").unwrap()["version"], next, "{waits} s later");
        assert_eq!(thing.state(), json!({"reported": {"b": 1}}));
    }
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/using-device-shadows.html>
#[test]
fn the_rejection_names_a_missing_named_shadow() {
    let mut thing = Thing::of(ShadowKey::new("myThing", Some("simShadow1")).unwrap());
    let missing = json!({"code": 404, "message": "No shadow exists with name: 'simShadow1'", "timestamp": NOW, "clientToken": "t"});
    for operation in [Operation::Get, Operation::Delete] {
        assert_eq!(thing.request(operation, r#"{"clientToken":"t"}"#), [("rejected".into(), missing.clone())]);
    }
}

fn refuses(payload: &[u8], code: u16, message: &str) {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"reported": {"a": 1}}}));
    let before = thing.row.clone();
    let rejected = json!({"code": code, "message": message, "timestamp": NOW});
    assert_eq!(thing.request(Operation::Update, payload), [("rejected".into(), rejected)], "{}", String::from_utf8_lossy(payload));
    assert_eq!(thing.row, before);
}

/// <https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html>
#[test]
fn an_invalid_update_is_rejected_with_its_reason() {
    for payload in ["", " ", "{", "[]", "7", "null", "\"state\"", r#"{"state":{}} x"#, r#"{"state":{"desired":{"a":NaN}}}"#] {
        refuses(payload.as_bytes(), 400, "Invalid JSON");
    }
    refuses(br#"{"state":{"desired":{"a":1e999}}}"#, 400, "Invalid JSON");
    refuses(format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)).as_bytes(), 400, "Invalid JSON");
    refuses(b"{}", 400, "Missing required node: state");
    refuses(br#"{"state":[]}"#, 400, "State node must be an object");
    refuses(br#"{"state":{"desired":[]}}"#, 400, "Desired node must be an object");
    refuses(br#"{"state":{"reported":"on"}}"#, 400, "Reported node must be an object");
    refuses(br#"{"state":{"foo":{}}}"#, 400, "State contains an invalid node: 'foo'");
    refuses(br#"{"state":{"delta":{}}}"#, 400, "State contains an invalid node: 'delta'");
    let deep = r#"{"state":{"reported":{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":{"9":1}}}}}}}}}}}"#;
    refuses(deep.as_bytes(), 400, "JSON contains too many levels of nesting; maximum is 8");
    for version in ["-1", "1.0", "\"1\"", "[1]", "18446744073709551616"] {
        refuses(format!(r#"{{"state":{{}},"version":{version}}}"#).as_bytes(), 400, "Invalid version");
    }
    refuses(br#"{"state":{},"version":2}"#, 409, "Version conflict");
    refuses(b"{\"state\":{\"reported\":{\"a\":\"\xff\"}}}", 415, "Unsupported documented encoding; supported encoding is UTF-8");
}

#[test]
fn a_client_token_is_a_string_of_at_most_64_bytes() {
    for token in [json!(1), json!({}), json!("t".repeat(65)), json!("ü".repeat(33))] {
        let request = json!({"state": {}, "clientToken": token});
        refuses(request.to_string().as_bytes(), 400, "Invalid clientToken");
        let mut thing = Thing::new();
        for operation in [Operation::Get, Operation::Delete] {
            assert_eq!(thing.request(operation, request.to_string())[0].1["message"], "Invalid clientToken");
        }
    }
    let longest = "ü".repeat(32);
    let messages = Thing::new().update_with(&json!({"state": {}, "clientToken": longest}));
    assert!(messages.iter().all(|(_, payload)| payload["clientToken"] == longest.as_str()));
}

#[test]
fn a_shadow_of_more_than_eight_kilobytes_is_too_large() {
    let too_large = "The payload exceeds the maximum size allowed";
    let text = |length: usize| json!({"state": {"reported": {"t": "x".repeat(length)}}});
    let frame = json!({"reported": {"t": ""}}).to_string().len();
    refuses(text(8_192 - frame + 1).to_string().as_bytes(), 413, too_large);
    refuses(" ".repeat(128 * 1024 + 1).as_bytes(), 413, too_large);
    let many: Value = (0..2_000).map(|number| (format!("n{number}"), Value::Null)).collect();
    refuses(json!({"state": {"reported": many}}).to_string().as_bytes(), 413, too_large);

    let mut thing = Thing::new();
    let spacious = serde_json::to_string_pretty(&text(8_192 - frame)).unwrap();
    assert_eq!(thing.request(Operation::Update, spacious)[0].0, "accepted");
    assert_eq!(thing.update_with(&json!({"state": {"desired": {"a": 1}}}))[0].1["code"], 413);
    assert_eq!(thing.update_with(&json!({"state": {"reported": {"t": null}}}))[0].0, "accepted");
}

#[test]
fn the_payload_of_a_get_or_a_delete_is_ignored() {
    let mut thing = Thing::new();
    for (payload, operation) in [("", Operation::Get), ("no JSON", Operation::Get), ("[1]", Operation::Get), ("\u{0}", Operation::Delete)] {
        thing.update_with(&json!({"state": {}}));
        assert_eq!(thing.request(operation, payload)[0].0, "accepted", "{payload:?}");
    }
}

#[test]
fn of_two_fields_of_one_name_the_last_counts() {
    let mut thing = Thing::new();
    thing.request(
        Operation::Update,
        r#"{"state":{"reported":{"a":1,"a":2}},"state":{"reported":{"b":1,"b":{"c":1},"b":{"d":1}}},"other":0}"#,
    );
    assert_eq!(thing.state(), json!({"reported": {"b": {"d": 1}}}));
}

#[test]
fn a_value_named_timestamp_is_a_value() {
    let mut thing = Thing::new();
    thing.update_with(&json!({"state": {"reported": {"timestamp": 7, "in": {"timestamp": 8}}}}));
    thing.now += 1;
    thing.update_with(&json!({"state": {"reported": {"in": {"timestamp": 9}}}}));
    let metadata = thing.request(Operation::Get, "").remove(0).1["metadata"].take();
    assert_eq!(metadata, json!({"reported": {"timestamp": at(NOW), "in": {"timestamp": at(NOW + 1)}}}));
}

#[test]
fn updates_of_the_hub_equal_those_of_devices() {
    let key = ShadowKey::new("myThing", None).unwrap();
    let patch = json!({"state": {"desired": {"power": "ON"}}});
    let made = update(None, &key, &patch, NOW).unwrap();
    assert_eq!(made, exchange(None, &key, Operation::Update, patch.to_string().as_bytes(), NOW));
    assert_eq!(update(None, &key, &json!({"state": 1}), NOW), Err(Rejected::StateNotObject));
    let gone = delete(made.change.as_ref(), &key, NOW).unwrap();
    assert_eq!(gone.change, Some(Stored::Deleted { version: 1, at: NOW }));
    assert_eq!(delete(gone.change.as_ref(), &key, NOW), Err(Rejected::NotFound("myThing".into())));
}

#[test]
fn an_invalid_stored_text_is_an_error() {
    for text in ["", "{}", "null", r#"{"version":-1}"#, r#"{"version":1,"desired":{"values":{}}}"#, r#"{"version":1,"deleted":"now"}"#] {
        assert!(Stored::restore(text).is_err(), "{text}");
    }
}

/// Any JSON value, and values that are similar to an update.
fn any_request() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_json(),
        any_json().prop_map(|state| json!({"state": state})),
        (any_json(), any_json()).prop_map(|(desired, value)| json!({"state": {"desired": desired, "reported": {"a": value}}})),
    ]
}

proptest! {
    #[test]
    fn any_payload_is_answered(payload: Vec<u8>) {
        for operation in Operation::ALL {
            prop_assert_eq!(Thing::new().request(operation, &payload).len(), 1);
        }
    }

    #[test]
    fn any_json_is_accepted_or_rejected(requests in prop::collection::vec(any_request(), 1..4)) {
        let mut thing = Thing::new();
        for request in &requests {
            let before = thing.row.clone();
            let messages = thing.update_with(request);
            prop_assert_eq!(messages[0].0 == "rejected", thing.row == before, "{:?}", messages);
        }
    }

    #[test]
    fn any_accepted_state_is_stored_unchanged(state in any_json()) {
        let mut thing = Thing::new();
        let taken = thing.update_with(&json!({"state": {"reported": {"a": state}, "desired": {"a": state}}}));
        if taken[0].0 == "accepted" && !state.is_null() {
            let read = thing.state();
            prop_assert_eq!(&read["reported"], &read["desired"]);
            prop_assert!(read.get("delta").is_none());
        }
    }

    #[test]
    fn a_number_is_unchanged_after_several_exchanges(number: f64) {
        let request = json!({"state": {"desired": {"n": number}}});
        let mut thing = Thing::new();
        thing.update_with(&request);
        thing.update_with(&json!({"state": {}}));
        let messages = thing.update_with(&json!({"state": {"reported": {"n": number}}}));
        prop_assert!(on(&messages, "delta").is_none());
        prop_assert_eq!(&thing.state()["desired"], &request["state"]["desired"]);
    }
}
