//! A simulated 3D printer: a device like any other, which knows nothing but the bundle out of the mail.
//!
//! [`machine`] is the printer itself, without a network and without a clock; [`device`] connects it.
//!
//! It is given no way around its certificate: what it learns and says goes through the broker, by mutual TLS.

mod body;
mod command;
pub mod device;
pub mod machine;
