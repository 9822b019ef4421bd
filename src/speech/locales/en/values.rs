//! English words for values: durations, times and dates.

use time::Date;

use crate::alexa::built_in::{BuiltInValue, Duration, PartOfDay, Season};
use crate::speech::locales::Words;

/// The prepositions before a time or a date, which the value replaces by its own.
const PREPOSITIONS: [&str; 3] = ["at", "in", "on"];
/// States that are nouns, with the words that follow "is".
const STATES: [(&str, &str); 9] = [
    ("alarm", "in an alarm state"),
    ("emergency", "in an emergency state"),
    ("error", "in an error state"),
    ("failure", "in a failure state"),
    ("fault", "in a fault state"),
    ("maintenance", "under maintenance"),
    ("problem", "in trouble"),
    ("standby", "on standby"),
    ("warning", "in a warning state"),
];
/// Subjects whose state is the noun itself: "its status is error", not "its status is in an error state".
const NAMES_OF_STATES: [&str; 5] = ["condition", "mode", "result", "state", "status"];
const NUMBERS: [&str; 13] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// The words for a value. A date within the year that starts with `today` does not need its year.
pub(in crate::speech::locales) fn words(value: BuiltInValue, today: Date) -> Words {
    let with = |preposition: &str, text: String| Words { phrase: Some(format!("{preposition} {text}")), text, ..Words::default() };
    let name_of = |date| day(date, date, today);
    let of_days = |first: Date, count: i64| day(first, first.saturating_add(time::Duration::days(count - 1)), today);
    match value {
        BuiltInValue::Duration(duration) => self::duration(duration).into(),
        BuiltInValue::Time { hour, minute } => with("at", time(hour, minute)),
        BuiltInValue::PartOfDay(PartOfDay::Night) => {
            Words { phrase: Some("at night".into()), text: "the night".into(), ..Words::default() }
        }
        BuiltInValue::PartOfDay(part) => with(
            "in",
            match part {
                PartOfDay::Morning => "the morning".into(),
                PartOfDay::Afternoon => "the afternoon".into(),
                PartOfDay::Evening | PartOfDay::Night => "the evening".into(),
            },
        ),
        BuiltInValue::Day(date) => with("on", name_of(date)),
        BuiltInValue::Week(monday) => with("in", format!("the week of {}", of_days(monday, 7))),
        BuiltInValue::Weekend(saturday) => with("on", format!("the weekend of {}", of_days(saturday, 2))),
        BuiltInValue::Month(year, month) if year == today.year() => with("in", month.to_string()),
        BuiltInValue::Month(year, month) => with("in", format!("{month} {year}")),
        BuiltInValue::Season(year, season) => with("in", format!("{} {year}", self::season(season))),
        BuiltInValue::Decade(year) => with("in", format!("the {year}s")),
        BuiltInValue::Now => Words { phrase: Some("now".into()), text: "now".into(), ..Words::default() },
    }
}

