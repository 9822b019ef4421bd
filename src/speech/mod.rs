//! What is said: from the owner's words to what they want, and from what became of it to words and cards.

pub mod intent;
pub mod locales;
pub mod reply;
pub mod slot_value;
