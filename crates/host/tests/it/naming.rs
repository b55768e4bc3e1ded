//! The words by which files and programs know what is told.

use aldis_host::{Budget, BudgetKind, BudgetTracker, EndReason, Exhausted, MetricSource, Trigger};

#[test]
fn budgets_have_the_names_of_their_fields_and_their_units() {
    for (kind, name, of_sampler, granted) in [
        (BudgetKind::CpuMs, "cpu_ms", false, 3_000_000),
        (BudgetKind::BytesIo, "bytes_io", false, 3),
        (BudgetKind::MemPeakBytes, "mem_peak_bytes", false, 3),
        (BudgetKind::WallMs, "wall_ms", false, 3_000_000),
        (BudgetKind::Processes, "processes", false, 3),
        (BudgetKind::SamplerCpuMs, "sampler_cpu_ms", true, 3_000_000),
        (BudgetKind::SamplerBytes, "sampler_bytes", true, 3),
    ] {
        assert_eq!((kind.as_str(), kind.is_of_sampler()), (name, of_sampler));
        let exhausted = Exhausted { kind, limit: 3, used: 3_000_001 };
        assert_eq!((exhausted.granted(), exhausted.overshoot()), (granted, 3_000_001 - granted), "{kind}");
        let most = Exhausted { limit: u64::MAX, ..exhausted };
        assert_eq!((most.granted(), most.overshoot()), (u64::MAX, 0), "{kind}");
    }
}

#[test]
fn a_tracker_says_what_was_granted_and_what_was_used() {
    let budget = Budget { cpu_ms: Some(9), processes: Some(3), ..Budget::default() };
    let mut tracker = BudgetTracker::new(budget);
    tracker.report_usage(1, 2);
    tracker.report_levels(Some(7), Some(4), 5);
    // The peak and the time stand, tasks are those of now.
    tracker.report_levels(Some(6), None, 3);
    tracker.report_sampler(8, 9);
    assert_eq!(tracker.budget(), &budget);
    let used = [
        (BudgetKind::CpuMs, 1),
        (BudgetKind::BytesIo, 2),
        (BudgetKind::MemPeakBytes, 7),
        (BudgetKind::WallMs, 5),
        (BudgetKind::Processes, 0),
        (BudgetKind::SamplerCpuMs, 8),
        (BudgetKind::SamplerBytes, 9),
    ];
    assert_eq!(used.map(|(kind, _)| (kind, tracker.used(kind))), used);
}

#[test]
fn ends_triggers_and_sources_have_the_names_that_stand_in_files() {
    let exhausted = Exhausted { kind: BudgetKind::CpuMs, limit: 0, used: 0 };
    for (reason, name) in [
        (EndReason::Completed, "completed"),
        (EndReason::Failed, "failed"),
        (EndReason::Ended, "ended"),
        (EndReason::Stopped, "stopped"),
        (EndReason::Lost, "lost"),
        (EndReason::BudgetExhausted(exhausted), "budget_exhausted"),
    ] {
        assert_eq!(reason.as_str(), name);
    }
    for (trigger, name) in [
        (Trigger::AbnormalEnd, "abnormal_end"),
        (Trigger::Budget, "budget"),
        (Trigger::Pressure, "pressure"),
        (Trigger::EveryFrames, "every_frames"),
        (Trigger::Termination, "termination"),
    ] {
        assert_eq!(trigger.as_str(), name);
    }
    for (source, name) in [
        (MetricSource::Cgroup, "cgroup"),
        (MetricSource::Proc, "proc"),
        (MetricSource::Mixed, "mixed"),
        (MetricSource::Unavailable, "unavailable"),
    ] {
        assert_eq!((source.as_str(), source.to_string()), (name, name.to_owned()));
    }
}
