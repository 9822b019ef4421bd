//! Tests of shadow documents with the AWS IoT documentation, and of properties that hold for all updates.

use proptest::prelude::*;
use serde_json::json;

use super::super::arbitrary::object;
use super::*;

fn after(updates: &[Value]) -> Document {
    let mut document = Document::default();
    for (update, now) in updates.iter().zip(1..) {
        document.update(update, now).unwrap();
    }
    document
}

fn update(section: &str, change: Value) -> Value {
    json!({"state": Value::from_iter([(section, change)])})
}

fn desire(desired: Value) -> Value {
    update("desired", desired)
}

fn report(reported: Value) -> Value {
    update("reported", reported)
}

fn check(updates: &[Value], state: &Value) {
    assert_eq!(&after(updates).read(9)["state"], state, "{updates:?}");
}

#[test]
fn an_update_changes_only_what_it_names() {
    check(
        &[desire(json!({"color": "red", "engine": {"on": true, "gear": 1}})), desire(json!({"engine": {"gear": 2}}))],
        &json!({"desired": {"color": "red", "engine": {"on": true, "gear": 2}},
            "delta": {"color": "red", "engine": {"on": true, "gear": 2}}}),
    );
}

#[test]
fn null_deletes_a_value_or_a_section() {
    check(
        &[report(json!({"a": 1, "b": {"c": 2, "d": 3}})), report(json!({"a": null, "b": {"c": null}}))],
        &json!({"reported": {"b": {"d": 3}}}),
    );
    check(&[report(json!({"a": 1})), desire(json!({"b": 1})), desire(Value::Null)], &json!({"reported": {"a": 1}}));
    check(&[report(json!({"a": null}))], &json!({}));
}

#[test]
fn arrays_are_replaced_completely() {
    check(&[report(json!({"a": [1, 2, 3]})), report(json!({"a": [4]}))], &json!({"reported": {"a": [4]}}));
}

#[test]
fn a_value_and_an_object_replace_each_other() {
    check(&[report(json!({"a": 1})), report(json!({"a": {"b": 2}}))], &json!({"reported": {"a": {"b": 2}}}));
    check(&[report(json!({"a": {"b": 2}})), report(json!({"a": 1}))], &json!({"reported": {"a": 1}}));
}

#[test]
fn the_delta_contains_the_path_to_each_difference() {
    let reported = json!({"color": "blue", "engine": {"on": true, "gear": 1}, "own": 1});
    let document = after(&[desire(json!({"color": "red", "engine": {"on": true, "gear": 2}})), report(reported)]);
    assert_eq!(Value::Object(document.delta()), json!({"color": "red", "engine": {"gear": 2}}));
}

#[test]
fn the_metadata_hold_the_time_of_each_value() {
    let document = after(&[report(json!({"a": 1, "b": {"c": 1}, "l": [1, 2]})), report(json!({"b": {"d": 2}})), desire(json!({"a": 2}))]);
    let at = |second: u64| json!({"timestamp": second});
    assert_eq!(
        document.read(9),
        json!({
            "state": {"desired": {"a": 2}, "reported": {"a": 1, "b": {"c": 1, "d": 2}, "l": [1, 2]}, "delta": {"a": 2}},
            "metadata": {
                "desired": {"a": at(3)},
                "reported": {"a": at(1), "b": {"c": at(1), "d": at(2)}, "l": [at(1), at(1)]},
                "delta": {"a": at(3)},
            },
            "version": 3,
            "timestamp": 9,
        })
    );
}

#[test]
fn the_version_must_be_the_current_one() {
    let versioned = |version: Value| json!({"state": {"reported": {"a": 1}}, "version": version});
    let mut document = after(&[versioned(json!(0)), versioned(json!(1)), report(json!({}))]);
    assert_eq!(document.update(&versioned(json!(2)), 1), Err(Rejected::Conflict));
    assert_eq!(document.update(&versioned(json!("3")), 1), Err(Rejected::InvalidVersion));
    assert_eq!(document.update(&versioned(json!(3)), 1), Ok(()));
    assert_eq!(Document::default().update(&versioned(json!(1)), 1), Err(Rejected::Conflict));
}

fn refuses(update: &Value, rejected: &Rejected) {
    let mut document = after(&[report(json!({"a": 1}))]);
    assert_eq!(document.update(update, 2).as_ref(), Err(rejected), "{update}");
    assert_eq!(document, after(&[report(json!({"a": 1}))]), "changed by {update}");
}

#[test]
fn an_invalid_update_is_rejected_and_changes_nothing() {
    for update in [json!(null), json!([]), json!("state"), json!(1)] {
        refuses(&update, &Rejected::InvalidJson);
    }
    refuses(&json!({}), &Rejected::MissingState);
    refuses(&json!({"state": 1}), &Rejected::StateNotObject);
    refuses(&report(json!([])), &Rejected::ReportedNotObject);
    refuses(&desire(json!("on")), &Rejected::DesiredNotObject);
    refuses(&json!({"state": {"reported": {"b": 1}, "wanted": {}}}), &Rejected::InvalidNode("wanted".into()));
    refuses(&report(json!({"b": {"c": [1, {"d": null}]}})), &Rejected::InvalidNode("c".into()));
    refuses(&json!({"state": {"reported": {"b": 1}, "desired": 1}}), &Rejected::DesiredNotObject);
}

