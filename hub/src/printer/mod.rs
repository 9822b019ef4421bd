//! A simulated 3D printer: a device like any other, which knows nothing but the bundle out of the mail.
//!
//! - [`bundle`] opens the zip; [`machine`] is the printer itself, without a network and without a clock.
//! - `link` is one connection, by an MQTT client that other people wrote; [`device`] keeps the two together.
//!
//! It is given no way around its certificate: what it learns and says goes through the broker, by mutual TLS.

pub mod bundle;

mod body;
mod command;
pub mod machine;

pub mod device;
mod link;
