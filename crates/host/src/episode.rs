//! One episode as a machine without clock or files: samples and times go in, frames and decisions come out.

use crate::{
    budget::{BudgetTracker, Exhausted},
    frame::{O11yFlags, TelemetryFrame},
    id::EpisodeId,
    limits::{CLOSE_NS, MIN_SAMPLE_PERIOD_MS},
    policy::{PolicyError, TelemetryPolicy, Trigger},
    ring::Ring,
    stats::{Metric, MetricSource, PressureStats, ResourceStats},
};

/// What was read of an episode at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// What it has used.
    pub stats: ResourceStats,
    /// What it waits for, if that was read.
    pub pressure: PressureStats,
}

/// What counts as nothing used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Nothing: the account is the episode's own, from its first moment.
    Zero,
    /// What the first sample says: the episode began in the midst of something.
    FirstSample,
}

/// Why an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// It did what it was to do.
    Completed,
    /// It ended by itself, with an exit code or by a signal.
    Failed,
    /// It ended, and how was told to another: whoever watched it was not its parent.
    Ended,
    /// Whoever watched it has seen enough; it may go on.
    Stopped,
    /// Somebody else removed its cgroup, or its account cannot be read any more.
    Lost,
    /// A budget was used up.
    BudgetExhausted(Exhausted),
}

impl EndReason {
    /// As it stands in a recorder's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::BudgetExhausted(_) => "budget_exhausted",
        }
    }

    fn is_abnormal(self) -> bool {
        matches!(self, Self::Failed | Self::Lost | Self::BudgetExhausted(_))
    }
}

/// What a step comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// The frame that was taken; none once the episode has ended.
    pub frame: Option<TelemetryFrame>,
    /// The ring is to be written down.
    pub promote: Option<Trigger>,
    /// A budget is used up: freeze, sample once more, end (CTR-TL02).
    pub stop: Option<Exhausted>,
    /// When the next sample is due; never once the episode has ended.
    pub due_ns: Option<u64>,
}

/// Totals since the episode began, none of which ever falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    cpu: Total,
    user: Total,
    system: Total,
    read: Total,
    write: Total,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Total {
    base: Option<u64>,
    value: u64,
}

impl Total {
    /// Takes a reading over; by how much it has grown. What is not there, or less than before, changes nothing.
    fn advance(&mut self, metric: Metric, baseline: Baseline) -> u64 {
        let Some(now) = metric.get() else { return 0 };
        let base = *self.base.get_or_insert(if baseline == Baseline::Zero { 0 } else { now });
        let before = self.value;
        self.value = self.value.max(now.saturating_sub(base));
        self.value - before
    }
}

/// An episode while it is watched and after.
#[derive(Debug)]
pub struct Episode {
    id: EpisodeId,
    pid: u32,
    policy: TelemetryPolicy,
    baseline: Baseline,
    cpus: u32,
    budget: BudgetTracker,
    ring: Ring,
    begun_ns: u64,
    last_ns: u64,
    seq: u64,
    totals: Totals,
    rss_bytes: u64,
    peak_bytes: u64,
    /// The most processes that a sample saw.
    most_processes: Option<u64>,
    stats: ResourceStats,
    /// The first reading, where what it says does not count.
    first: Option<ResourceStats>,
    clamped: u64,
    since_promotion: u32,
    budget_promoted: bool,
    under_pressure: bool,
    high_frequency: bool,
    end: Option<EndReason>,
}

