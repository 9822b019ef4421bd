use super::*;

pub(super) const NOW: u64 = 1_795_305_600;

pub(super) fn at(seconds: f64) -> Moment {
    Moment { now: NOW, uptime: Duration::from_secs_f64(seconds) }
}

pub(super) fn command(id: &str) -> Value {
    json!({"id": id, "name": "boil", "args": {"cups": 2}, "expiresAt": NOW + 60})
}

pub(super) fn delta(version: u64, state: &Value) -> Value {
    json!({"version": version, "timestamp": NOW, "state": state})
}

pub(super) fn shadow(version: u64, state: &Value) -> Value {
    json!({"version": version, "timestamp": NOW, "state": state})
}

/// An agent that is connected to a shadow which only reports that this device supports the queue.
pub(super) fn agent() -> Agent {
    after([], &json!({}))
}

/// An agent after a restart, with this journal and this shadow. The body continues no command.
pub(super) fn after(journal: impl IntoIterator<Item = (String, Option<Answer>)>, state: &Value) -> Agent {
    let (mut agent, mut state) = (Agent::new(None, journal), state.clone());
    state["reported"]["commandQueue"] = json!(true);
    let past = agent.take_shadow(&shadow(0, &state), at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    agent
}

pub(super) fn answer(id: &str, status: CommandStatus, detail: &str) -> Answer {
    Answer { id: id.to_owned(), status, detail: detail.to_owned() }
}

pub(super) fn says(agent: &mut Agent, so: &Value, seconds: f64) -> Option<Value> {
    agent.report(so.as_object().unwrap().clone(), at(seconds)).reported.map(Value::Object)
}

pub(super) fn begins(agent: &mut Agent) -> Vec<String> {
    let mut begun = Vec::new();
    while let Some(order) = agent.next(&Map::new(), at(0.0)) {
        begun.push(match order {
            Order::Set { name, value } => format!("{name}={value}"),
            Order::Do(command) => command.id,
        });
    }
    begun
}

fn was_tried(agent: &mut Agent, name: &str, value: Value) {
    agent.hear(Event::Set { name: name.to_owned(), value }, at(0.0));
}

#[test]
fn properties_come_before_the_command_and_commands_in_their_order() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": command("1"), "power": "ON"})), at(0.0));
    agent.take_delta(&delta(2, &json!({"command": command("2"), "power": "ON"})), at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"ON\"", "1", "2"]);
}

#[test]
fn a_delta_of_an_old_version_or_without_a_version_is_ignored() {
    let mut agent = agent();
    agent.take_delta(&delta(7, &json!({"power": "ON"})), at(0.0));
    agent.take_delta(&delta(7, &json!({"command": command("1")})), at(0.0));
    agent.take_delta(&delta(6, &json!({"command": command("1")})), at(0.0));
    agent.take_delta(&json!({"state": {"command": command("1")}}), at(0.0));
    agent.take_delta(&delta(8, &json!({"power": "ON", "command": {"name": "boil", "expiresAt": NOW + 60}})), at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"ON\""], "and a command without an id has been answered");
}

#[test]
fn a_delta_that_overtakes_the_shadow_is_taken_after_it() {
    let mut agent = Agent::new(None, []);
    agent.take_delta(&delta(9, &json!({"power": "OFF"})), at(0.0));
    agent.take_delta(&delta(8, &json!({"power": "ON"})), at(0.0));
    assert_eq!(agent.report(Map::new(), at(0.0)), Report::default(), "there is no report before the shadow is known");
    let past = agent.take_shadow(&shadow(7, &json!({"reported": {"power": "ON"}})), at(0.0)).unwrap();
    assert_eq!(begins(&mut agent), Vec::<String>::new(), "no order is given before the body has the earlier state");
    agent.remembered(&past, None, at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"OFF\""]);
}

#[test]
fn a_command_that_takes_longer_than_a_second_is_reported_as_accepted() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": command("1")})), at(0.0));
    assert_eq!(begins(&mut agent), ["1"]);
    let report = agent.report(Map::new(), at(0.5));
    assert_eq!(report, Report { again_at: Some(Duration::from_secs(1)), ..Report::default() });
    let said = says(&mut agent, &json!({}), 1.0).unwrap();
    assert_eq!(said, json!({"command": {"id": "1", "status": "accepted", "detail": "at work"}}));
    assert_eq!(agent.report(Map::new(), at(1.0)), Report::default(), "the next report is the end of the command");
    agent.hear(Event::Answered(answer("1", CommandStatus::Done, "hot")), at(0.0));
    assert_eq!(says(&mut agent, &json!({}), 2.0).unwrap()["command"]["status"], "done");
    assert_eq!(agent.ends(), [answer("1", CommandStatus::Done, "hot")]);
    agent.hear(Event::Answered(answer("1", CommandStatus::Failed, "cold")), at(0.0));
    assert_eq!((agent.ends(), says(&mut agent, &json!({}), 3.0)), (vec![], None), "there is only one final status");
}

