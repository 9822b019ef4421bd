//! The real binary with servers in the test process only: what it refuses, which errors it survives, and how it responds when
//! other services fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "test code: a panic is a failed test, and no other crate reads these names"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod configuration;
mod documented;
mod identity;
mod known_owner;
mod lifecycle;
mod models;
mod payloads;
mod requests;
mod secrets;

/// The shadow of an owner who is ready and whose printer has reported.
const SHADOW: &str = r#"{
    "state": {
        "desired": {"power": "ON"},
        "reported": {"power": "ON", "status": "printing", "model": "vase", "progress": 12, "onboarded": {"at": 1}}
    },
    "metadata": {"reported": {"status": {"timestamp": 4102444800}}},
    "version": 7,
    "timestamp": 4102444800
}"#;
