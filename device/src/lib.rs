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
//!
//! The pure core, without a connection: the desired state of the shadow becomes an order for the body of the device.
//!
//! ```
//! use std::time::Duration;
//! use onething_device::agent::{Agent, Moment, Order};
//! use serde_json::{Map, json};
//!
//! let mut agent = Agent::new(None, []);
//! let now = Moment { now: 1_800_000_000, uptime: Duration::from_secs(1) };
//! let shadow = json!({"version": 1, "timestamp": 1_800_000_000, "state": {"desired": {"power": "ON"}, "delta": {"power": "ON"}}});
//! if let Some(past) = agent.take_shadow(&shadow, now) {
//!     // Commands that an earlier process began; this body continues none.
//!     agent.remembered(&past, None, now);
//! }
//! assert!(matches!(agent.next(&Map::new(), now), Some(Order::Set { name, .. }) if name == "power"));
//! ```
//!
//! A whole agent in a program of your own: `examples/embedding-the-agent`.

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
pub mod termination;

#[cfg(test)]
mod scripted_server;
