//! One user, one thing: an Alexa skill backend that gives each user a separate device identity in AWS IoT.
//!
//! The processing of a request, in reading order:
//!
//! 1. [`alexa`] parses the **request**; [`skill`] verifies that the request is for this skill.
//! 2. [`login`] resolves the access token to an owner.
//! 3. [`onboarding`] finds or creates the owner's thing in a [`registry`], which also provides the lock.
//! 4. [`mail`] sends the bundle with the certificate.
//! 5. [`speech`] interprets the intent with the [`device_model`], and [`shadow`] writes the result to the shadow of the thing.
//! 6. [`speech::reply`] composes the response.
//!
//! A device can also register for the same thing itself, without a mail: [`registration`].
//!
//! The later life cycle of an identity is in [`lifecycle`]: suspension, resumption, deletion, bounces and clean-up.
//! [`identifiers`], [`secrets`] and [`certificate`] define types that all steps share.
//!
//! Invariants: each secret has a type that does not print it. Each request for this skill gets a response in time. Only the
//! adapters access AWS, HTTP or a database.

pub mod alexa;
pub mod certificate;
pub mod identifiers;
pub mod login;
pub mod secrets;

pub mod onboarding;
pub mod registry;

pub mod mail;

pub mod registration;

pub mod device_model;
pub mod shadow;
pub mod speech;

pub mod lifecycle;

pub mod config;
pub mod lambda;
pub mod skill;

pub mod fault;
pub mod https;
pub mod log;
pub mod metrics;

#[cfg(feature = "aws")]
pub mod aws;
