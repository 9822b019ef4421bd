//! The device's side: a [`bundle`] becomes a connection, and what is wanted of the device becomes so.
//!
//! - [`bundle`] opens the zip out of the mail; `link` is one connection, by an MQTT client that other people wrote.
//! - [`actions`] does what `device.toml` says for a property or a command.
//! - [`printer`] is a simulated 3D printer, so that something moves at once.

pub mod actions;
pub mod bundle;
mod link;
pub mod printer;
