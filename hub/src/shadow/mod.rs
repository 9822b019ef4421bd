//! Device shadows: what is wanted of a device, what it says, and the difference.
//!
//! What a message on a shadow topic does is decided by [`exchange()`], which is pure: from what is stored, a
//! request and the time it makes what is to be stored and what is to be published. [`topic`] says which
//! topics are a shadow's, [`Document`] how a state changes, [`Stored`] what a database keeps, and
//! [`Rejected`] why nothing changed.
//!
//! The rules are those of AWS IoT's shadow service
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-device-shadows.html>). Where its guide is
//! silent, they are those of the shadow manager that AWS published for Greengrass
//! (<https://github.com/aws-greengrass/aws-greengrass-shadow-manager>), which keeps copies of the same shadows.

mod certificates;
mod document;
mod exchange;
mod local;
mod rejected;
mod stored;
pub mod topic;
mod update;
mod written;

pub use document::Document;
pub use exchange::{Exchange, Message, delete, exchange, update};
pub use local::LocalShadows;
pub use rejected::Rejected;
pub use stored::{Corrupt, Stored};
pub use topic::{Operation, ShadowKey};

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod walkthrough_tests;
