//! The test harness: it runs the real binaries between real servers.
//!
//! No code of this project is replaced by a mock. The binary runs as Lambda runs it ([`lambda`]), validates access tokens at a
//! real HTTP server ([`login`]), and calls an emulator of AWS that others wrote ([`ministack`], [`moto`]) or a fault injector
//! ([`aws`]). Parsers and clients that others wrote check the results ([`foreign`]).
//!
//! Every wait is for an event and has a limit. The operating system assigns every port.

#![allow(dead_code, reason = "each test binary takes the part of the harness that it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "test code: a panic is a failed test, and no other crate reads these names"
)]

pub mod agent;
pub mod alexa;
pub mod alexa_api;
pub mod answer;
pub mod aws;
pub mod deployment;
pub mod device;
pub mod foreign;
pub mod function;
pub mod gaps;
pub mod gateway;
pub mod http;
pub mod lambda;
pub mod line;
pub mod login;
pub mod ministack;
pub mod moto;
pub mod network;
pub mod new_device;
pub mod operations;
pub mod process;
pub mod runtime_api;
pub mod smtp_server;

use std::future::Future;
use std::time::Duration;

/// Waits for `event` for at most `limit`. Otherwise the test fails with `what`, which names the event.
pub async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, event).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}
