//! A simulated 3D printer, which uses the same bundle and the same agent as every other device.
//!
//! [`machine`] is the printer itself, without a network and without a clock; `simulated` runs it in real time; [`device`] is the
//! device of the hub's web page.
//!
//! The printer has no access besides its certificate: all communication goes through the broker with mutual TLS.

mod command;
pub mod device;
pub mod machine;
mod simulated;
mod works;

pub use simulated::Simulated;
