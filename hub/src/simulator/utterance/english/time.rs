//! Spoken times of the day: `AMAZON.TIME` converts "seven p.m." to `19:00` and "in the morning" to `MO`.
//!
//! An hour without "a.m.", "p.m." or the like is taken literally: "seven" is `07:00`.

use jiff::civil::{DateTime, Time};

use super::number::number;
use crate::simulator::utterance::words::{Phrase, Utterance};

/// The largest number of words in a time.
const MAX_WORDS: usize = 10;

/// The half of the day that the words after the hour mean.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    /// No such words: the hour is taken literally.
    Unsaid,
    Morning,
    Afternoon,
    Evening,
    Night,
}

const ENDINGS: &[(&str, Half)] = &[
    ("a m", Half::Morning),
    ("am", Half::Morning),
    ("p m", Half::Afternoon),
    ("pm", Half::Afternoon),
    ("in the morning", Half::Morning),
    ("this morning", Half::Morning),
    ("in the afternoon", Half::Afternoon),
    ("this afternoon", Half::Afternoon),
    ("in the evening", Half::Evening),
    ("this evening", Half::Evening),
    ("at night", Half::Night),
    ("tonight", Half::Night),
];

/// `AMAZON.TIME`: converts words to a time of the day. `now` is for relative times such as "in ten minutes".
pub fn time(said: Phrase<'_>, now: DateTime) -> Option<String> {
    let said = if matches!(said.word(0), Some("at" | "around" | "by")) && said.text() != "at night" { said.after(1) } else { said };
    if said.is_empty() || said.len() > MAX_WORDS {
        return None;
    }
    let part_of_day = match said.text() {
        "morning" | "the morning" | "in the morning" | "this morning" => "MO",
        "afternoon" | "the afternoon" | "in the afternoon" | "this afternoon" => "AF",
        "evening" | "the evening" | "in the evening" | "this evening" => "EV",
        "night" | "the night" | "at night" | "tonight" => "NI",
        _ => return time_of_day(said).or_else(|| from_now(said, now)).map(|time| format!("{:02}:{:02}", time.hour(), time.minute())),
    };
    Some(part_of_day.to_owned())
}

fn from_now(said: Phrase<'_>, now: DateTime) -> Option<Time> {
    if matches!(said.text(), "now" | "right now") {
        return Some(now.time());
    }
    let duration = super::date::after_now(said)?;
    let seconds = i64::try_from(duration.clock()).ok().filter(|_| duration.calendar() == [0; 4])?;
    now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok().map(DateTime::time)
}

