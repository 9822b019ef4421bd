//! The shadow against AWS IoT's documents, and against what must hold for all updates.

use proptest::prelude::*;

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
fn arrays_are_replaced_whole() {
    check(&[report(json!({"a": [1, 2, 3]})), report(json!({"a": [4]}))], &json!({"reported": {"a": [4]}}));
}

#[test]
fn a_value_and_an_object_replace_each_other() {
    check(&[report(json!({"a": 1})), report(json!({"a": {"b": 2}}))], &json!({"reported": {"a": {"b": 2}}}));
    check(&[report(json!({"a": {"b": 2}})), report(json!({"a": 1}))], &json!({"reported": {"a": 1}}));
}

#[test]
fn the_delta_holds_the_path_to_what_differs() {
    let reported = json!({"color": "blue", "engine": {"on": true, "gear": 1}, "own": 1});
    let document = after(&[desire(json!({"color": "red", "engine": {"on": true, "gear": 2}})), report(reported)]);
    assert_eq!(Value::Object(document.delta()), json!({"color": "red", "engine": {"gear": 2}}));
}

#[test]
fn metadata_tells_when_each_value_was_written() {
    let document = after(&[report(json!({"a": 1, "b": {"c": 1}, "l": [1, 2]})), report(json!({"b": {"d": 2}})), desire(json!({"a": 2}))]);
    let at = |second: u64| json!({"timestamp": second});
    assert_eq!(
        document.read(9),
        json!({
            "state": {"desired": {"a": 2}, "reported": {"a": 1, "b": {"c": 1, "d": 2}, "l": [1, 2]}, "delta": {"a": 2}},
            "metadata": {"desired": {"a": at(3)}, "reported": {"a": at(1), "b": {"c": at(1), "d": at(2)}, "l": [at(1), at(1)]}},
            "version": 3,
            "timestamp": 9,
        })
    );
}

#[test]
fn a_version_must_be_the_present_one() {
    let versioned = |version: Value| json!({"state": {"reported": {"a": 1}}, "version": version});
    let mut document = after(&[versioned(json!(0)), versioned(json!(1)), report(json!({}))]);
    assert_eq!(document.update(&versioned(json!(2)), 1), Err(Rejected::Conflict));
    assert_eq!(document.update(&versioned(json!("3")), 1), Err(Rejected::Invalid("has a version that is no number")));
    assert_eq!(document.update(&versioned(json!(3)), 1), Ok(()));
    assert_eq!(Document::default().update(&versioned(json!(1)), 1), Err(Rejected::Conflict));
}

fn refuses(update: &Value, rejected: &Rejected) {
    let mut document = after(&[report(json!({"a": 1}))]);
    assert_eq!(document.update(update, 2).as_ref(), Err(rejected), "{update}");
    assert_eq!(document, after(&[report(json!({"a": 1}))]), "changed by {update}");
}

#[test]
fn what_is_no_update_is_refused_and_changes_nothing() {
    for update in [json!(null), json!([]), json!({}), json!({"state": 1}), json!({"state": null})] {
        refuses(&update, &Rejected::Invalid("has no state"));
    }
    refuses(&report(json!([])), &Rejected::Invalid("has a section that is no object"));
    refuses(&json!({"state": {"reported": {"b": 1}, "wanted": {}}}), &Rejected::Invalid("has a state other than desired and reported"));
    refuses(&report(json!({"b": {"c": [1, {"d": null}]}})), &Rejected::Invalid("has a null in an array"));
}

#[test]
fn eight_levels_are_the_limit() {
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"n": inner}));
    assert_eq!(Document::default().update(&desire(nested(8)), 1), Ok(()));
    refuses(&desire(nested(9)), &Rejected::Invalid("has too many levels"));
    refuses(&desire(json!({"list": [nested(8)]})), &Rejected::Invalid("has too many levels"));
}

#[test]
fn eight_kilobytes_are_the_limit_for_both_sections_together() {
    let text = |length: usize| json!({"t": "x".repeat(length)});
    let frame = json!({"desired": {"t": ""}, "reported": {"t": ""}}).to_string().len();
    let mut document = after(&[desire(text(4_000))]);
    assert_eq!(document.update(&report(text(8_192 - frame - 4_000 + 1)), 2), Err(Rejected::TooLarge));
    assert_eq!(document.update(&report(text(8_192 - frame - 4_000)), 2), Ok(()));
}

/// Few names, so that updates meet; `null` only where it may be.
fn object(nulls: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from), "[a-z]{0,4}".prop_map(Value::from)];
    let list = prop::collection::vec(leaf.clone(), 0..3).prop_map(Value::from);
    let null = Just(Value::Null).boxed();
    let scalar = if nulls { prop_oneof![4 => leaf, 1 => list, 1 => null].boxed() } else { prop_oneof![4 => leaf, 1 => list].boxed() };
    let fields = |value: BoxedStrategy<Value>| prop::collection::btree_map("[a-d]", value, 0..4);
    let nested = scalar.prop_recursive(4, 24, 4, move |inner| fields(inner).prop_map(|map| Value::Object(map.into_iter().collect())));
    prop::collection::btree_map("[a-d]", nested, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Metadata has the names of the state, and a second at each leaf.
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
    fn the_delta_is_gone_when_the_device_reports_what_is_desired(desired in object(false), before in object(false)) {
        let mut document = after(&[report(before), desire(desired.clone())]);
        document.update(&report(desired), 9).unwrap();
        prop_assert_eq!(document.delta(), Map::new());
    }

    #[test]
    fn the_delta_is_gone_when_the_device_reports_the_delta(desired in object(false), reported in object(false)) {
        let mut document = after(&[report(reported), desire(desired)]);
        document.update(&report(Value::Object(document.delta())), 9).unwrap();
        prop_assert_eq!(document.delta(), Map::new());
    }

    #[test]
    fn an_update_taken_twice_leaves_the_state_of_one(before in object(false), change in object(true)) {
        let once = after(&[report(before.clone()), report(change.clone())]);
        let twice = after(&[report(before), report(change.clone()), report(change)]);
        prop_assert_eq!(once.state(), twice.state());
    }

    #[test]
    fn the_last_of_two_updates_wins(first in object(true), last in object(false)) {
        let document = after(&[desire(first), desire(last.clone()), report(last)]);
        let reported = &document.reported.values;
        prop_assert!(delta(reported, document.desired()).is_empty());
    }

    #[test]
    fn metadata_mirrors_the_state(updates in prop::collection::vec(object(true), 1..4)) {
        let updates: Vec<Value> = updates.into_iter().map(report).collect();
        let document = after(&updates).read(9);
        prop_assert!(mirrors(&document["state"], &document["metadata"]), "{document}");
        prop_assert_eq!(&document["version"], &json!(updates.len()));
    }

    #[test]
    fn the_sections_do_not_touch_each_other(desired in object(true), reported in object(true)) {
        let both = after(&[desire(desired.clone()), report(reported.clone())]);
        prop_assert_eq!(both.desired.values, after(&[desire(desired)]).desired.values);
        prop_assert_eq!(both.reported.values, after(&[report(reported)]).reported.values);
    }
}
