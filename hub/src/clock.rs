//! The current time and its text formats.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime};

/// The current Unix time in seconds.
pub fn now() -> u64 {
    micros() / 1_000_000
}

/// The current Unix time in microseconds.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Local date and time in the time zone of this machine. The simulated Echo uses the same time zone.
pub fn local() -> jiff::civil::DateTime {
    jiff::ZonedDateTime::now().datetime()
}

/// A time as Alexa writes it, for example `2026-11-22T00:04:05Z`. `seconds` is a Unix time.
pub fn iso8601(seconds: u64) -> String {
    let t = moment(seconds);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second())
}

/// A Unix time in microseconds as a file name that sorts by time, for example `20261122T000405.000006Z`. All file systems accept
/// it.
pub fn file_name(micros: u64) -> String {
    let (t, rest) = (moment(micros / 1_000_000), micros % 1_000_000);
    let (month, day, hour, minute, second) = (u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second());
    format!("{:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{rest:06}Z", t.year())
}

/// The Unix time in microseconds that [`file_name`] wrote. `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| name.get(range)?.parse::<u32>().ok();
    let month = Month::try_from(u8::try_from(digits(4..6)?).ok()?).ok()?;
    let small = |range| u8::try_from(digits(range)?).ok();
    let date = Date::from_calendar_date(i32::try_from(digits(0..4)?).ok()?, month, small(6..8)?).ok()?;
    let moment = date.with_hms_micro(small(9..11)?, small(11..13)?, small(13..15)?, digits(16..22)?).ok()?;
    let micros = u64::try_from(moment.assume_utc().unix_timestamp_nanos() / 1000).ok()?;
    // Some other names pass the checks above, for example names with other separators.
    (file_name(micros) == name).then_some(micros)
}

/// A time after the year 9999 becomes the Unix epoch.
fn moment(seconds: u64) -> OffsetDateTime {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_formats_of_alexa_and_of_file_names() {
        assert_eq!(iso8601(1_795_305_845), "2026-11-22T00:04:05Z");
        assert_eq!(iso8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(file_name(1_795_305_845_000_006), "20261122T000405.000006Z");
        assert_eq!(iso8601(u64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn only_names_that_file_name_wrote_are_parsed() {
        for micros in [0, 1_795_305_845_000_006, 951_782_400_999_999] {
            assert_eq!(parse_file_name(&file_name(micros)), Some(micros));
        }
        for other in
            ["", "hello", "20261122T000405.000006", "20261322T000405.000006Z", "+0261122T000405.000006Z", "2026112ÄT000405.000006Z"]
        {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
