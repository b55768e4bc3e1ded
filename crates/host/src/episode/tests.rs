//! Samples and times in, frames and decisions out.

use proptest::prelude::*;

use super::*;
use crate::{
    budget::{Budget, BudgetKind},
    parse::{Pressure, Stall},
    policy::PromoteTriggers,
};

const MS: u64 = 1_000_000;
const ID: EpisodeId = EpisodeId::from_u128(5);

fn policy() -> TelemetryPolicy {
    TelemetryPolicy { ring_buffer_capacity: 8, ..TelemetryPolicy::default() }
}

fn begun(policy: TelemetryPolicy, budget: Budget) -> Episode {
    Episode::new(ID, 7, policy, BudgetTracker::new(budget), (Baseline::Zero, 2), 1000 * MS).unwrap()
}

fn sample(cpu_ns: u64, io: u64) -> Sample {
    let mut stats = ResourceStats::default();
    stats.cpu.usage_ns = Metric::of_cgroup(cpu_ns);
    stats.cpu.user_ns = Metric::of_cgroup(cpu_ns);
    stats.cpu.system_ns = Metric::of_cgroup(0);
    stats.memory.rss_bytes = Metric::of_cgroup(10);
    stats.memory.peak_bytes = Metric::of_cgroup(20);
    stats.io.read_bytes = Metric::of_cgroup(io);
    stats.io.write_bytes = Metric::of_cgroup(0);
    stats.pids = Metric::of_cgroup(1);
    Sample { stats, pressure: PressureStats::default() }
}

fn with_tasks(tasks: u64) -> Sample {
    let mut sample = sample(0, 0);
    sample.stats.pids = Metric::of_cgroup(tasks);
    sample
}

fn stalled(percent: u32) -> Sample {
    let some = Stall { avg10: percent * 100, ..Stall::default() };
    let pressure = PressureStats { io: Some(Pressure { some, full: None }), ..PressureStats::default() };
    Sample { pressure, ..sample(0, 0) }
}

/// Readings as they may be: any number, falling ones, none; at any time.
fn readings() -> impl Strategy<Value = Vec<(u64, Option<u64>, Option<u64>)>> {
    let number = || prop::option::weighted(0.9, prop_oneof![0..1000_u64, any::<u64>()]);
    prop::collection::vec((any::<u64>(), number(), number()), 1..40)
}

fn read((_, cpu, io): (u64, Option<u64>, Option<u64>)) -> Sample {
    let metric = |value: Option<u64>| value.map_or(Metric::UNAVAILABLE, Metric::of_proc);
    let mut sample = sample(0, 0);
    sample.stats.cpu.usage_ns = metric(cpu);
    sample.stats.io.read_bytes = metric(io);
    sample
}

