//! MQTT: the broker, the rest of the hub as the broker sees it, which devices are connected, and which requests were refused.

pub mod backend;
pub mod broker;
pub(crate) mod presence;
pub mod refusals;
