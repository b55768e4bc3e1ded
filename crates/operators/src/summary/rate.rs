//! How much comes in a second.

use crate::limits::{SUMMARY_HISTORY_SECONDS, SUMMARY_RATE_SECONDS};

/// Nanoseconds in a second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// One more than the history is long: the second that is not over yet.
const SLOTS: usize = SUMMARY_HISTORY_SECONDS + 1;

/// Counts by second, for a minute.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// By second modulo their number.
    counts: [u64; SLOTS],
    /// The last second that is in them.
    newest: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { counts: [0; SLOTS], newest: 0 }
    }
}

impl Rate {
    /// Counts `n` now. A time before the last one counts as the last one.
    pub(super) fn add(&mut self, now_ns: u64, n: u64) {
        let second = now_ns / SECOND_NS;
        if second > self.newest {
            for missed in (self.newest + 1..=second).rev().take(SLOTS) {
                self.counts[slot(missed)] = 0;
            }
            self.newest = second;
        }
        self.counts[slot(self.newest)] += n;
    }

    fn at(&self, second: u64) -> u64 {
        let known = second <= self.newest && second + SLOTS as u64 > self.newest;
        if known { self.counts[slot(second)] } else { 0 }
    }

    /// The mean of the last seconds, the one that is not over included; of those since the beginning where these are fewer.
    pub(super) fn per_second(&self, began_ns: u64, now_ns: u64) -> f64 {
        let second = (now_ns / SECOND_NS).max(self.newest);
        let first = second.saturating_sub(SUMMARY_RATE_SECONDS);
        let sum: u64 = (first..=second).map(|second| self.at(second)).sum();
        let elapsed_ns = now_ns.saturating_sub(began_ns.max(first * SECOND_NS));
        sum as f64 * SECOND_NS as f64 / elapsed_ns.max(SECOND_NS / 2) as f64
    }

    /// What came in each second that is over, the latest last.
    pub(super) fn history(&self, now_ns: u64) -> Vec<u64> {
        let now = now_ns / SECOND_NS;
        (now.saturating_sub(SUMMARY_HISTORY_SECONDS as u64)..now).map(|second| self.at(second)).collect()
    }
}

fn slot(second: u64) -> usize {
    (second % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_told_apart_and_forgotten() {
        let mut rate = Rate::default();
        let at = |seconds: u64| (1_000 + seconds) * SECOND_NS + 7;
        for second in [0, 0, 1, 3] {
            rate.add(at(second), 2);
        }
        assert_eq!(rate.history(at(4))[SUMMARY_HISTORY_SECONDS - 4..], [4, 2, 0, 2]);
        // Another minute: nothing is left of the first, though the slots are the same.
        rate.add(at(64), 5);
        let history = rate.history(at(65));
        assert_eq!((history.iter().sum::<u64>(), history[SUMMARY_HISTORY_SECONDS - 1]), (5, 5));
        assert_eq!(rate.history(at(1_000)).iter().sum::<u64>(), 0);
    }

    #[test]
    fn a_rate_is_of_the_last_seconds_and_of_no_time_before_the_beginning() {
        let mut rate = Rate::default();
        let at = |ms: u64| 1_000 * SECOND_NS + ms * 1_000_000;
        for ms in (0..20_000).step_by(10) {
            rate.add(at(ms), 1);
        }
        assert!((rate.per_second(at(0), at(20_000)) - 100.0).abs() < 1.0);
        assert!((rate.per_second(at(18_000), at(20_000)) - 250.0).abs() < 1.0);
        assert_eq!(rate.per_second(at(0), at(40_000)), 0.0);
    }
}
