//! The current time as Unix time, and times as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;

/// The Unix time in seconds. A clock before 1970 yields 0.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The date, such as `2026-11-22`. A time after the year 9999 yields its last day.
pub(crate) fn date(seconds: u64) -> String {
    let (year, month, day, ..) = parts(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date and time, such as `2026-11-22 00:04:05 UTC`.
pub(crate) fn moment(seconds: u64) -> String {
    let (.., hour, minute, second) = parts(seconds);
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", date(seconds))
}

fn parts(seconds: u64) -> (u16, u8, u8, u8, u8, u8) {
    let t = DateTime::from_unix_duration(Duration::from_secs(seconds)).unwrap_or(DateTime::INFINITY);
    (t.year(), t.month(), t.day(), t.hour(), t.minutes(), t.seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_for_people() {
        assert_eq!(moment(1_795_305_845), "2026-11-22 00:04:05 UTC");
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(u64::MAX), "9999-12-31");
    }
}
