//! The requests to set properties.

use std::time::Duration;

use onething::device_model::RESERVED;
use serde_json::{Map, Value};

use super::commands::QUEUE;
use super::{Agent, Moment, Order};

/// A request for a property that had another value in the last message of the shadow.
#[derive(Debug, PartialEq)]
pub(super) struct PendingChange {
    pub(super) value: Value,
    /// The metadata of the shadow for the request, with its timestamp.
    pub(super) requested: Option<Value>,
    /// When the request arrived, on the clock of [`Moment::uptime`].
    pub(super) since: Duration,
    /// Whether the property has been set, or setting it has failed.
    pub(super) is_tried: bool,
}

impl Agent {
    pub(super) fn change(&mut self, name: &str, value: &Value, requested: Option<Value>, moment: Moment) {
        if let Some(before) = self.pending_changes.get(name)
            && before.value == *value
            && (!before.is_tried || (requested.is_some() && before.requested == requested))
        {
            // The request is waiting or running, or it was tried and has not been made again since: every report causes another
            // delta.
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
            // The request is taken when the shadow sends it again.
            return;
        }
        self.pending_changes
            .insert(name.to_owned(), PendingChange { value: value.clone(), requested, since: moment.uptime, is_tried: false });
    }

    pub(super) fn was_tried(&mut self, name: &str, value: &Value) {
        if let Some(pending_change) = self.pending_changes.get_mut(name).filter(|pending_change| pending_change.value == *value) {
            pending_change.is_tried = true;
        }
    }

    pub(super) fn was_set(&mut self, name: &str, value: &Value) {
        self.was_tried(name, value);
        self.failures.property_set(name);
    }

    /// Takes the changes made on the device, except for a property with a waiting request for which `gives_way` returns false.
    pub(super) fn take_changes(&mut self, properties: &Map<String, Value>, at: Duration, gives_way: impl Fn(&PendingChange) -> bool) {
        for (name, value) in properties.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
            let waits = |order: &Order| matches!(order, Order::Set { name: other, .. } if other == name);
            if self.queue.iter().any(waits) {
                let Some(pending_change) = self.pending_changes.get_mut(name).filter(|pending_change| gives_way(pending_change)) else {
                    continue;
                };
                pending_change.is_tried = true;
                self.queue.retain(|order| !waits(order));
            }
            self.desired.change(name, value, at);
        }
    }
}
