use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::mqtt::broker::topic::{check_filter, matches};

fn sorted(mut found: Vec<(u8, u8)>) -> Vec<(u8, u8)> {
    found.sort_unstable();
    found
}

#[test]
fn subscribing_again_replaces_the_options() {
    let mut index = Subscriptions::new();
    for filter in ["a/b", "a/+", "#"] {
        assert_eq!(index.insert(filter, 1, 0), None);
        assert_eq!(index.insert(filter, 1, 1), Some(0));
        assert_eq!(index.insert(filter, 2, 0), None);
    }
    assert_eq!(index.len(), 6);
}

#[test]
fn overlapping_subscriptions_deliver_once_with_the_greatest_options() {
    let mut index = Subscriptions::new();
    for (filter, options) in [("a/b", 0), ("a/+", 1), ("a/#", 0), ("+/b", 0)] {
        index.insert(filter, 7, options);
    }
    index.insert("#", 8, 0);
    assert_eq!(sorted(index.matching("a/b")), [(7, 1), (8, 0)]);
    let mut visits = 0;
    index.visit("a/b", |_, _| visits += 1);
    assert_eq!(visits, 5);
}

#[test]
fn a_leading_wildcard_does_not_match_reserved_topics() {
    let mut index = Subscriptions::new();
    for (subscriber, filter) in ["#", "+/x", "$aws/#", "$aws/+", "$aws/x"].into_iter().enumerate() {
        index.insert(filter, u8::try_from(subscriber).unwrap(), 0);
    }
    assert_eq!(sorted(index.matching("$aws/x")), [(2, 0), (3, 0), (4, 0)]);
    assert_eq!(sorted(index.matching("b/x")), [(0, 0), (1, 0)]);
}

#[test]
fn remove_all_removes_each_trace_of_a_subscriber() {
    let filters = ["a", "a/+/c", "a/+/#", "+/+", "#", "a/b/c"];
    let mut index = Subscriptions::new();
    for filter in filters {
        index.insert(filter, 1, 0);
    }
    index.insert("a/+/c", 2, 0);
    index.remove_all(1, filters);
    assert_eq!((index.len(), index.matching("a/b/c")), (1, vec![(2, 0)]));
    assert_eq!(index.remove("a/+/c", 2), Some(0));
    assert_eq!(index.remove("a/+/c", 2), None);
    assert!(index.is_empty() && index.wild.is_empty() && index.exact.is_empty());
}

#[test]
fn a_large_number_of_exact_filters_is_matched() {
    let mut index = Subscriptions::new();
    let topic = |device: u32, ending: u32| format!("$aws/things/device-{device}/shadow/update/{ending}");
    for device in 0..5_000 {
        for ending in 0..5 {
            index.insert(&topic(device, ending), device, 1);
        }
    }
    index.insert("$aws/things/+/shadow/#", 5_000, 0);
    assert_eq!(index.len(), 25_001);
    assert_eq!(index.matching(&topic(4_321, 3)), [(4_321, 1), (5_000, 0)]);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String, u8, u8),
    Remove(String, u8),
    RemoveAll(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let filter = || "[ab$+#/]{1,5}".prop_filter("valid", |filter| check_filter(filter).is_ok());
    prop_oneof![
        4 => (filter(), 0..4_u8, 0..2_u8).prop_map(|(filter, subscriber, options)| Step::Insert(filter, subscriber, options)),
        2 => (filter(), 0..4_u8).prop_map(|(filter, subscriber)| Step::Remove(filter, subscriber)),
        1 => (0..4_u8).prop_map(Step::RemoveAll),
    ]
}

proptest! {
    #[test]
    fn the_index_matches_like_a_list_of_filters(
        steps in prop::collection::vec(step(), 0..40), topics in prop::collection::vec("[ab$/]{1,5}", 1..8),
    ) {
        let (mut index, mut model) = (Subscriptions::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Insert(filter, subscriber, options) => {
                    prop_assert_eq!(index.insert(&filter, subscriber, options), model.insert((filter, subscriber), options));
                }
                Step::Remove(filter, subscriber) => prop_assert_eq!(index.remove(&filter, subscriber), model.remove(&(filter, subscriber))),
                Step::RemoveAll(subscriber) => {
                    let filters: Vec<String> = model.keys().filter(|(_, of)| *of == subscriber).map(|(filter, _)| filter.clone()).collect();
                    index.remove_all(subscriber, filters.iter().map(String::as_str));
                    model.retain(|(_, of), _| *of != subscriber);
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
        for topic in topics {
            let mut expected = BTreeMap::new();
            for ((_, subscriber), options) in model.iter().filter(|((filter, _), _)| matches(filter, &topic)) {
                let known = expected.entry(*subscriber).or_insert(*options);
                *known = (*known).max(*options);
            }
            prop_assert_eq!(sorted(index.matching(&topic)), expected.into_iter().collect::<Vec<_>>());
        }
        for (filter, subscriber) in model.keys() {
            index.remove(filter, *subscriber);
        }
        prop_assert!(index.is_empty() && index.wild.is_empty() && index.exact.is_empty());
    }
}
