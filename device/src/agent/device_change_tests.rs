//! What changes on the device itself is wanted from then on, unless the owner has requested otherwise since.

use super::tests::{NOW, agent, at, begins};
use super::*;

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What one update says: reported and desired.
fn update(agent: &mut Agent, so: &Value, seconds: f64) -> (Value, Value) {
    let report = agent.report(map(so), at(seconds));
    (report.reported.map_or(Value::Null, Value::Object), Value::Object(report.desired))
}

/// The owner asked for a level, at this second.
fn document(version: u64, level: &Value, timestamp: u64, told: u64) -> Value {
    let metadata = json!({"level": {"timestamp": timestamp}});
    json!({"version": version, "timestamp": told, "state": {"level": level}, "metadata": metadata})
}

/// The answer to the question for the shadow.
fn shadow(version: u64, desired: u64, reported: u64, timestamp: u64, told: u64) -> Value {
    let metadata = json!({"desired": {"level": {"timestamp": timestamp}}});
    let mut state = json!({"desired": {"level": desired}, "reported": {"level": reported, "commandQueue": true}});
    if desired != reported {
        state["delta"] = json!({"level": desired});
    }
    json!({"version": version, "timestamp": told, "state": state, "metadata": metadata})
}

/// Connected; the owner wanted 70, and it is so.
fn at_seventy() -> Agent {
    let mut agent = Agent::new(None, []);
    let past = agent.take_shadow(&shadow(1, 70, 70, NOW, NOW), at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    agent
}

#[test]
fn a_button_changes_what_is_wanted_in_the_update_that_reports_it() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0), (json!({"level": 50}), json!({"level": 50})));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 11.0), (Value::Null, json!({})), "it is said once");
}

#[test]
fn a_clamp_leaves_no_delta() {
    let mut agent = agent();
    agent.take_delta(&document(1, &json!(300), NOW, NOW), at(0.0));
    assert_eq!(begins(&mut agent), ["level=300"]);
    agent.hear(Event::Set { name: "level".to_owned(), value: json!(300) }, at(1.0));
    agent.hear(Event::Changed(map(&json!({"level": 254}))), at(1.0));
    // Any report makes the shadow tell of the request again before it knows.
    agent.take_delta(&document(2, &json!(300), NOW, NOW), at(1.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 254}), 1.0), (json!({"level": 254}), json!({"level": 254})));
}

#[test]
fn a_request_that_came_while_the_device_was_at_work_wins_over_what_the_work_led_to() {
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
    // The owner speaks before it is written.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    agent.take_delta(&document(2, &json!(90), NOW + 10, NOW + 10), at(10.1));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2).1, json!({}));
    assert_eq!(begins(&mut agent), ["level=90"]);
    // And what was so before is requested again: there is no delta, only an update.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    let again = json!({"version": 2, "state": {"desired": {"level": 70}}, "metadata": {"desired": {"level": {"timestamp": NOW + 10}}}});
    agent.take_update(&again, at(10.1));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2), (json!({"level": 50}), json!({})), "which leads to a delta");
    // After it is written.
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.take_delta(&document(3, &json!(90), NOW + 11, NOW + 11), at(11.0));
    assert_eq!(begins(&mut agent), ["level=90"]);
    agent.was_refused(at(12.0));
    assert_eq!(update(&mut agent, &json!({"level": 90}), 18.0).1, json!({}), "it is not written again");
}

#[test]
fn the_echo_of_an_own_update_is_no_request() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.changed_on_device(&map(&json!({"level": 40})), at(10.2));
    let echo = json!({"version": 2, "state": {"desired": {"level": 50}}, "clientToken": CLIENT_TOKEN});
    agent.take_update(&echo, at(10.3));
    assert_eq!(update(&mut agent, &json!({"level": 40}), 11.0), (json!({"level": 40}), json!({"level": 40})));
}

#[test]
fn of_a_change_and_a_request_in_the_dark_the_newer_one_counts() {
    let dark = |requested: u64| {
        let mut agent = at_seventy();
        agent.is_alone();
        agent.changed_on_device(&map(&json!({"level": 50})), at(100.0));
        let _ = agent.take_shadow(&shadow(8, 90, 70, NOW + requested, NOW + 200), at(200.0));
        let so = json!({"level": 50});
        (begins(&mut agent), update(&mut agent, &so, 200.0))
    };
    assert_eq!(dark(50), (vec![], (json!({"level": 50}), json!({"level": 50}))), "the button was pressed after the owner spoke");
    assert_eq!(dark(150), (vec!["level=90".to_owned()], (json!({"level": 50}), json!({}))), "the owner spoke after it was pressed");
}

#[test]
fn a_change_in_the_dark_is_written_with_the_next_connection() {
    let mut agent = at_seventy();
    agent.is_alone();
    agent.changed_on_device(&map(&json!({"level": 50})), at(100.0));
    let _ = agent.take_shadow(&shadow(1, 70, 70, NOW, NOW + 200), at(200.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 50}), 200.0), (json!({"level": 50}), json!({"level": 50})));
}

#[test]
fn a_button_wins_over_an_older_request_that_still_waits() {
    let mut agent = at_seventy();
    agent.take_delta(&document(2, &json!(90), NOW + 5, NOW + 5), at(5.0));
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    agent.take_delta(&document(3, &json!(90), NOW + 5, NOW + 10), at(10.1));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.2).1, json!({"level": 50}));
    // One that is said to have been pressed before the request does not.
    agent.take_delta(&document(5, &json!(90), NOW + 20, NOW + 20), at(20.0));
    agent.changed_on_device(&map(&json!({"level": 50})), at(15.0));
    assert_eq!(begins(&mut agent), ["level=90"]);
}

#[test]
fn a_change_that_a_refused_update_told_of_is_written_again() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 10.0).1, json!({"level": 50}));
    agent.was_refused(at(11.0));
    assert_eq!(update(&mut agent, &json!({"level": 50}), 17.0).1, json!({"level": 50}));
}

#[test]
fn what_is_no_more_so_when_it_is_reported_is_no_change() {
    let mut agent = at_seventy();
    agent.changed_on_device(&map(&json!({"level": 50})), at(10.0));
    assert_eq!(update(&mut agent, &json!({"level": 60}), 10.0), (json!({"level": 60}), json!({})));
}

#[test]
fn what_was_measured_is_reported_again_though_it_has_not_changed() {
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
