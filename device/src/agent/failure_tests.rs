//! Tests of the failures that are reported until they are resolved.

use super::tests::{NOW, agent, answer, at, begins, command, delta, says, shadow};
use super::*;

fn wants(agent: &mut Agent, version: u64, value: &Value, timestamp: u64) {
    let message = json!({
        "version": version, "timestamp": NOW, "state": {"nozzle": value}, "metadata": {"nozzle": {"timestamp": timestamp}},
    });
    agent.take_delta(&message, at(0.0));
    begins(agent);
}

fn fails(agent: &mut Agent, value: &Value, seconds: f64) {
    let event = Event::NotSet { name: "nozzle".to_owned(), value: value.clone(), why: "the heater is off".to_owned() };
    agent.hear(event, at(seconds));
}

fn fails_to_boil(agent: &mut Agent, version: u64, id: &str) {
    agent.take_delta(&delta(version, &json!({"command": command(id)})), at(0.0));
    begins(agent);
    agent.hear(Event::Answered(answer(id, CommandStatus::Failed, "no water")), at(0.0));
}

#[test]
fn a_property_that_could_not_be_set_is_reported_with_value_reason_and_time() {
    let mut agent = agent();
    wants(&mut agent, 1, &json!(200), NOW);
    fails(&mut agent, &json!(200), 3.0);
    let said = says(&mut agent, &json!({}), 3.0).unwrap();
    assert_eq!(said, json!({"failures": {"nozzle": {"value": 200, "detail": "the heater is off", "at": NOW + 3}}}));
    assert_eq!(says(&mut agent, &json!({}), 4.0), None);
}

#[test]
fn a_failure_is_removed_when_the_property_is_set() {
    let mut agent = agent();
    wants(&mut agent, 1, &json!(200), NOW);
    fails(&mut agent, &json!(200), 0.0);
    assert!(says(&mut agent, &json!({}), 0.0).is_some());
    wants(&mut agent, 2, &json!(180), NOW + 1);
    agent.hear(Event::Set { name: "nozzle".to_owned(), value: json!(180) }, at(1.0));
    assert_eq!(says(&mut agent, &json!({"nozzle": 180}), 1.0), Some(json!({"nozzle": 180, "failures": {"nozzle": null}})));
    assert_eq!(says(&mut agent, &json!({"nozzle": 180}), 2.0), None);
}

#[test]
fn a_failure_is_removed_when_the_current_value_is_requested() {
    let mut agent = agent();
    let so = json!({"nozzle": 20});
    says(&mut agent, &so, 0.0);
    wants(&mut agent, 1, &json!(200), NOW);
    fails(&mut agent, &json!(200), 1.0);
    assert!(says(&mut agent, &so, 1.0).is_some());
    agent.take_update(&json!({"version": 2, "state": {"desired": {"nozzle": 20}}}), at(2.0));
    assert_eq!(says(&mut agent, &so, 2.0), Some(json!({"failures": {"nozzle": null}})));
}

#[test]
fn a_retry_with_the_next_connection_is_not_a_new_failure() {
    let mut agent = agent();
    wants(&mut agent, 1, &json!(200), NOW - 1);
    fails(&mut agent, &json!(200), 0.0);
    assert!(says(&mut agent, &json!({}), 0.0).is_some());
    agent.connection_lost();
    let at_its_time = |timestamp: u64| {
        let metadata = json!({"desired": {"nozzle": {"timestamp": timestamp}}});
        let failures = json!({"nozzle": {"value": 200, "detail": "the heater is off", "at": NOW}});
        let state = json!({"reported": {"failures": failures, "commandQueue": true}, "desired": {"nozzle": 200}, "delta": {"nozzle": 200}});
        json!({"version": 9, "timestamp": NOW + 60, "state": state, "metadata": metadata})
    };
    let _ = agent.take_shadow(&at_its_time(NOW - 1), at(60.0));
    assert_eq!(begins(&mut agent), ["nozzle=200"]);
    fails(&mut agent, &json!(200), 61.0);
    assert_eq!(says(&mut agent, &json!({}), 61.0), None);
    // The owner made the request again, and it failed again.
    let _ = agent.take_shadow(&at_its_time(NOW + 50), at(62.0));
    assert_eq!(begins(&mut agent), ["nozzle=200"]);
    fails(&mut agent, &json!(200), 62.0);
    assert_eq!(says(&mut agent, &json!({}), 62.0).unwrap()["failures"]["nozzle"]["at"], NOW + 60);
}

