//! The pauses between attempts: exponential backoff with a random share for each device.

use std::time::Duration;

/// The pause after the first failure.
pub(crate) const FIRST: Duration = Duration::from_millis(500);

/// `first`, doubled with each failure up to `longest`.
pub(crate) fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures)).min(longest)
}

/// The share of a duration that corresponds to a random number: 0 yields nothing, the largest number yields the whole duration.
pub(crate) fn share(of: Duration, random: u32) -> Duration {
    of.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_nothing_and_all() {
        let ten = Duration::from_secs(10);
        assert_eq!((share(ten, 0), share(ten, u32::MAX)), (Duration::ZERO, ten));
    }
}
