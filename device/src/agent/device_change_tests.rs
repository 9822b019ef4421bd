//! Tests of changes on the device itself: they become the desired values, unless the owner has requested others since then.

use super::tests::{NOW, agent, at, begins};
use super::*;

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The reported and the desired values of one update.
fn update(agent: &mut Agent, so: &Value, seconds: f64) -> (Value, Value) {
    let report = agent.report(map(so), at(seconds));
    (report.reported.map_or(Value::Null, Value::Object), Value::Object(report.desired))
}

/// A delta with a level that the owner requested at `timestamp`; `told` is the time of the message.
fn document(version: u64, level: &Value, timestamp: u64, told: u64) -> Value {
    let metadata = json!({"level": {"timestamp": timestamp}});
    json!({"version": version, "timestamp": told, "state": {"level": level}, "metadata": metadata})
}

/// A response to a shadow get request.
fn shadow(version: u64, desired: u64, reported: u64, timestamp: u64, told: u64) -> Value {
    let metadata = json!({"desired": {"level": {"timestamp": timestamp}}});
    let mut state = json!({"desired": {"level": desired}, "reported": {"level": reported, "commandQueue": true}});
    if desired != reported {
        state["delta"] = json!({"level": desired});
    }
    json!({"version": version, "timestamp": told, "state": state, "metadata": metadata})
}

/// A connected agent of a device whose level is 70, as desired.
fn at_seventy() -> Agent {
    let mut agent = Agent::new(None, []);
    let past = agent.take_shadow(&shadow(1, 70, 70, NOW, NOW), at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    agent
}

#[test]
fn a_change_is_written_to_desired_in_the_update_that_reports_it() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0), (json!({"level": 50}), json!({"level": 50})));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 11.0), (Value::Null, json!({})), "it is reported once");
}

#[test]
fn a_clamp_leaves_no_delta() {
    let mut agent = agent();
    agent.take_delta(&document(1, &json!(300), NOW, NOW), at(0.0));
    assert_eq!(begins(&mut agent), ["level=300"]);
    agent.hear(Event::Set { name: "level".to_owned(), value: json!(300) }, at(1.0));
    agent.hear(Event::Changed(map(&json!({"level": 254}))), at(1.0));
    // Every report causes a delta with the request, before the shadow has the change.
    agent.take_delta(&document(2, &json!(300), NOW, NOW), at(1.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 254}), 1.0), (json!({"level": 254}), json!({"level": 254})));
}

#[test]
fn a_request_during_an_order_wins_over_the_changes_by_the_order() {
    let mut agent = agent();
    agent.take_delta(&document(1, &json!(300), NOW, NOW), at(0.0));
    assert_eq!(begins(&mut agent), ["level=300"]);
    agent.take_delta(&document(2, &json!(100), NOW + 1, NOW + 1), at(1.0));
    agent.hear(Event::Set { name: "level".to_owned(), value: json!(300) }, at(2.0));
    agent.hear(Event::Changed(map(&json!({"level": 254}))), at(2.0));
    assert_eq!(update(&mut agent, &json!({"level": 254}), 2.0), (json!({"level": 254}), json!({})));
    assert_eq!(begins(&mut agent), ["level=100"]);
}

#[test]
fn a_newer_request_of_the_owner_wins_before_and_after_the_change_is_written() {
    // The owner's request comes before the change is written.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    agent.take_delta(&document(2, &json!(90), NOW + 10, NOW + 10), at(10.1));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2).1, json!({}));
    assert_eq!(begins(&mut agent), ["level=90"]);
    // The old value is requested again: there is no delta, only an accepted update.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    let again = json!({"version": 2, "state": {"desired": {"level": 70}}, "metadata": {"desired": {"level": {"timestamp": NOW + 10}}}});
    agent.take_update(&again, at(10.1));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2), (json!({"level": 50}), json!({})), "the report causes a delta");
    // The owner's request comes after the change is written.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.take_delta(&document(3, &json!(90), NOW + 11, NOW + 11), at(11.0));
    assert_eq!(begins(&mut agent), ["level=90"]);
    agent.was_refused(at(12.0));
    assert_eq!(update(&mut agent, &json!({"level": 90}), 18.0).1, json!({}), "it is not written again");
}

#[test]
fn the_accepted_message_of_an_own_update_is_not_a_request() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.changed_on_device(&map(&json!({"level": 40})), at(10.2));
    let echo = json!({"version": 2, "state": {"desired": {"level": 50}}, "clientToken": CLIENT_TOKEN});
    agent.take_update(&echo, at(10.3));
    assert_eq!(update(&mut agent, &json!({"level": 40}), 11.0), (json!({"level": 40}), json!({"level": 40})));
}

#[test]
fn after_a_disconnection_the_newer_of_change_and_request_wins() {
    let disconnected = |requested: u64| {
        let mut agent = at_seventy();
        agent.connection_lost();
        agent.changed_on_device(&map(&json!({"level": 50})), at(100.0));
        let _ = agent.take_shadow(&shadow(8, 90, 70, NOW + requested, NOW + 200), at(200.0));
        let so = json!({"level": 50});
        (begins(&mut agent), update(&mut agent, &so, 200.0))
    };
    assert_eq!(disconnected(50), (vec![], (json!({"level": 50}), json!({"level": 50}))), "the change is newer than the request");
    assert_eq!(disconnected(150), (vec!["level=90".to_owned()], (json!({"level": 50}), json!({}))), "the request is newer than the change");
}

#[test]
fn a_change_while_disconnected_is_written_with_the_next_connection() {
    let mut agent = at_seventy();
    agent.connection_lost();
    agent.changed_on_device(&map(&json!({"level": 50})), at(100.0));
    let _ = agent.take_shadow(&shadow(1, 70, 70, NOW, NOW + 200), at(200.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 50}), 200.0), (json!({"level": 50}), json!({"level": 50})));
}

#[test]
fn a_change_wins_over_an_older_waiting_request() {
    let mut agent = at_seventy();
    agent.take_delta(&document(2, &json!(90), NOW + 5, NOW + 5), at(5.0));
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    agent.take_delta(&document(3, &json!(90), NOW + 5, NOW + 10), at(10.1));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2).1, json!({"level": 50}));
    // A change on the device from before the request does not win.
    agent.take_delta(&document(5, &json!(90), NOW + 20, NOW + 20), at(20.0));
    agent.changed_on_device(&map(&json!({"level": 50})), at(15.0));
    assert_eq!(begins(&mut agent), ["level=90"]);
}

#[test]
fn a_change_in_a_rejected_update_is_written_again() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.was_refused(at(11.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 17.0).1, json!({"level": 50}));
}

#[test]
fn a_change_that_is_outdated_before_its_report_is_not_written() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 60}), 10.0), (json!({"level": 60}), json!({})));
}

#[test]
fn a_measured_value_is_reported_again_without_a_change() {
    let mut agent = at_seventy();
    let so = json!({"level": 70, "warmth": 21});
    assert_eq!(update(&mut agent, &so, 1.0).0, json!({"warmth": 21}));
    assert_eq!(update(&mut agent, &so, 2.0).0, Value::Null);
    agent.hear(Event::Measured(vec!["warmth".to_owned()]), at(3.0));
    assert_eq!(update(&mut agent, &so, 3.0).0, json!({"warmth": 21}));
    agent.hear(Event::ChangedBefore { properties: map(&json!({"level": 50})), age: Duration::from_secs(2) }, at(5.0));
    let told = update(&mut agent, &json!({"level": 50, "warmth": 21}), 5.0);
    assert_eq!(told, (json!({"level": 50}), json!({"level": 50})));
}