fn time_of_day(said: Phrase<'_>) -> Option<Time> {
    match said.text() {
        "noon" | "midday" | "twelve noon" | "12 noon" => return Time::new(12, 0, 0, 0).ok(),
        "midnight" | "twelve midnight" | "12 midnight" => return Time::new(0, 0, 0, 0).ok(),
        _ => {}
    }
    // "7pm" may be typed as one word.
    let spaced = spaced(said);
    let said = spaced.all();
    let (said, half) = ending(said);
    let said = match said.len().checked_sub(1) {
        Some(last) if said.word(last) == Some("oclock") => said.part(0, last),
        _ => said,
    };
    let (hour, minute) = if half == Half::Unsaid { clock(said) } else { in_one(said).or_else(|| clock(said)) }?;
    let hour = match half {
        Half::Unsaid => hour,
        Half::Morning if hour <= 12 => hour % 12,
        Half::Night if hour == 12 || hour < 6 => hour % 12,
        Half::Morning => return None,
        Half::Afternoon | Half::Evening | Half::Night if hour < 12 => hour + 12,
        Half::Afternoon | Half::Evening | Half::Night => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

/// The words before the half of the day, and the half.
fn ending(said: Phrase<'_>) -> (Phrase<'_>, Half) {
    let found = ENDINGS.iter().find_map(|(words, half)| {
        let before = said.len().checked_sub(words.split(' ').count())?;
        (before > 0 && said.after(before).text() == *words).then(|| (said.part(0, before), *half))
    });
    found.unwrap_or((said, Half::Unsaid))
}

/// The hour and the minute, from words without a half of the day.
fn clock(said: Phrase<'_>) -> Option<(i8, i8)> {
    let to_or_past = said.words().position(|word| matches!(word, "past" | "after" | "to" | "before" | "of"));
    if let Some(at) = to_or_past {
        let minutes = match said.part(0, at).text() {
            "quarter" | "a quarter" => 15,
            "half" => 30,
            _ => small(without_unit(said.part(0, at)), 59)?,
        };
        let hour = small(said.after(at + 1), 24)?;
        return match said.word(at) {
            Some("past" | "after") => Some((hour, minutes)),
            _ if minutes == 30 || minutes == 0 => None,
            _ => Some(((hour + 23) % 24, 60 - minutes)),
        };
    }
    // "Half seven" means half past seven in British English.
    if said.word(0) == Some("half") {
        return Some((small(said.after(1), 24)?, 30));
    }
    if let Some(hour) = small(said, 24) {
        return Some((hour, 0));
    }
    hour_and_minute(said)
}

/// Hour and minute in one number, such as "730 pm". Without a half of the day it would be a plain number.
fn in_one(said: Phrase<'_>) -> Option<(i8, i8)> {
    let word = said.word(0).filter(|word| said.len() == 1 && (3..=4).contains(&word.len()))?;
    let (hour, minute) = word.split_at_checked(word.len() - 2)?;
    Some((within(hour.parse().ok()?, 24)?, within(minute.parse().ok()?, 59)?))
}

/// "Seven thirty", "nineteen hundred", "oh six fifteen", "seven oh five".
fn hour_and_minute(said: Phrase<'_>) -> Option<(i8, i8)> {
    let said = match said.len().checked_sub(1) {
        Some(last) if said.word(last) == Some("hours") => said.part(0, last),
        _ => said,
    };
    (1..said.len()).find_map(|at| {
        let (hour, minute) = (said.part(0, at), said.after(at));
        let zero = |said: Phrase<'_>| matches!(said.word(0), Some("oh" | "o" | "zero")) && said.len() == 2;
        let minute = match minute.text() {
            "hundred" => 0,
            _ if zero(minute) => small(minute.after(1), 9)?,
            // "Seven five" is not a time.
            _ => small(minute, 59).filter(|value| *value > 9 || minute.text().len() == 2)?,
        };
        let hour = if zero(hour) { small(hour.after(1), 9)? } else { small(hour, 24)? };
        Some((hour, minute))
    })
}

/// A whole number from 0 to `limit`.
fn small(said: Phrase<'_>, limit: i8) -> Option<i8> {
    within(number(said)?.parse().ok()?, limit)
}

fn within(number: i8, limit: i8) -> Option<i8> {
    (0..=limit).contains(&number).then_some(number)
}

fn without_unit(said: Phrase<'_>) -> Phrase<'_> {
    match said.len().checked_sub(1) {
        Some(last) if matches!(said.word(last), Some("minutes" | "minute")) => said.part(0, last),
        _ => said,
    }
}

/// The words with a space between a number and "am" or "pm".
fn spaced(said: Phrase<'_>) -> Utterance {
    let apart = |word: &str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        match &word[digits.len()..] {
            half @ ("am" | "pm") if !digits.is_empty() => format!("{digits} {half}"),
            _ => word.to_owned(),
        }
    };
    Utterance::read(&said.words().map(apart).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &str) -> Option<String> {
        time(Utterance::read(said).all(), jiff::civil::date(2026, 12, 1).at(22, 15, 0, 0))
    }

    #[test]
    fn times_are_read_from_words() {
        for (said, expected) in [
            ("seven p.m.", "19:00"),
            ("seven pm", "19:00"),
            ("7pm", "19:00"),
            ("7:30 pm", "19:30"),
            ("7:30pm", "19:30"),
            ("730pm", "19:30"),
            ("seven a m", "07:00"),
            ("seven thirty in the morning", "07:30"),
            ("seven thirty", "07:30"),
            ("seven", "07:00"),
            ("seven o'clock", "07:00"),
            ("seven o'clock in the evening", "19:00"),
            ("eight in the evening", "20:00"),
            ("one in the afternoon", "13:00"),
            ("ten at night", "22:00"),
            ("twelve at night", "00:00"),
            ("one at night", "01:00"),
            ("nine tonight", "21:00"),
            ("noon", "12:00"),
            ("midnight", "00:00"),
            ("twelve p.m.", "12:00"),
            ("twelve a.m.", "00:00"),
            ("twelve thirty a.m.", "00:30"),
            ("quarter past six", "06:15"),
            ("a quarter past six", "06:15"),
            ("half past seven", "07:30"),
            ("half past seven in the evening", "19:30"),
            ("half seven", "07:30"),
            ("quarter to eight", "07:45"),
            ("quarter of nine", "08:45"),
            ("at six", "06:00"),
            ("around seven p.m.", "19:00"),
            ("ten to eight p m", "19:50"),
            ("twenty minutes past nine", "09:20"),
            ("ten to one in the afternoon", "12:50"),
            ("a quarter to midnight", ""),
            ("seven oh five", "07:05"),
            ("oh six fifteen", "06:15"),
            ("nineteen thirty", "19:30"),
            ("nineteen hundred", "19:00"),
            ("nineteen hundred hours", "19:00"),
            ("19:00", "19:00"),
            ("06:05", "06:05"),
            ("twenty two forty five", "22:45"),
            ("in the morning", "MO"),
            ("morning", "MO"),
            ("this afternoon", "AF"),
            ("the evening", "EV"),
            ("at night", "NI"),
            ("tonight", "NI"),
            ("in ten minutes", "22:25"),
            ("in two hours", "00:15"),
            ("half an hour from now", "22:45"),
            ("now", "22:15"),
        ] {
            assert_eq!(read(said).as_deref(), Some(expected).filter(|expected| !expected.is_empty()), "{said}");
        }
    }

    #[test]
    fn other_words_are_not_a_time() {
        for said in [
            "",
            "vase",
            "seven vases",
            "twenty five",
            "seventy",
            "seven sixty",
            "nineteen a m",
            "a m",
            "past seven",
            "half",
            "half past",
            "quarter",
            "in three days",
            "seven five",
            "-7",
            "0615",
            "24:30",
        ] {
            assert_eq!(read(said), None, "{said}");
        }
    }
}
