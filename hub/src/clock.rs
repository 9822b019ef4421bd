//! The time, as seconds since the epoch and as text.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{Date, Month, OffsetDateTime};

/// Seconds since the epoch.
pub fn now() -> u64 {
    micros() / 1_000_000
}

/// Microseconds since the epoch.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Date and time in the time zone of this machine, which is that of an Echo beside it.
pub fn local() -> jiff::civil::DateTime {
    jiff::ZonedDateTime::now().datetime()
}

/// `2026-11-22T00:04:05Z`, as Alexa writes a time.
pub fn iso8601(seconds: u64) -> String {
    let t = moment(seconds);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second())
}

/// `20261122T000405.000006Z`: sorts by time, and is a file name everywhere.
pub fn file_name(micros: u64) -> String {
    let (t, rest) = (moment(micros / 1_000_000), micros % 1_000_000);
    let (month, day, hour, minute, second) = (u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second());
    format!("{:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{rest:06}Z", t.year())
}

/// The microseconds since the epoch that [`file_name`] wrote. `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<u64> {
    let digits = |range: std::ops::Range<usize>| name.get(range)?.parse::<u32>().ok();
    let month = Month::try_from(u8::try_from(digits(4..6)?).ok()?).ok()?;
    let small = |range| u8::try_from(digits(range)?).ok();
    let date = Date::from_calendar_date(i32::try_from(digits(0..4)?).ok()?, month, small(6..8)?).ok()?;
    let moment = date.with_hms_micro(small(9..11)?, small(11..13)?, small(13..15)?, digits(16..22)?).ok()?;
    let micros = u64::try_from(moment.assume_utc().unix_timestamp_nanos() / 1000).ok()?;
    // Whatever has been overlooked here makes another name.
    (file_name(micros) == name).then_some(micros)
}

/// A second beyond the year 9999 counts as the first one.
fn moment(seconds: u64) -> OffsetDateTime {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_alexa_and_file_systems_want_it() {
        assert_eq!(iso8601(1_795_305_845), "2026-11-22T00:04:05Z");
        assert_eq!(iso8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(file_name(1_795_305_845_000_006), "20261122T000405.000006Z");
        assert_eq!(iso8601(u64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_file_name_is_read_back_and_no_other_is() {
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
