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
//!
//! An intent of Alexa, resolved with a device model to the change of the shadow that it asks for:
//!
//! ```
//! use onething::alexa::request::{Kind, Request};
//! use onething::device_model::Model;
//! use onething::speech::intent::{Change, ResolvedIntent, resolve};
//! use onething::speech::locales::Locale;
//! use onething::speech::slot_value::SlotReader;
//! use serde_json::json;
//!
//! let model = Model::parse(Model::SAMPLE)?;
//! let slots = json!({"model": {"name": "model", "value": "vase"}});
//! let intent = json!({"name": "PrintIntent", "confirmationStatus": "NONE", "slots": slots});
//! let request = Request::read(&json!({"request": {"type": "IntentRequest", "intent": intent}}));
//!
//! let Kind::Intent(intent) = request.kind else { panic!("an intent") };
//! match resolve(&model, &intent, SlotReader { locale: Locale::English, now: 0 }) {
//!     ResolvedIntent::Change { change: Change::Command { name, args }, says } => {
//!         assert_eq!((name.as_str(), says.as_str()), ("print", "Printing 1 vase."));
//!         assert_eq!(args["model"], "vase");
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), onething::device_model::ModelError>(())
//! ```

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
