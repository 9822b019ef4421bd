//! The end-to-end tests on emulators of AWS that others wrote: from an account that is not linked to a device that obeys
//! commands. They need the tools that `.ci/run` installs, hence the feature `emulators`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "test code: a panic is a failed test, and no other crate reads these names"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod again;
mod agent;
mod agent_registration;
mod at_once;
mod control_plane;
mod delivery;
mod every_call;
mod isolation;
mod isolation_by_row;
mod lifecycle;
mod mail_returned;
mod metrics;
mod networks;
mod onboarding;
mod recovery;
mod register;
mod register_on_aws;
mod registry;
mod rights;
mod secrets;
mod stack;
mod sweep;
mod tenant;
