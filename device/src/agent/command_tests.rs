//! Tests of the queue of commands in the shadow, and of commands that interrupt others.

use super::tests::{NOW, after, agent, answer, at, begins, delta, says};
use super::*;

/// A value of `commands` with these entries: id, name and order.
fn commands(entries: &[(&str, &str, u64)]) -> Value {
    let entry = |(id, name, order): &(&str, &str, u64)| {
        let fields = json!({"name": name, "args": {}, "issuedAt": NOW, "expiresAt": NOW + 60, "order": order});
        ((*id).to_owned(), fields)
    };
    Value::Object(entries.iter().map(entry).collect())
}

/// A value of `desired.command`, which holds the newest command.
fn newest(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "args": {}, "issuedAt": NOW, "expiresAt": NOW + 60})
}

fn ends(agent: &mut Agent, id: &str, status: CommandStatus) {
    agent.hear(Event::Answered(answer(id, status, "")), at(0.0));
}

fn removes(agent: &mut Agent, seconds: f64) -> Vec<String> {
    let report = agent.report(Map::new(), at(seconds));
    let removed = report.desired.get(COMMANDS).and_then(Value::as_object);
    removed.into_iter().flatten().map(|(id, value)| value.is_null().then(|| id.clone()).unwrap()).collect()
}

fn interrupting(entries: &[(&str, &[&str])]) -> Agent {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    agent().with_interrupts(entries.iter().map(|(name, named)| ((*name).to_owned(), names(named))).collect())
}

#[test]
fn waiting_commands_are_begun_once_in_their_order_and_removed() {
    let mut agent = agent();
    let waiting =
        json!({"command": newest("a", "light"), "commands": commands(&[("a", "light", 3), ("c", "cancel", 1), ("b", "print", 2)])});
    agent.take_delta(&delta(1, &waiting), at(0.0));
    agent.take_delta(&delta(2, &waiting), at(0.0));
    assert_eq!(begins(&mut agent), ["c", "b", "a"]);
    ends(&mut agent, "c", CommandStatus::Done);
    assert_eq!(removes(&mut agent, 0.0), ["c"]);
    ends(&mut agent, "b", CommandStatus::Done);
    ends(&mut agent, "a", CommandStatus::Failed);
    assert_eq!(removes(&mut agent, 1.0), ["a", "b"]);
    assert_eq!(removes(&mut agent, 2.0), Vec::<String>::new(), "each is removed once");
}

#[test]
fn a_repeated_older_command_does_not_become_the_newest() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"commands": commands(&[("1", "print", 1)])})), at(0.0));
    agent.take_delta(&delta(2, &json!({"commands": commands(&[("1", "print", 1), ("2", "pause", 2)])})), at(0.0));
    begins(&mut agent);
    ends(&mut agent, "1", CommandStatus::Accepted);
    ends(&mut agent, "2", CommandStatus::Done);
    assert_eq!(removes(&mut agent, 0.0), ["2"]);
    agent.take_delta(&delta(3, &json!({"commands": commands(&[("1", "print", 1)])})), at(1.0));
    assert_eq!(agent.newest_answer().unwrap().id, "2");
}

#[test]
fn expired_refused_and_unreadable_commands_are_removed_as_well() {
    let mut agent = agent();
    let mut waiting = commands(&[("late", "print", 1), ("eternal", "print", 2), ("good", "print", 3)]);
    waiting["late"]["expiresAt"] = json!(NOW - 1);
    waiting["eternal"]["expiresAt"] = Value::Null;
    waiting["torn"] = json!("print");
    agent.take_delta(&delta(1, &json!({"commands": waiting})), at(0.0));
    assert_eq!(begins(&mut agent), ["good"]);
    assert_eq!(removes(&mut agent, 0.0), ["eternal", "late", "torn"]);
}

#[test]
fn entries_of_a_rejected_update_are_removed_by_the_next() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"commands": commands(&[("1", "print", 1)])})), at(0.0));
    begins(&mut agent);
    ends(&mut agent, "1", CommandStatus::Done);
    assert_eq!(removes(&mut agent, 0.0), ["1"]);
    agent.was_refused(at(1.0));
    assert_eq!(removes(&mut agent, 7.0), ["1"]);
}

#[test]
fn a_command_that_is_not_in_the_queue_comes_after_the_queue() {
    let mut agent = agent();
    agent.take_delta(&delta(1, &json!({"command": newest("2", "pause"), "commands": commands(&[("1", "print", 1)])})), at(0.0));
    assert_eq!(begins(&mut agent), ["1", "2"]);
}

#[test]
fn the_queue_continues_after_a_restart() {
    let journal = [("1".to_owned(), Some(answer("1", CommandStatus::Done, ""))), ("2".to_owned(), None)];
    let waiting = commands(&[("1", "print", 1), ("2", "water", 2), ("3", "light", 3)]);
    let state = json!({"desired": {"commands": waiting}, "delta": {"commands": waiting}});
    let mut agent = after(journal, &state);
    assert_eq!(begins(&mut agent), ["3"]);
    assert_eq!(agent.ends(), [answer("2", CommandStatus::Failed, "the device stopped while it was at work")]);
    assert_eq!(removes(&mut agent, 0.0), ["1", "2"]);
}

