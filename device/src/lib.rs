//! The device's side: a [`bundle`] becomes a connection, and what is wanted of the device becomes so.
//!
//! In reading order:
//!
//! 1. [`command_line`] and [`commands`]: what can be asked in a terminal.
//! 2. `credentials`: which are used, in which order; `state` keeps them, [`bundle`] judges them, [`register`] gets new ones.
//! 3. `link` is one connection, by an MQTT client that other people wrote.
//! 4. [`agent`] turns what the shadow wants into orders for a body, and what came of them into what is reported; [`journal`] keeps
//!    in mind which commands were begun; [`life`] is the loop that holds all of this together.
//! 5. Bodies: `actions` does what `device.toml` says for a property or a command; `sensors` reports what it says is measured. A
//!    [`printer`] is simulated where the model says so and has neither; any other device takes settings as so.

#[cfg(not(unix))]
compile_error!("the agent keeps its keys by the rules of Unix, and ends processes by groups: it runs on Unix only");

pub mod command_line;
pub mod commands;

mod name;

mod archive;

pub mod bundle;
pub mod files;

mod credentials;
mod device_model;
mod local_socket;
pub mod registration;
mod requests;
mod state;
mod status;

mod link;
mod pause;
mod reach;

pub mod agent;
pub mod event_loop;
pub mod journal;

mod actions;
pub mod printer;
mod sensors;
mod simulated_device;

mod clock;
pub mod failure;
mod service;

#[cfg(test)]
mod scripted_server;
