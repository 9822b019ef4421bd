//! The slot values of built-in types that Alexa derives from the words of the user: durations, times and dates
//! (<https://developer.amazon.com/docs/alexa/custom-skills/slot-type-reference.html>).
//!
//! A request does not name the type of a slot, so a value is recognised by its form. A year alone (`2027`) has the form of a
//! number and is not recognised.

use time::{Date, Month, Weekday};

/// A value of `AMAZON.DURATION`, `AMAZON.TIME` or `AMAZON.DATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInValue {
    /// A duration in ISO 8601, such as `PT1H30M`.
    Duration(Duration),
    /// A time of day, such as `19:00`.
    Time {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
    },
    /// A part of the day: `MO`, `AF`, `EV` or `NI`.
    PartOfDay(PartOfDay),
    /// A calendar date, such as `2026-12-01`.
    Day(Date),
    /// An ISO week, such as `2026-W49`, as the date of its Monday.
    Week(Date),
    /// A weekend, such as `2026-W49-WE`, as the date of its Saturday.
    Weekend(Date),
    /// A month of a year, such as `2026-12`.
    Month(i32, Month),
    /// A season of a year, such as `2026-WI`.
    Season(i32, Season),
    /// A decade, such as `202X`, as its first year.
    Decade(i32),
    /// `PRESENT_REF`: "now", for a date.
    Now,
}

/// A duration with its units as spoken. The units are not normalised: 90 seconds stay 90 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Duration {
    pub years: u32,
    pub months: u32,
    pub weeks: u32,
    pub days: u32,
    pub hours: u32,
    pub minutes: u32,
    pub seconds: u32,
}

/// A value of `AMAZON.TIME` that is a part of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is what its name says")]
pub enum PartOfDay {
    Morning,
    Afternoon,
    Evening,
    Night,
}

/// A value of `AMAZON.DATE` that is a season.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is what its name says")]
pub enum Season {
    Winter,
    Spring,
    Summer,
    Fall,
}

impl BuiltInValue {
    /// Recognises a value by its form. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "MO" => Some(Self::PartOfDay(PartOfDay::Morning)),
            "AF" => Some(Self::PartOfDay(PartOfDay::Afternoon)),
            "EV" => Some(Self::PartOfDay(PartOfDay::Evening)),
            "NI" => Some(Self::PartOfDay(PartOfDay::Night)),
            "PRESENT_REF" => Some(Self::Now),
            _ => Duration::parse(text).map(Self::Duration).or_else(|| time_of_day(text)).or_else(|| date(text)),
        }
    }
}

impl Duration {
    /// Parses an ISO 8601 duration without fractions.
    pub fn parse(text: &str) -> Option<Self> {
        let mut duration = Self::default();
        let (mut of_day, mut digits) = (false, String::new());
        for c in text.strip_prefix('P')?.chars() {
            let part = match c {
                '0'..='9' => {
                    digits.push(c);
                    continue;
                }
                'T' if !of_day && digits.is_empty() => {
                    of_day = true;
                    continue;
                }
                'Y' if !of_day => &mut duration.years,
                'M' if !of_day => &mut duration.months,
                'W' if !of_day => &mut duration.weeks,
                'D' if !of_day => &mut duration.days,
                'H' if of_day => &mut duration.hours,
                'M' if of_day => &mut duration.minutes,
                'S' if of_day => &mut duration.seconds,
                _ => return None,
            };
            *part = digits.parse().ok()?;
            digits.clear();
        }
        // `P` and `PT` are no durations. A number without a unit is invalid.
        (digits.is_empty() && !text.ends_with(['P', 'T'])).then_some(duration)
    }

    /// The length in seconds. `None` if the duration has years or months, because their lengths vary.
    pub fn seconds(self) -> Option<u64> {
        let days = u64::from(self.weeks) * 7 + u64::from(self.days);
        let seconds = ((days * 24 + u64::from(self.hours)) * 60 + u64::from(self.minutes)) * 60 + u64::from(self.seconds);
        (self.years == 0 && self.months == 0).then_some(seconds)
    }
}

fn time_of_day(text: &str) -> Option<BuiltInValue> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
    (hour < 24 && minute < 60).then(|| Some(BuiltInValue::Time { hour: u8::try_from(hour).ok()?, minute: u8::try_from(minute).ok()? }))?
}

