use serde_json::json;

use super::*;
use crate::agent::{Agent, Moment};

pub(super) const NOW: u64 = 1_795_305_600;
const TICK: Duration = Duration::from_millis(250);

pub(super) fn print_order(id: &str, model: &str, copies: u64) -> Value {
    json!({"id": id, "name": "print", "args": {"model": model, "copies": copies}, "issuedAt": NOW, "expiresAt": NOW + 60})
}

pub(super) fn plainly(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "args": {}, "issuedAt": NOW, "expiresAt": NOW + 60})
}

/// A printer, its agent, and its shadow, as a broker would store it.
pub(super) struct Bench {
    pub(super) agent: Agent,
    pub(super) machine: Machine,
    pub(super) shadow: Value,
    pub(super) version: u64,
    pub(super) reports: Vec<Map<String, Value>>,
    pub(super) notes: Vec<String>,
    pub(super) moment: Moment,
}

impl Bench {
    pub(super) fn plugged_in(shadow: Value, version: u64) -> Self {
        Self {
            agent: Agent::new(Some("c".repeat(64)), []),
            machine: Machine::default(),
            shadow,
            version,
            reports: Vec::new(),
            notes: Vec::new(),
            moment: Moment { now: NOW, uptime: Duration::ZERO },
        }
    }

    /// A printer that is connected to an empty shadow and has reported everything.
    pub(super) fn new() -> Self {
        let mut bench = Self::plugged_in(json!({}), 1);
        let past = bench.agent.take_no_shadow(bench.moment);
        bench.remember(past);
        bench.wait(1.0);
        bench
    }

    fn remember(&mut self, past: Option<Past>) {
        if let Some(past) = past {
            let goes_on = self.machine.remember(&past);
            self.agent.remembered(&past, goes_on.as_deref(), self.moment);
        }
    }

    pub(super) fn reads(&mut self, document: &Value) {
        let past = self.agent.take_shadow(document, self.moment);
        self.remember(past);
    }

    pub(super) fn wants(&mut self, state: &Value) {
        self.version += 1;
        self.hears(&json!({"version": self.version, "timestamp": NOW, "state": state}));
    }

    pub(super) fn hears(&mut self, message: &Value) {
        self.agent.take_delta(message, self.moment);
        self.work(Duration::ZERO);
    }

    pub(super) fn commands(&mut self, command: &Value) {
        self.wants(&json!({"command": command}));
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        let mut left = Duration::from_secs_f64(seconds);
        while !left.is_zero() {
            self.work(TICK);
            let report = self.agent.report(self.machine.properties(), self.moment).reported;
            for (name, value) in report.iter().flatten() {
                self.shadow[name] = value.clone();
            }
            self.reports.extend(report);
            left = left.saturating_sub(TICK);
        }
    }

    fn work(&mut self, elapsed: Duration) {
        while let Some(order) = self.agent.next(&self.machine.properties(), self.moment) {
            self.machine.begin(order);
        }
        self.machine.tick(elapsed);
        self.moment.uptime += elapsed;
        self.machine.events().into_iter().for_each(|event| self.agent.hear(event, self.moment));
        self.notes.extend(self.agent.notes());
    }

    fn says(&self, name: &str) -> &Value {
        &self.shadow[name]
    }

    pub(super) fn answer(&self) -> (&str, &str, &str) {
        let field = |name: &str| self.shadow["command"][name].as_str().unwrap_or_default();
        (field("id"), field("status"), field("detail"))
    }

    /// Another device with the same bundle, which has no other state than the shadow.
    fn after_a_power_failure(&self, desired: &Value) -> Self {
        let mut bench = Self::plugged_in(self.shadow.clone(), self.version);
        let delta = json!({"command": desired["command"]});
        let state = json!({"desired": desired, "reported": self.shadow, "delta": delta});
        bench.reads(&json!({"version": self.version, "state": state}));
        bench
    }
}

#[test]
fn after_a_disconnection_the_old_print_is_cancelled_and_the_new_one_printed() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(8.0);
    bench.agent.connection_lost();
    bench.wait(1.0);
    let mut waiting = json!({"1": print_order("1", "vase", 1), "2": plainly("2", "cancel"), "3": print_order("3", "frog", 1)});
    for (order, id) in ["1", "2", "3"].iter().enumerate() {
        waiting[*id]["order"] = json!(order + 1);
    }
    let desired = json!({"command": print_order("3", "frog", 1), "commands": waiting});
    let state = json!({"desired": desired, "reported": bench.shadow, "delta": desired});
    bench.reads(&json!({"version": bench.version + 1, "timestamp": NOW, "state": state}));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("3", "accepted", "frog is being printed"));
    assert_eq!((bench.says("status"), bench.says("model")), (&json!("printing"), &json!("frog")));
    let ends: Vec<_> = bench.agent.ends().into_iter().map(|end| (end.id, end.status, end.detail)).collect();
    let ended = |id: &str, status| (id.to_owned(), status, "cancelled".to_owned());
    assert_eq!(ends, [ended("1", CommandStatus::Failed), ended("2", CommandStatus::Done)]);
    assert_eq!(bench.says("failures"), &Value::Null, "a cancellation is not a failure");
}