#[test]
fn only_the_newest_command_is_answered() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": command("1")})), at(0.0));
    agent.take_delta(&delta(2, &json!({"command": command("2")})), at(0.0));
    begins(&mut agent);
    agent.hear(Event::Answered(answer("2", CommandStatus::Done, "")), at(0.0));
    agent.hear(Event::Answered(answer("1", CommandStatus::Done, "")), at(0.0));
    assert_eq!(says(&mut agent, &json!({}), 0.0).unwrap()["command"]["id"], "2");
    // A repeated request for the older command gets its answer again; the command is not performed again.
    agent.take_delta(&delta(3, &json!({"command": command("1")})), at(0.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(says(&mut agent, &json!({}), 1.0).unwrap()["command"]["id"], "1");
}

#[test]
fn a_command_that_expires_while_it_waits_is_refused() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": command("1")})), at(0.0));
    assert_eq!(agent.next(&Map::new(), Moment { now: NOW + 60, uptime: Duration::ZERO }), None);
    assert_eq!(agent.newest_answer(), Some(&answer("1", CommandStatus::Refused, "it came too late")));
    assert_eq!(agent.ends(), [], "a command that was never begun has no end for the journal");
}

#[test]
fn a_device_without_a_clock_uses_the_time_in_the_message() {
    let mut agent = agent();
    let late = json!({"version": 1, "timestamp": NOW + 61, "state": {"command": command("1")}});
    agent.take_delta(&late, Moment { now: 12, uptime: Duration::ZERO });
    assert_eq!(agent.newest_answer(), Some(&answer("1", CommandStatus::Refused, "it came too late")));
}

#[test]
fn too_many_commands_at_once_are_refused() {
    let mut agent = agent();
    for number in 1..=65 {
        agent.take_delta(&delta(number, &json!({"command": command(&number.to_string())})), at(0.0));
    }
    assert_eq!(agent.newest_answer(), Some(&answer("65", CommandStatus::Refused, "too much is wanted at once")));
    assert_eq!(begins(&mut agent).len(), 64);
}

#[test]
fn a_property_that_has_the_desired_value_is_not_set() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"power": "ON"})), at(0.0));
    let so = json!({"power": "ON"}).as_object().unwrap().clone();
    assert_eq!(agent.next(&so, at(0.0)), None);
    assert_eq!(says(&mut agent, &json!({"power": "ON"}), 0.0), Some(json!({"power": "ON"})));
}

#[test]
fn a_property_that_was_not_set_is_set_when_it_is_requested_again() {
    let mut agent = agent();
    let request = |version, timestamp: u64| {
        let metadata = json!({"power": {"timestamp": timestamp}});
        json!({"version": version, "timestamp": NOW, "state": {"power": "ON"}, "metadata": metadata})
    };
    agent.take_delta(&request(1, 7), at(0.0));
    agent.take_delta(&request(2, 7), at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"ON\""]);
    agent.take_delta(&request(3, 8), at(0.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new(), "the order is in progress");
    was_tried(&mut agent, "power", json!("ON"));
    assert_eq!(says(&mut agent, &json!({}), 0.0), None, "the property is not reported");
    agent.take_delta(&request(4, 7), at(0.0));
    assert_eq!(begins(&mut agent), Vec::<String>::new(), "every report causes a delta with the same request");
    agent.take_delta(&request(5, 9), at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"ON\""]);
    was_tried(&mut agent, "power", json!("ON"));
    agent.take_delta(&delta(6, &json!({"power": "ON"})), at(0.0));
    assert_eq!(begins(&mut agent), ["power=\"ON\""], "a request without a timestamp counts as new");
    was_tried(&mut agent, "power", json!("ON"));
    agent.connection_lost();
    assert_eq!(agent.take_shadow(&shadow(6, &json!({"delta": {"power": "ON"}})), at(0.0)), None);
    assert_eq!(begins(&mut agent), ["power=\"ON\""], "the property is set again with the next connection");
}

#[test]
fn a_waiting_request_is_replaced_by_a_newer_delta() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"power": "OFF", "light": 1})), at(0.0));
    agent.take_delta(&delta(2, &json!({"light": 2})), at(0.0));
    assert_eq!(begins(&mut agent), ["light=2"], "a property that is missing in the delta is no longer requested");
}

#[test]
fn a_waiting_request_is_revoked_by_an_update_without_a_delta() {
    let mut agent = agent();
    let update = |version: u64, desired: Value| json!({"version": version, "state": {"desired": desired}});
    agent.take_delta(&delta(3, &json!({"pump": "ON", "light": 1, "command": command("1")})), at(0.0));
    agent.take_update(&update(2, json!({"light": 0})), at(0.0));
    agent.take_update(&update(3, json!({"pump": "ON", "light": 1})), at(0.0));
    agent.take_update(&update(4, json!({"pump": "OFF"})), at(0.0));
    assert_eq!(begins(&mut agent), ["light=1", "1"]);
    agent.take_delta(&delta(5, &json!({"pump": "ON"})), at(0.0));
    assert_eq!(begins(&mut agent), ["pump=\"ON\""]);
}

