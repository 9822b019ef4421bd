//! Spoken dates: `AMAZON.DATE` converts "tomorrow" to `2026-12-02` and "this weekend" to `2026-W49-WE`.
//!
//! A day, weekday or month without a year is the next one in the future, including today.

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::{Span, ToSpan};

use super::digits::four_digits;
use super::duration::Duration;
use super::number::number;
use super::ordinal::ordinal;
use crate::simulator::utterance::words::Phrase;

/// The largest number of words in a date.
const MAX_WORDS: usize = 10;

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];
const MONTHS: &[&str] =
    &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

/// `AMAZON.DATE`: converts words to a date relative to `today`.
pub fn date(said: Phrase<'_>, today: Date) -> Option<String> {
    if said.is_empty() || said.len() > MAX_WORDS {
        return None;
    }
    if matches!(said.text(), "now" | "right now") {
        return Some("PRESENT_REF".into());
    }
    day(said, today).map(|day| day.to_string()).or_else(|| period(said, today))
}

/// Whether a word is the name of a weekday.
pub fn is_weekday(word: &str) -> bool {
    WEEKDAYS.iter().any(|(name, _)| *name == word)
}

/// Whether a word is the name of a month.
pub fn is_month(word: &str) -> bool {
    month(word).is_some()
}

/// The duration in "in two hours" and "two hours from now".
pub(super) fn after_now(said: Phrase<'_>) -> Option<Duration> {
    if said.word(0) == Some("in") {
        return Duration::read(said.after(1));
    }
    let from_now = said.len().checked_sub(2).filter(|at| said.after(*at).text() == "from now")?;
    Duration::read(said.part(0, from_now))
}

/// Converts words to a single day.
fn day(said: Phrase<'_>, today: Date) -> Option<Date> {
    let near = match said.text() {
        "today" | "tonight" => Some(0),
        "tomorrow" => Some(1),
        "the day after tomorrow" | "day after tomorrow" => Some(2),
        "yesterday" => Some(-1),
        "the day before yesterday" | "day before yesterday" => Some(-2),
        _ => None,
    };
    if let Some(days) = near {
        return today.checked_add(days.days()).ok();
    }
    weekday(said, today)
        .or_else(|| later(said, today))
        .or_else(|| day_of_month(said, today))
        .or_else(|| day_and_month(said, today))
        .or_else(|| in_digits(said))
}

/// "Monday", "next Monday".
fn weekday(said: Phrase<'_>, today: Date) -> Option<Date> {
    // "Monday next week".
    let of_week = said.len().checked_sub(2).filter(|at| *at > 0 && said.after(*at).text() == "next week");
    let (which, said) = of_week.map_or_else(|| which(said), |at| (Which::Next, said.part(0, at)));
    let weekday = WEEKDAYS.iter().find(|(name, _)| *name == said.text()).map(|(_, weekday)| *weekday)?;
    match which {
        // The weekday of the next week: "next Friday", said on a Tuesday, is not the Friday of this week.
        Which::Next => in_week(today, 1, weekday),
        Which::Last => today.nth_weekday(-1, weekday).ok(),
        Which::This => today.yesterday().ok()?.nth_weekday(1, weekday).ok(),
    }
}

/// A weekday of the week that is `weeks` weeks after the week of `today`.
fn in_week(today: Date, weeks: i64, weekday: Weekday) -> Option<Date> {
    let week = today.checked_add(weeks.weeks()).ok()?.iso_week_date();
    ISOWeekDate::new(week.year(), week.week(), weekday).ok().map(ISOWeekDate::date)
}

/// "In three days", "two weeks from Friday".
fn later(said: Phrase<'_>, today: Date) -> Option<Date> {
    if let Some(duration) = after_now(said) {
        return after(today, duration);
    }
    let from = said.words().position(|word| word == "from")?;
    after(day(said.after(from + 1), today)?, Duration::read(said.part(0, from))?)
}

fn after(day: Date, duration: Duration) -> Option<Date> {
    let [years, months, weeks, days] = duration.calendar().map(i64::try_from);
    let span = Span::new().try_years(years.ok()?).ok()?.try_months(months.ok()?).ok()?;
    let span = span.try_weeks(weeks.ok()?).ok()?.try_days(days.ok()?).ok()?;
    day.checked_add(span).ok().filter(|_| duration.clock() == 0 && !span.is_zero())
}

/// "The fifteenth".
fn day_of_month(said: Phrase<'_>, today: Date) -> Option<Date> {
    let day = i8::try_from(ordinal(said)?).ok().filter(|_| said.word(0) == Some("the"))?;
    let month = |months: i64| today.first_of_month().checked_add(months.months()).ok();
    (0..12).filter_map(|months| month(months)?.with().day(day).build().ok()).find(|date| *date >= today)
}