#[test]
fn without_a_journal_commands_from_before_the_newest_answer_count_as_begun() {
    let waiting = commands(&[("1", "print", 1), ("3", "print", 2)]);
    let state =
        json!({"desired": {"commands": waiting}, "reported": {"command": {"id": "2", "status": "done"}}, "delta": {"commands": waiting}});
    let written = |second: u64| json!({"expiresAt": {"timestamp": second}});
    let metadata = json!({
        "desired": {"commands": {"1": written(NOW - 20), "3": written(NOW - 5)}},
        "reported": {"command": {"id": {"timestamp": NOW - 10}}},
    });
    let document = json!({"version": 5, "timestamp": NOW, "state": state, "metadata": metadata});
    let mut agent = Agent::new(None, []).without_journal();
    let past = agent.take_shadow(&document, at(0.0)).unwrap();
    assert_eq!(past.open, ["1"]);
    assert_eq!(past.command("1").unwrap().name, "print");
    agent.remembered(&past, Some("1"), at(0.0));
    assert_eq!(begins(&mut agent), ["3"]);
}

#[test]
fn the_device_reports_that_it_supports_the_queue() {
    let mut agent = Agent::new(None, []);
    let past = agent.take_no_shadow(at(0.0)).unwrap();
    agent.remembered(&past, None, at(0.0));
    assert_eq!(says(&mut agent, &json!({"commandQueue": 7, "commands": 7, "onboarded": 7}), 0.0), Some(json!({"commandQueue": true})));
}

#[test]
fn an_interrupting_command_ends_the_running_one_and_comes_next() {
    let mut agent = interrupting(&[("stop", &["water"])]);
    agent.take_delta(&delta(1, &json!({"commands": commands(&[("1", "water", 1)])})), at(0.0));
    assert_eq!(begins(&mut agent), ["1"]);
    let waiting = commands(&[("1", "water", 1), ("2", "light", 2), ("3", "water", 3), ("4", "stop", 4), ("5", "water", 5)]);
    agent.take_delta(&delta(2, &json!({"level": 1, "commands": waiting})), at(0.0));
    let stop = || Interruption { id: "1".to_owned(), by: "stop".to_owned() };
    assert_eq!(agent.interruptions(), [stop()]);
    assert_eq!(agent.interruptions(), [], "it is returned once");
    let interrupted = answer("1", CommandStatus::Failed, "interrupted by stop");
    agent.hear(Event::Interrupted(interrupted.clone()), at(0.0));
    assert_eq!(agent.ends(), [interrupted]);
    assert_eq!(begins(&mut agent), ["4", "level=1", "2", "5"], "and no other command is lost");
    let said = says(&mut agent, &json!({}), 0.0).unwrap();
    assert_eq!(said["command"], json!(answer("3", CommandStatus::Refused, "interrupted by stop")));
    assert_eq!(said.get("failures"), None, "an interruption is not a failure");
}

#[test]
fn an_interrupting_command_keeps_its_turn_if_it_interrupts_nothing() {
    let mut agent = interrupting(&[("cancel", &["print"]), ("pause", &["print"])]);
    let waiting = commands(&[("1", "resume", 1), ("2", "pause", 2), ("3", "cancel", 3), ("4", "print", 4)]);
    agent.take_delta(&delta(1, &json!({"commands": waiting})), at(0.0));
    assert_eq!(agent.interruptions(), []);
    assert_eq!(begins(&mut agent), ["1", "2", "3", "4"]);
}

#[test]
fn two_interrupting_commands_come_in_their_order() {
    let mut agent = interrupting(&[("cancel", &["print"]), ("pause", &["print"])]);
    agent.take_delta(&delta(1, &json!({"commands": commands(&[("1", "print", 1)])})), at(0.0));
    begins(&mut agent);
    let waiting = commands(&[("1", "print", 1), ("2", "light", 2), ("3", "pause", 3), ("4", "cancel", 4)]);
    agent.take_delta(&delta(2, &json!({"commands": waiting})), at(0.0));
    assert_eq!(agent.interruptions().len(), 1);
    assert_eq!(begins(&mut agent), ["3", "4", "2"]);
}

#[test]
fn an_expired_command_interrupts_nothing() {
    let mut agent = interrupting(&[("stop", &["water"])]);
    agent.take_delta(&delta(1, &json!({"commands": commands(&[("1", "water", 1)])})), at(0.0));
    begins(&mut agent);
    let mut waiting = commands(&[("1", "water", 1), ("2", "stop", 2)]);
    waiting["2"]["expiresAt"] = json!(NOW);
    agent.take_delta(&delta(2, &json!({"commands": waiting})), at(0.0));
    assert_eq!(agent.interruptions(), []);
}

#[test]
fn a_full_queue_accepts_an_interrupting_command() {
    let mut agent = interrupting(&[("stop", &["water"])]);
    for number in 1..=64 {
        let command = json!({"id": number.to_string(), "name": "light", "expiresAt": NOW + 60});
        agent.take_delta(&delta(number, &json!({"command": command})), at(0.0));
    }
    agent.take_delta(&delta(65, &json!({"command": newest("stop", "stop")})), at(0.0));
    assert!(begins(&mut agent).contains(&"stop".to_owned()));
}
