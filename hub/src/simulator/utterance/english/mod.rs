//! What English words come to for the built-in slot types that make a value of them.
//!
//! Each reads all of a phrase or nothing of it. Another language is another folder beside this one.

pub mod date;
pub mod digits;
pub mod duration;
pub mod number;
pub mod ordinal;
pub mod time;

/// Whether a word is an article, which names nothing by itself.
pub fn is_article(word: &str) -> bool {
    onething::speech::locales::Locale::English.is_article(word)
}
