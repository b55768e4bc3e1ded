//! What was read, metric by metric, each with where it came from.

use std::fmt;

use crate::parse::Pressure;

/// Where a metric came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MetricSource {
    /// The kernel's account of the cgroup: all that ever ran in it.
    Cgroup,
    /// Processes of `/proc`, added up when they were looked at: a lower bound. What lives and ends between two samples is in it
    /// only where its parent waited for it.
    Proc,
    /// Of several metrics, some came from the one and some from the other.
    Mixed,
    /// Neither has it.
    #[default]
    Unavailable,
}

impl MetricSource {
    /// `cgroup`, `proc`, `mixed`, `unavailable`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Proc => "proc",
            Self::Mixed => "mixed",
            Self::Unavailable => "unavailable",
        }
    }

    /// The source of both together. What is unavailable takes nothing away from the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, Self::Unavailable) | (Self::Unavailable, one) => one,
            (one, same) if one == same => one,
            _ => Self::Mixed,
        }
    }
}

impl fmt::Display for MetricSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A number and its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metric {
    value: u64,
    source: MetricSource,
}

impl Metric {
    /// Nobody has it.
    pub const UNAVAILABLE: Self = Self { value: 0, source: MetricSource::Unavailable };

    /// What the cgroup says.
    #[must_use]
    pub const fn of_cgroup(value: u64) -> Self {
        Self { value, source: MetricSource::Cgroup }
    }

    /// What `/proc` says.
    #[must_use]
    pub const fn of_proc(value: u64) -> Self {
        Self { value, source: MetricSource::Proc }
    }

    /// The number, if there is one.
    #[must_use]
    pub fn get(self) -> Option<u64> {
        (self.source != MetricSource::Unavailable).then_some(self.value)
    }

    /// Its source.
    #[must_use]
    pub fn source(self) -> MetricSource {
        self.source
    }

    /// A total without what it was before.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { value: self.value.saturating_sub(before.value), ..self }
    }

    /// This one, or the other where this one is unavailable.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.source == MetricSource::Unavailable { other } else { self }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => write!(f, "{value} {}", self.source),
            None => write!(f, "{}", self.source),
        }
    }
}

/// CPU time since the cgroup was made, or the processes were; ended processes are in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// Nanoseconds. A cgroup counts in microseconds; of processes the clocks of those that live are asked, and those that have ended are counted
    /// in ticks of mostly ten milliseconds.
    pub usage_ns: Metric,
    /// Of these in user mode; of processes in ticks alone.
    pub user_ns: Metric,
    /// Of these in the kernel; of processes in ticks alone.
    pub system_ns: Metric,
}

/// Memory as it is now, but for the peak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes of anonymous and shared memory. From `/proc` without the shared, which would be counted once for each that shares it.
    pub rss_bytes: Metric,
    /// Bytes of all that is charged: page cache and what the kernel holds for the cgroup, too. From `/proc` the resident pages, shared
    /// ones once for each process.
    pub current_bytes: Metric,
    /// The most that `current_bytes` has been; from `/proc` the most at any sample. Not comparable with `rss_bytes`: the cache is in it.
    pub peak_bytes: Metric,
}

/// Bytes read and written since the cgroup was made, or the processes were.
///
/// Two different things: what went to devices, and what went through calls (`read_chars`), which a cgroup does not count. Buffered
/// writes reach a device later, and on overlayfs, ZFS and network file systems they are charged to no cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Bytes fetched from devices.
    pub read_bytes: Metric,
    /// Bytes written to devices.
    pub write_bytes: Metric,
    /// Bytes that calls to read returned.
    pub read_chars: Metric,
    /// Bytes that calls to write took.
    pub write_chars: Metric,
}

/// One reading of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceStats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Input and output.
    pub io: IoStats,
    /// Tasks (a cgroup counts threads), or processes that have not ended (`/proc`), now.
    pub pids: Metric,
}

