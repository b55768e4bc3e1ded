//! Totals that an episode may use, and what is left of them.
//!
//! The kernel holds rates and levels ([`OsResourceLimits`](crate::OsResourceLimits)), no totals. Those are held by looking in time: the next
//! look is when the rest would be gone if every CPU burned for the episode, so that what is used beyond a budget of CPU time is at most
//! what a look takes ([`BudgetTracker::next_check_ns`]).

use std::fmt;

use crate::limits::{LEVEL_CHECK_NS, MIN_CHECK_NS};

/// What an episode may use. None limits nothing.
///
/// Totals (`cpu_ms`, `bytes_io`, `wall_ms`) are used up when they are reached, levels (`mem_peak_bytes`, `processes`) when they are exceeded.
/// What the measuring itself may use has names of its own: it ends the measuring, not the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Milliseconds of CPU time, all CPUs together.
    pub cpu_ms: Option<u64>,
    /// Bytes read from and written to devices, together.
    pub bytes_io: Option<u64>,
    /// The most bytes of memory at once, page cache included.
    pub mem_peak_bytes: Option<u64>,
    /// Milliseconds since the episode began.
    pub wall_ms: Option<u64>,
    /// Tasks at once (threads, where the cgroup counts them), as seen when it was looked.
    pub processes: Option<u64>,
    /// Milliseconds of CPU time of the thread that measures.
    pub sampler_cpu_ms: Option<u64>,
    /// Bytes that the recorder writes.
    pub sampler_bytes: Option<u64>,
}

/// One of the budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BudgetKind {
    /// [`Budget::cpu_ms`].
    CpuMs,
    /// [`Budget::bytes_io`].
    BytesIo,
    /// [`Budget::mem_peak_bytes`].
    MemPeakBytes,
    /// [`Budget::wall_ms`].
    WallMs,
    /// [`Budget::processes`].
    Processes,
    /// [`Budget::sampler_cpu_ms`].
    SamplerCpuMs,
    /// [`Budget::sampler_bytes`].
    SamplerBytes,
}

impl BudgetKind {
    /// The name of its field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CpuMs => "cpu_ms",
            Self::BytesIo => "bytes_io",
            Self::MemPeakBytes => "mem_peak_bytes",
            Self::WallMs => "wall_ms",
            Self::Processes => "processes",
            Self::SamplerCpuMs => "sampler_cpu_ms",
            Self::SamplerBytes => "sampler_bytes",
        }
    }

    /// It limits the measuring, not the job.
    #[must_use]
    pub fn is_of_sampler(self) -> bool {
        matches!(self, Self::SamplerCpuMs | Self::SamplerBytes)
    }

    fn is_total(self) -> bool {
        !matches!(self, Self::MemPeakBytes | Self::Processes)
    }

    /// Nanoseconds are counted where milliseconds are granted.
    fn units(self) -> u64 {
        if matches!(self, Self::CpuMs | Self::WallMs | Self::SamplerCpuMs) { NS_PER_MS } else { 1 }
    }
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const NS_PER_MS: u64 = 1_000_000;

/// A budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Which.
    pub kind: BudgetKind,
    /// What was granted, in the kind's unit: milliseconds, bytes, processes.
    pub limit: u64,
    /// What was used when the last look was taken, in *nanoseconds* where the limit is in milliseconds.
    pub used: u64,
}

impl Exhausted {
    /// What was granted, in the unit of what was used: nanoseconds, bytes, processes.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.limit.saturating_mul(self.kind.units())
    }

    /// What was used beyond the limit: nanoseconds, bytes, processes.
    #[must_use]
    pub fn overshoot(&self) -> u64 {
        self.used.saturating_sub(self.granted())
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.kind.units() == NS_PER_MS { "ns " } else { "" };
        write!(f, "{} of {} is used up, by {} {unit}more", self.kind, self.limit, self.overshoot())
    }
}

