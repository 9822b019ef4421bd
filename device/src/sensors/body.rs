//! A body that also measures: samples become properties in addition to those of the actions.
//!
//! A sample of a property that only the device writes is a measurement. It is reported while it is current, and from time to time
//! even if it has not changed, so that the shadow contains its age. A sample of a property that the owner can set is a change on
//! the device.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onething::device_model::Model;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Sample, Sensors};
use crate::agent::{Body, Event, Order, Past};

/// A body with sensors.
pub(crate) struct Measuring<B> {
    body: B,
    sensors: Sensors,
    settable: BTreeSet<String>,
    measured: BTreeMap<String, Measured>,
    /// The current order: when it was begun, the properties at that time, and the property that it sets.
    under_way: Option<(Instant, Map<String, Value>, Option<String>)>,
    /// When the owner's request for a property was last tried. Samples from before that time do not override the request.
    tried: BTreeMap<String, Instant>,
    /// The reported properties from before the start; `None` until they are known.
    past: Option<Map<String, Value>>,
    /// How often an unchanged value is reported again.
    refresh: Duration,
}

/// The newest sample of a property.
struct Measured {
    value: Value,
    at: Instant,
    current: Duration,
    /// When the property was last reported, whether it had changed or not.
    told: Instant,
}

impl<B: Body> Measuring<B> {
    /// A body for a device of this model.
    pub(crate) fn new(body: B, sensors: Sensors, model: &Model) -> Self {
        let settable = model.properties.iter().filter(|(_, property)| !property.reported_only).map(|(name, _)| name.clone()).collect();
        // Half of the limit, so that the skill does not call a value old that is measured regularly.
        let refresh = Duration::from_secs((model.report_is_old_after / 2).max(1));
        Self { body, sensors, settable, measured: BTreeMap::new(), under_way: None, tried: BTreeMap::new(), past: None, refresh }
    }

    fn take(&mut self, sample: Sample) -> Vec<Event> {
        let (mut changed, mut again) = (Map::new(), Vec::new());
        for (name, value) in sample.properties {
            let is_older = self.measured.get(&name).is_some_and(|measured| measured.at > sample.at);
            if is_older || self.is_before_a_request(&name, sample.at) {
                continue;
            }
            let told = self.measured.get(&name).map(|measured| measured.told);
            let measured = Measured { value: value.clone(), at: sample.at, current: sample.current, told: told.unwrap_or(sample.at) };
            let measured = self.measured.entry(name.clone()).insert_entry(measured).into_mut();
            if self.settable.contains(&name) {
                if self.past.is_some() && self.knows(&name) != Some(value.clone()) {
                    changed.insert(name, value);
                }
                continue;
            }
            if told.is_none_or(|told| told.elapsed() >= self.refresh) {
                measured.told = Instant::now();
                again.push(name.clone());
            }
            self.body.changed_on_device(&Map::from_iter([(name, value)]));
        }
        let mut events = Vec::new();
        if !changed.is_empty() {
            self.body.changed_on_device(&changed);
            events.push(Event::ChangedBefore { properties: changed, age: sample.at.elapsed() });
        }
        if !again.is_empty() {
            events.push(Event::Measured(again));
        }
        events
    }

    /// Whether the owner's request for this property is newer than a sample: it is being tried, or was tried after the sample.
    fn is_before_a_request(&self, name: &str, at: Instant) -> bool {
        let is_tried = self.under_way.as_ref().is_some_and(|(_, _, property)| property.as_deref() == Some(name));
        is_tried || self.tried.get(name).is_some_and(|tried| *tried > at)
    }

    /// The current value of a property as far as the body knows it, or else the value from before the start.
    fn knows(&self, name: &str) -> Option<Value> {
        let now = self.body.properties();
        now.get(name).or_else(|| self.past.as_ref()?.get(name)).cloned()
    }

    /// An order has ended. Its reported values are newer than samples from before its beginning, and older than later samples.
    fn ended(&mut self) {
        let Some((begun, before, property)) = self.under_way.take() else { return };
        let now = self.body.properties();
        for (name, value) in now.iter().filter(|(name, value)| before.get(*name) != Some(*value)) {
            match self.measured.get(name) {
                Some(measured) if measured.at > begun && property.as_deref() != Some(name) => {
                    self.body.changed_on_device(&Map::from_iter([(name.clone(), measured.value.clone())]));
                }
                Some(measured) if measured.value != *value => drop(self.measured.remove(name)),
                _ => {}
            }
        }
        if let Some(property) = property {
            self.tried.insert(property, Instant::now());
        }
    }
}

impl<B: Body> Body for Measuring<B> {
    fn is_free(&self) -> bool {
        self.body.is_free()
    }

    fn begin(&mut self, order: Order) {
        let property = match &order {
            Order::Set { name, .. } => Some(name.clone()),
            Order::Do(_) => None,
        };
        self.under_way = Some((Instant::now(), self.body.properties(), property));
        self.body.begin(order);
    }

    fn interrupts(&self) -> BTreeMap<String, Vec<String>> {
        self.body.interrupts()
    }

    fn interrupt(&mut self, id: &str, by: &str) {
        self.body.interrupt(id, by);
    }

    fn changed_on_device(&mut self, properties: &Map<String, Value>) {
        self.body.changed_on_device(properties);
    }

    async fn work(&mut self) -> Vec<Event> {
        tokio::select! {
            // The end of an order is handled before samples, because it decides which samples are valid.
            biased;
            events = self.body.work() => {
                if self.body.is_free() {
                    self.ended();
                }
                events
            }
            sample = self.sensors.next() => self.take(sample),
        }
    }

    /// The properties without outdated measurements: these have been reported, or are no longer worth a report.
    fn properties(&self) -> Map<String, Value> {
        let mut properties = self.body.properties();
        for (name, measured) in self.measured.iter().filter(|(name, _)| !self.settable.contains(*name)) {
            if measured.at.elapsed() > measured.current && properties.get(name) == Some(&measured.value) {
                properties.remove(name);
            }
        }
        properties
    }

    fn remember(&mut self, past: &Past) -> Option<String> {
        let id = self.body.remember(past);
        self.past = Some(past.reported.clone());
        id
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