#[test]
fn a_print_heats_up_progresses_and_is_done() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("1", "accepted", "vase is being printed"));
    assert_eq!((bench.says("status"), bench.says("progress"), bench.says("model")), (&json!("printing"), &json!(0), &json!("vase")));
    bench.wait(9.0);
    let half = bench.says("progress").as_u64().unwrap();
    assert!((20..80).contains(&half), "{half}");
    assert_eq!((bench.says("nozzle"), bench.says("bed")), (&json!(200), &json!(60)));
    bench.wait(12.0);
    assert_eq!(bench.answer(), ("1", "done", "vase is printed"));
    assert_eq!((bench.says("status"), bench.says("progress")), (&json!("idle"), &json!(100)));
    bench.wait(60.0);
    assert_eq!((bench.says("nozzle"), bench.says("bed")), (&json!(21), &json!(21)), "it cools down");
}

#[test]
fn copies_are_printed_one_after_the_other() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "cup", 3));
    bench.wait(2.5);
    let mut copies = Vec::new();
    for _ in 0..60 {
        copies.push(bench.machine.shown().copy);
        bench.wait(1.0);
    }
    copies.dedup();
    assert_eq!(copies, [1, 2, 3]);
    assert_eq!(bench.answer(), ("1", "done", "3 times cup is printed"));
}

#[test]
fn a_slow_printer_takes_five_times_as_long() {
    let mut bench = Bench::new();
    bench.machine.be_slow(true);
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(90.0);
    assert_eq!(bench.says("status"), "printing");
    bench.wait(20.0);
    assert_eq!(bench.answer().1, "done");
}

#[test]
fn pause_resume_and_cancel_change_the_status() {
    let mut bench = Bench::new();
    bench.commands(&plainly("1", "pause"));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("1", "refused", "nothing is printed"));
    bench.commands(&print_order("2", "vase", 1));
    bench.wait(8.0);
    bench.commands(&plainly("3", "pause"));
    bench.wait(1.0);
    assert_eq!((bench.answer(), bench.says("status")), (("3", "done", "paused"), &json!("paused")));
    let stands = bench.says("progress").clone();
    bench.wait(60.0);
    assert_eq!(bench.says("progress"), &stands);
    bench.commands(&print_order("4", "cup", 1));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("4", "refused", "the printer is busy"));
    bench.commands(&plainly("5", "resume"));
    bench.wait(1.0);
    assert_eq!(bench.says("status"), "printing");
    bench.commands(&plainly("6", "cancel"));
    bench.wait(1.0);
    assert_eq!((bench.answer(), bench.says("status")), (("6", "done", "cancelled"), &json!("idle")));
    assert_eq!(bench.says("progress"), 0);
}

#[test]
fn the_end_of_a_print_does_not_replace_a_newer_answer() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(5.0);
    bench.commands(&plainly("2", "pause"));
    bench.commands(&plainly("3", "resume"));
    bench.wait(60.0);
    assert_eq!((bench.answer(), bench.says("status")), (("3", "done", "resumed"), &json!("idle")));
}

#[test]
fn a_property_is_reported_with_the_exact_desired_value() {
    let mut bench = Bench::new();
    bench.wants(&json!({"nozzleTarget": 200.0, "bedTarget": 60, "power": "ON"}));
    bench.wait(10.0);
    assert_eq!(bench.says("nozzleTarget").to_string(), "200.0");
    assert_eq!((bench.says("bedTarget"), bench.says("nozzle"), bench.says("power")), (&json!(60), &json!(200), &json!("ON")));
    bench.wants(&json!({"nozzleTarget": 301, "bedTarget": "hot", "power": "MAYBE", "colour": "red"}));
    bench.wait(1.0);
    assert_eq!(bench.says("nozzleTarget").to_string(), "200.0", "an invalid value stays a delta");
    assert_eq!((bench.says("power"), bench.says("colour")), (&json!("ON"), &json!(null)));
    assert!(bench.notes.contains(&"has no colour to be set".to_owned()));
}

#[test]
fn power_off_discards_a_print_and_refuses_the_next() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(5.0);
    bench.wants(&json!({"power": "OFF"}));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("1", "failed", "the printer was switched off"));
    assert_eq!((bench.says("status"), bench.says("power")), (&json!("idle"), &json!("OFF")));
    bench.commands(&print_order("2", "vase", 1));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("2", "refused", "the printer is switched off"));
    bench.wants(&json!({"power": "ON", "command": print_order("3", "vase", 1)}));
    bench.wait(1.0);
    assert_eq!(bench.answer().1, "accepted", "the printer is switched on before the print command");
}

