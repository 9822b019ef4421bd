//! Spoken digits and letters: PINs, phone numbers and codes.

use super::number::{number, small, tens};
use crate::simulator::utterance::words::Phrase;

/// The largest number of digits in a phone number (ITU-T E.164).
const MAX_DIGITS: usize = 15;

/// `AMAZON.FOUR_DIGIT_NUMBER`: "one two three four", "nineteen eighty four", "two thousand twenty six".
pub fn four_digits(said: Phrase<'_>) -> Option<String> {
    let of_four = |digits: &String| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    number(said).filter(of_four).or_else(|| spelled(said, |_| None).filter(of_four))
}

/// `AMAZON.PhoneNumber`: the digits of a phone number.
pub fn phone_number(said: Phrase<'_>) -> Option<String> {
    spelled(said, |_| None).filter(|digits| (3..=MAX_DIGITS).contains(&digits.len()))
}

/// `AMAZON.AlphaNumeric`: "j l nine oh five" is `jl905`.
pub fn alphanumeric(said: Phrase<'_>) -> Option<String> {
    let mixed = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric()) && word.bytes().any(|byte| byte.is_ascii_digit());
    spelled(said, |word| (word.len() == 1 && word.is_ascii() || mixed(word)).then(|| word.to_owned()))
}

/// The concatenation of digits, small numbers, and the words that `other` accepts.
fn spelled(said: Phrase<'_>, other: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    let mut words = said.words().skip_while(|word| *word == "plus").peekable();
    let digit = |word: &str| match word {
        "oh" | "o" => Some(0),
        word => small(word).filter(|number| *number < 10),
    };
    while let Some(word) = words.next() {
        if let Some(times) = ["double", "triple"].iter().position(|times| *times == word) {
            let repeated = words.next().and_then(|word| digit(word).map(|digit| digit.to_string()).or_else(|| other(word)))?;
            text.push_str(&repeated.repeat(times + 2));
        } else if word == "hundred" && !text.is_empty() {
            text.push_str("00");
        } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(word);
        } else if let Some(tens) = tens(word) {
            let unit = words.next_if(|next| small(next).is_some_and(|unit| (1..10).contains(&unit))).and_then(small);
            text.push_str(&(tens + unit.unwrap_or(0)).to_string());
        } else {
            text.push_str(&digit(word).or_else(|| small(word)).map(|number| number.to_string()).or_else(|| other(word))?);
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::utterance::words::Utterance;

    #[test]
    fn a_pin_is_read_from_words_and_digits() {
        for (said, expected) in [
            ("one two three four", Some("1234")),
            ("twelve thirty four", Some("1234")),
            ("nineteen eighty four", Some("1984")),
            ("nineteen oh four", Some("1904")),
            ("oh one two three", Some("0123")),
            ("zero zero zero seven", Some("0007")),
            ("double oh one seven", Some("0017")),
            ("double four double five", Some("4455")),
            ("triple one two", Some("1112")),
            ("twenty thirty", Some("2030")),
            ("twenty one thirty", Some("2130")),
            ("two thousand twenty six", Some("2026")),
            ("twelve hundred", Some("1200")),
            ("1234", Some("1234")),
            ("0042", Some("0042")),
            ("12 34", Some("1234")),
            ("one two three", None),
            ("12345", None),
            ("one two three four five", None),
            ("one two vase four", None),
            ("double", None),
            ("minus 1234", None),
            ("12.5", None),
            ("", None),
        ] {
            assert_eq!(four_digits(Utterance::read(said).all()).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn a_phone_number_is_its_digits() {
        for (said, expected) in [
            ("five five five one two one two", Some("5551212")),
            ("(206) 555-1212", Some("2065551212")),
            ("+1 206 555 1212", Some("12065551212")),
            ("two oh six double five five twelve twelve", Some("2065551212")),
            ("one eight hundred five five five one two one two", Some("18005551212")),
            ("plus four nine three oh one two three four", Some("49301234")),
            ("nine one one", Some("911")),
            ("twelve", None),
            ("call me", None),
            ("1234567890123456", None),
        ] {
            assert_eq!(phone_number(Utterance::read(said).all()).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn letters_and_digits_are_joined() {
        for (said, expected) in [
            ("j l nine oh five", Some("jl905")),
            ("sixteen a", Some("16a")),
            ("double b seven", Some("bb7")),
            ("jl905", Some("jl905")),
            ("my vase", None),
        ] {
            assert_eq!(alphanumeric(Utterance::read(said).all()).as_deref(), expected, "{said}");
        }
    }
}
