//! What is wanted of the properties.

use std::time::Duration;

use onething::device_model::RESERVED;
use serde_json::{Map, Value};

use super::commands::QUEUE;
use super::{Agent, Moment, Order};

/// A wish for a property that was not so when the shadow last told of it.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) value: Value,
    /// The shadow's note about when it was wished.
    pub(super) wished: Option<Value>,
    /// When it came, on the clock of [`Moment::uptime`].
    pub(super) since: Duration,
    /// It has been set, or could not be.
    pub(super) is_tried: bool,
}

impl Agent {
    pub(super) fn wish(&mut self, name: &str, value: &Value, wished: Option<Value>, moment: Moment) {
        if let Some(before) = self.wishes.get(name)
            && before.value == *value
            && (!before.is_tried || (wished.is_some() && before.wished == wished))
        {
            // It waits or is under way, or was tried and not wished again since: any report makes the shadow tell of it.
            return;
        }
        let waiting = self.queue.iter_mut().find_map(|order| match order {
            Order::Set { name: other, value } if other == name => Some(value),
            _ => None,
        });
        if let Some(waiting) = waiting {
            waiting.clone_from(value);
        } else if self.queue.len() < 2 * QUEUE {
            self.queue.push_back(Order::Set { name: name.to_owned(), value: value.clone() });
        } else {
            // It is taken when the shadow tells of it again.
            return;
        }
        self.wishes.insert(name.to_owned(), Wish { value: value.clone(), wished, since: moment.uptime, is_tried: false });
    }

    pub(super) fn was_tried(&mut self, name: &str, value: &Value) {
        if let Some(wish) = self.wishes.get_mut(name).filter(|wish| wish.value == *value) {
            wish.is_tried = true;
        }
    }

    pub(super) fn was_set(&mut self, name: &str, value: &Value) {
        self.was_tried(name, value);
        self.failures.property_set(name);
    }

    /// Takes what has changed on the device, except where a wish waits that does not give way.
    pub(super) fn take_changes(&mut self, properties: &Map<String, Value>, at: Duration, gives_way: impl Fn(&Wish) -> bool) {
        for (name, value) in properties.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
            let waits = |order: &Order| matches!(order, Order::Set { name: other, .. } if other == name);
            if self.queue.iter().any(waits) {
                let Some(wish) = self.wishes.get_mut(name).filter(|wish| gives_way(wish)) else { continue };
                wish.is_tried = true;
                self.queue.retain(|order| !waits(order));
            }
            self.desired.change(name, value, at);
        }
    }
}
