//! The speech of the skill: from the intent and the slots of a request to a change for the device, and from the outcome to speech
//! and cards.

pub mod intent;
pub mod locales;
pub mod reply;
pub mod slot_value;