impl ResourceStats {
    /// Totals without what they were before; what is as it is now stays.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let (cpu, io) = (&self.cpu, &self.io);
        Self {
            cpu: CpuStats {
                usage_ns: cpu.usage_ns.since(before.cpu.usage_ns),
                user_ns: cpu.user_ns.since(before.cpu.user_ns),
                system_ns: cpu.system_ns.since(before.cpu.system_ns),
            },
            io: IoStats {
                read_bytes: io.read_bytes.since(before.io.read_bytes),
                write_bytes: io.write_bytes.since(before.io.write_bytes),
                read_chars: io.read_chars.since(before.io.read_chars),
                write_chars: io.write_chars.since(before.io.write_chars),
            },
            ..*self
        }
    }

    /// Totals of one account, from when another ended with these: what is as it is now stays.
    pub(crate) fn going_on(&self, began: &Self, from: &Self) -> Self {
        let sum = |now: Metric, began: Metric, from: Metric| match (now.since(began).get(), from.get()) {
            (Some(more), Some(from)) => Metric::of_proc(from.saturating_add(more)),
            _ => now,
        };
        let all = |of: fn(&Self) -> Metric| sum(of(self), of(began), of(from));
        Self {
            cpu: CpuStats {
                usage_ns: all(|stats| stats.cpu.usage_ns),
                user_ns: all(|stats| stats.cpu.user_ns),
                system_ns: all(|stats| stats.cpu.system_ns),
            },
            io: IoStats {
                read_bytes: all(|stats| stats.io.read_bytes),
                write_bytes: all(|stats| stats.io.write_bytes),
                read_chars: all(|stats| stats.io.read_chars),
                write_chars: all(|stats| stats.io.write_chars),
            },
            ..*self
        }
    }

    /// Every metric with its name, in a fixed order.
    #[must_use]
    pub fn metrics(&self) -> [(&'static str, Metric); 11] {
        [
            ("cpu.usage_ns", self.cpu.usage_ns),
            ("cpu.user_ns", self.cpu.user_ns),
            ("cpu.system_ns", self.cpu.system_ns),
            ("memory.rss_bytes", self.memory.rss_bytes),
            ("memory.current_bytes", self.memory.current_bytes),
            ("memory.peak_bytes", self.memory.peak_bytes),
            ("io.read_bytes", self.io.read_bytes),
            ("io.write_bytes", self.io.write_bytes),
            ("io.read_chars", self.io.read_chars),
            ("io.write_chars", self.io.write_chars),
            ("pids", self.pids),
        ]
    }

    /// Whether there is something of each kind: CPU time, memory now and at most, I/O, tasks.
    pub(crate) fn is_complete(&self) -> bool {
        let of_each_kind =
            [self.cpu.usage_ns, self.memory.rss_bytes, self.memory.peak_bytes, self.io.read_bytes, self.pids];
        of_each_kind.iter().all(|metric| metric.get().is_some())
    }

    /// Each metric of this, or of the other where this has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let (cpu, memory, io) = (self.cpu, self.memory, self.io);
        // The three times come from one file: parts of one sum are not mixed.
        let from_other = cpu.usage_ns.source == MetricSource::Unavailable;
        Self {
            cpu: if from_other { other.cpu } else { cpu },
            memory: MemoryStats {
                rss_bytes: memory.rss_bytes.or(other.memory.rss_bytes),
                current_bytes: memory.current_bytes.or(other.memory.current_bytes),
                peak_bytes: memory.peak_bytes.or(other.memory.peak_bytes),
            },
            io: IoStats {
                read_bytes: io.read_bytes.or(other.io.read_bytes),
                write_bytes: io.write_bytes.or(other.io.write_bytes),
                read_chars: io.read_chars.or(other.io.read_chars),
                write_chars: io.write_chars.or(other.io.write_chars),
            },
            pids: self.pids.or(other.pids),
        }
    }
}

