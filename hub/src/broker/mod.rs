//! The MQTT broker. Its cores are pure: [`topic`] says what a topic and a filter are, [`subscriptions`] who gets a message.

pub mod subscriptions;
pub mod topic;
