//! Tests of the agent as a process: on the command line, with a real hub, and with servers that are not the hub.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs, reason = "test code: a panic is a failed test")]

mod command_line;
mod credentials;
mod harness;
mod kill;
mod model;
mod register;
mod run_command;
mod sensors;
mod server;
