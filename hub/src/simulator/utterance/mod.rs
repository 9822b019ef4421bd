//! Natural language understanding: from an utterance to an intent with its slots, by the interaction model of the skill.
//!
//! - [`words`] normalises words, and [`english`] converts them to numbers, times and dates for the types of [`slot_type`].
//! - [`interaction`] reads the interaction model; [`built_in`] has the samples of the built-in intents.
//! - [`interpretation`] decides whether an utterance is for the skill, and [`resolve`] finds the intent.
//!
//! All functions are pure, and none of them panics on any input. Alexa generalises from the samples. This module matches a sample
//! only literally, with any words in its slots.

pub mod built_in;
pub mod english;
pub mod interaction;
pub(crate) mod interaction_file;
pub mod interpretation;
pub mod resolve;
pub mod slot_type;
pub mod words;
