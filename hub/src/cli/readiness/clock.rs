//! Whether the clock of this machine is plausible. The skill refuses requests of Alexa whose timestamp differs by more than 150
//! seconds, and the validity of certificates depends on the clock.

use super::Finding;
use crate::clock::iso8601;

const TEST: &str = "clock";
/// The largest difference between the timestamp of a request of Alexa and the clock, in seconds.
pub const TOLERANCE: u64 = 150;
/// The difference to another clock from which there is a warning, in seconds.
const WARNING_FROM: u64 = 30;
/// The difference by which a time in the database may be later than now, in seconds. It allows for a fast clock that was
/// corrected later.
const SET_BACK: u64 = 300;

/// When this program was built, as Unix time in seconds.
pub fn built() -> u64 {
    env!("ONETHING_BUILT_AT").parse().unwrap_or_default()
}

/// Checks the clock without another clock: it must not be before the build or before the newest time in the database. `newest` is
/// that time, if there is one. All are Unix times in seconds.
pub fn check(now: u64, built: u64, newest: Option<u64>) -> Finding {
    let behind = |what: &str, than: u64| {
        let says =
            format!("the clock of this machine is behind: it says {}, and {what} at {}. Set it, best by NTP", iso8601(now), iso8601(than));
        Finding::failed(TEST, says)
    };
    match newest {
        _ if now < built => behind("this program was built", built),
        Some(newest) if now + SET_BACK < newest => behind("the newest note in the database was written", newest),
        _ => Finding::ok(TEST, format!("it is {}", iso8601(now))),
    }
}

/// Compares the clock with the clock of a server of Amazon. Both are Unix times in seconds.
pub fn beside(now: u64, theirs: u64) -> Finding {
    let off = now.abs_diff(theirs);
    let which = if now < theirs { "behind" } else { "ahead of" };
    let says = format!("the clock of this machine is {off} seconds {which} Amazon's");
    if off <= WARNING_FROM {
        Finding::ok(TEST, says)
    } else if off <= TOLERANCE {
        Finding::warning(TEST, format!("{says}: from {TOLERANCE} on Alexa's requests are refused. Set it, best by NTP"))
    } else {
        Finding::failed(TEST, format!("{says}: Alexa's requests are refused. Set it, best by NTP"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const NOW: u64 = 1_795_305_600;

    #[test]
    fn a_clock_before_the_build_or_before_the_database_fails() {
        let verdict = |now, built, newest| check(now, built, newest).verdict;
        assert_eq!(verdict(NOW, NOW - 9, Some(NOW - 1)), Verdict::Ok);
        assert_eq!(verdict(NOW, NOW - 9, None), Verdict::Ok);
        assert_eq!(verdict(NOW, NOW, Some(NOW + SET_BACK)), Verdict::Ok);
        assert_eq!(verdict(NOW, NOW + 1, None), Verdict::Failed);
        assert_eq!(verdict(0, built(), None), Verdict::Failed);
        assert_eq!(verdict(NOW, NOW, Some(NOW + SET_BACK + 1)), Verdict::Failed);
        assert!(built() > 1_700_000_000);
    }

    #[test]
    fn a_difference_to_amazons_clock_warns_before_requests_are_refused() {
        for (theirs, verdict, words) in [
            (NOW + 30, Verdict::Ok, "30 seconds behind"),
            (NOW - 31, Verdict::Warning, "31 seconds ahead of"),
            (NOW + 150, Verdict::Warning, "150 seconds behind"),
            (NOW - 151, Verdict::Failed, "are refused"),
        ] {
            let finding = beside(NOW, theirs);
            assert!(finding.verdict == verdict && finding.says.contains(words), "{finding:?}");
        }
    }
}
