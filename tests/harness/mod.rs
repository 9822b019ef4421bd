//! The test harness: the real binary between real servers.
//!
//! Nothing of ours is replaced. The binary runs as Lambda runs it ([`lambda`]),
//! asks a real HTTP server who the owner is ([`login`]), and works on an AWS
//! that someone else wrote ([`ministack`], [`moto`]) or on one that misbehaves
//! on purpose ([`aws`]). What it makes is judged by other people's parsers and
//! clients ([`foreign`]).
//!
//! Every wait is for an event, with a limit; every port is one that the
//! operating system gave.

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
pub mod post_office;
pub mod process;
pub mod runtime_api;

use std::future::Future;
use std::time::Duration;

/// What a test waits for happens within `limit`, or the test fails by saying
/// what did not happen.
pub async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, event).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}
