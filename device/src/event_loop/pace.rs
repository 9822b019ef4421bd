//! The time limits and pauses of the connections of a device.

use std::time::Duration;

use crate::connection::link::KEEP_ALIVE;
use crate::connection::pause::{self, doubled, share};

/// The times of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The MQTT keep-alive interval, in whole seconds. A dead network is noticed after twice this time. The least value that AWS
    /// IoT accepts is 30 seconds (<https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt-keep-alive>).
    pub keep_alive: Duration,
    /// The longest pause before the second attempt. It doubles with each further attempt.
    pub first_wait: Duration,
    /// The longest pause between two attempts.
    pub longest_wait: Duration,
    /// The time after which a connection counts as stable, and the number of failures starts again at 0.
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
    /// The pause after this number of failures: doubled with each failure, and random within the second half of that time.
    pub(super) fn wait(&self, failures: u32, random: u32) -> Duration {
        let half = doubled(self.first_wait, failures, self.longest_wait) / 2;
        half + share(half, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_random_and_grow_up_to_a_limit() {
        let pace = Pace::default();
        let wait = |failures, random| pace.wait(failures, random).as_millis();
        assert_eq!((wait(0, 0), wait(0, u32::MAX)), (250, 500));
        assert_eq!((wait(2, 0), wait(2, u32::MAX)), (1_000, 2_000));
        assert_eq!((wait(8, 0), wait(u32::MAX, u32::MAX)), (60_000, 120_000));
    }
}