/// "December first", "the third of May", "May 3rd 2027".
fn day_and_month(said: Phrase<'_>, today: Date) -> Option<Date> {
    let at = said.words().position(|word| month(word).is_some())?;
    let month = month(said.word(at)?)?;
    let before = said.part(0, at);
    let before = if before.len() > 1 && before.word(before.len() - 1) == Some("of") { before.part(0, before.len() - 1) } else { before };
    let after = said.after(at + 1);
    if !before.is_empty() {
        return next(today, month, day_number(before)?, year(after)?);
    }
    // The day takes as many words as possible: "May twenty first" is not May 20 of the year 1.
    (1..=after.len()).rev().find_map(|end| next(today, month, day_number(after.part(0, end))?, year(after.after(end))?))
}

/// A day of a given year, or the next such day in the future.
fn next(today: Date, month: i8, day: i8, year: Option<i16>) -> Option<Date> {
    match year {
        Some(year) => Date::new(year, month, day).ok(),
        // February 29 is at most eight years in the future.
        None => (0..9).filter_map(|years| Date::new(today.year() + years, month, day).ok()).find(|date| *date >= today),
    }
}

fn day_number(said: Phrase<'_>) -> Option<i8> {
    let ordinal = ordinal(said).and_then(|day| i8::try_from(day).ok());
    ordinal.or_else(|| number(said)?.parse().ok()).filter(|day| (1..=31).contains(day))
}

/// An optional year: `Some(None)` for no words, and `None` for words that are not a year.
#[allow(clippy::option_option, reason = "no year, one, or words that are none")]
fn year(said: Phrase<'_>) -> Option<Option<i16>> {
    if said.is_empty() { Some(None) } else { four_digits(said)?.parse().ok().map(Some) }
}

fn month(word: &str) -> Option<i8> {
    MONTHS.iter().position(|month| *month == word).and_then(|at| i8::try_from(at + 1).ok())
}

/// A date such as `2026-12-01`, which is read as three words.
fn in_digits(said: Phrase<'_>) -> Option<Date> {
    let (3, Some(year), Some(month), Some(day)) = (said.len(), said.word(0), said.word(1), said.word(2)) else { return None };
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// Converts words to a period: a week, weekend, month, season, year or decade.
fn period(said: Phrase<'_>, today: Date) -> Option<String> {
    let (which, named) = which(said);
    // "This month", but not "month" alone.
    let (steps, pointed) = (which.steps(), named.len() < said.len());
    let week = |today: Date, weeks: i64| today.checked_add(weeks.weeks()).ok().map(Date::iso_week_date);
    let year = |years: i16| today.year() + years;
    match named.text() {
        "week" if pointed => week(today, steps).map(week_of),
        "week after next" => week(today, 2).map(week_of),
        "weekend" => week(today, steps).map(|week| format!("{}-WE", week_of(week))),
        "month" if pointed => {
            let month = today.first_of_month().checked_add(steps.months()).ok()?;
            Some(format!("{:04}-{:02}", month.year(), month.month()))
        }
        "year" if pointed => Some(format!("{:04}", year(i16::try_from(steps).ok()?))),
        "decade" if pointed => Some(format!("{:03}X", year(i16::try_from(steps * 10).ok()?) / 10)),
        text => {
            if let Some(season) = season(text) {
                return Some(format!("{:04}-{season}", year(i16::try_from(steps).ok()?)));
            }
            month_of_year(named, which, today).or_else(|| {
                let year = four_digits(said)?;
                (1_900..2_200).contains(&year.parse::<i16>().ok()?).then_some(year)
            })
        }
    }
}

fn week_of(week: ISOWeekDate) -> String {
    format!("{:04}-W{:02}", week.year(), week.week())
}

fn season(word: &str) -> Option<&'static str> {
    Some(match word {
        "winter" => "WI",
        "spring" => "SP",
        "summer" => "SU",
        "fall" | "autumn" => "FA",
        _ => return None,
    })
}

/// "December", "next May", "May 2027".
fn month_of_year(said: Phrase<'_>, which: Which, today: Date) -> Option<String> {
    let month = month(said.word(0)?)?;
    let rest = if said.word(1) == Some("of") { said.after(2) } else { said.after(1) };
    let year = match (year(rest)?, which) {
        (Some(year), _) => year,
        (None, Which::This) => today.year() + i16::from(month < today.month()),
        (None, Which::Next) => today.year() + i16::from(month <= today.month()),
        (None, Which::Last) => today.year() - i16::from(month >= today.month()),
    };
    Some(format!("{year:04}-{month:02}"))
}

/// The relative position of a week, month or weekday.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    This,
    Next,
    Last,
}

