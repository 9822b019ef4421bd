//! Limits lines of a log: the first ones of a cause are written one by one, then one in a while, with the number of those that it stands for.

use std::collections::HashMap;
use std::hash::Hash;

/// How many of one cause are told one by one.
pub(super) const BURST: u64 = 10;
/// Afterwards one is told in so many seconds.
pub(super) const PAUSE: u64 = 10;
/// How many causes are counted one by one. All further causes are counted as one, until some of the former have been quiet.
pub(super) const CAUSES: usize = 1_024;

/// Counts what happens, by its cause: `T` by `K`.
#[derive(Debug)]
pub(super) struct Limiter<K, T> {
    /// `None` for the causes for which there is no room.
    counts: HashMap<Option<K>, Count<T>>,
}

#[derive(Debug)]
struct Count<T> {
    /// How many may be told now.
    left: u64,
    /// When `left` was last added to, in seconds since the epoch.
    refilled: u64,
    /// The last one that was not told, and how many were not.
    held_back: Option<(T, u64)>,
}

impl<K: Eq + Hash, T> Limiter<K, T> {
    pub(super) fn new() -> Self {
        Self { counts: HashMap::new() }
    }

    /// Counts `what`. Returns what is to be told now, and for how many that stands.
    pub(super) fn happened(&mut self, cause: K, what: T, now: u64) -> Option<(T, u64)> {
        let cause = Some(cause);
        let cause = if self.counts.len() < CAUSES || self.counts.contains_key(&cause) { cause } else { None };
        let count = self.counts.entry(cause).or_insert(Count { left: BURST, refilled: now, held_back: None });
        count.refill(now);
        let times = count.held_back.take().map_or(0, |(_, times)| times) + 1;
        count.held_back = Some((what, times));
        count.take()
    }

    /// What was held back and is to be told now. Forgets causes that have been quiet for long enough.
    pub(super) fn due(&mut self, now: u64) -> Vec<(T, u64)> {
        let due = self.counts.values_mut().filter_map(|count| {
            count.refill(now);
            count.take()
        });
        let due = due.collect();
        self.counts.retain(|_, count| count.left < BURST || count.held_back.is_some());
        due
    }
}

impl<T> Count<T> {
    fn refill(&mut self, now: u64) {
        let more = now.saturating_sub(self.refilled) / PAUSE;
        self.left = (self.left + more).min(BURST);
        self.refilled += more * PAUSE;
    }

    fn take(&mut self) -> Option<(T, u64)> {
        if self.left == 0 {
            return None;
        }
        let told = self.held_back.take()?;
        self.left -= 1;
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_refusals_a_second_are_told_by_a_few_lines_and_all_are_counted() {
        let mut limiter = Limiter::new();
        let (mut lines, mut times) = (0, 0);
        let seconds = 600;
        for now in 1_000..1_000 + seconds {
            for number in 0..1_000 {
                if let Some((_, stands_for)) = limiter.happened("cause", number, now) {
                    (lines, times) = (lines + 1, times + stands_for);
                }
            }
        }
        assert!(lines <= BURST + seconds / PAUSE, "{lines}");
        let rest = limiter.due(1_000 + seconds + PAUSE);
        assert_eq!((rest.len(), times + rest[0].1), (1, seconds * 1_000));
    }

    #[test]
    fn a_flood_of_one_cause_takes_no_line_from_another() {
        let mut limiter = Limiter::new();
        let told = (0..100_000).filter(|_| limiter.happened("flood", (), 1).is_some()).count();
        assert_eq!(told as u64, BURST);
        for _ in 0..BURST {
            assert_eq!(limiter.happened("other", (), 1), Some(((), 1)));
        }
    }

    #[test]
    fn what_is_rare_is_told_each_time() {
        let mut limiter = Limiter::new();
        assert!((0..1_000).all(|number| limiter.happened("cause", (), number * PAUSE) == Some(((), 1))));
    }

    #[test]
    fn causes_without_number_take_no_memory_without_end() {
        let mut limiter = Limiter::new();
        let told = (0..100_000).filter(|&number| limiter.happened(number, (), 1).is_some()).count();
        assert_eq!((told, limiter.counts.len()), (CAUSES + 10, CAUSES + 1));
        // One line for all of those that had no room, and all are forgotten when it is quiet again.
        let quiet = 1 + BURST * PAUSE;
        assert_eq!(limiter.due(quiet), [((), 100_000 - CAUSES as u64 - BURST)]);
        limiter.due(2 * quiet);
        assert!(limiter.counts.is_empty());
    }
}
