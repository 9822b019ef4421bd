//! The skill on one machine: implementations of the ports of [`onething`] without AWS, and the services that they need.
//!
//! In reading order:
//!
//! 1. [`storage`] keeps everything in one folder, and confirms a change when the change is on the disk.
//! 2. [`sign_in`] identifies users; [`registry`] keeps things and certificates, which [`authority`] issues and [`policy`] limits;
//!    [`shadow`] keeps the desired and the reported state of a device; [`mail`] sends messages, or puts them into a folder.
//! 3. [`mqtt`] is the broker of the devices; [`registration`] is the endpoint where devices register.
//! 4. [`hub`] puts the parts together; [`signature`] verifies that a request comes from Alexa, and [`web`] serves HTTP.
//! 5. [`simulator`] stands in for Alexa and for devices; [`cli`] is the command line.
//!
//! Decisions are pure functions (`policy`, `shadow::exchange`, the routing of the broker, `simulator::utterance`); input and output
//! are in separate files. Registry, broker and shadows behave as AWS IoT does, so neither the skill nor a device sees a difference.
//!
//! A policy of AWS IoT, evaluated for a request of a device:
//!
//! ```
//! use onething_hub::policy::{Context, Policy, Request, decide};
//!
//! let policy = Policy::parse(
//!     r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Publish",
//!        "Resource": "arn:aws:iot:*:*:topic/lamps/${iot:ClientId}"}]}"#,
//! )?;
//! let context = Context { client_id: "lamp-7".to_owned(), ..Context::default() };
//! assert!(decide([&policy], &Request::Publish("lamps/lamp-7"), &context).is_allowed());
//! assert!(!decide([&policy], &Request::Publish("lamps/lamp-8"), &context).is_allowed());
//! # Ok::<(), onething_hub::policy::PolicyError>(())
//! ```
//!
//! A whole hub in a program of your own: `examples/calling-the-skill`.

pub mod authority;
pub mod policy;
pub mod registry;
pub mod shadow;
pub mod sign_in;
pub mod storage;

pub mod mail;
pub mod mqtt;
pub mod registration;

pub mod audit;
pub mod clock;
pub mod events;
pub mod hub;
pub mod metrics;
pub mod ports;
pub mod serve;
pub mod settings;

pub mod signature;
pub mod web;

pub mod simulator;

pub mod cli;