fn date(text: &str) -> Option<BuiltInValue> {
    if let Some(decade) = text.strip_suffix('X') {
        return Some(BuiltInValue::Decade(i32::try_from(number(decade, 3)? * 10).ok()?));
    }
    let (year, rest) = text.split_once('-')?;
    let year = i32::try_from(number(year, 4)?).ok()?;
    let season = match rest {
        "WI" => Some(Season::Winter),
        "SP" => Some(Season::Spring),
        "SU" => Some(Season::Summer),
        "FA" => Some(Season::Fall),
        _ => None,
    };
    if let Some(season) = season {
        return Some(BuiltInValue::Season(year, season));
    }
    if let Some(week) = rest.strip_prefix('W') {
        let day = |week, weekday| Date::from_iso_week_date(year, u8::try_from(number(week, 2)?).ok()?, weekday).ok();
        return match week.strip_suffix("-WE") {
            Some(week) => day(week, Weekday::Saturday).map(BuiltInValue::Weekend),
            None => day(week, Weekday::Monday).map(BuiltInValue::Week),
        };
    }
    let (month, day) = rest.split_once('-').map_or((rest, None), |(month, day)| (month, Some(day)));
    let month = Month::try_from(u8::try_from(number(month, 2)?).ok()?).ok()?;
    match day {
        None => Some(BuiltInValue::Month(year, month)),
        Some(day) => Date::from_calendar_date(year, month, u8::try_from(number(day, 2)?).ok()?).ok().map(BuiltInValue::Day),
    }
}

/// Parses a number of exactly `digits` digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: Month, day: u8) -> Date {
        Date::from_calendar_date(year, month, day).unwrap()
    }

    #[test]
    fn a_value_is_recognised_by_its_form() {
        let hour_and_a_half = Duration { hours: 1, minutes: 30, ..Duration::default() };
        for (text, expected) in [
            ("PT1H30M", BuiltInValue::Duration(hour_and_a_half)),
            ("PT90S", BuiltInValue::Duration(Duration { seconds: 90, ..Duration::default() })),
            ("P1W", BuiltInValue::Duration(Duration { weeks: 1, ..Duration::default() })),
            ("P2YT3H10M", BuiltInValue::Duration(Duration { years: 2, hours: 3, minutes: 10, ..Duration::default() })),
            ("19:00", BuiltInValue::Time { hour: 19, minute: 0 }),
            ("00:05", BuiltInValue::Time { hour: 0, minute: 5 }),
            ("NI", BuiltInValue::PartOfDay(PartOfDay::Night)),
            ("2026-12-01", BuiltInValue::Day(day(2026, Month::December, 1))),
            ("2026-W49", BuiltInValue::Week(day(2026, Month::November, 30))),
            ("2026-W49-WE", BuiltInValue::Weekend(day(2026, Month::December, 5))),
            ("2027-01", BuiltInValue::Month(2027, Month::January)),
            ("2026-WI", BuiltInValue::Season(2026, Season::Winter)),
            ("202X", BuiltInValue::Decade(2020)),
            ("PRESENT_REF", BuiltInValue::Now),
        ] {
            assert_eq!(BuiltInValue::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_not_recognised() {
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "PT1",
            "P1H",
            "PT1D",
            "PT1.5H",
            "pt10m",
            "P1DT",
            "PT99999999999M",
            "mo",
            "Mo",
            "vase",
            "24:00",
            "19:60",
            "7:00",
            "19",
            "2027",
            "2026-13",
            "2026-02-30",
            "2026-W54",
            "2026-W49-XX",
            "2026-",
            "-",
            "X",
            "12X",
            "2026-12-1",
            "555-1212",
        ] {
            assert_eq!(BuiltInValue::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_has_a_length_unless_it_has_months_or_years() {
        let seconds = |text: &str| Duration::parse(text).and_then(Duration::seconds);
        assert_eq!(seconds("PT1H30M"), Some(5_400));
        assert_eq!(seconds("P1W1DT1S"), Some(8 * 86_400 + 1));
        assert_eq!(seconds("P1M"), None);
        assert_eq!(seconds("P1Y"), None);
    }
}