impl Episode {
    /// An episode that begins now. Its memory is taken here, and no more later.
    ///
    /// # Errors
    /// The policy is none (INV-TL06, INV-TL07).
    pub fn new(
        id: EpisodeId,
        pid: u32,
        policy: TelemetryPolicy,
        budget: BudgetTracker,
        (baseline, cpus): (Baseline, u32),
        now_ns: u64,
    ) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self {
            id,
            pid,
            policy,
            baseline,
            cpus,
            budget,
            ring: Ring::with_capacity(policy.ring_buffer_capacity),
            begun_ns: now_ns,
            last_ns: now_ns,
            seq: 0,
            totals: Totals::default(),
            rss_bytes: 0,
            peak_bytes: 0,
            most_processes: None,
            stats: ResourceStats::default(),
            first: None,
            clamped: 0,
            since_promotion: 0,
            budget_promoted: false,
            under_pressure: false,
            high_frequency: false,
            end: None,
        })
    }

    /// Takes a sample. A time before that of the last sample counts as that (INV-TL03).
    pub fn step(&mut self, now_ns: u64, sample: &Sample) -> Step {
        if self.end.is_some() {
            return Step::default();
        }
        let now_ns = self.take(now_ns, sample);
        let stop = self.budget.exhausted();
        self.high_frequency = self.budget.percent() >= u64::from(self.policy.high_freq_threshold_percent);
        let promote = self.trigger(sample);
        let frame = self.frame(now_ns, promote.is_some(), false);
        Step { frame: Some(frame), promote, stop, due_ns: Some(self.due_ns(now_ns)) }
    }

    /// Takes the last sample: one more frame, which is terminal, and silence from then on.
    pub fn end(&mut self, now_ns: u64, sample: &Sample, reason: EndReason) -> Step {
        if self.end.is_some() {
            return Step::default();
        }
        let now_ns = self.take(now_ns, sample);
        // What a budget came to is known only now that nothing runs any more.
        let reason = match reason {
            EndReason::BudgetExhausted(found) => {
                EndReason::BudgetExhausted(self.budget.standing(found.kind).unwrap_or(found))
            }
            // It may have used it up since the last look and ended by itself.
            EndReason::Completed | EndReason::Failed | EndReason::Ended => {
                let exhausted = self.budget.exhausted().filter(|found| !found.kind.is_of_sampler());
                exhausted.map_or(reason, EndReason::BudgetExhausted)
            }
            other => other,
        };
        self.end = Some(reason);
        let triggers = self.policy.promote_triggers;
        let promote = if triggers.abnormal_end && reason.is_abnormal() {
            Some(Trigger::AbnormalEnd)
        } else {
            triggers.termination.then_some(Trigger::Termination)
        };
        let frame = self.frame(now_ns, promote.is_some(), true);
        Step { frame: Some(frame), promote, stop: None, due_ns: None }
    }

    /// What measuring the episode has cost since the last report: nanoseconds of CPU time, bytes written.
    pub fn report_sampler(&mut self, cpu_ns: u64, written: u64) {
        self.budget.report_sampler(cpu_ns, written);
    }

    /// Accounts for a sample: totals, levels, budgets (CTR-TL01). Returns the time that counts.
    fn take(&mut self, now_ns: u64, sample: &Sample) -> u64 {
        let now_ns = now_ns.max(self.last_ns);
        self.last_ns = now_ns;
        let (stats, baseline) = (&sample.stats, self.baseline);
        let cpu_ns = self.totals.cpu.advance(stats.cpu.usage_ns, baseline);
        self.totals.user.advance(stats.cpu.user_ns, baseline);
        self.totals.system.advance(stats.cpu.system_ns, baseline);
        let read = self.totals.read.advance(stats.io.read_bytes, baseline);
        let written = self.totals.write.advance(stats.io.write_bytes, baseline);
        self.rss_bytes = stats.memory.rss_bytes.get().unwrap_or(self.rss_bytes);
        self.peak_bytes = self.peak_bytes.max(stats.memory.peak_bytes.get().unwrap_or(0));
        self.most_processes = self.most_processes.max(stats.pids.get());
        self.budget.report_usage(cpu_ns, read.saturating_add(written));
        let wall_ns = now_ns - self.begun_ns;
        self.budget.report_levels(stats.memory.peak_bytes.get(), stats.pids.get(), wall_ns);
        self.stats = match baseline {
            Baseline::Zero => *stats,
            Baseline::FirstSample => stats.since(self.first.get_or_insert(*stats)),
        };
        now_ns
    }

    /// The first trigger that this sample pulls.
    fn trigger(&mut self, sample: &Sample) -> Option<Trigger> {
        let triggers = self.policy.promote_triggers;
        let stalled = triggers.pressure_percent.is_some_and(|percent| {
            let pressure = &sample.pressure;
            let all = [pressure.cpu, pressure.memory, pressure.io].into_iter().flatten();
            all.map(|one| one.some.avg10).any(|hundredths| hundredths >= u32::from(percent) * 100)
        });
        let begins = stalled && !self.under_pressure;
        self.under_pressure = stalled;
        let spent =
            triggers.budget_percent.is_some_and(|percent| self.budget.percent() >= u64::from(percent));
        let spends = spent && !self.budget_promoted;
        self.budget_promoted |= spent;
        let enough = triggers.every_frames.is_some_and(|every| self.since_promotion + 1 >= every);
        [(spends, Trigger::Budget), (begins, Trigger::Pressure), (enough, Trigger::EveryFrames)]
            .into_iter()
            .find_map(|(pulled, trigger)| pulled.then_some(trigger))
    }

    fn frame(&mut self, now_ns: u64, promoted: bool, terminal: bool) -> TelemetryFrame {
        let (totals, source) = (&self.totals, self.source());
        let flags = O11yFlags {
            high_frequency: self.high_frequency,
            promoted,
            degraded: self.is_degraded(),
            initial: self.seq == 0,
            terminal,
        };
        let builder = TelemetryFrame::builder(self.id, self.seq)
            .ts_mono(now_ns)
            .cpu(totals.cpu.value, totals.user.value, totals.system.value)
            .memory(self.rss_bytes, self.peak_bytes)
            .io(totals.read.value, totals.write.value)
            .source(source)
            .flags(flags);
        self.clamped = self.clamped.saturating_add(u64::from(builder.clamped()));
        self.seq = self.seq.saturating_add(1);
        self.since_promotion = if promoted { 0 } else { self.since_promotion.saturating_add(1) };
        let frame = builder.build();
        self.ring.push(frame);
        frame
    }

    /// The sources of what stands in a frame.
    fn sources(&self) -> [MetricSource; 7] {
        let ResourceStats { cpu, memory, io, .. } = &self.stats;
        [
            cpu.usage_ns,
            cpu.user_ns,
            cpu.system_ns,
            memory.rss_bytes,
            memory.peak_bytes,
            io.read_bytes,
            io.write_bytes,
        ]
        .map(Metric::source)
    }

    fn source(&self) -> MetricSource {
        self.sources().into_iter().fold(MetricSource::Unavailable, MetricSource::and)
    }

    fn is_degraded(&self) -> bool {
        self.sources().into_iter().any(|source| source != MetricSource::Cgroup)
    }

    /// When to look again: after a period, or a quarter of it, or when a budget might be used up.
    fn due_ns(&self, now_ns: u64) -> u64 {
        let period_ns = self.policy.sample_period_ms.saturating_mul(1_000_000);
        let least_ns = MIN_SAMPLE_PERIOD_MS * 1_000_000;
        let period_ns = if self.high_frequency { (period_ns / 4).max(least_ns) } else { period_ns };
        let check_ns = self.budget.next_check_ns(self.cpus).unwrap_or(u64::MAX);
        now_ns.saturating_add(period_ns.min(check_ns))
    }

    /// The most processes that a sample saw.
    pub(crate) fn most_processes(&self) -> Option<u64> {
        self.most_processes
    }

    /// It has a budget that may be used up.
    pub(crate) fn is_limited(&self) -> bool {
        self.budget.next_check_ns(self.cpus).is_some()
    }

    /// A budget might be used up so soon that what the kernel has not accounted for yet matters.
    pub(crate) fn is_close(&self) -> bool {
        self.budget.budget().cpu_ms.is_some()
            && self.budget.next_check_ns(self.cpus).is_some_and(|left_ns| left_ns <= CLOSE_NS)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> EpisodeId {
        self.id
    }

    /// The process that it began with.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The frames that are kept, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = &TelemetryFrame> {
        self.ring.iter()
    }

    /// Those from a number on.
    pub(crate) fn frames_from(&self, seq: u64) -> impl Iterator<Item = &TelemetryFrame> {
        let first = self.seq.saturating_sub(self.ring.len() as u64);
        let before = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
        self.ring.iter().skip(before)
    }

    /// Frames that were taken: the number of the next.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Frames that gave way to newer ones.
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.ring.overwritten()
    }

    /// Values that were above what a frame holds (INV-TL02).
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The last reading, with the source of each metric.
    #[must_use]
    pub fn stats(&self) -> &ResourceStats {
        &self.stats
    }

    /// What is left of its budgets.
    #[must_use]
    pub fn budget(&self) -> &BudgetTracker {
        &self.budget
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        self.end
    }
}

#[cfg(test)]
mod tests;
