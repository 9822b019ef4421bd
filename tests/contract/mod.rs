//! What every implementation of a port promises, written once over the port: [`registry`] with [`certificates`],
//! [`shadows`], [`mailer`], [`login`] and [`claims`].
//!
//! It is kept by the model of AWS that the simulation plays in (`model.rs`), by the hub (`hub/tests/contract.rs`), and by
//! the clients of AWS on two AWS that other people wrote (`tests/story/registry.rs`). Where one of them does
//! not keep a clause, [`gaps`] says so and why; it has to say the truth in both directions.

#![allow(dead_code, reason = "each test binary judges the ports that it has")]
#![allow(missing_docs, unreachable_pub, reason = "test code: no other crate reads these names")]

pub mod certificates;
pub mod claims;
pub mod gaps;
pub mod login;
pub mod mailer;
pub mod registry;
pub mod shadows;

use std::fmt::Debug;
use std::panic::Location;
use std::sync::Arc;

use onething::identifiers::{OwnerId, ThingName};
use onething::registry::Registry;
use onething::shadow::Shadows;
use serde_json::Value;

/// An account with a registry and shadows, deployed as the stack leaves it, and the things about it that a
/// test must be able to see and do past the ports.
pub trait Account {
    type Registry: Registry + 'static;
    type Shadows: Shadows;

    fn registry(&self) -> Arc<Self::Registry>;
    fn shadows(&self) -> &Self::Shadows;

    /// A registry in front of a stack that has neither [`MISSING_TYPE`] nor [`MISSING_POLICY`], and wants both.
    fn registry_without_its_stack(&self) -> Arc<Self::Registry>;

    /// Somebody who has never been here, and the name of their thing.
    fn new_user(&self) -> NewUser;

    /// Seconds since the epoch, by the clock that dates certificates and reports.
    fn now(&self) -> u64;

    /// Lets a minute pass, where the clock is the test's to turn: what AWS does in the background is then done.
    async fn waits(&self);

    /// The device says something.
    async fn reports(&self, thing: &ThingName, reported: Value);

    /// What is desired of the device.
    async fn desired(&self, thing: &ThingName) -> Value;
}

pub const MISSING_TYPE: &str = "a-type-that-is-missing";
pub const MISSING_POLICY: &str = "a-policy-that-is-missing";

pub struct NewUser {
    pub owner: OwnerId,
    pub thing: ThingName,
}

/// What became of one clause.
pub struct Verdict {
    pub clause: &'static str,
    pub kept: Kept,
}

/// A clause was kept, or how it was broken.
pub type Kept = Result<(), Broken>;

/// What was not as the clause has it, and where.
#[derive(Debug)]
pub struct Broken(pub String);

impl Broken {
    #[track_caller]
    fn here(what: impl std::fmt::Display) -> Self {
        let place = Location::caller();
        Self(format!("{}:{}: {what}", place.file(), place.line()))
    }
}

/// A call that should have gone well.
impl<E: std::error::Error> From<E> for Broken {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::here(format_args!("{error:?}"))
    }
}

#[track_caller]
fn holds(is_so: bool, what: &str) -> Kept {
    if is_so { Ok(()) } else { Err(Broken::here(what)) }
}

#[allow(clippy::needless_pass_by_value, reason = "it reads like `assert_eq!`")]
#[track_caller]
fn same<T: PartialEq<U> + Debug, U: Debug>(found: T, expected: U, what: &str) -> Kept {
    if found == expected { Ok(()) } else { Err(Broken::here(format_args!("{what}: {found:?} instead of {expected:?}"))) }
}

/// A call that should have been refused in a certain way.
#[track_caller]
fn refuses<T: Debug, E: Debug>(outcome: &Result<T, E>, how: impl Fn(&E) -> bool, what: &str) -> Kept {
    match outcome {
        Err(error) if how(error) => Ok(()),
        other => Err(Broken::here(format_args!("{what}: {other:?}"))),
    }
}

/// Judges clauses one after the other, each on what `fresh` makes for it.
macro_rules! judge {
    ($fresh:expr; $($clause:ident),* $(,)?) => {
        vec![$(Verdict { clause: stringify!($clause), kept: $clause(&$fresh().await).await }),*]
    };
}
use judge;
