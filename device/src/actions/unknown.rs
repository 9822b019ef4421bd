//! A device of which no device model is known: what it shall be is taken as so, and what it shall do is refused.

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