#[test]
fn the_newest_command_that_failed_is_reported_until_one_of_its_name_is_done() {
    let mut agent = agent();
    fails_to_boil(&mut agent, 1, "1");
    let failure = json!({"id": "1", "name": "boil", "status": "failed", "detail": "no water", "at": NOW});
    assert_eq!(says(&mut agent, &json!({}), 0.0).unwrap()["failures"], json!({"command": failure}));
    let other = json!({"id": "2", "name": "light", "expiresAt": NOW + 60});
    agent.take_delta(&delta(2, &json!({"command": other})), at(0.0));
    begins(&mut agent);
    agent.hear(Event::Answered(answer("2", CommandStatus::Done, "")), at(1.0));
    assert_eq!(says(&mut agent, &json!({}), 1.0).unwrap().get("failures"), None, "another command does not resolve it");
    agent.take_delta(&delta(3, &json!({"command": command("3")})), at(2.0));
    begins(&mut agent);
    agent.hear(Event::Answered(answer("3", CommandStatus::Done, "")), at(2.0));
    assert_eq!(says(&mut agent, &json!({}), 2.0).unwrap()["failures"], json!({"command": null}));
}

#[test]
fn a_refused_command_is_a_failure() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": {"id": "1", "name": "boil", "expiresAt": NOW}})), at(0.0));
    let failure = json!({"id": "1", "name": "boil", "status": "refused", "detail": "it came too late", "at": NOW});
    assert_eq!(says(&mut agent, &json!({}), 0.0).unwrap()["failures"], json!({"command": failure}));
}

#[test]
fn failures_are_kept_after_a_restart() {
    let failure = json!({"value": 200, "detail": "cold", "at": NOW - 60});
    let reported = json!({"failures": {"nozzle": failure, "odd": 7}, "commandQueue": true});
    let mut agent = Agent::new(None, []);
    let past = agent.take_shadow(&shadow(0, &json!({"reported": reported, "desired": {"nozzle": 200}})), at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    assert_eq!(says(&mut agent, &json!({}), 0.0), Some(json!({"failures": {"nozzle": failure, "odd": null}})));
    agent.hear(Event::Set { name: "nozzle".to_owned(), value: json!(200) }, at(1.0));
    assert_eq!(says(&mut agent, &json!({"nozzle": 200}), 1.0).unwrap()["failures"]["nozzle"], Value::Null);
}

#[test]
fn the_number_and_the_size_of_failures_are_limited() {
    let mut agent = agent();
    fails_to_boil(&mut agent, 1, "1");
    for number in 1..=20_u32 {
        let (name, value) = (format!("p{number:02}"), json!("v".repeat(1_000)));
        agent.hear(Event::NotSet { name, value, why: "ü\n".repeat(500) }, at(f64::from(number)));
    }
    let said = says(&mut agent, &json!({}), 30.0).unwrap();
    let names: Vec<_> = said["failures"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["command", "p14", "p15", "p16", "p17", "p18", "p19", "p20"]);
    assert_eq!(said["failures"]["p20"]["value"], format!("{}…", "v".repeat(26)));
    assert!(said.to_string().len() < 4_000, "{}", said.to_string().len());
}

#[test]
fn a_device_without_a_clock_uses_the_time_of_the_shadow() {
    let mut agent = agent();
    agent
        .take_delta(&json!({"version": 1, "timestamp": NOW, "state": {"nozzle": 200}}), Moment { now: 12, uptime: Duration::from_secs(5) });
    begins(&mut agent);
    let event = Event::NotSet { name: "nozzle".to_owned(), value: json!(200), why: "cold".to_owned() };
    agent.hear(event, Moment { now: 22, uptime: Duration::from_secs(15) });
    assert_eq!(says(&mut agent, &json!({}), 15.0).unwrap()["failures"]["nozzle"]["at"], NOW + 10);
}
