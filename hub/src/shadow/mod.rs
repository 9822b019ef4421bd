//! Device shadows: the desired state and the reported state of a device, and the delta.
//!
//! [`exchange()`] processes a message on a shadow topic without I/O: from the stored shadow, the request and the time it computes
//! the new stored shadow and the messages to publish. [`topic`] parses and builds the shadow topics. [`Document`] applies
//! updates, [`Stored`] is the form in the database, and [`Rejected`] is the reason of a rejected request.
//!
//! The rules are those of the AWS IoT Device Shadow service
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-device-shadows.html>). Where its guide does not define a rule, the
//! rule is that of the shadow manager that AWS published for Greengrass
//! (<https://github.com/aws-greengrass/aws-greengrass-shadow-manager>), which synchronises the same shadows.

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