proptest! {
    /// INV-TL01: sequence numbers increase by one, from the first frame to the terminal one.
    #[test]
    fn inv_tl01_sequence_numbers_increase_strictly(readings in readings()) {
        let mut episode = begun(policy(), Budget::default());
        let mut expected = 0;
        for reading in &readings {
            let frame = episode.step(reading.0, &read(*reading)).frame.unwrap();
            prop_assert_eq!(frame.seq, expected);
            prop_assert_eq!(frame.o11y_flags.initial, expected == 0);
            expected += 1;
        }
        let last = episode.end(0, &sample(0, 0), EndReason::Completed).frame.unwrap();
        prop_assert!(last.seq == expected && last.o11y_flags.terminal);
        let kept: Vec<u64> = episode.frames().map(|frame| frame.seq).collect();
        prop_assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        prop_assert_eq!(kept.len() as u64 + episode.overwritten(), episode.seq());
        prop_assert_eq!(episode.step(u64::MAX, &sample(9, 9)), Step::default(), "silence");
        prop_assert_eq!(episode.end(u64::MAX, &sample(9, 9), EndReason::Failed), Step::default());
        prop_assert_eq!((episode.ended(), episode.seq()), (Some(EndReason::Completed), expected + 1));
    }

    /// INV-TL03: timestamps never fall, whatever the clock does.
    #[test]
    fn inv_tl03_timestamps_are_monotonic(readings in readings()) {
        let mut episode = begun(policy(), Budget::default());
        let mut last = 0;
        for reading in readings {
            let step = episode.step(reading.0, &read(reading));
            let frame = step.frame.unwrap();
            prop_assert!(frame.ts_mono >= last);
            prop_assert!(step.due_ns.unwrap() > frame.ts_mono || frame.ts_mono >= i64::MAX as u64);
            last = frame.ts_mono;
        }
    }

    /// CTR-TL01: what the tracker was told is, to the nanosecond and the byte, what the frames say; neither falls.
    #[test]
    fn ctr_tl01_usage_is_reported_to_the_budget_tracker(readings in readings()) {
        let mut episode = begun(policy(), Budget::default());
        let mut last = (0, 0);
        for reading in readings {
            let frame = episode.step(0, &read(reading)).frame.unwrap();
            let totals = (episode.totals.cpu.value, episode.totals.read.value);
            prop_assert_eq!((episode.budget().used(BudgetKind::CpuMs), episode.budget().bytes_io()), totals);
            prop_assert_eq!(episode.budget().cpu_ms(), totals.0 / MS);
            prop_assert!(totals.0 >= last.0 && totals.1 >= last.1);
            prop_assert_eq!(frame.cpu_ns, totals.0.min(i64::MAX as u64));
            last = totals;
        }
    }
}

/// CTR-TL02: an exhausted budget asks for a stop, and the last sample says what it came to.
#[test]
fn ctr_tl02_an_exhausted_budget_stops() {
    let mut episode = begun(policy(), Budget { cpu_ms: Some(10), ..Budget::default() });
    assert_eq!(episode.step(1000 * MS, &sample(10 * MS - 1, 0)).stop, None);
    let step = episode.step(1001 * MS, &sample(10 * MS, 0));
    let found = step.stop.unwrap();
    assert_eq!((found.kind, found.limit, found.overshoot()), (BudgetKind::CpuMs, 10, 0));
    let last = episode.end(1002 * MS, &sample(11 * MS, 0), EndReason::BudgetExhausted(found));
    assert_eq!((last.stop, last.due_ns), (None, None));
    let Some(EndReason::BudgetExhausted(found)) = episode.ended() else { panic!("{:?}", episode.ended()) };
    assert_eq!((found.used, found.overshoot()), (11 * MS, MS), "read when nothing ran any more");
}

#[test]
fn totals_begin_where_the_baseline_says() {
    for (baseline, expected) in [(Baseline::Zero, [500, 700]), (Baseline::FirstSample, [0, 200])] {
        let tracker = BudgetTracker::new(Budget::default());
        let mut episode = Episode::new(ID, 1, policy(), tracker, (baseline, 1), 0).unwrap();
        let totals = [500, 700].map(|cpu_ns| episode.step(0, &sample(cpu_ns, 0)).frame.unwrap().cpu_ns);
        assert_eq!(totals, expected);
        assert_eq!((episode.id(), episode.pid()), (ID, 1));
        assert_eq!(episode.stats().cpu.usage_ns, Metric::of_cgroup(expected[1]), "the last reading too");
        assert_eq!(episode.stats().memory.rss_bytes.get(), Some(10), "a level is as it is");
    }
}

/// What measuring costs is no part of what was used.
#[test]
fn what_measuring_costs_is_accounted_for_apart() {
    let mut episode = begun(policy(), Budget { sampler_bytes: Some(7), ..Budget::default() });
    episode.report_sampler(5, 3);
    assert_eq!(episode.step(1000 * MS, &sample(1, 1)).stop, None);
    episode.report_sampler(5, 4);
    let stop = episode.step(1100 * MS, &sample(1, 1)).stop.map(|found| (found.kind, found.used));
    assert_eq!(stop, Some((BudgetKind::SamplerBytes, 7)));
    assert_eq!(episode.budget().used(BudgetKind::SamplerCpuMs), 10);
    assert_eq!(episode.budget().used(BudgetKind::CpuMs), 1);
}