impl Which {
    fn steps(self) -> i64 {
        match self {
            Which::This => 0,
            Which::Next => 1,
            Which::Last => -1,
        }
    }
}

fn which(said: Phrase<'_>) -> (Which, Phrase<'_>) {
    match said.word(0) {
        Some("this" | "the" | "on" | "coming") => (Which::This, said.after(1)),
        Some("next") => (Which::Next, said.after(1)),
        Some("last") => (Which::Last, said.after(1)),
        _ => (Which::This, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::utterance::words::Utterance;

    /// December 1, 2026 is a Tuesday.
    const TODAY: Date = jiff::civil::date(2026, 12, 1);

    fn check(today: Date, said: &str, expected: Option<&str>) {
        assert_eq!(date(Utterance::read(said).all(), today).as_deref(), expected, "{said}");
    }

    #[test]
    fn dates_are_read_from_words() {
        for (said, expected) in [
            ("today", "2026-12-01"),
            ("tomorrow", "2026-12-02"),
            ("the day after tomorrow", "2026-12-03"),
            ("yesterday", "2026-11-30"),
            ("tuesday", "2026-12-01"),
            ("wednesday", "2026-12-02"),
            ("this friday", "2026-12-04"),
            ("on friday", "2026-12-04"),
            ("monday", "2026-12-07"),
            ("next monday", "2026-12-07"),
            ("next friday", "2026-12-11"),
            ("friday next week", "2026-12-11"),
            ("last friday", "2026-11-27"),
            ("last tuesday", "2026-11-24"),
            ("december first", "2026-12-01"),
            ("december the second", "2026-12-02"),
            ("december 24th", "2026-12-24"),
            ("december 24", "2026-12-24"),
            ("the first of december", "2026-12-01"),
            ("november thirtieth", "2027-11-30"),
            ("the third of may", "2027-05-03"),
            ("third of may", "2027-05-03"),
            ("may third", "2027-05-03"),
            ("may twenty first", "2027-05-21"),
            ("3rd May 2028", "2028-05-03"),
            ("may third twenty twenty eight", "2028-05-03"),
            ("december first two thousand thirty", "2030-12-01"),
            ("february twenty ninth", "2028-02-29"),
            ("the fifteenth", "2026-12-15"),
            ("2027-03-04", "2027-03-04"),
            ("in three days", "2026-12-04"),
            ("two weeks from now", "2026-12-15"),
            ("a week from friday", "2026-12-11"),
            ("in a month", "2027-01-01"),
            ("this week", "2026-W49"),
            ("next week", "2026-W50"),
            ("last week", "2026-W48"),
            ("the week after next", "2026-W51"),
            ("this weekend", "2026-W49-WE"),
            ("the weekend", "2026-W49-WE"),
            ("next weekend", "2026-W50-WE"),
            ("this month", "2026-12"),
            ("next month", "2027-01"),
            ("last month", "2026-11"),
            ("december", "2026-12"),
            ("november", "2027-11"),
            ("next december", "2027-12"),
            ("may twenty twenty eight", "2028-05"),
            ("this year", "2026"),
            ("next year", "2027"),
            ("twenty thirty", "2030"),
            ("this winter", "2026-WI"),
            ("next summer", "2027-SU"),
            ("fall", "2026-FA"),
            ("this decade", "202X"),
            ("next decade", "203X"),
            ("now", "PRESENT_REF"),
        ] {
            check(TODAY, said, Some(expected));
        }
    }

    #[test]
    fn dates_are_correct_at_the_end_of_a_year() {
        let new_years_eve = jiff::civil::date(2026, 12, 31);
        for (said, expected) in [
            ("tomorrow", "2027-01-01"),
            ("this weekend", "2026-W53-WE"),
            ("next week", "2027-W01"),
            ("next month", "2027-01"),
            ("the fifteenth", "2027-01-15"),
            ("the thirtieth", "2027-01-30"),
            ("december first", "2027-12-01"),
        ] {
            check(new_years_eve, said, Some(expected));
        }
        check(jiff::civil::date(2026, 1, 31), "next month", Some("2026-02"));
        check(jiff::civil::date(2026, 2, 1), "the thirtieth", Some("2026-03-30"));
        check(jiff::civil::date(2026, 12, 6), "this weekend", Some("2026-W49-WE"));
        check(Date::MAX, "tomorrow", None);
        check(Date::MAX, "next week", None);
    }

    #[test]
    fn other_words_are_not_a_date() {
        for said in [
            "",
            "vase",
            "week",
            "month",
            "first",
            "seven",
            "february thirtieth",
            "may fortieth",
            "in two hours",
            "in zero days",
            "next vase",
            "the",
            "9999",
        ] {
            check(TODAY, said, None);
        }
    }
}
