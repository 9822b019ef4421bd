//! The agent as a process, as its owner meets it in a terminal, against a real hub and against what is none.

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
