//! From what somebody says to an intent with its slots, as Alexa does it by the skill's interaction model.
//!
//! - [`words`] makes words comparable, and [`english`] makes numbers, times and dates of them, by [`slot_type`].
//! - [`interaction`] reads the interaction model; [`built_in`] knows what needs no samples.
//! - [`interpretation`] finds out whether it is for the skill at all, and [`resolve`] what is meant.
//!
//! All of it is pure, and none of it fails on any input. Alexa learns from the samples and guesses; here a
//! sample has to be said as it stands, with anything in its slots.

pub mod built_in;
pub mod english;
pub mod interaction;
pub(crate) mod interaction_file;
pub mod interpretation;
pub mod resolve;
pub mod slot_type;
pub mod words;
