//! A repeatable random number generator: the same seed gives the same numbers (SplitMix64,
//! <https://prng.di.unimi.it/splitmix64.c>).

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn one_in(&self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// A generator for a concurrent task. Its numbers do not depend on the order in which the tasks run.
    pub(crate) fn split(&self) -> Self {
        Self::of(self.next())
    }
}
