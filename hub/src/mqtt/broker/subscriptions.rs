//! An index from topic filters to subscribers.
//!
//! Nearly all filters of a fleet have no wildcard. They are in a hash map, so a message costs one look-up, whatever their number.
//! Filters with a wildcard are in a tree of topic levels, in which a message follows at most two branches at each level.
//!
//! A subscriber has each filter at most once: subscribing again replaces the options
//! (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html#_Toc398718063>, §3.8.4). The caller has checked filters
//! and topics with [`topic`](super::topic), which also bounds the depth of the tree.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::topic::{has_wildcard, is_reserved};

/// An index of subscriptions. `S` identifies a subscriber. `O` holds the subscription options, such as the QoS.
#[derive(Clone, Debug)]
pub struct Subscriptions<S, O> {
    exact: HashMap<Box<str>, Subscribers<S, O>>,
    wild: Level<S, O>,
    count: usize,
}

/// The subscribers of one filter.
#[derive(Clone, Debug)]
struct Subscribers<S, O>(Vec<(S, O)>);

/// A node of the tree: all filters with the same first levels. `named` and `any` (`+`) lead to the next level, `here` are the
/// subscribers of the filter that ends at this node, and `below` those of the filter that continues with `#`.
#[derive(Clone, Debug)]
struct Level<S, O> {
    named: HashMap<Box<str>, Level<S, O>>,
    any: Option<Box<Level<S, O>>>,
    here: Subscribers<S, O>,
    below: Subscribers<S, O>,
}

impl<S: Copy + Eq + Hash, O: Copy> Subscriptions<S, O> {
    /// Creates an empty index.
    pub fn new() -> Self {
        Self { exact: HashMap::new(), wild: Level::new(), count: 0 }
    }

    /// Returns the number of subscriptions.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a subscription. Returns the options of the subscription that it replaces.
    pub fn insert(&mut self, filter: &str, subscriber: S, options: O) -> Option<O> {
        let subscribers = if has_wildcard(filter) {
            self.wild.at(filter)
        } else if let Some(subscribers) = self.exact.get_mut(filter) {
            subscribers
        } else {
            self.exact.entry(filter.into()).or_insert_with(Subscribers::new)
        };
        let replaced = subscribers.insert(subscriber, options);
        self.count += usize::from(replaced.is_none());
        replaced
    }

    /// Removes a subscription. Returns its options, if it existed.
    pub fn remove(&mut self, filter: &str, subscriber: S) -> Option<O> {
        let removed = if has_wildcard(filter) {
            self.wild.remove(filter, subscriber)
        } else {
            let subscribers = self.exact.get_mut(filter)?;
            let removed = subscribers.remove(subscriber);
            if subscribers.0.is_empty() {
                self.exact.remove(filter);
            }
            removed
        };
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// Removes the subscriptions of a subscriber. `filters` are all filters of the subscriber; the index does not store them by
    /// subscriber.
    pub fn remove_all<'f>(&mut self, subscriber: S, filters: impl IntoIterator<Item = &'f str>) {
        for filter in filters {
            self.remove(filter, subscriber);
        }
    }

    /// Visits each subscription that matches a topic. A subscriber with several matching filters is visited several times.
    pub fn visit(&self, topic: &str, mut visit: impl FnMut(S, O)) {
        if let Some(subscribers) = self.exact.get(topic) {
            subscribers.visit(&mut visit);
        }
        self.wild.visit(Some(topic), is_reserved(topic), &mut visit);
    }

    /// Returns each subscriber that matches a topic once, with the greatest options of its matching subscriptions.
    pub fn matching(&self, topic: &str) -> Vec<(S, O)>
    where
        O: Ord,
    {
        let mut found: Vec<(S, O)> = Vec::new();
        self.visit(topic, |subscriber, options| found.push((subscriber, options)));
        if found.len() < 2 {
            return found;
        }
        let mut positions = HashMap::with_capacity(found.len());
        let mut once: Vec<(S, O)> = Vec::with_capacity(found.len());
        for (subscriber, options) in found {
            match positions.entry(subscriber) {
                Entry::Vacant(vacant) => {
                    vacant.insert(once.len());
                    once.push((subscriber, options));
                }
                Entry::Occupied(occupied) => {
                    let known = &mut once[*occupied.get()].1;
                    *known = options.max(*known);
                }
            }
        }
        once
    }
}

impl<S: Copy + Eq + Hash, O: Copy> Default for Subscriptions<S, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Copy + Eq, O: Copy> Subscribers<S, O> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn insert(&mut self, subscriber: S, options: O) -> Option<O> {
        if let Some((_, known)) = self.0.iter_mut().find(|(other, _)| *other == subscriber) {
            return Some(std::mem::replace(known, options));
        }
        if self.0.is_empty() {
            // Most filters have one subscriber.
            self.0.reserve_exact(1);
        }
        self.0.push((subscriber, options));
        None
    }

    fn remove(&mut self, subscriber: S) -> Option<O> {
        let position = self.0.iter().position(|(other, _)| *other == subscriber)?;
        Some(self.0.swap_remove(position).1)
    }

    fn visit(&self, visit: &mut impl FnMut(S, O)) {
        for (subscriber, options) in &self.0 {
            visit(*subscriber, *options);
        }
    }
}

/// Splits a topic or filter into its first level and the rest, if there is one.
fn first(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(level, rest)| (level, Some(rest)))
}

impl<S: Copy + Eq, O: Copy> Level<S, O> {
    fn new() -> Self {
        Self { named: HashMap::new(), any: None, here: Subscribers::new(), below: Subscribers::new() }
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.any.is_none() && self.here.0.is_empty() && self.below.0.is_empty()
    }

    /// Returns the subscribers of a filter. Creates the nodes that are missing.
    fn at(&mut self, filter: &str) -> &mut Subscribers<S, O> {
        let (level, rest) = first(filter);
        let next = match level {
            "#" => return &mut self.below,
            "+" => self.any.get_or_insert_with(|| Box::new(Self::new())),
            name => self.named.entry(name.into()).or_insert_with(Self::new),
        };
        match rest {
            Some(rest) => next.at(rest),
            None => &mut next.here,
        }
    }

    fn remove(&mut self, filter: &str, subscriber: S) -> Option<O> {
        let (level, rest) = first(filter);
        let next = match level {
            "#" => return self.below.remove(subscriber),
            "+" => self.any.as_mut()?,
            name => self.named.get_mut(name)?,
        };
        let removed = match rest {
            Some(rest) => next.remove(rest, subscriber),
            None => next.here.remove(subscriber),
        };
        if next.is_empty() {
            if level == "+" {
                self.any = None;
            } else {
                self.named.remove(level);
            }
        }
        removed
    }

    /// Visits the subscriptions below this node. `reserved`: the next level begins with `$`, so no wildcard matches it.
    fn visit(&self, topic: Option<&str>, reserved: bool, visit: &mut impl FnMut(S, O)) {
        if !reserved {
            self.below.visit(visit);
        }
        let Some(topic) = topic else { return self.here.visit(visit) };
        let (level, rest) = first(topic);
        if let Some(named) = self.named.get(level) {
            named.visit(rest, false, visit);
        }
        if let Some(any) = self.any.as_ref().filter(|_| !reserved) {
            any.visit(rest, false, visit);
        }
    }
}

#[cfg(test)]
#[path = "subscriptions_tests.rs"]
mod tests;
