//! One user, one thing: an Alexa skill backend that gives every user a device identity of their own.
//!
//! The story, in reading order:
//!
//! 1. [`alexa`] reads the **request**; [`answer`] sees that it is for this skill.
//! 2. [`identify`](mod@identify) turns the access token into an owner.
//! 3. [`onboard`](mod@onboard) finds the owner's [`thing`], or makes it, in a [`registry`] that is also the lock.
//! 4. [`deliver`] mails the [`bundle`] with its certificate.
//! 5. [`wish`](mod@wish) reads the intent by the device [`model`], and [`relay`] takes it to the shadow.
//! 6. [`reply`] says what became of it.
//!
//! A device may come to the same thing by itself, without a mail: [`register`] is its door.
//!
//! The rest of an identity's life is [`care`]: paused, told about, forgotten, swept up after.
//!
//! What holds throughout: a secret has a type that does not show it; every request that is ours is
//! answered in time; and nothing here speaks to AWS, by HTTP or to a database, but for the adapters at the end.

pub mod alexa;
pub mod answer;
pub mod config;
pub mod identify;
pub mod invocation;
pub mod memory;
pub mod signing_request;
pub mod thing;

pub mod attributes;
pub mod lease;
pub mod onboard;
pub mod registry;
mod retire;

pub mod bundle;
pub mod deliver;
mod email_address;

pub mod register;

pub mod model;
pub mod relay;
pub mod slot_value;
pub mod wish;

pub mod care;

pub mod fault;
pub mod locales;
pub mod reply;

#[cfg(feature = "aws")]
pub mod aws;
pub mod https;
pub mod log;
pub mod login;
pub mod metrics;
pub mod smtp;
