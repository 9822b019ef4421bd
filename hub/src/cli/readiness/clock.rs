//! Whether the clock of this machine can be right: Alexa's requests are refused that are 150 seconds away from it, and certificates
//! begin and end by it.

use super::Finding;
use crate::clock::iso8601;

const TEST: &str = "clock";
/// Alexa's requests may be so far away, in seconds.
pub const TOLERANCE: u64 = 150;
/// From here on it is worth a word, in seconds.
const WORTH_A_WORD: u64 = 30;
/// A note in the database may be so much ahead of a clock that was set right meanwhile, in seconds.
const SET_BACK: u64 = 300;

/// When this program was built, in seconds since the epoch.
pub fn built() -> u64 {
    env!("ONETHING_BUILT_AT").parse().unwrap_or_default()
}

/// What can be told without another clock: time does not go back behind what has been. `newest` is the time of the newest note in the
/// database, where there is one.
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

/// The same beside the clock of a server.
pub fn beside(now: u64, theirs: u64) -> Finding {
    let off = now.abs_diff(theirs);
    let which = if now < theirs { "behind" } else { "ahead of" };
    let says = format!("the clock of this machine is {off} seconds {which} Amazon's");
    if off <= WORTH_A_WORD {
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
    fn a_clock_that_goes_back_is_wrong() {
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
    fn a_clock_that_is_off_amazons_is_told_before_alexa_is_refused() {
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