/// The word for the state of a switch.
pub(in crate::speech::locales) fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The words for one of several values. A device model may write it like an identifier: `WARM_WHITE`.
pub(in crate::speech::locales) fn choice(value: &str) -> Words {
    let words = value.split(['_', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let shouted = words.chars().any(char::is_uppercase) && !words.chars().any(char::is_lowercase);
    let text = if shouted { words.to_lowercase() } else { words };
    let state = STATES.iter().find(|(state, _)| text.eq_ignore_ascii_case(state));
    Words { predicate: state.map(|(_, predicate)| (*predicate).to_owned()), text, ..Words::default() }
}

/// The words for the name of a property, which may be an identifier of several words.
pub(in crate::speech::locales) fn name(property: &str) -> String {
    let mut words = String::with_capacity(property.len());
    for c in property.chars() {
        let begins = c.is_uppercase() && words.ends_with(char::is_lowercase);
        if begins || "_-".contains(c) {
            words.push(' ');
        }
        match c {
            '_' | '-' => {}
            c if begins => words.extend(c.to_lowercase()),
            c => words.push(c),
        }
    }
    words.trim().to_owned()
}

/// The singular of a unit: "degree" for "degrees".
pub(in crate::speech::locales) fn singular(unit: &str) -> String {
    let ends = |ends: &[&str]| ends.iter().any(|end| unit.ends_with(end));
    match unit {
        "feet" => "foot".into(),
        _ if ends(&["ches", "shes", "sses", "xes"]) => unit.trim_end_matches("es").into(),
        _ if ends(&["ss", "us"]) => unit.into(),
        _ => unit.strip_suffix('s').unwrap_or(unit).into(),
    }
}

/// Whether a sentence ends with "is" or "was", and its subject is not a state itself: "its status is".
pub(in crate::speech::locales) fn says_how_something_is(sentence: &str) -> bool {
    let mut words = sentence.split_whitespace().rev();
    let verb = words.next().is_some_and(|verb| ["is", "was", "are", "were"].iter().any(|known| verb.eq_ignore_ascii_case(known)));
    let subject = words.next().unwrap_or_default().to_lowercase();
    sentence.ends_with(' ') && verb && !NAMES_OF_STATES.contains(&subject.as_str())
}

/// The words without their article, if they follow a number: "2 vases", not "2 the vases".
pub(in crate::speech::locales) fn after<'w>(sentence: &str, words: &'w str) -> &'w str {
    let number = sentence.split_whitespace().next_back().is_some_and(|word| word.parse::<f64>().is_ok());
    match words.split_once(' ') {
        Some((first, rest)) if number && sentence.ends_with(' ') && is_article(first) => rest.trim_start(),
        _ => words,
    }
}

/// An enumeration: "a vase, a cup and a box".
pub(in crate::speech::locales) fn list(items: &[String]) -> String {
    list_with(items, "and")
}

/// An enumeration with another word than "and" before the last item.
pub(in crate::speech::locales) fn list_with(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// The byte offset of the preposition at the end of a sentence, if it ends with one.
pub(in crate::speech::locales) fn before_preposition(sentence: &str) -> Option<usize> {
    let words = sentence.strip_suffix(' ')?;
    let at = words.rfind(' ').map_or(0, |space| space + 1);
    PREPOSITIONS.contains(&words.get(at..)?).then_some(at)
}

/// The number of seconds in a unit of time.
pub(in crate::speech::locales) fn seconds_of(unit: &str) -> Option<u64> {
    match unit.trim().to_lowercase().as_str() {
        "second" | "seconds" | "sec" | "secs" | "s" => Some(1),
        "minute" | "minutes" | "min" | "mins" => Some(60),
        "hour" | "hours" | "hr" | "hrs" | "h" => Some(3_600),
        "day" | "days" => Some(86_400),
        "week" | "weeks" => Some(7 * 86_400),
        _ => None,
    }
}

/// Whether a word is an article.
pub(in crate::speech::locales) fn is_article(words: &str) -> bool {
    ["a", "an", "the"].iter().any(|article| words.eq_ignore_ascii_case(article))
}

fn duration(duration: Duration) -> String {
    let Duration { years, months, weeks, days, hours, minutes, seconds } = duration;
    let units = ["year", "month", "week", "day", "hour", "minute", "second"];
    let amounts = [years, months, weeks, days, hours, minutes, seconds];
    let parts: Vec<String> = amounts.into_iter().zip(units).filter(|(amount, _)| *amount > 0).map(|(n, unit)| amount(n, unit)).collect();
    if parts.is_empty() { amount(0, "second") } else { list(&parts) }
}

/// A number with its unit. Numbers up to twelve are words.
fn amount(count: u32, unit: &str) -> String {
    let count = u64::from(count);
    format!("{} {}", number(count), plural(count, unit))
}

/// The unit after a number: "minute", "minutes".
pub(in crate::speech::locales) fn plural(count: u64, unit: &str) -> String {
    format!("{unit}{}", if count == 1 { "" } else { "s" })
}

/// A number inside a sentence. Numbers up to twelve are words.
pub(in crate::speech::locales) fn number(count: u64) -> String {
    usize::try_from(count).ok().and_then(|count| NUMBERS.get(count)).map_or_else(|| count.to_string(), |word| (*word).into())
}

fn time(hour: u8, minute: u8) -> String {
    let half = if hour < 12 { "a.m." } else { "p.m." };
    match (hour, minute) {
        (0, 0) => "midnight".into(),
        (12, 0) => "noon".into(),
        (_, 0) => format!("{} {half}", (hour + 11) % 12 + 1),
        _ => format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1),
    }
}