/// Keeps what was used of each budget: nanoseconds and bytes, never rounded to milliseconds on the way.
///
/// ```
/// use aldis_host::{Budget, BudgetKind, BudgetTracker};
///
/// let mut tracker = BudgetTracker::new(Budget { cpu_ms: Some(2), ..Budget::default() });
/// tracker.report_usage(1_999_999, 4096);
/// assert_eq!((tracker.cpu_ms(), tracker.bytes_io(), tracker.exhausted()), (1, 4096, None));
/// tracker.report_usage(500_001, 0);
/// let exhausted = tracker.exhausted().unwrap();
/// assert_eq!((exhausted.kind, exhausted.overshoot()), (BudgetKind::CpuMs, 500_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetTracker {
    budget: Budget,
    cpu_ns: u64,
    io: u64,
    mem_peak: u64,
    wall_ns: u64,
    tasks: u64,
    sampler_cpu_ns: u64,
    sampler_written: u64,
}

impl BudgetTracker {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            cpu_ns: 0,
            io: 0,
            mem_peak: 0,
            wall_ns: 0,
            tasks: 0,
            sampler_cpu_ns: 0,
            sampler_written: 0,
        }
    }

    /// What was granted.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What the episode used since the last report (CTR-TL01).
    pub fn report_usage(&mut self, cpu_ns: u64, bytes_io: u64) {
        self.cpu_ns = self.cpu_ns.saturating_add(cpu_ns);
        self.io = self.io.saturating_add(bytes_io);
    }

    /// How things stand: the most memory at once, tasks now, nanoseconds since the episode began. What is not known is not given.
    pub fn report_levels(&mut self, mem_peak_bytes: Option<u64>, tasks: Option<u64>, wall_ns: u64) {
        self.mem_peak = self.mem_peak.max(mem_peak_bytes.unwrap_or(0));
        self.tasks = tasks.unwrap_or(0);
        self.wall_ns = self.wall_ns.max(wall_ns);
    }

    /// What measuring has cost since the last report: nanoseconds of CPU time, bytes written.
    pub fn report_sampler(&mut self, cpu_ns: u64, written: u64) {
        self.sampler_cpu_ns = self.sampler_cpu_ns.saturating_add(cpu_ns);
        self.sampler_written = self.sampler_written.saturating_add(written);
    }

    /// Whole milliseconds of CPU time that the episode has used.
    #[must_use]
    pub fn cpu_ms(&self) -> u64 {
        self.cpu_ns / NS_PER_MS
    }

    /// Bytes that the episode has read and written.
    #[must_use]
    pub fn bytes_io(&self) -> u64 {
        self.io
    }

    /// What was used of a budget, whether it is limited or not: nanoseconds, bytes, tasks.
    #[must_use]
    pub fn used(&self, kind: BudgetKind) -> u64 {
        match kind {
            BudgetKind::CpuMs => self.cpu_ns,
            BudgetKind::BytesIo => self.io,
            BudgetKind::MemPeakBytes => self.mem_peak,
            BudgetKind::WallMs => self.wall_ns,
            BudgetKind::Processes => self.tasks,
            BudgetKind::SamplerCpuMs => self.sampler_cpu_ns,
            BudgetKind::SamplerBytes => self.sampler_written,
        }
    }

    /// The first budget that is used up, those of the episode before those of its measuring.
    #[must_use]
    pub fn exhausted(&self) -> Option<Exhausted> {
        self.granted().find_map(|(kind, limit)| {
            let (used, granted) = (self.used(kind), limit.saturating_mul(kind.units()));
            let is_up = if kind.is_total() { used >= granted } else { used > granted };
            is_up.then_some(Exhausted { kind, limit, used })
        })
    }

    /// How this budget stands, whether it is used up or not: what was found when it was, and what it came to in the end.
    pub(crate) fn standing(&self, kind: BudgetKind) -> Option<Exhausted> {
        let (kind, limit) = self.granted().find(|(granted, _)| *granted == kind)?;
        Some(Exhausted { kind, limit, used: self.used(kind) })
    }

    /// Percent of that budget of the episode of which most is used; 0 without any.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let percent = |(kind, limit): (BudgetKind, u64)| {
            let granted = u128::from(limit) * u128::from(kind.units());
            let used = u128::from(self.used(kind)) * 100;
            // A budget of nothing is used up.
            used.checked_div(granted).map_or(100, |percent| u64::try_from(percent).unwrap_or(u64::MAX))
        };
        self.granted().filter(|(kind, _)| !kind.is_of_sampler()).map(percent).max().unwrap_or(0)
    }

    /// Nanoseconds until a budget might be used up: of wall time the rest, of CPU time the rest if all of `cpus` burn for it. At least
    /// [`MIN_CHECK_NS`]. Bytes, memory and processes have no fastest rate: where they are limited [`LEVEL_CHECK_NS`] at most. `None` where nothing is.
    #[must_use]
    pub fn next_check_ns(&self, cpus: u32) -> Option<u64> {
        let rest = |kind: BudgetKind, limit: Option<u64>| {
            limit.map(|limit| limit.saturating_mul(kind.units()).saturating_sub(self.used(kind)))
        };
        let cpu = rest(BudgetKind::CpuMs, self.budget.cpu_ms).map(|rest| rest / u64::from(cpus.max(1)));
        let wall = rest(BudgetKind::WallMs, self.budget.wall_ms);
        let Budget { bytes_io, mem_peak_bytes, processes, .. } = self.budget;
        let level = bytes_io.or(mem_peak_bytes).or(processes).map(|_| LEVEL_CHECK_NS);
        let soonest = [cpu, wall, level].into_iter().flatten().min()?;
        Some(soonest.max(MIN_CHECK_NS))
    }

    fn granted(&self) -> impl Iterator<Item = (BudgetKind, u64)> {
        let budget = &self.budget;
        [
            (BudgetKind::CpuMs, budget.cpu_ms),
            (BudgetKind::BytesIo, budget.bytes_io),
            (BudgetKind::MemPeakBytes, budget.mem_peak_bytes),
            (BudgetKind::WallMs, budget.wall_ms),
            (BudgetKind::Processes, budget.processes),
            (BudgetKind::SamplerCpuMs, budget.sampler_cpu_ms),
            (BudgetKind::SamplerBytes, budget.sampler_bytes),
        ]
        .into_iter()
        .filter_map(|(kind, limit)| Some((kind, limit?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Budget = Budget {
        cpu_ms: None,
        bytes_io: None,
        mem_peak_bytes: None,
        wall_ms: None,
        processes: None,
        sampler_cpu_ms: None,
        sampler_bytes: None,
    };

    #[test]
    fn totals_are_used_up_when_reached_and_levels_when_exceeded() {
        use BudgetKind::{BytesIo, CpuMs, MemPeakBytes, Processes, SamplerBytes, SamplerCpuMs, WallMs};
        // CPU ns, bytes, peak, tasks, wall ns, sampler ns, sampler bytes.
        type Used = [u64; 7];
        let cases: [(Budget, Used, Used, BudgetKind, u64); 7] = [
            (
                Budget { cpu_ms: Some(3), ..NONE },
                [2_999_999, 9, 9, 9, 9, 9, 9],
                [3_000_007, 0, 0, 0, 0, 0, 0],
                CpuMs,
                7,
            ),
            (
                Budget { bytes_io: Some(10), ..NONE },
                [9, 9, 99, 9, 9, 9, 99],
                [0, 11, 0, 0, 0, 0, 0],
                BytesIo,
                1,
            ),
            (
                Budget { mem_peak_bytes: Some(10), ..NONE },
                [9, 99, 10, 9, 9, 9, 9],
                [0, 0, 15, 0, 0, 0, 0],
                MemPeakBytes,
                5,
            ),
            (
                Budget { processes: Some(4), ..NONE },
                [9, 9, 9, 4, 9, 9, 9],
                [0, 0, 0, 5, 0, 0, 0],
                Processes,
                1,
            ),
            (
                Budget { wall_ms: Some(1), ..NONE },
                [9, 9, 9, 9, 999_999, 9, 9],
                [0, 0, 0, 0, 1_000_000, 0, 0],
                WallMs,
                0,
            ),
            (
                Budget { sampler_cpu_ms: Some(1), ..NONE },
                [u64::MAX, 9, 9, 9, 9, 999_999, 9],
                [0, 0, 0, 0, 0, 1_000_001, 0],
                SamplerCpuMs,
                1,
            ),
            (Budget { sampler_bytes: Some(0), ..NONE }, [0; 7], [0; 7], SamplerBytes, 0),
        ];
        for (budget, within, beyond, kind, overshoot) in cases {
            let exhausted = |used: Used| {
                let [cpu, io, peak, tasks, wall, sampler_cpu, sampler_written] = used;
                let mut tracker = BudgetTracker::new(budget);
                tracker.report_usage(cpu, io);
                tracker.report_levels(Some(peak), Some(tasks), wall);
                tracker.report_sampler(sampler_cpu, sampler_written);
                tracker.exhausted()
            };
            if kind != SamplerBytes {
                assert_eq!(exhausted(within), None, "{kind}");
            }
            let found = exhausted(beyond).unwrap();
            assert_eq!((found.kind, found.overshoot()), (kind, overshoot));
            assert!(found.to_string().starts_with(kind.as_str()), "{found}");
        }
    }

    #[test]
    fn the_next_look_is_before_a_budget_can_be_used_up() {
        let mut tracker = BudgetTracker::new(Budget { cpu_ms: Some(1000), wall_ms: Some(400), ..NONE });
        assert_eq!(tracker.next_check_ns(2), Some(400_000_000), "wall time goes first");
        assert_eq!(tracker.next_check_ns(4), Some(250_000_000));
        tracker.report_usage(999_000_000, 0);
        assert_eq!(tracker.next_check_ns(4), Some(MIN_CHECK_NS));
        assert_eq!(tracker.next_check_ns(0), Some(MIN_CHECK_NS), "there is one CPU at least");
        for level in [
            Budget { bytes_io: Some(1), ..NONE },
            Budget { mem_peak_bytes: Some(1), ..NONE },
            Budget { processes: Some(1), ..NONE },
        ] {
            assert_eq!(BudgetTracker::new(level).next_check_ns(1), Some(LEVEL_CHECK_NS));
        }
        assert_eq!(BudgetTracker::new(NONE).next_check_ns(1), None);
    }

    #[test]
    fn percent_is_that_of_the_fullest_and_never_of_the_sampler() {
        let budget = Budget { cpu_ms: Some(100), bytes_io: Some(1000), sampler_bytes: Some(1), ..NONE };
        let mut tracker = BudgetTracker::new(budget);
        tracker.report_usage(79_999_999, 790);
        tracker.report_sampler(0, 100);
        assert_eq!(tracker.percent(), 79);
        tracker.report_usage(1, 0);
        assert_eq!(tracker.percent(), 80);
        assert_eq!(BudgetTracker::new(NONE).percent(), 0);
        assert_eq!(BudgetTracker::new(Budget { cpu_ms: Some(0), ..NONE }).percent(), 100);
    }

    proptest! {
        /// However time is cut into reports, what is derived in milliseconds is that of the sum.
        #[test]
        fn milliseconds_are_derived_never_floored(deltas in prop::collection::vec(0..5_000_000_u64, 0..50)) {
            let mut tracker = BudgetTracker::new(NONE);
            for delta in &deltas {
                tracker.report_usage(*delta, *delta);
            }
            let sum: u64 = deltas.iter().sum();
            prop_assert_eq!((tracker.cpu_ms(), tracker.bytes_io()), (sum / 1_000_000, sum));
        }
    }
}
