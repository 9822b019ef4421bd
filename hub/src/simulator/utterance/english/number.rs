//! Spoken numbers: `AMAZON.NUMBER` converts "two hundred" and "200" to "200".

use crate::simulator::utterance::words::Phrase;

const UNITS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: &[(&str, u64)] = &[("thousand", 1_000), ("million", 1_000_000), ("billion", 1_000_000_000)];
/// The largest number of digits.
const MAX_DIGITS: usize = 15;

/// The state after a word, which decides the words that may follow.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// The beginning, or after a scale or "hundred": any number may follow.
    Open,
    /// After a ten such as "twenty": one to nine may follow.
    Tens,
    /// After a complete small number: "hundred" or a scale may follow.
    Small,
    /// After "a": "hundred" or a scale must follow.
    A,
    /// After "and": a small number must follow.
    And,
}

/// Converts words to a number in digits; `None` for other words.
pub fn number(said: Phrase<'_>) -> Option<String> {
    let negative = matches!(said.word(0), Some("minus" | "negative"));
    let said = if negative { said.after(1) } else { said };
    let sign = if negative { "-" } else { "" };
    if let (1, Some(word)) = (said.len(), said.word(0))
        && let Some(digits) = digits(word)
    {
        return Some(format!("{sign}{digits}"));
    }
    let point = said.words().position(|word| word == "point");
    let whole = whole(said.part(0, point.unwrap_or(said.len())))?;
    let Some(point) = point else { return Some(format!("{sign}{whole}")) };
    let fraction: Option<String> =
        said.after(point + 1).words().map(|word| small(word).filter(|n| *n < 10).map(|n| n.to_string())).collect();
    fraction.filter(|digits| !digits.is_empty() && digits.len() <= MAX_DIGITS).map(|digits| format!("{sign}{whole}.{digits}"))
}

/// Whether a word can begin a number. A fast check, because most words cannot.
pub fn begins_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || matches!(word, "a" | "minus" | "negative" | "hundred")
        || small(word).is_some()
        || tens(word).is_some()
        || scale(word).is_some()
}

fn whole(said: Phrase<'_>) -> Option<u64> {
    let (mut total, mut current, mut ceiling) = (0_u64, None::<u64>, u64::MAX);
    let mut before = Before::Open;
    let mut words = said.words().peekable();
    while let Some(word) = words.next() {
        let last = words.peek().is_none();
        if let Some(scale) = scale(word) {
            if scale >= ceiling || before == Before::And {
                return None;
            }
            total = total.checked_add(current.take().unwrap_or(1).checked_mul(scale)?)?;
            (ceiling, before) = (scale, Before::Open);
        } else if word == "hundred" {
            let hundreds = current.unwrap_or(1);
            let sayable = matches!(before, Before::Small | Before::A | Before::Tens) || current.is_none() && before == Before::Open;
            if !sayable || !(1..100).contains(&hundreds) {
                return None;
            }
            (current, before) = (Some(hundreds * 100), Before::Open);
        } else if word == "and" {
            if last || before != Before::Open || (total == 0 && current.is_none()) {
                return None;
            }
            before = Before::And;
        } else if word == "a" {
            if last || before != Before::Open || current.is_some() {
                return None;
            }
            (current, before) = (Some(1), Before::A);
        } else if let Some(tens) = tens(word).filter(|_| matches!(before, Before::Open | Before::And)) {
            (current, before) = (Some(current.unwrap_or(0) + tens), Before::Tens);
        } else {
            let value = small(word).or_else(|| digits(word)?.parse().ok())?;
            let fits = match before {
                Before::Open => value > 0 || (total == 0 && current.is_none()),
                Before::And => value > 0,
                Before::Tens => (1..10).contains(&value),
                Before::Small | Before::A => false,
            };
            if !fits || (current.is_some() && value >= 100) {
                return None;
            }
            (current, before) = (Some(current.unwrap_or(0).checked_add(value)?), Before::Small);
        }
    }
    if matches!(before, Before::A | Before::And) || said.is_empty() {
        return None;
    }
    total.checked_add(current.unwrap_or(0))
}

