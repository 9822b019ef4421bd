//! The command line of the agent, and the unit of the service manager.

pub mod command_line;
pub mod commands;
pub(crate) mod name;
mod service;
