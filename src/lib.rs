//! One user, one thing: an Alexa skill backend that gives every user a device identity of their own.
//!
//! The story, in reading order:
//!
//! 1. [`alexa`] reads the **request**; [`skill`] sees that it is for this skill.
//! 2. [`login`] turns the access token into an owner.
//! 3. [`onboarding`] finds the owner's thing, or makes it, in a [`registry`] that is also the lock.
//! 4. [`mail`] sends the bundle with its certificate.
//! 5. [`speech`] reads the intent by the [`device_model`], and [`shadow`] takes it to the thing's shadow.
//! 6. [`speech::reply`] says what became of it.
//!
//! A device may come to the same thing by itself, without a mail: [`registration`].
//!
//! The later life of an identity is [`lifecycle`]: suspend, resume, forget, bounces, clean-up. [`identifiers`], [`secrets`] and
//! [`certificate`] are the words that all steps share.
//!
//! What holds throughout: a secret has a type that does not show it; every request that is ours is
//! answered in time; and nothing here speaks to AWS, by HTTP or to a database, but for the adapters at the end.

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