/// Digits with at most one decimal point, such as "205" and "20.5", of at most [`MAX_DIGITS`] each.
fn digits(word: &str) -> Option<&str> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let all = |part: &str| !part.is_empty() && part.len() <= MAX_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
    (all(whole) && all(fraction)).then_some(word)
}

pub(super) fn small(word: &str) -> Option<u64> {
    UNITS.iter().position(|unit| *unit == word).and_then(|value| u64::try_from(value).ok())
}

pub(super) fn tens(word: &str) -> Option<u64> {
    TENS.iter().position(|tens| *tens == word).and_then(|at| u64::try_from(at).ok()).map(|at| (at + 2) * 10)
}

fn scale(word: &str) -> Option<u64> {
    SCALES.iter().find(|(name, _)| *name == word).map(|(_, scale)| *scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulator::utterance::words::Utterance;

    fn read(said: &str) -> Option<String> {
        number(Utterance::read(said).all())
    }

    #[test]
    fn numbers_are_read_from_words_and_digits() {
        for (said, expected) in [
            ("zero", "0"),
            ("two", "2"),
            ("fifty", "50"),
            ("twenty-one", "21"),
            ("two hundred", "200"),
            ("a hundred", "100"),
            ("hundred", "100"),
            ("a hundred and five", "105"),
            ("two hundred five", "205"),
            ("twelve hundred", "1200"),
            ("three thousand and one", "3001"),
            ("one million two hundred thousand", "1200000"),
            ("two hundred and thirty four thousand five hundred sixty seven", "234567"),
            ("5 thousand", "5000"),
            ("twenty point five", "20.5"),
            ("minus five", "-5"),
            ("-5", "-5"),
            ("205", "205"),
            ("20.5", "20.5"),
            ("1,000", "1000"),
        ] {
            assert_eq!(read(said).as_deref(), Some(expected), "{said}");
        }
    }

    #[test]
    fn other_words_are_not_a_number() {
        for said in [
            "",
            "a",
            "and",
            "vase",
            "a vase",
            "one two",
            "twenty twenty",
            "twenty eleven",
            "hundred and",
            "and five",
            "five and six",
            "two hundred hundred",
            "one thousand one million",
            "point",
            "point five",
            "two point",
            "two point ten",
            "minus",
            "1.2.3",
            "12345678901234567890",
            "five a hundred",
            "a five",
            "twenty zero",
        ] {
            assert_eq!(read(said), None, "{said}");
        }
    }

    /// The words of a number in American English.
    fn say(number: u64) -> String {
        match number {
            0..20 => UNITS[usize::try_from(number).unwrap()].to_owned(),
            20..100 if number.is_multiple_of(10) => TENS[usize::try_from(number / 10 - 2).unwrap()].to_owned(),
            20..100 => format!("{} {}", say(number / 10 * 10), say(number % 10)),
            100..1_000 if number.is_multiple_of(100) => format!("{} hundred", say(number / 100)),
            100..1_000 => format!("{} hundred {}", say(number / 100), say(number % 100)),
            _ => {
                let (name, scale) = SCALES.iter().rev().find(|(_, scale)| number >= *scale).unwrap();
                let rest = if number.is_multiple_of(*scale) { String::new() } else { format!(" {}", say(number % scale)) };
                format!("{} {name}{rest}", say(number / scale))
            }
        }
    }

    proptest! {
        #[test]
        fn every_spoken_number_is_read(number in 0_u64..1_000_000_000_000) {
            prop_assert_eq!(read(&say(number)), Some(number.to_string()), "{}", say(number));
        }

        #[test]
        fn any_words_are_read_without_a_panic(words in proptest::collection::vec("(one|twenty|hundred|thousand|billion|and|a|point|minus|99999999999|x)", 0..40)) {
            let _ = read(&words.join(" "));
        }
    }
}
