//! How fast a device gives up, and how soon it tries again.

use std::time::Duration;

use crate::connection::link::KEEP_ALIVE;
use crate::connection::pause::{self, doubled, share};

/// The times of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two signs of life, in whole seconds. A dead network is noticed after twice as long. AWS IoT takes no less
    /// than 30 seconds (<https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt-keep-alive>).
    pub keep_alive: Duration,
    /// Before the second attempt, at most; before each further one twice as long.
    pub first_wait: Duration,
    /// Between two attempts, at most.
    pub longest_wait: Duration,
    /// After which a connection counts as a good one, and the next attempt comes soon.
    pub probation: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            keep_alive: KEEP_ALIVE,
            first_wait: pause::FIRST,
            longest_wait: Duration::from_secs(120),
            probation: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// Twice as long after each failure, and somewhere in the second half of it.
    pub(super) fn wait(&self, failures: u32, random: u32) -> Duration {
        let half = doubled(self.first_wait, failures, self.longest_wait) / 2;
        half + share(half, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_differ() {
        let pace = Pace::default();
        let wait = |failures, random| pace.wait(failures, random).as_millis();
        assert_eq!((wait(0, 0), wait(0, u32::MAX)), (250, 500));
        assert_eq!((wait(2, 0), wait(2, u32::MAX)), (1_000, 2_000));
        assert_eq!((wait(8, 0), wait(u32::MAX, u32::MAX)), (60_000, 120_000));
    }
}