#[test]
fn the_period_is_a_quarter_from_the_threshold_on_and_whole_again_below() {
    let mut episode = begun(policy(), Budget { processes: Some(10), ..Budget::default() });
    let mut wait_ms = |tasks| {
        let step = episode.step(2000 * MS, &with_tasks(tasks));
        (step.frame.unwrap().o11y_flags.high_frequency, (step.due_ns.unwrap() - 2000 * MS) / MS)
    };
    assert_eq!(wait_ms(7), (false, 100));
    assert_eq!(wait_ms(8), (true, 25));
    assert_eq!(wait_ms(10), (true, 25));
    assert_eq!(wait_ms(3), (false, 100), "and back");
}

#[test]
fn a_budget_that_may_be_used_up_sooner_is_looked_at_sooner() {
    let budget = Budget { cpu_ms: Some(1000), ..Budget::default() };
    let mut episode = begun(TelemetryPolicy { sample_period_ms: 60_000, ..policy() }, budget);
    // Two CPUs may burn what is left.
    for (used_ms, wait_ms) in [(0, 500), (900, 50), (999, 1), (1000, 1)] {
        let step = episode.step(1000 * MS, &sample(used_ms * MS, 0));
        assert_eq!(step.due_ns, Some((1000 + wait_ms) * MS), "{used_ms}");
    }
    let shortest = TelemetryPolicy { sample_period_ms: 1, high_freq_threshold_percent: 1, ..policy() };
    let mut episode = begun(shortest, Budget { processes: Some(1), ..Budget::default() });
    assert_eq!(episode.step(0, &with_tasks(1)).due_ns, Some(1001 * MS), "never sooner than a millisecond");
}

#[test]
fn each_trigger_fires_when_it_should_and_not_again_at_once() {
    let none = PromoteTriggers::default();
    let with = |triggers| TelemetryPolicy { promote_triggers: triggers, ..policy() };
    let fired = |triggers, budget, samples: &[Sample]| {
        let mut episode = begun(with(triggers), budget);
        let steps = samples.iter().map(|sample| episode.step(0, sample));
        steps.map(|step| (step.promote, step.frame.unwrap().o11y_flags.promoted)).collect::<Vec<_>>()
    };
    let quiet = (None, false);
    let budget = Budget { cpu_ms: Some(1000), ..Budget::default() };
    let half = PromoteTriggers { budget_percent: Some(50), ..none };
    let used = [0, 499, 500, 501].map(|ms| sample(ms * MS, 0));
    assert_eq!(fired(half, budget, &used), [quiet, quiet, (Some(Trigger::Budget), true), quiet]);
    let pressed = PromoteTriggers { pressure_percent: Some(30), ..none };
    let waits = [0, 30, 90, 29, 31].map(stalled);
    let fire = (Some(Trigger::Pressure), true);
    assert_eq!(fired(pressed, Budget::default(), &waits), [quiet, fire, quiet, quiet, fire]);
    let third = PromoteTriggers { every_frames: Some(3), ..none };
    let fire = (Some(Trigger::EveryFrames), true);
    let seven = [sample(0, 0); 7];
    assert_eq!(fired(third, Budget::default(), &seven), [quiet, quiet, fire, quiet, quiet, fire, quiet]);
    assert_eq!(fired(none, Budget::default(), &waits), [quiet; 5]);
    let ends =
        |triggers, reason| begun(with(triggers), Budget::default()).end(0, &sample(0, 0), reason).promote;
    let abnormal = PromoteTriggers { abnormal_end: true, ..none };
    let always = PromoteTriggers { termination: true, ..none };
    let exhausted = EndReason::BudgetExhausted(Exhausted { kind: BudgetKind::CpuMs, limit: 0, used: 0 });
    for (reason, of_abnormal) in [
        (EndReason::Completed, None),
        (EndReason::Stopped, None),
        (EndReason::Failed, Some(Trigger::AbnormalEnd)),
        (EndReason::Lost, Some(Trigger::AbnormalEnd)),
        (exhausted, Some(Trigger::AbnormalEnd)),
    ] {
        assert_eq!(ends(abnormal, reason), of_abnormal, "{reason:?}");
        assert_eq!(ends(always, reason), Some(Trigger::Termination), "{reason:?}");
        assert_eq!(ends(none, reason), None);
    }
}

