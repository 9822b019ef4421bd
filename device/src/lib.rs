//! The device's side: a [`bundle`] becomes a connection, and what is wanted of the device becomes so.
//!
//! - [`bundle`] opens the zip out of the mail; `link` is one connection, by an MQTT client that other people wrote.
//! - [`agent`] turns what the shadow wants into orders for a body, and what came of them into what is reported.
//! - [`journal`] keeps in mind which commands were begun; [`life`] is the loop that holds all of this together.
//! - [`printer`] is a body: a simulated 3D printer, so that something moves at once.

pub mod bundle;
mod link;

pub mod agent;
pub mod journal;
pub mod life;
pub mod printer;

#[cfg(test)]
mod scripted_server;
