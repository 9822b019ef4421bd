//! Who gets a message: from filters to subscribers, in an index.
//!
//! Nearly every filter of a fleet is exact, so those are in a hash map: a message costs one look-up however many there are. Filters
//! with a wildcard are in a tree by their levels, in which a message follows at most two branches per level.
//!
//! A subscriber has each filter once: subscribing again replaces the options
//! (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html#_Toc398718063>, §3.8.4). Filters and topics have been found
//! valid by [`topic`](super::topic) before they come here, which also bounds the depth of the tree.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::topic::{has_wildcard, is_reserved};

/// An index of subscriptions. `S` names a subscriber; `O` is what it asked for with the filter, such as a QoS.
#[derive(Clone, Debug)]
pub struct Subscriptions<S, O> {
    exact: HashMap<Box<str>, Subscribers<S, O>>,
    wild: Level<S, O>,
    count: usize,
}

/// Those who have one filter.
#[derive(Clone, Debug)]
struct Subscribers<S, O>(Vec<(S, O)>);

/// A level of the tree: all filters that begin alike.
#[derive(Clone, Debug)]
struct Level<S, O> {
    named: HashMap<Box<str>, Level<S, O>>,
    any: Option<Box<Level<S, O>>>,
    here: Subscribers<S, O>,
    below: Subscribers<S, O>,
}

impl<S: Copy + Eq + Hash, O: Copy> Subscriptions<S, O> {
    /// An index without subscriptions.
    pub fn new() -> Self {
        Self { exact: HashMap::new(), wild: Level::new(), count: 0 }
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a subscription. Returns the options of the one that it replaces.
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

    /// Takes a subscription away. Returns its options, if there was one.
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

    /// Takes away all subscriptions of a subscriber, whose filters the caller keeps.
    pub fn remove_all<'f>(&mut self, subscriber: S, filters: impl IntoIterator<Item = &'f str>) {
        for filter in filters {
            self.remove(filter, subscriber);
        }
    }

    /// Visits every subscription that is for a topic, so that one subscriber may come more than once.
    pub fn visit(&self, topic: &str, mut visit: impl FnMut(S, O)) {
        if let Some(subscribers) = self.exact.get(topic) {
            subscribers.visit(&mut visit);
        }
        self.wild.visit(Some(topic), is_reserved(topic), &mut visit);
    }

    /// Every subscriber for a topic, once: with the greatest of the options with which it is.
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

/// The first level, and the rest if there is one.
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

    /// The place of a filter, made if there is none.
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

    /// `reserved` says that the next level begins with `$`, which no wildcard stands for.
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
