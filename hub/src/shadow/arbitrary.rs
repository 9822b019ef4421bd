//! Strategies for states and changes in tests. They use few names, so that states and changes overlap.

use proptest::prelude::*;
use serde_json::Value;

/// A JSON object. With `nulls` it can contain `null`, except in arrays, and is a change.
pub(super) fn object(nulls: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from), "[a-z]{0,4}".prop_map(Value::from)];
    let list = prop::collection::vec(leaf.clone(), 0..3).prop_map(Value::from);
    let null = Just(Value::Null).boxed();
    let scalar = if nulls { prop_oneof![4 => leaf, 1 => list, 1 => null].boxed() } else { prop_oneof![4 => leaf, 1 => list].boxed() };
    let fields = |value: BoxedStrategy<Value>| prop::collection::btree_map("[a-d]", value, 0..4);
    let nested = scalar.prop_recursive(4, 24, 4, move |inner| fields(inner).prop_map(|map| Value::Object(map.into_iter().collect())));
    prop::collection::btree_map("[a-d]", nested, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Any JSON value, including values that a shadow must not contain.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,70}".prop_map(Value::from),
    ];
    leaf.prop_recursive(12, 48, 4, |inner| {
        let name = prop_oneof![Just("state"), Just("desired"), Just("reported"), Just("version"), Just("clientToken"), Just("a")];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}
