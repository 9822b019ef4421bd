//! Spoken ordinals: `AMAZON.Ordinal` converts "second" to `2`.

use super::number::tens;
use crate::simulator::utterance::words::Phrase;

const FIRST: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
const TENS: &[&str] = &["twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"];

/// Converts an ordinal up to "hundredth", or any ordinal with digits ("105th"); `None` for other words.
pub fn ordinal(said: Phrase<'_>) -> Option<u32> {
    let said = if said.word(0) == Some("the") { said.after(1) } else { said };
    match (said.len(), said.word(0)?, said.word(1)) {
        (1, word, _) => one_word(word),
        (2, first, Some(second)) => {
            let unit = FIRST.iter().take(9).position(|word| *word == second)?;
            Some(u32::try_from(tens(first)?).ok()? + u32::try_from(unit).ok()? + 1)
        }
        _ => None,
    }
}

fn one_word(word: &str) -> Option<u32> {
    let position = |list: &[&str]| list.iter().position(|known| *known == word).and_then(|at| u32::try_from(at).ok());
    if word == "hundredth" {
        return Some(100);
    }
    if let Some(number) = position(FIRST).map(|at| at + 1).or_else(|| position(TENS).map(|at| (at + 2) * 10)) {
        return Some(number);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().ok().filter(|number| (1..1_000_000).contains(number))?;
    ["st", "nd", "rd", "th"].contains(&&word[digits.len()..]).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::utterance::words::Utterance;

    #[test]
    fn ordinals_are_read_from_words_and_digits() {
        for (said, expected) in [
            ("first", Some(1)),
            ("second", Some(2)),
            ("the third", Some(3)),
            ("twelfth", Some(12)),
            ("twentieth", Some(20)),
            ("twenty first", Some(21)),
            ("ninety-ninth", Some(99)),
            ("hundredth", Some(100)),
            ("2nd", Some(2)),
            ("105th", Some(105)),
            ("two", None),
            ("2", None),
            ("twenty tenth", None),
            ("twenty", None),
            ("the", None),
            ("st", None),
            ("", None),
        ] {
            assert_eq!(ordinal(Utterance::read(said).all()), expected, "{said}");
        }
    }
}
