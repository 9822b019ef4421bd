//! The command line of the hub: its arguments, its commands, and the client of a running hub.

pub mod command_line;
pub mod commands;
pub mod demo;
pub mod readiness;
pub mod remote;
pub mod service;
mod terminal;
