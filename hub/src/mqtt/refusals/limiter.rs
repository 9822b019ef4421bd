//! Limits the rate of records: the first records of a cause pass one by one, then one in each interval, with the number of
//! records that it represents.

use std::collections::HashMap;
use std::hash::Hash;

/// How many records of one cause pass one by one.
pub(super) const BURST: u64 = 10;
/// The interval in which one record passes afterwards, in seconds.
pub(super) const PAUSE: u64 = 10;
/// How many causes are counted separately. All further causes are counted together, until some of the counted causes are forgotten.
pub(super) const CAUSES: usize = 1_024;

/// Counts records `T` by their cause `K`.
#[derive(Debug)]
pub(super) struct Limiter<K, T> {
    /// The key `None` counts the causes beyond [`CAUSES`].
    counts: HashMap<Option<K>, Count<T>>,
}

#[derive(Debug)]
struct Count<T> {
    /// How many records may pass now.
    left: u64,
    /// When `left` was last increased, as Unix time in seconds.
    refilled: u64,
    /// The last record that did not pass, and how many did not.
    held_back: Option<(T, u64)>,
}

impl<K: Eq + Hash, T> Limiter<K, T> {
    pub(super) fn new() -> Self {
        Self { counts: HashMap::new() }
    }

    /// Counts a record. Returns the record that passes now, if one does, and how many records it represents.
    pub(super) fn happened(&mut self, cause: K, record: T, now: u64) -> Option<(T, u64)> {
        let cause = Some(cause);
        let cause = if self.counts.len() < CAUSES || self.counts.contains_key(&cause) { cause } else { None };
        let count = self.counts.entry(cause).or_insert(Count { left: BURST, refilled: now, held_back: None });
        count.refill(now);
        let times = count.held_back.take().map_or(0, |(_, times)| times) + 1;
        count.held_back = Some((record, times));
        count.take()
    }

    /// Returns the records that were held back and pass now. Forgets the causes without a record for long enough.
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
    fn a_thousand_refusals_a_second_make_few_records_that_count_them_all() {
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
    fn a_flood_of_one_cause_does_not_limit_another() {
        let mut limiter = Limiter::new();
        let told = (0..100_000).filter(|_| limiter.happened("flood", (), 1).is_some()).count();
        assert_eq!(told as u64, BURST);
        for _ in 0..BURST {
            assert_eq!(limiter.happened("other", (), 1), Some(((), 1)));
        }
    }

    #[test]
    fn rare_refusals_pass_one_by_one() {
        let mut limiter = Limiter::new();
        assert!((0..1_000).all(|number| limiter.happened("cause", (), number * PAUSE) == Some(((), 1))));
    }

    #[test]
    fn many_causes_use_limited_memory() {
        let mut limiter = Limiter::new();
        let told = (0..100_000).filter(|&number| limiter.happened(number, (), 1).is_some()).count();
        assert_eq!((told, limiter.counts.len()), (CAUSES + 10, CAUSES + 1));
        // The causes beyond the limit share one record, and all causes are forgotten after a pause.
        let quiet = 1 + BURST * PAUSE;
        assert_eq!(limiter.due(quiet), [((), 100_000 - CAUSES as u64 - BURST)]);
        limiter.due(2 * quiet);
        assert!(limiter.counts.is_empty());
    }
}
