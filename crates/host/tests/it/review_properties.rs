//! Whatever is told of reviews, by writers that come and go: what is read is what was written.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use aldis_host::reviewer::{
    FsyncPolicy, LINE_BYTES_MAX, ReviewerEvent, ReviewerEventKind, ReviewerFilter, ReviewerHealth,
    ReviewerTelemetryWriter, WriterOptions, project,
};
use proptest::prelude::*;

/// An event, its time in milliseconds, which of three writers tells it, and whether that one is opened anew for it.
type Told = (ReviewerEvent, u64, usize, bool);

fn told() -> impl Strategy<Value = Told> {
    let kind = prop::sample::select(ReviewerEventKind::ALL.to_vec());
    let sha = prop_oneof!["[0-9a-fA-F]{40}", "[0-9a-fA-F]{64}"];
    // Texts that JSON has to escape are among them, and long ones, so that few fit into a file.
    let reason = prop_oneof![
        Just(None),
        any::<String>().prop_filter("short enough", |text| text.len() <= 4096).prop_map(Some),
        (0..4096_usize).prop_map(|length| Some("x".repeat(length))),
    ];
    let event = (kind, "[a-z]{1,8}", 1..u64::MAX, sha, "[ab]", any::<u32>(), reason).prop_map(
        |(kind, review_type, pr_number, head_sha, run_id, restart_count, reason)| ReviewerEvent {
            kind,
            review_type,
            pr_number,
            head_sha,
            run_id,
            restart_count,
            reason,
        },
    );
    (event, 0..4_000_000_000_000_u64, 0..3_usize, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_read_is_the_end_of_what_was_written(
        all in prop::collection::vec(told(), 0..40),
        large: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        // Everything fits, or there are rotations.
        let file_bytes = if large { 1 << 20 } else { LINE_BYTES_MAX as u64 };
        let options = WriterOptions { file_bytes, fsync: FsyncPolicy::Never };
        let open = || ReviewerTelemetryWriter::open(&path, options).unwrap();
        let mut writers = [open(), open(), open()];
        for (number, (event, ms, by, anew)) in (1..).zip(&all) {
            if *anew {
                writers[*by] = open();
            }
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(*ms);
            prop_assert_eq!(writers[*by].emit(event, now).unwrap(), number, "of all writers");
            prop_assert!(fs::metadata(&path).unwrap().len() <= file_bytes);
        }
        let read = project(&path, &ReviewerFilter::default());
        if all.is_empty() {
            prop_assert_eq!(read.health, ReviewerHealth::Missing);
            return Ok(());
        }
        prop_assert_eq!(&read.health, &ReviewerHealth::Present);
        prop_assert!(!read.events.is_empty() && (!large || read.events.len() == all.len()));
        let first = all.len() - read.events.len();
        for (line, (number, (event, ms, _, _))) in read.events.iter().zip((1..).zip(&all).skip(first)) {
            prop_assert_eq!(line.seq, number);
            prop_assert_eq!((line.event, line.pr_number, line.restart_count), (event.kind, event.pr_number, event.restart_count));
            prop_assert_eq!((&line.review_type, &line.head_sha), (&event.review_type, &event.head_sha));
            prop_assert_eq!((&line.run_id, &line.reason), (&event.run_id, &event.reason));
            let ts = humantime::parse_rfc3339(&line.ts).unwrap();
            prop_assert_eq!(ts, SystemTime::UNIX_EPOCH + Duration::from_millis(*ms));
        }
    }
}
