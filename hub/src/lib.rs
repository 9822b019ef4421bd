//! The skill on one machine: the ports of [`onething`] without Amazon, and all that is needed around them.
//!
//! In reading order:
//!
//! 1. [`store`] keeps everything, and answers when it is on the disk.
//! 2. [`sign_in`] knows who speaks; [`registry`] keeps things and certificates, which [`authority`] makes and
//!    [`policy`] limits; [`shadow`] keeps what is wanted of a device and what it says; [`outgoing`] sends the mail, and [`mailbox`] is a
//!    folder that takes it.
//! 3. [`broker`] is where devices connect, and [`backend`] what it asks of the rest. [`endpoint`] is where they register.
//! 4. [`hub`] puts them into the skill; [`signature`] sees that it is Alexa who calls, and [`web`] answers.
//! 5. For trying: [`utterance`] and [`echo`] are what Alexa does with words, [`echo_sessions`] the Echos of the local users,
//!    [`devices`] what stands at the other end. [`demo`] tells it all in a terminal.
//!
//! What decides is pure (`policy`, `shadow::exchange`, the broker's routing, `utterance`, the printer's machine); what
//! happens around it is in one file beside. What the registry, the broker and the shadows do is what AWS IoT does, so that
//! neither the skill nor a device can tell the difference.

pub mod clock;
pub mod data_folder;
mod disk;
pub mod store;

pub mod authority;
pub mod mailbox;
pub mod outgoing;
pub mod policy;
pub mod registry;
pub mod shadow;
pub mod sign_in;

pub mod backend;
pub mod backup;
pub mod broker;

pub mod refusals;
pub mod registration;

pub mod audit;

pub mod events;
pub mod hub;
pub mod metrics;
pub mod password;
pub mod place;
pub mod ports;
mod presence;
pub mod readiness;
pub mod serve;
pub mod service;
pub mod settings;
pub mod signature;
pub mod web;

pub mod devices;
pub mod echo;
pub mod echo_sessions;
mod history;
pub mod model_check;
pub mod utterance;

pub mod command_line;
pub mod commands;
pub mod demo;
pub mod remote;
mod terminal;