/// A date, such as "December 1st". `end` is the last day of the period that starts with `date`. The year is added if the period
/// is over, or if it starts more than a year from today.
fn day(date: Date, end: Date, today: Date) -> String {
    let name = format!("{} {}", date.month(), ordinal(date.day()));
    let of_this_year = end >= today && (date - today).whole_days() < 365;
    if of_this_year { name } else { format!("{name}, {}", date.year()) }
}

fn ordinal(number: u8) -> String {
    let suffix = match (number % 10, number / 10) {
        (1, tens) if tens != 1 => "st",
        (2, tens) if tens != 1 => "nd",
        (3, tens) if tens != 1 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn season(season: Season) -> &'static str {
    match season {
        Season::Winter => "winter",
        Season::Spring => "spring",
        Season::Summer => "summer",
        Season::Fall => "fall",
    }
}

#[cfg(test)]
mod tests {
    use time::Month;

    use super::*;

    #[test]
    fn built_in_values_are_converted_to_words() {
        let today = Date::from_calendar_date(2026, Month::December, 1).unwrap();
        for (value, expected) in [
            ("PT10M", "ten minutes"),
            ("PT1M", "one minute"),
            ("PT1H30M", "one hour and 30 minutes"),
            ("PT90S", "90 seconds"),
            ("P1DT12H", "one day and twelve hours"),
            ("P1Y2M3DT4H", "one year, two months, three days and four hours"),
            ("PT0S", "zero seconds"),
            ("19:00", "7 p.m."),
            ("19:30", "7:30 p.m."),
            ("07:05", "7:05 a.m."),
            ("12:00", "noon"),
            ("12:30", "12:30 p.m."),
            ("00:00", "midnight"),
            ("00:15", "12:15 a.m."),
            ("MO", "the morning"),
            ("NI", "the night"),
            ("2026-12-01", "December 1st"),
            ("2026-12-02", "December 2nd"),
            ("2027-05-03", "May 3rd"),
            ("2027-01-11", "January 11th"),
            ("2026-12-22", "December 22nd"),
            ("2026-11-30", "November 30th, 2026"),
            ("2030-12-01", "December 1st, 2030"),
            ("2026-W49-WE", "the weekend of December 5th"),
            ("2026-W48", "the week of November 23rd, 2026"),
            ("2026-W49", "the week of November 30th"),
            ("2026-W50", "the week of December 7th"),
            ("2026-12", "December"),
            ("2027-01", "January 2027"),
            ("2026-WI", "winter 2026"),
            ("202X", "the 2020s"),
            ("PRESENT_REF", "now"),
        ] {
            assert_eq!(words(BuiltInValue::parse(value).unwrap(), today).text, expected, "{value}");
        }
    }

    #[test]
    fn identifiers_are_converted_to_words() {
        for (value, words) in
            [("warm_white", "warm white"), ("WARM_WHITE", "warm white"), ("idle", "idle"), ("Eco+", "Eco+"), ("OFF", "off")]
        {
            assert_eq!(choice(value), words.to_owned().into(), "{value}");
        }
        for (property, words) in
            [("nozzleTarget", "nozzle target"), ("water_level", "water level"), ("bed", "bed"), ("airQualityIndex", "air quality index")]
        {
            assert_eq!(name(property), words, "{property}");
        }
        for (unit, one) in [("degrees", "degree"), ("percent", "percent"), ("inches", "inch"), ("feet", "foot"), ("minutes", "minute")] {
            assert_eq!(singular(unit), one, "{unit}");
        }
    }

    #[test]
    fn several_items_become_an_enumeration() {
        let said = |items: &[&str]| list(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!(said(&["vase"]), "vase");
        assert_eq!(said(&["vase", "cup"]), "vase and cup");
        assert_eq!(said(&["vase", "cup", "box"]), "vase, cup and box");
        assert_eq!(said(&[]), "");
    }
}