#[test]
fn without_filament_prints_fail_until_the_printer_is_repaired() {
    let mut bench = Bench::new();
    bench.machine.fail(true);
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(10.0);
    assert_eq!((bench.answer(), bench.says("status")), (("1", "failed", "the filament has run out"), &json!("error")));
    bench.commands(&print_order("2", "vase", 1));
    bench.wait(1.0);
    assert_eq!(bench.answer().1, "refused");
    bench.machine.fail(false);
    bench.wait(1.0);
    assert_eq!(bench.says("status"), "idle");
    bench.commands(&print_order("3", "vase", 1));
    bench.wait(30.0);
    assert_eq!(bench.answer().1, "done");
}

#[test]
fn a_command_needs_an_expiry_in_the_future() {
    for (end, status) in [(json!(NOW + 1), "accepted"), (json!(NOW), "refused"), (json!(null), "refused"), (json!("later"), "refused")] {
        let mut bench = Bench::new();
        let mut command = print_order("1", "vase", 1);
        command["expiresAt"] = end;
        bench.commands(&command);
        bench.wait(1.0);
        assert_eq!(bench.answer().1, status);
    }
}

#[test]
fn invalid_print_commands_are_refused() {
    for (args, why) in [
        (json!({}), "it does not say what to print"),
        (json!({"model": "x".repeat(65)}), "it does not say what to print"),
        (json!({"model": "vase", "copies": 0}), "it does not say how many"),
        (json!({"model": "vase", "copies": 21}), "it does not say how many"),
        (json!({"model": "vase", "copies": "many"}), "it does not say how many"),
    ] {
        let mut bench = Bench::new();
        bench.commands(&json!({"id": "1", "name": "print", "args": args, "expiresAt": NOW + 1}));
        bench.wait(1.0);
        assert_eq!(bench.answer(), ("1", "refused", why));
    }
    let mut bench = Bench::new();
    bench.commands(&plainly("1", "dance"));
    bench.wait(1.0);
    assert_eq!(bench.answer(), ("1", "refused", "the printer cannot do this"));
}

#[test]
fn a_delta_without_an_id_or_of_an_old_version_is_ignored() {
    let mut bench = Bench::new();
    bench.commands(&json!({"name": "print", "args": {"model": "vase"}, "expiresAt": NOW + 60}));
    bench.version -= 1;
    bench.commands(&print_order("1", "vase", 1));
    bench.version -= 1;
    bench.wants(&json!({"power": "OFF"}));
    bench.wait(1.0);
    assert_eq!((bench.answer().0, bench.says("power")), ("", &json!("ON")));
}

#[test]
fn reports_are_limited_to_two_per_second_and_to_changes() {
    let mut bench = Bench::new();
    bench.reports.clear();
    bench.wait(30.0);
    assert_eq!(bench.reports, [], "an idle printer reports nothing");
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(20.0);
    assert!(bench.reports.len() <= 41, "{}", bench.reports.len());
    assert!(bench.reports.iter().skip(1).all(|report| !report.contains_key("model")));
}

#[test]
fn changes_while_disconnected_are_reported_with_the_next_connection() {
    let mut bench = Bench::new();
    bench.commands(&print_order("1", "vase", 1));
    bench.wait(5.0);
    bench.agent.connection_lost();
    bench.reports.clear();
    bench.wait(30.0);
    assert_eq!((bench.reports.len(), bench.answer().1), (0, "accepted"));
    let state = json!({"reported": bench.shadow, "desired": {"command": print_order("1", "vase", 1)}});
    bench.reads(&json!({"version": 1, "state": state}));
    bench.wait(1.0);
    assert_eq!((bench.answer().1, bench.says("progress")), ("done", &json!(100)));
}

#[test]
fn after_a_power_failure_a_print_continues_and_nothing_is_repeated() {
    let mut before = Bench::new();
    before.wants(&json!({"nozzleTarget": 210, "command": print_order("1", "vase", 2)}));
    before.wait(25.0);
    let stood = before.says("progress").as_u64().unwrap();
    let mut after = before.after_a_power_failure(&json!({"command": print_order("1", "vase", 2)}));
    assert_eq!((after.machine.shown().copies, after.machine.shown().status), (2, Status::Printing));
    after.wait(1.0);
    assert!(after.says("progress").as_u64().unwrap().abs_diff(stood) <= 1);
    assert_eq!(after.says("nozzleTarget"), 210);
    after.wait(30.0);
    assert_eq!(after.answer(), ("1", "done", "2 times vase is printed"));
    let mut again = after.after_a_power_failure(&json!({"command": print_order("1", "vase", 2)}));
    again.wait(5.0);
    assert_eq!((again.says("status"), again.answer().1), (&json!("idle"), "done"));
}

#[test]
fn an_accepted_print_that_was_never_begun_has_failed() {
    let mut before = Bench::new();
    before.commands(&print_order("1", "vase", 1));
    before.wait(1.0);
    before.shadow["status"] = json!("idle");
    let mut after = before.after_a_power_failure(&json!({"command": print_order("1", "vase", 1)}));
    after.wait(1.0);
    assert_eq!(after.answer(), ("1", "failed", "the device stopped while it was at work"));
}
