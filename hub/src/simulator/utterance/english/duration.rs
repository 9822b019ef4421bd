//! Spoken durations: `AMAZON.DURATION` converts "an hour and a half" to `PT1H30M`.

use std::fmt::Write;

use super::number::number;
use crate::simulator::utterance::words::Phrase;

/// The largest number of words in a duration.
const MAX_WORDS: usize = 16;
/// The largest amount of one unit, in thousandths.
const MAX_AMOUNT: u64 = 1_000_000_000;

/// The units of ISO 8601, from the longest to the shortest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

use Unit::{Day, Hour, Minute, Month, Second, Week, Year};

const UNITS: [Unit; 7] = [Year, Month, Week, Day, Hour, Minute, Second];

/// A duration as the amounts of the seven units, in the order of `UNITS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration([u64; 7]);

impl Duration {
    /// Converts a whole phrase to a duration; `None` for other words.
    pub fn read(said: Phrase<'_>) -> Option<Self> {
        if said.len() > MAX_WORDS {
            return None;
        }
        let said = if said.word(0) == Some("for") { said.after(1) } else { said };
        let (mut duration, mut rest, mut last) = (Self::default(), said, None);
        loop {
            // "An hour thirty": the number at the end has the next smaller unit.
            if let Some(smaller) = last.and_then(without_unit).filter(|_| component(rest).is_none()) {
                duration.add(thousandths(&number(rest)?).filter(|amount| (1_000..60_000).contains(amount))?, smaller)?;
                return Some(duration);
            }
            let (amount, unit, words) = component(rest)?;
            // "Ten minutes five minutes" are two durations.
            if last.is_some_and(|last| last >= unit) {
                return None;
            }
            duration.add(amount, unit)?;
            (rest, last) = (rest.after(words), Some(unit));
            match rest.word(0) {
                None => return Some(duration),
                Some("and") => rest = rest.after(1),
                // "An hour and a half ten minutes" are two durations too.
                Some(_) if !amount.is_multiple_of(1_000) => return None,
                Some(_) => {}
            }
        }
    }

    /// The amounts of years, months, weeks and days.
    pub fn calendar(self) -> [u64; 4] {
        [self.of(Year), self.of(Month), self.of(Week), self.of(Day)]
    }

    /// The hours, minutes and seconds, as a number of seconds.
    pub fn clock(self) -> u64 {
        (self.of(Hour) * 60 + self.of(Minute)) * 60 + self.of(Second)
    }

    fn of(self, unit: Unit) -> u64 {
        self.0[unit as usize]
    }

    /// Adds thousandths of a unit. A fraction of the unit is converted to smaller units.
    fn add(&mut self, thousandths: u64, unit: Unit) -> Option<()> {
        self.0[unit as usize] += thousandths / 1_000;
        let (smaller, ratio) = match unit {
            _ if thousandths.is_multiple_of(1_000) => return Some(()),
            Year => (Month, 12),
            Week => (Day, 7),
            Day => (Hour, 24),
            Hour => (Minute, 60),
            Minute => (Second, 60),
            Month | Second => return None,
        };
        self.add(thousandths % 1_000 * ratio, smaller)
    }

    /// The duration in ISO 8601, in the form of Alexa. Weeks are written alone, or converted to days.
    pub fn iso8601(self) -> String {
        let mut amounts = self.0;
        if amounts[Week as usize] > 0 && amounts.iter().filter(|amount| **amount > 0).count() > 1 {
            amounts[Day as usize] += amounts[Week as usize] * 7;
            amounts[Week as usize] = 0;
        }
        let mut text = "P".to_owned();
        for (unit, amount) in UNITS.iter().zip(amounts).filter(|(_, amount)| *amount > 0) {
            if *unit >= Hour && !text.contains('T') {
                text.push('T');
            }
            let letter = match unit {
                Year => 'Y',
                Month | Minute => 'M',
                Week => 'W',
                Day => 'D',
                Hour => 'H',
                Second => 'S',
            };
            let _ = write!(text, "{amount}{letter}");
        }
        if text == "P" { "PT0S".into() } else { text }
    }
}

/// `AMAZON.DURATION`: converts words to a duration in ISO 8601.
pub fn duration(said: Phrase<'_>) -> Option<String> {
    Duration::read(said).map(Duration::iso8601)
}

/// The first amount with its unit: the amount in thousandths, the unit, and the number of words.
fn component(said: Phrase<'_>) -> Option<(u64, Unit, usize)> {
    if let Some((amount, unit)) = said.word(0).and_then(joined) {
        return Some((amount, unit, 1));
    }
    let at = said.words().position(|word| unit(word).is_some())?;
    let (unit, times) = unit(said.word(at)?)?;
    // "An hour and a half", but not "an hour and a half minute".
    let more = fraction(said.after(at + 1)).filter(|(_, words)| said.word(at + 1 + words).is_none_or(|next| self::unit(next).is_none()));
    // "Hour and a half".
    let amount = if at == 0 && more.is_some() { times * 1_000 } else { quantity(said.part(0, at))? * times };
    let (more, words) = more.unwrap_or((0, 0));
    Some(((amount + more * times).min(MAX_AMOUNT), unit, at + 1 + words))
}

/// The unit that may be omitted after a number that follows this unit.
fn without_unit(unit: Unit) -> Option<Unit> {
    match unit {
        Hour => Some(Minute),
        Minute => Some(Second),
        _ => None,
    }
}

