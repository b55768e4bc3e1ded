//! What came lately: the last one to two slices of time.

use super::latency::Latency;
use super::snapshot::RecentRow;
use crate::limits::SUMMARY_SLICE_NS;

/// Counts and durations of the slice of time that goes on, and of the one before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    /// Number of the slice that goes on.
    number: u64,
    now: Slice,
    before: Slice,
}

#[derive(Clone, Debug, Default)]
struct Slice {
    spans: u64,
    errors: u64,
    longest_ns: u64,
    latency: Latency,
}

impl Slice {
    fn clear(&mut self) {
        (self.spans, self.errors, self.longest_ns) = (0, 0, 0);
        self.latency.clear();
    }
}

impl Recent {
    pub(super) fn add(&mut self, duration_ns: u64, error: bool, now_ns: u64) {
        let number = now_ns / SUMMARY_SLICE_NS;
        if number > self.number {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.clear();
            if number > self.number + 1 {
                self.before.clear();
            }
            self.number = number;
        }
        self.now.spans += 1;
        self.now.errors += u64::from(error);
        self.now.longest_ns = self.now.longest_ns.max(duration_ns);
        self.now.latency.observe(duration_ns);
    }

    /// What is said of the last slice that is over and the one that goes on.
    pub(super) fn row(&self, began_ns: u64, now_ns: u64) -> RecentRow {
        let empty = Slice::default();
        let number = (now_ns / SUMMARY_SLICE_NS).max(self.number);
        let (now, before) = match number - self.number {
            0 => (&self.now, &self.before),
            1 => (&empty, &self.now),
            _ => (&empty, &empty),
        };
        let from_ns = began_ns.max(number.saturating_sub(1) * SUMMARY_SLICE_NS);
        let seconds = now_ns.saturating_sub(from_ns).max(500_000_000) as f64 / 1e9;
        let spans = now.spans + before.spans;
        let [p50_ns, p90_ns, p99_ns] = Latency::quantiles_ns(&now.latency, &before.latency, [0.5, 0.9, 0.99]);
        RecentRow {
            spans,
            errors: now.errors + before.errors,
            per_second: spans as f64 / seconds,
            p50_ns,
            p90_ns,
            p99_ns,
            longest_ns: now.longest_ns.max(before.longest_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_two_slices_is_forgotten() {
        let at = |tenths: u64| (1_000 * 10 + tenths) * (SUMMARY_SLICE_NS / 10);
        let mut recent = Recent::default();
        recent.add(100, true, at(1));
        recent.add(200, false, at(11));
        recent.add(300, false, at(12));
        let told = |recent: &Recent, tenths| {
            let row = recent.row(0, at(tenths));
            (row.spans, row.errors, row.longest_ns)
        };
        assert_eq!(told(&recent, 12), (3, 1, 300));
        assert_eq!(told(&recent, 21), (2, 0, 300));
        assert_eq!(told(&recent, 31), (0, 0, 0));
        recent.add(50, true, at(32));
        assert_eq!(told(&recent, 33), (1, 1, 50));
    }

    #[test]
    fn a_rate_counts_from_the_beginning() {
        let second = 1_000_000_000;
        let mut recent = Recent::default();
        for i in 0..10 {
            recent.add(1, false, 31 * second + i * second / 10);
        }
        let row = recent.row(30 * second, 32 * second);
        assert!((row.per_second - 5.0).abs() < 0.01, "{}", row.per_second);
    }
}