#[test]
fn an_answer_is_reported_without_a_delay() {
    let mut agent = agent();
    assert_eq!(says(&mut agent, &json!({"progress": 1}), 0.0), Some(json!({"progress": 1})));
    assert_eq!(says(&mut agent, &json!({"progress": 2}), 0.1), None);
    agent.take_delta(&delta(1, &json!({"command": command("a")})), at(0.2));
    assert_eq!(begins(&mut agent), ["a"]);
    agent.hear(Event::Answered(answer("a", CommandStatus::Done, "hot")), at(0.0));
    let said = says(&mut agent, &json!({"progress": 2}), 0.2).unwrap();
    assert_eq!((&said["command"]["status"], &said["progress"]), (&json!("done"), &json!(2)));
}

#[test]
fn a_rejected_report_is_repeated_completely_with_growing_delays() {
    let mut agent = Agent::new(Some("c".repeat(64)), []);
    let past = agent.take_no_shadow(at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    let so = json!({"status": "idle"});
    assert!(says(&mut agent, &so, 0.0).is_some());
    let mut now = 1.0;
    for wait in [5.0, 10.0, 20.0, 40.0] {
        agent.was_refused(at(now));
        let again = agent.report(so.as_object().unwrap().clone(), at(now));
        assert_eq!(again, Report { again_at: Some(Duration::from_secs_f64(now + wait)), ..Report::default() });
        now += wait;
        assert_eq!(says(&mut agent, &so, now), Some(json!({"status": "idle", "certificateId": "c".repeat(64), "commandQueue": true})));
    }
    agent.was_refused(at(now + 1_000.0));
    let again = agent.report(so.as_object().unwrap().clone(), at(now + 1_000.0)).again_at;
    assert_eq!(again, Some(Duration::from_secs_f64(now + 1_005.0)), "an accepted update in between resets the delay");
}

#[test]
fn reserved_properties_of_a_body_are_not_reported() {
    let mut agent = agent();
    assert_eq!(says(&mut agent, &json!({"command": 1, "certificateId": 2, "x": 3}), 0.0), Some(json!({"x": 3})));
    agent.renew(Some("new".to_owned()));
    assert_eq!(says(&mut agent, &json!({"x": 3}), 1.0), Some(json!({"certificateId": "new"})));
}

#[test]
fn an_aborted_command_has_failed_and_is_not_performed_again() {
    let journal = || [("1".to_owned(), Some(answer("1", CommandStatus::Done, ""))), ("2".to_owned(), None)];
    let stopped = answer("2", CommandStatus::Failed, "the device stopped while it was at work");
    for reported in [json!({}), json!({"command": {"id": "1", "status": "done"}}), json!({"command": {"id": "2", "status": "accepted"}})] {
        let mut agent = after(journal(), &json!({"reported": reported, "delta": {"command": command("2")}}));
        assert_eq!(begins(&mut agent), Vec::<String>::new());
        assert_eq!(says(&mut agent, &json!({}), 0.0).unwrap()["command"], json!(stopped));
        assert_eq!(agent.ends(), std::slice::from_ref(&stopped));
    }
    // The end was reported, but not written to the journal.
    let told = json!({"reported": {"command": {"id": "2", "status": "done", "detail": "hot"}}});
    let mut agent = after(journal(), &told);
    assert_eq!((says(&mut agent, &json!({}), 0.0), agent.newest_answer()), (None, Some(&answer("2", CommandStatus::Done, "hot"))));
}

#[test]
fn an_end_in_the_journal_that_was_not_reported_is_reported() {
    let end = answer("1", CommandStatus::Done, "hot");
    let state = json!({"reported": {"command": {"id": "1", "status": "accepted"}}, "delta": {"command": command("1")}});
    let mut agent = after([("1".to_owned(), Some(end.clone()))], &state);
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(says(&mut agent, &json!({}), 0.0).unwrap()["command"], json!(end));
    assert_eq!(agent.ends(), []);
}

#[test]
fn without_a_journal_the_shadow_is_the_record() {
    let reported = json!({"command": {"id": "1", "status": "strange"}});
    let mut agent = after([], &json!({"reported": reported, "delta": {"command": command("1")}}));
    assert_eq!(begins(&mut agent), Vec::<String>::new());
    assert_eq!(agent.newest_answer(), Some(&answer("1", CommandStatus::Done, "")));
}

#[test]
fn a_body_may_continue_a_command() {
    let mut agent = Agent::new(None, [("1".to_owned(), None), ("2".to_owned(), None)]);
    let past = agent.take_shadow(&shadow(1, &json!({"reported": {"x": 1}, "desired": {"y": 2}})), at(0.0)).unwrap();
    assert_eq!(past.open, ["1", "2"]);
    assert_eq!((&past.reported["x"], &past.desired["y"]), (&json!(1), &json!(2)));
    agent.remembered(&past, Some("2"), at(0.0));
    agent.hear(Event::Answered(answer("2", CommandStatus::Done, "hot")), at(0.0));
    let ends = agent.ends();
    assert_eq!(ends[0].status, CommandStatus::Failed);
    assert_eq!(ends[1], answer("2", CommandStatus::Done, "hot"));
}
