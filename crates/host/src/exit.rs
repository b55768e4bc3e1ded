//! What children had used when they were waited for.

use std::io;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::stats::{Metric, MetricSource, ResourceStats};

/// Bytes of the blocks that the kernel counts here, whatever those of a file system are.
const BLOCK_BYTES: u64 = 512;

/// What all children of this process had used that were waited for, and their children that they waited for (`getrusage(2)`): exact to the
/// microsecond for one that lived too short to be seen in `/proc`.
///
/// Taken before and after a child ended, the difference is the child's, if no other was waited for in between.
///
/// ```
/// use aldis_host::ChildrenUsage;
///
/// let before = ChildrenUsage::now()?;
/// std::process::Command::new("true").status()?;
/// let used = ChildrenUsage::now()?.since(&before);
/// assert!(used.user_ns + used.system_ns > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChildrenUsage {
    /// Nanoseconds of CPU time in user mode.
    pub user_ns: u64,
    /// Nanoseconds of CPU time in the kernel.
    pub system_ns: u64,
    /// The most resident bytes of any single one of them.
    pub max_rss_bytes: u64,
    /// Bytes read from devices.
    pub read_bytes: u64,
    /// Bytes written to devices.
    pub write_bytes: u64,
}

impl ChildrenUsage {
    /// Those that were waited for until now.
    ///
    /// # Errors
    /// The kernel refuses, which none is known to do.
    pub fn now() -> io::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let counted = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Self {
            user_ns: counted(usage.user_time().num_microseconds()).saturating_mul(1000),
            system_ns: counted(usage.system_time().num_microseconds()).saturating_mul(1000),
            max_rss_bytes: counted(usage.max_rss()).saturating_mul(1024),
            read_bytes: counted(usage.block_reads()).saturating_mul(BLOCK_BYTES),
            write_bytes: counted(usage.block_writes()).saturating_mul(BLOCK_BYTES),
        })
    }

    /// Those that were waited for since. Their peak is known only where it is the highest that any child had, else 0.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let is_higher = self.max_rss_bytes > earlier.max_rss_bytes;
        Self {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
            max_rss_bytes: if is_higher { self.max_rss_bytes } else { 0 },
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(earlier.write_bytes),
        }
    }

    /// The same account where it was not a cgroup's: of two lower bounds the higher.
    #[must_use]
    pub(crate) fn complete(&self, mut stats: ResourceStats) -> ResourceStats {
        let higher = |metric: &mut Metric, value: u64| {
            if metric.source() != MetricSource::Cgroup && metric.get().unwrap_or(0) <= value {
                *metric = Metric::of_proc(value);
            }
        };
        let all_ns = self.user_ns.saturating_add(self.system_ns);
        if stats.cpu.usage_ns.get().unwrap_or(0) <= all_ns {
            higher(&mut stats.cpu.usage_ns, all_ns);
            higher(&mut stats.cpu.user_ns, self.user_ns);
            higher(&mut stats.cpu.system_ns, self.system_ns);
        }
        // Zero is that of nobody: there was an earlier child with a higher one, or it is not known.
        if self.max_rss_bytes > 0 {
            higher(&mut stats.memory.peak_bytes, self.max_rss_bytes);
        }
        higher(&mut stats.io.read_bytes, self.read_bytes);
        higher(&mut stats.io.write_bytes, self.write_bytes);
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cgroup_says_stands_and_of_lower_bounds_the_higher() {
        let used =
            ChildrenUsage { user_ns: 30, system_ns: 20, max_rss_bytes: 7, read_bytes: 1, write_bytes: 2 };
        let mut stats = ResourceStats::default();
        stats.cpu.usage_ns = Metric::of_cgroup(5);
        stats.memory.peak_bytes = Metric::of_proc(9);
        stats.io.read_bytes = Metric::of_proc(0);
        let complete = used.complete(stats);
        assert_eq!(complete.cpu.usage_ns, Metric::of_cgroup(5));
        assert_eq!(complete.memory.peak_bytes, Metric::of_proc(9));
        assert_eq!(
            (complete.io.read_bytes, complete.io.write_bytes),
            (Metric::of_proc(1), Metric::of_proc(2))
        );
        let of_nothing = used.complete(ResourceStats::default());
        assert_eq!(of_nothing.cpu.usage_ns, Metric::of_proc(50));
        let unknown = ChildrenUsage { max_rss_bytes: 0, ..used }.complete(ResourceStats::default());
        assert_eq!(unknown.memory.peak_bytes.get(), None);
    }

    #[test]
    fn a_peak_of_an_earlier_child_is_not_that_of_a_later() {
        let before = ChildrenUsage { max_rss_bytes: 100, user_ns: 5, ..ChildrenUsage::default() };
        let after = ChildrenUsage { max_rss_bytes: 100, user_ns: 9, ..ChildrenUsage::default() };
        assert_eq!(after.since(&before), ChildrenUsage { user_ns: 4, ..ChildrenUsage::default() });
        let higher = ChildrenUsage { max_rss_bytes: 101, ..after };
        assert_eq!(higher.since(&before).max_rss_bytes, 101);
    }
}