#[test]
fn a_frame_is_degraded_if_a_metric_of_it_is_not_the_cgroups() {
    let of = |change: fn(&mut ResourceStats)| {
        let mut sample = sample(1, 1);
        change(&mut sample.stats);
        let frame = begun(policy(), Budget::default()).step(0, &sample).frame.unwrap();
        (frame.source, frame.o11y_flags.degraded)
    };
    assert_eq!(of(|_| {}), (MetricSource::Cgroup, false));
    assert_eq!(of(|stats| stats.io.read_bytes = Metric::of_proc(1)), (MetricSource::Mixed, true));
    assert_eq!(of(|stats| stats.memory.peak_bytes = Metric::UNAVAILABLE), (MetricSource::Cgroup, true));
    assert_eq!(of(|stats| *stats = ResourceStats::default()), (MetricSource::Unavailable, true));
    assert_eq!(
        of(|stats| stats.io.read_chars = Metric::of_proc(1)),
        (MetricSource::Cgroup, false),
        "not in a frame"
    );
}

/// INV-TL02: what a frame does not hold is cut off and counted; the totals themselves are not.
#[test]
fn inv_tl02_what_is_cut_off_is_counted() {
    let mut episode = begun(policy(), Budget::default());
    let frame = episode.step(0, &sample(u64::MAX, u64::MAX)).frame.unwrap();
    assert_eq!((frame.cpu_ns, frame.io_read_bytes), (i64::MAX as u64, i64::MAX as u64));
    assert_eq!(episode.clamped(), 3, "all, in user mode, read");
}

/// INV-TL06 and INV-TL07 hold also for policies whose open fields were set.
#[test]
fn a_policy_out_of_its_bounds_begins_no_episode() {
    let wrong = TelemetryPolicy { ring_buffer_capacity: usize::MAX, ..TelemetryPolicy::default() };
    let tracker = BudgetTracker::new(Budget::default());
    let refused = Episode::new(ID, 1, wrong, tracker, (Baseline::Zero, 1), 0);
    assert!(matches!(refused, Err(PolicyError::RingBufferCapacity { .. })));
}

/// Whatever ended it, between two looks.
#[test]
fn a_budget_that_was_used_up_when_it_ended_is_told() {
    let budget = Budget { cpu_ms: Some(2), ..Budget::default() };
    for (used_ns, reason, told) in [
        (MS, EndReason::Completed, None),
        (2 * MS, EndReason::Completed, Some(BudgetKind::CpuMs)),
        (3 * MS, EndReason::Failed, Some(BudgetKind::CpuMs)),
        (3 * MS, EndReason::Stopped, None),
    ] {
        let mut episode = begun(policy(), budget);
        episode.step(1000 * MS, &sample(0, 0));
        episode.end(1001 * MS, &sample(used_ns, 0), reason);
        match (episode.ended().unwrap(), told) {
            (EndReason::BudgetExhausted(exhausted), Some(kind)) => {
                assert_eq!((exhausted.kind, exhausted.overshoot()), (kind, used_ns - 2 * MS));
            }
            (ended, None) => assert_eq!(ended, reason),
            (ended, Some(_)) => panic!("{ended:?} with {used_ns}"),
        }
    }
}
