//! What a handle answers, and what becomes of an episode as it was asked for.

use aldis_host::{
    Budget, BudgetKind, EndReason, TelemetryCollector, TelemetryFrame, TelemetryHandle,
    TelemetryHandleSnapshot, TelemetryPolicy, Watch, WhenExhausted,
};

use crate::collecting::{Scripted, id};

const MS: u64 = 1_000_000;

fn collector(ring: usize) -> TelemetryCollector {
    let policy = TelemetryPolicy::builder().ring_buffer_capacity(ring).build().unwrap();
    let collector = TelemetryCollector::new(policy).unwrap();
    assert_eq!(collector.policy(), &policy);
    collector
}

#[test]
fn a_snapshot_says_how_it_stands() {
    let (collector, subject) = (collector(2), Scripted::default());
    // More than a frame holds.
    subject.uses(u64::MAX);
    let granted = Budget { wall_ms: Some(1000), ..Budget::default() };
    let handle = collector.start(Watch::new(id(3), 9, subject).budget(granted), 0).unwrap();
    collector.poll(100 * MS);
    collector.poll(200 * MS);
    let TelemetryHandleSnapshot { episode_id, pid, seq, last_frame, stats, budget, .. } = handle.snapshot();
    assert_eq!((episode_id, pid, seq), (id(3), 9, 3));
    assert_eq!(last_frame, handle.frames().pop());
    assert!(last_frame.is_some_and(|frame| (frame.seq, frame.ts_mono) == (2, 200 * MS)));
    assert_eq!(stats.cpu.usage_ns.get(), Some(u64::MAX), "as it was read");
    assert_eq!((budget.budget(), budget.used(BudgetKind::WallMs)), (&granted, 200 * MS));
    let TelemetryHandleSnapshot { ended, overwritten, clamped, not_ended, .. } = handle.snapshot();
    assert_eq!((ended, overwritten, clamped, not_ended), (None, 1, 3, None));
    let without_recorder = (handle.snapshot().recorder_failures, handle.snapshot().recorder_torn_lines);
    assert_eq!(without_recorder, (0, 0));
    assert_eq!(handle.snapshot().most_processes, None, "nobody told");
    collector.finish(&handle, EndReason::Completed, None, 300 * MS);
    assert_eq!(handle.snapshot().ended, Some(EndReason::Completed));
    assert!(handle.snapshot().last_frame.is_some_and(|frame| frame.o11y_flags.terminal));
}

/// Numbers of the frames that are copied, and whether there will be more.
fn copied(handle: &TelemetryHandle, seq: u64, at_most: usize) -> (Vec<u64>, Option<EndReason>) {
    let mut frames: Vec<TelemetryFrame> = Vec::new();
    let ended = handle.copy_frames(seq, at_most, &mut frames);
    (frames.iter().map(|frame| frame.seq).collect(), ended)
}

#[test]
fn frames_are_copied_from_a_number_on() {
    let collector = collector(4);
    let handle = collector.start(Watch::new(id(1), 9, Scripted::default()), 0).unwrap();
    for look in 1..6 {
        collector.poll(look * 100 * MS);
    }
    assert_eq!(copied(&handle, 0, 2), (vec![2, 3], None), "those before are overwritten");
    assert_eq!(copied(&handle, 3, 10), (vec![3, 4, 5], None));
    assert_eq!(copied(&handle, 3, 0), (vec![], None));
    assert_eq!(copied(&handle, 6, 10), (vec![], None), "it has not been taken yet");
    collector.finish(&handle, EndReason::Completed, None, 600 * MS);
    let ended = Some(EndReason::Completed);
    assert_eq!(copied(&handle, 3, 3), (vec![3, 4, 5], None), "one follows");
    assert_eq!(copied(&handle, 0, 4), (vec![3, 4, 5, 6], ended));
    assert_eq!(copied(&handle, 6, 10), (vec![6], ended));
    assert_eq!(copied(&handle, 7, 10), (vec![], ended));
    let mut frames = handle.frames();
    handle.copy_frames(5, 10, &mut frames);
    let seqs: Vec<u64> = frames.iter().map(|frame| frame.seq).collect();
    assert_eq!(seqs, [3, 4, 5, 6, 5, 6], "behind what is there");
}

#[test]
fn what_is_to_be_let_go_is_neither_frozen_nor_killed() {
    for (when, expected) in [
        (None, &["settle", "sample", "freeze", "sample", "kill"][..]),
        (Some(WhenExhausted::Kill), &["settle", "sample", "freeze", "sample", "kill"]),
        (Some(WhenExhausted::LetGo), &["settle", "sample"]),
    ] {
        let (collector, subject) = (collector(4), Scripted::default());
        let watch = Watch::new(id(1), 9, subject.clone());
        let watch = watch.budget(Budget { cpu_ms: Some(10), ..Budget::default() });
        let watch = match when {
            Some(when) => watch.when_exhausted(when),
            None => watch,
        };
        let handle = collector.start(watch, 0).unwrap();
        subject.asked();
        subject.uses(10 * MS);
        assert_eq!(collector.poll(100 * MS), None, "it is watched no longer");
        assert_eq!(subject.asked(), expected, "{when:?}");
        assert!(matches!(handle.ended(), Some(EndReason::BudgetExhausted(_))));
    }
}
