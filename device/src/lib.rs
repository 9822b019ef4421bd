//! The agent on a device: it opens a [`bundle`], connects, and applies the desired state of the shadow.
//!
//! In reading order:
//!
//! 1. [`cli`]: the commands of a terminal.
//! 2. `credentials` chooses the credentials; `state` stores them, [`bundle`] checks them, [`registration`] requests new ones.
//! 3. `connection` is one MQTT connection. The protocol itself is implemented by a library.
//! 4. [`agent`] turns the desired state into orders for a body, and the results into reports; [`journal`] records which commands
//!    have begun; [`event_loop`] owns all of these.
//! 5. Bodies: `actions` executes what `device.toml` defines for a property or a command; `sensors` reports measurements; a
//!    [`printer`] is simulated if the model requests it. Any other device accepts every setting.

#[cfg(not(unix))]
compile_error!("the agent keeps its keys by the rules of Unix, and ends processes by groups: it runs on Unix only");

pub mod cli;

pub mod bundle;
mod credentials;
mod device_model;
mod local;
pub mod registration;
mod state;

mod connection;

pub mod agent;
pub mod event_loop;
pub mod journal;

mod actions;
pub mod printer;
mod sensors;
mod simulated_device;

mod clock;
pub mod failure;

#[cfg(test)]
mod scripted_server;
