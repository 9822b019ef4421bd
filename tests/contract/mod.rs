//! The contract of every port, written once over the port: [`registry`] with [`certificates`], [`shadows`], [`mailer`], [`login`]
//! and [`claims`].
//!
//! Three implementations are tested against the contract: the model of AWS in the simulation (`model.rs`), the hub
//! (`hub/tests/contract.rs`), and the AWS clients on two emulators that others wrote (`tests/story/registry.rs`). [`gaps`] lists
//! the clauses that one of them does not keep, with the reasons; both a missing and a superfluous entry fail the tests.

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

/// An account with a registry and shadows after the deployment of the stack. Some methods observe and change the account past the
/// ports.
pub trait Account {
    type Registry: Registry + 'static;
    type Shadows: Shadows;

    fn registry(&self) -> Arc<Self::Registry>;
    fn shadows(&self) -> &Self::Shadows;

    /// A registry whose configuration names [`MISSING_TYPE`] and [`MISSING_POLICY`], neither of which exists.
    fn registry_without_its_stack(&self) -> Arc<Self::Registry>;

    /// An owner who is unknown to the account, and the name of the owner's thing.
    fn new_user(&self) -> NewUser;

    /// Unix time in seconds on the clock that dates certificates and reports.
    fn now(&self) -> u64;

    /// Advances the clock by a minute, if it is a simulated one, so that background work of AWS is done.
    async fn waits(&self);

    /// Writes reported values, as the device would.
    async fn reports(&self, thing: &ThingName, reported: Value);

    /// The desired state of the device.
    async fn desired(&self, thing: &ThingName) -> Value;
}

pub const MISSING_TYPE: &str = "a-type-that-is-missing";
pub const MISSING_POLICY: &str = "a-policy-that-is-missing";

pub struct NewUser {
    pub owner: OwnerId,
    pub thing: ThingName,
}

/// The result of one clause.
pub struct Verdict {
    pub clause: &'static str,
    pub kept: Kept,
}

/// The clause was kept, or how it was broken.
pub type Kept = Result<(), Broken>;

/// A violation of a clause, with its place in the source.
#[derive(Debug)]
pub struct Broken(pub String);

impl Broken {
    #[track_caller]
    fn here(what: impl std::fmt::Display) -> Self {
        let place = Location::caller();
        Self(format!("{}:{}: {what}", place.file(), place.line()))
    }
}

/// An error of a call that should have succeeded.
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

/// Requires that a call has failed with a certain error.
#[track_caller]
fn refuses<T: Debug, E: Debug>(outcome: &Result<T, E>, how: impl Fn(&E) -> bool, what: &str) -> Kept {
    match outcome {
        Err(error) if how(error) => Ok(()),
        other => Err(Broken::here(format_args!("{what}: {other:?}"))),
    }
}

/// Runs clauses one after the other, each on a new value of `fresh`.
macro_rules! judge {
    ($fresh:expr; $($clause:ident),* $(,)?) => {
        vec![$(Verdict { clause: stringify!($clause), kept: $clause(&$fresh().await).await }),*]
    };
}
use judge;
