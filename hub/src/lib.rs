//! The skill on one machine: the ports of [`onething`] without Amazon.
//!
//! - [`sign_in`] knows who speaks; [`registry`] keeps things and certificates, which [`authority`] makes and [`policy`] limits;
//!   [`shadow`] keeps what is wanted of a device and what it says; [`mailbox`] takes the mail.
//! - [`signature`] knows Amazon's requests from other people's.
//! - [`skill`] puts them into the skill; [`utterance`] understands what somebody says, [`echo`] speaks to the skill
//!   as Alexa does, and [`demo`] tells the story.
//!
//! Everything but the mail lives as long as the process. What the registry and the shadows do is what
//! AWS IoT does, so that the skill cannot tell the difference.

pub mod authority;
pub mod broker;
pub mod clock;
pub mod mailbox;
pub mod policy;
pub mod printer;
pub mod registry;
pub mod shadow;
pub mod sign_in;
pub mod signature;

pub mod skill;

pub mod echo;
pub mod utterance;

pub mod demo;
mod screen;
