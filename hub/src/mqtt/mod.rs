//! MQTT: the broker, its backend in the hub, the presence of devices, and the record of refused requests.

pub mod backend;
pub mod broker;
pub(crate) mod presence;
pub mod refusals;
