//! Property tests with random sequences of orders: a command is performed once, and every report is valid for the device model.

use onething::device_model::{Model, ValueKind};
use proptest::prelude::*;
use serde_json::json;

use super::tests::{Bench, NOW, plainly, print_order};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Command { id: u8, name: &'static str, expired: bool },
    Again,
    Set(Value),
    Wait(f64),
    Fail(bool),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let names = prop::sample::select(vec!["print", "print", "print", "pause", "resume", "cancel", "dance"]);
    prop_oneof![
        4 => (0_u8..8, names, prop::bool::weighted(0.2)).prop_map(|(id, name, expired)| Step::Command { id, name, expired }),
        2 => Just(Step::Again),
        1 => prop::sample::select(vec![
            json!({"power": "OFF"}), json!({"power": "ON"}), json!({"nozzleTarget": 250.5}), json!({"bedTarget": -1}), json!({"x": null}),
        ]).prop_map(Step::Set),
        4 => (0.25..40.0).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => Just(Step::Reconnect),
    ]
}

fn is_valid(model: &Model, name: &str, value: &Value) -> bool {
    match (name, model.properties.get(name).map(|property| &property.kind)) {
        ("command", _) => ["accepted", "done", "refused", "failed"].iter().any(|status| value["status"] == **status),
        ("certificateId", _) => value.is_string(),
        ("commandQueue", _) => value == true,
        ("failures", _) => {
            let failures: Vec<_> = value.as_object().into_iter().flat_map(Map::values).filter(|failure| !failure.is_null()).collect();
            failures.len() <= 8 && failures.iter().all(|failure| failure["at"].is_u64() && failure.to_string().len() < 800)
        }
        (_, Some(ValueKind::Switch)) => value == "ON" || value == "OFF",
        (_, Some(ValueKind::Choice { values })) => values.iter().any(|known| value == known),
        (_, Some(ValueKind::Text { max_length })) => value.as_str().is_some_and(|text| text.chars().count() <= *max_length),
        (_, Some(ValueKind::Number { min, max, whole, .. })) => {
            value.as_f64().is_some_and(|n| n >= *min && n <= *max) && (!whole || value.is_u64())
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_command_is_performed_once_and_every_report_fits_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let model = Model::parse(Model::SAMPLE).unwrap();
        let mut bench = Bench::new();
        let mut last = json!(null);
        let (mut answers, mut expired_ids) = (Vec::<(String, String)>::new(), Vec::new());
        let mut starts = 0;
        for step in steps {
            match step {
                Step::Command { id, name, expired } => {
                    // The same id always belongs to the same command.
                    let id = format!("{id}{name}{expired}");
                    last = if name == "print" { print_order(&id, "vase", 2) } else { plainly(&id, name) };
                    if expired {
                        last["expiresAt"] = json!(NOW);
                        expired_ids.push(id);
                    }
                    bench.commands(&last);
                }
                Step::Again => bench.commands(&last),
                Step::Set(state) => bench.wants(&state),
                Step::Wait(seconds) => bench.wait(seconds),
                Step::Fail(fails) => bench.machine.fail(fails),
                Step::Reconnect => {
                    bench.agent.connection_lost();
                    let state = json!({"reported": bench.shadow, "desired": {"command": last}, "delta": {"command": last}});
                    bench.version += 1;
                    bench.reads(&json!({"version": bench.version, "state": state}));
                }
            }
            starts += std::mem::take(&mut bench.notes).iter().filter(|note| note.starts_with("print accepted")).count();
            bench.wait(1.0);
            // A command that is requested again is answered again, but not begun again: see `starts`.
            let (id, status, _) = bench.answer();
            if answers.last().is_none_or(|(i, s)| (i.as_str(), s.as_str()) != (id, status)) {
                answers.push((id.to_owned(), status.to_owned()));
            }
        }
        for report in &bench.reports {
            for (name, value) in report {
                prop_assert!(is_valid(&model, name, value), "{name} {value}");
            }
        }
        let accepted = answers.iter().filter(|(_, status)| status == "accepted");
        let mut ids: Vec<_> = accepted.map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(starts, ids.len(), "a command was begun twice: {:?}", answers);
        for id in expired_ids {
            prop_assert!(answers.iter().filter(|(i, _)| *i == id).all(|(_, status)| status == "refused"));
        }
    }

    #[test]
    fn any_document_is_handled(documents in prop::collection::vec((any::<bool>(), document()), 1..20)) {
        let model = Model::parse(Model::SAMPLE).unwrap();
        let mut bench = Bench::new();
        for (is_delta, document) in documents {
            if is_delta {
                bench.hears(&document);
            } else {
                let reports = std::mem::take(&mut bench.reports);
                bench = Bench { reports, ..Bench::plugged_in(json!({}), 0) };
                bench.reads(&document);
            }
            bench.wait(30.0);
        }
        for (name, value) in bench.reports.iter().flatten() {
            prop_assert!(is_valid(&model, name, value), "{name} {value}");
        }
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let words = ["ON", "OFF", "printing", "paused", "accepted", "print", "", "\u{0}", "vase"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..400_u64).prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    let names = [
        "power",
        "status",
        "model",
        "progress",
        "nozzleTarget",
        "bedTarget",
        "command",
        "commands",
        "failures",
        "id",
        "name",
        "args",
        "copies",
        "expiresAt",
        "at",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let object = prop::collection::hash_map(prop::sample::select(names.to_vec()), inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            object.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    (any::<Option<u8>>(), anything(), anything(), anything()).prop_map(|(version, desired, reported, delta)| {
        let mut state = delta.as_object().cloned().unwrap_or_default();
        state.extend([("desired".to_owned(), desired), ("reported".to_owned(), reported), ("delta".to_owned(), delta)]);
        json!({"version": version, "state": state})
    })
}
