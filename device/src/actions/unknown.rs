//! A device without a device model: every property is set at once, and every command is refused.

use serde_json::{Map, Value};

use crate::agent::{Command, Perform, Performed};

pub(crate) struct UnknownDevice;

impl Perform for UnknownDevice {
    async fn set(&mut self, property: &str, value: &Value) -> Performed {
        Performed::Done { detail: String::new(), properties: Map::from_iter([(property.to_owned(), value.clone())]) }
    }

    async fn perform(&mut self, _: &Command) -> Performed {
        Performed::Refused("this device has no device model, and knows no commands".to_owned())
    }
}
