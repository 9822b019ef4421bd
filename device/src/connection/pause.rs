//! For how long to leave alone who has not answered: longer each time, and each device for a while of its own.

use std::time::Duration;

/// After the first failure.
pub(crate) const FIRST: Duration = Duration::from_millis(500);

/// Twice as long after each failure, up to a limit.
pub(crate) fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures)).min(longest)
}

/// So much of something as the random number is of all there are.
pub(crate) fn share(of: Duration, random: u32) -> Duration {
    of.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_nothing_or_all_or_in_between() {
        let ten = Duration::from_secs(10);
        assert_eq!((share(ten, 0), share(ten, u32::MAX)), (Duration::ZERO, ten));
    }
}
