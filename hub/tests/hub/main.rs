//! Tests of the hub binary: its command line, its HTTP interface and its operation.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs, reason = "test code: a panic is a failed test")]

#[allow(dead_code, reason = "the power cuts take another part of it")]
mod bundle;
#[allow(dead_code, reason = "the power cuts take another part of it")]
mod harness;

mod backup;
mod command_line;
mod device;
mod ending;
mod example;
mod foreign_device;
mod guard;
mod http;
mod in_use;
mod mail;
mod models;
mod operation;
mod register;
mod registration;
mod replaced;
mod start;
mod stream;