/// The unit of a word, and the number of units that the word means.
fn unit(word: &str) -> Option<(Unit, u64)> {
    Some(match word {
        "second" | "seconds" | "sec" | "secs" => (Second, 1),
        "minute" | "minutes" | "min" | "mins" => (Minute, 1),
        "hour" | "hours" | "hr" | "hrs" => (Hour, 1),
        "day" | "days" => (Day, 1),
        "week" | "weeks" => (Week, 1),
        "fortnight" | "fortnights" => (Week, 2),
        "month" | "months" => (Month, 1),
        "year" | "years" => (Year, 1),
        _ => return None,
    })
}

/// A typed number with its unit in one word, such as "30min".
fn joined(word: &str) -> Option<(u64, Unit)> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &word[digits.len()..] {
        "s" => Second,
        "m" => Minute,
        "h" => Hour,
        "d" => Day,
        other => unit(other).filter(|(_, times)| *times == 1)?.0,
    };
    Some((thousandths(digits)?, unit))
}

fn quantity(said: Phrase<'_>) -> Option<u64> {
    match said.text() {
        "a" | "an" => return Some(1_000),
        "half" | "a half" | "half a" | "half an" | "half of a" | "half of an" => return Some(500),
        "quarter" | "a quarter" | "quarter of a" | "quarter of an" | "a quarter of a" | "a quarter of an" => return Some(250),
        "three quarter" | "three quarters of a" | "three quarters of an" => return Some(750),
        "a couple" | "a couple of" | "couple of" => return Some(2_000),
        _ => {}
    }
    // "Two and a half hours".
    let and = said.words().position(|word| word == "and");
    let mixed = and.and_then(|and| {
        let (more, words) = fraction(said.after(and))?;
        (and + words == said.len()).then_some((said.part(0, and), more))
    });
    let (whole, more) = mixed.unwrap_or((said, 0));
    Some(thousandths(&number(whole)?)? + more)
}

/// A fraction such as "and a half" at the beginning: thousandths, and the number of words.
fn fraction(said: Phrase<'_>) -> Option<(u64, usize)> {
    match said.part(0, 3).text() {
        _ if said.part(0, 2).text() == "and half" => Some((500, 2)),
        "and a half" => Some((500, 3)),
        "and a quarter" => Some((250, 3)),
        "and three quarters" => Some((750, 3)),
        _ => None,
    }
}

/// A decimal number in thousandths.
fn thousandths(digits: &str) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 3 {
        return None;
    }
    let amount = whole.parse::<u64>().ok()?.checked_mul(1_000)? + format!("{fraction:0<3}").parse::<u64>().ok()?;
    (amount <= MAX_AMOUNT).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::utterance::words::Utterance;

    #[test]
    fn durations_are_read_from_words() {
        for (said, expected) in [
            ("ten minutes", "PT10M"),
            ("a minute", "PT1M"),
            ("an hour", "PT1H"),
            ("an hour and a half", "PT1H30M"),
            ("one and a half hours", "PT1H30M"),
            ("one hour thirty minutes", "PT1H30M"),
            ("one hour and thirty minutes", "PT1H30M"),
            ("1.5 hours", "PT1H30M"),
            ("one point five hours", "PT1H30M"),
            ("half an hour", "PT30M"),
            ("a half hour", "PT30M"),
            ("a quarter of an hour", "PT15M"),
            ("three quarters of an hour", "PT45M"),
            ("two and a quarter hours", "PT2H15M"),
            ("half a minute", "PT30S"),
            ("half a day", "PT12H"),
            ("90 seconds", "PT90S"),
            ("ninety minutes", "PT90M"),
            ("a hundred and twenty seconds", "PT120S"),
            ("forty five seconds", "PT45S"),
            ("twenty-five minutes", "PT25M"),
            ("two days", "P2D"),
            ("a day and a half", "P1DT12H"),
            ("a week", "P1W"),
            ("two weeks", "P2W"),
            ("a fortnight", "P2W"),
            ("a week and two days", "P9D"),
            ("a week and a half", "P10DT12H"),
            ("six months", "P6M"),
            ("a year and a half", "P1Y6M"),
            ("two years three hours ten minutes", "P2YT3H10M"),
            ("hour and a half", "PT1H30M"),
            ("two and half minutes", "PT2M30S"),
            ("an hour thirty", "PT1H30M"),
            ("one minute thirty", "PT1M30S"),
            ("for ten minutes", "PT10M"),
            ("a couple of minutes", "PT2M"),
            ("ten minute", "PT10M"),
            ("2 hrs 5 mins 1 sec", "PT2H5M1S"),
            ("an hour and a half minute", "PT1H30S"),
            ("half an hour and ten seconds", "PT30M10S"),
            ("30min", "PT30M"),
            ("1h 30m", "PT1H30M"),
            ("zero seconds", "PT0S"),
        ] {
            assert_eq!(duration(Utterance::read(said).all()).as_deref(), Some(expected), "{said}");
        }
    }

    #[test]
    fn other_words_are_not_a_duration() {
        for said in [
            "",
            "minutes",
            "ten",
            "ten vases",
            "ten minutes five minutes",
            "ten minutes one hour",
            "an hour and a half ten minutes",
            "ten minutes and",
            "and ten minutes",
            "an hour and a vase",
            "half",
            "one and a half seconds",
            "minus ten minutes",
            "a month and a half",
            "99999999999999 hours",
            "the second",
            "two days thirty",
            "an hour seventy",
            "an hour and a half thirty",
            "for",
            "every minute",
        ] {
            assert_eq!(duration(Utterance::read(said).all()), None, "{said}");
        }
    }
}
