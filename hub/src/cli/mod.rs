//! The command line of the hub: what can be asked in a terminal, and how a running hub is asked for it.

pub mod command_line;
pub mod commands;
pub mod demo;
pub mod readiness;
pub mod remote;
pub mod service;
mod terminal;
