//! The conversion of English words to the values of built-in slot types.
//!
//! Each function converts a whole phrase or fails. Another language would be another module beside this one.

pub mod date;
pub mod digits;
pub mod duration;
pub mod number;
pub mod ordinal;
pub mod time;

/// Whether a word is an article, which has no meaning alone.
pub fn is_article(word: &str) -> bool {
    onething::speech::locales::Locale::English.is_article(word)
}
