//! A simulated 3D printer: a device like any other, which knows nothing but the bundle out of the mail.
//!
//! [`machine`] is the printer itself, without a network and without a clock; `simulated` lets time pass for it; [`device`] is
//! that of the hub's page.
//!
//! It is given no way around its certificate: what it learns and says goes through the broker, by mutual TLS.

mod command;
pub mod device;
pub mod machine;
mod simulated;
mod works;

pub use simulated::Simulated;