/// A line for each metric: name, number, source.
impl fmt::Display for ResourceStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, metric) in self.metrics() {
            writeln!(f, "{name} {metric}")?;
        }
        Ok(())
    }
}

/// Pressure on each resource, where the kernel tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PressureStats {
    /// Waiting for a CPU.
    pub cpu: Option<Pressure>,
    /// Waiting for memory.
    pub memory: Option<Pressure>,
    /// Waiting for devices.
    pub io: Option<Pressure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_several_is_mixed_only_if_they_differ() {
        use MetricSource::{Cgroup, Mixed, Proc, Unavailable};
        for (one, other, both) in [
            (Cgroup, Cgroup, Cgroup),
            (Cgroup, Proc, Mixed),
            (Proc, Unavailable, Proc),
            (Unavailable, Cgroup, Cgroup),
            (Mixed, Cgroup, Mixed),
            (Unavailable, Unavailable, Unavailable),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both), "{one} and {other}");
        }
    }

    /// Each metric another number, in the order of [`ResourceStats::metrics`].
    fn numbered(first: u64) -> ResourceStats {
        let [usage, user, system, rss, current, peak, read, write, read_chars, write_chars, pids] =
            std::array::from_fn(|at| Metric::of_proc(first + at as u64));
        ResourceStats {
            cpu: CpuStats { usage_ns: usage, user_ns: user, system_ns: system },
            memory: MemoryStats { rss_bytes: rss, current_bytes: current, peak_bytes: peak },
            io: IoStats { read_bytes: read, write_bytes: write, read_chars, write_chars },
            pids,
        }
    }

    #[test]
    fn every_metric_has_its_name_and_its_place() {
        let expected = [
            "cpu.usage_ns 10 proc",
            "cpu.user_ns 11 proc",
            "cpu.system_ns 12 proc",
            "memory.rss_bytes 13 proc",
            "memory.current_bytes 14 proc",
            "memory.peak_bytes 15 proc",
            "io.read_bytes 16 proc",
            "io.write_bytes 17 proc",
            "io.read_chars 18 proc",
            "io.write_chars 19 proc",
            "pids 20 proc",
        ];
        let stats = numbered(10);
        assert_eq!(stats.metrics().map(|(name, metric)| format!("{name} {metric}")), expected);
        assert_eq!(stats.to_string(), expected.map(|line| format!("{line}\n")).concat());
    }

    #[test]
    fn totals_are_without_what_they_were_and_levels_stay() {
        let mut before = numbered(3);
        before.io.write_chars = Metric::of_proc(1000);
        let since = numbered(10).since(&before).metrics().map(|(_, metric)| metric.get().unwrap());
        // CPU time three times, memory three times, bytes four times (the last has fallen), processes.
        assert_eq!(since, [7, 7, 7, 13, 14, 15, 7, 7, 7, 0, 20]);
        assert_eq!(Metric::of_cgroup(5).since(Metric::UNAVAILABLE), Metric::of_cgroup(5));
        assert_eq!(Metric::UNAVAILABLE.since(Metric::of_cgroup(5)).get(), None);
    }

    #[test]
    fn what_one_lacks_the_other_gives_and_times_are_not_mixed() {
        let mut cgroup = ResourceStats::default();
        cgroup.cpu.usage_ns = Metric::of_cgroup(5);
        cgroup.memory.rss_bytes = Metric::of_cgroup(0);
        let mut proc = ResourceStats::default();
        proc.cpu.user_ns = Metric::of_proc(9);
        proc.memory.rss_bytes = Metric::of_proc(7);
        proc.pids = Metric::of_proc(1);
        let both = cgroup.or(proc);
        assert_eq!(both.cpu, cgroup.cpu, "no user time of another account");
        assert_eq!(both.memory.rss_bytes.get(), Some(0), "nothing is a number too");
        assert_eq!(both.pids, proc.pids);
        assert_eq!(both.io.read_bytes.get(), None);
        assert_eq!(ResourceStats::default().or(proc), proc);
    }
}
