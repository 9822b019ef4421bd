//! Topic names, topic filters, and the index of subscriptions.
//!
//! Each line is a filter that is subscribed to, or, after a `-`, unsubscribed from. The same lines are the topics of the
//! published messages. The index must find the same subscriptions as a list.

use std::collections::BTreeMap;

use onething_hub::mqtt::broker::subscriptions::Subscriptions;
use onething_hub::mqtt::broker::topic::{Subscription, check_filter, check_name, has_wildcard, matches};
use onething_hub::shadow::topic;

/// The limit of lines; more lines reach no new code.
const LINES: usize = 48;

/// Subscribes, unsubscribes and publishes.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(LINES).collect();
    let (mut index, mut list) = (Subscriptions::new(), BTreeMap::new());
    for (number, line) in lines.iter().enumerate() {
        let (filter, gone) = line.strip_prefix('-').map_or((*line, false), |filter| (filter, true));
        let Ok(subscription) = Subscription::parse(filter) else { continue };
        let filter = subscription.filter();
        assert_eq!(check_filter(filter), Ok(()), "{filter:?}");
        let subscriber = number % 3;
        let (known, listed) = match gone {
            true => (index.remove(filter, subscriber), list.remove(&(filter, subscriber))),
            false => (index.insert(filter, subscriber, number), list.insert((filter, subscriber), number)),
        };
        assert_eq!((known, index.len()), (listed, list.len()), "{line:?}");
    }
    for topic in &lines {
        if let Some((key, operation)) = topic::request(topic) {
            assert_eq!(key.request(operation), *topic);
        }
        if check_name(topic).is_err() {
            continue;
        }
        assert!(!has_wildcard(topic) && check_filter(topic).is_ok() && matches(topic, topic), "{topic:?}");
        let mut expected = BTreeMap::new();
        for ((filter, subscriber), options) in &list {
            if matches(filter, topic) {
                let best = expected.entry(*subscriber).or_insert(*options);
                *best = (*best).max(*options);
            }
        }
        let found = index.matching(topic);
        assert_eq!(found.len(), expected.len(), "{topic:?}");
        assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected, "{topic:?}");
    }
    for ((filter, subscriber), options) in list {
        assert_eq!(index.remove(filter, subscriber), Some(options));
    }
    assert!(index.is_empty());
}
