//! A simulated device of any model for the hub's web page: every property is set at once, and every command succeeds without an
//! effect.
//!
//! The actions of the model are intended for the owner's machine, and are never executed here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onething::device_model::{Model, Property, ValueKind};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::agent::{Command, Perform, Performed};

/// The duration of each action while the device is slow.
const SLOW: Duration = Duration::from_secs(5);

/// The switches of the simulated device, which a user operates on the web page.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// Whether each action is slow.
    pub(crate) slow: AtomicBool,
    /// Whether each action fails.
    pub(crate) fails: AtomicBool,
}

/// The simulated device. Without a model, every property can be set to any value.
pub(crate) struct SimulatedDevice {
    model: Option<Model>,
    switches: Arc<Switches>,
}

impl SimulatedDevice {
    pub(crate) fn new(model: Option<Model>, switches: Arc<Switches>) -> Self {
        Self { model, switches }
    }

    /// The initial properties: switches are off, and numbers have their least value.
    pub(crate) fn properties(&self) -> Map<String, Value> {
        let properties = self.model.iter().flat_map(|model| &model.properties);
        properties.filter_map(|(name, property)| Some((name.clone(), first(&property.kind)?))).collect()
    }

    async fn take_time(&self) -> Result<(), Performed> {
        if self.switches.slow.load(Ordering::Relaxed) {
            sleep(SLOW).await;
        }
        let fails = self.switches.fails.load(Ordering::Relaxed);
        if fails { Err(Performed::Failed("it was made to fail".to_owned())) } else { Ok(()) }
    }
}

fn first(kind: &ValueKind) -> Option<Value> {
    match kind {
        ValueKind::Switch => Some(json!("OFF")),
        ValueKind::Choice { values } => values.first().map(|value| json!(value)),
        ValueKind::Text { .. } => None,
        ValueKind::Number { min, .. } => kind.fit(&json!(min)),
    }
}

impl Perform for SimulatedDevice {
    async fn set(&mut self, property: &str, value: &Value) -> Performed {
        if let Err(failed) = self.take_time().await {
            return failed;
        }
        let known = |model: &Model| model.properties.get(property).map(|known: &Property| (known.reported_only, known.kind.fit(value)));
        let value = match self.model.as_ref().map(known) {
            None => value.clone(),
            Some(Some((false, Some(value)))) => value,
            Some(_) => return Performed::Refused(format!("this device cannot set `{property}` to this value")),
        };
        Performed::Done { detail: String::new(), properties: Map::from_iter([(property.to_owned(), value)]) }
    }

    async fn perform(&mut self, command: &Command) -> Performed {
        if let Err(failed) = self.take_time().await {
            return failed;
        }
        match &self.model {
            Some(model) if model.commands.contains_key(&command.name) => {
                Performed::Done { detail: "simulated".to_owned(), properties: Map::new() }
            }
            _ => Performed::Refused("this device does not know the command".to_owned()),
        }
    }
}