#[test]
fn a_state_of_null_clears_the_shadow_and_an_empty_one_does_not() {
    let full = [report(json!({"a": 1})), desire(json!({"b": 1}))];
    let with = |last: Value| [full.to_vec(), vec![last]].concat();
    check(&with(json!({"state": {}})), &json!({"reported": {"a": 1}, "desired": {"b": 1}, "delta": {"b": 1}}));
    check(&with(json!({"state": null})), &json!({}));
    assert_eq!(after(&with(json!({"state": null}))).version(), 3);
}

#[test]
fn an_object_of_only_deletions_is_not_created() {
    check(&[report(json!({"a": {"b": null}}))], &json!({}));
    check(&[report(json!({"a": {"b": {"c": null}, "d": 1}}))], &json!({"reported": {"a": {"d": 1}}}));
    check(&[report(json!({"a": {}}))], &json!({"reported": {"a": {}}}));
    check(&[report(json!({"a": {"b": 1}})), report(json!({"a": {"b": null}}))], &json!({"reported": {"a": {}}}));
}

#[test]
fn eight_levels_are_the_limit() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"n": inner}));
    assert_eq!(Document::default().update(&desire(nested(8)), 1), Ok(()));
    refuses(&desire(nested(9)), &Rejected::TooDeep);
    refuses(&desire(json!({"list": [nested(8)]})), &Rejected::TooDeep);
    let list = |levels: usize| (0..levels).fold(json!([1]), |inner, _| json!([inner]));
    assert_eq!(Document::default().update(&desire(json!({"list": list(7)})), 1), Ok(()));
    refuses(&desire(json!({"list": list(8)})), &Rejected::TooDeep);
}

#[test]
fn eight_kilobytes_are_the_limit_for_both_sections_together() {
    let text = |length: usize| json!({"t": "x".repeat(length)});
    let frame = json!({"desired": {"t": ""}, "reported": {"t": ""}}).to_string().len();
    let mut document = after(&[desire(text(4_000))]);
    assert_eq!(document.update(&report(text(8_192 - frame - 4_000 + 1)), 2), Err(Rejected::TooLarge));
    assert_eq!(document.update(&report(text(8_192 - frame - 4_000)), 2), Ok(()));
}

/// Whether the metadata have the shape of the state, with a time at each leaf.
fn mirrors(state: &Value, metadata: &Value) -> bool {
    match (state, metadata) {
        (Value::Object(state), Value::Object(metadata)) => {
            state.len() == metadata.len() && state.iter().all(|(name, value)| metadata.get(name).is_some_and(|m| mirrors(value, m)))
        }
        (Value::Array(state), Value::Array(metadata)) => {
            state.len() == metadata.len() && state.iter().zip(metadata).all(|(value, m)| mirrors(value, m))
        }
        (Value::Object(_) | Value::Array(_), _) => false,
        (_, metadata) => metadata["timestamp"].is_u64(),
    }
}

proptest! {
    #[test]
    fn reporting_the_desired_state_clears_the_delta(desired in object(false), before in object(false)) {
        let mut document = after(&[report(before), desire(desired.clone())]);
        document.update(&report(desired), 9).unwrap();
        prop_assert_eq!(document.delta(), Map::new());
    }

    #[test]
    fn reporting_the_delta_clears_the_delta(desired in object(false), reported in object(false)) {
        let mut document = after(&[report(reported), desire(desired)]);
        document.update(&report(Value::Object(document.delta())), 9).unwrap();
        prop_assert_eq!(document.delta(), Map::new());
    }

    #[test]
    fn repeating_an_update_does_not_change_the_state(before in object(false), change in object(true)) {
        let once = after(&[report(before.clone()), report(change.clone())]);
        let twice = after(&[report(before), report(change.clone()), report(change)]);
        prop_assert_eq!(once.reported(), twice.reported());
    }

    #[test]
    fn the_last_of_two_updates_wins(first in object(true), last in object(false)) {
        let document = after(&[desire(first), desire(last.clone()), report(last)]);
        let there_and_back = after(&[desire(Value::Object(document.reported().clone())), report(Value::Object(document.desired().clone()))]);
        prop_assert_eq!(there_and_back.delta(), Map::new());
    }

    #[test]
    fn the_metadata_have_the_shape_of_the_state(updates in prop::collection::vec(object(true), 1..4)) {
        let updates: Vec<Value> = updates.into_iter().map(report).collect();
        let document = after(&updates).read(9);
        prop_assert!(mirrors(&document["state"], &document["metadata"]), "{document}");
        prop_assert_eq!(&document["version"], &json!(updates.len()));
    }

    #[test]
    fn the_sections_are_independent(desired in object(true), reported in object(true)) {
        let both = after(&[desire(desired.clone()), report(reported.clone())]);
        prop_assert_eq!(both.desired.values, after(&[desire(desired)]).desired.values);
        prop_assert_eq!(both.reported.values, after(&[report(reported)]).reported.values);
    }
}
