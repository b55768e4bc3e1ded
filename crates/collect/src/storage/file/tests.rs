use std::sync::Arc;

use proptest::prelude::*;

use self::forgetful::Forgetful;
use super::*;
use crate::{EventType, Origin, TelemetryEvent, TelemetryMetric, Value, limits::INDEX_BLOCK_BYTES};

mod aside;
mod forgetful;
mod indexes;
mod torn;

const PATH: &str = "/log/telemetry.jsonl";

fn open(disk: &Forgetful, settings: FileSettings) -> FileStorage {
    FileStorage::on(Arc::new(disk.clone()), Path::new(PATH), settings).unwrap()
}

fn event(time_ns: u64, seq: u64) -> TelemetryEvent {
    TelemetryEvent {
        time_ns,
        source: "test".into(),
        message: format!("number {seq}\n"),
        event_type: EventType::Warning,
        metadata: vec![
            ("seq".into(), Value::Int(seq as i64)),
            ("list".into(), Value::List(vec![Value::Null])),
        ],
        origin: Origin { lane: 1, seq },
    }
}

fn metric(time_ns: u64, seq: u64) -> TelemetryMetric {
    TelemetryMetric {
        time_ns,
        name: "m".into(),
        origin: Origin { lane: 2, seq },
        ..TelemetryMetric::default()
    }
}

fn events(data: &TelemetryData) -> Vec<u64> {
    data.events.iter().map(|event| event.origin.seq).collect()
}

fn of_events(events: impl IntoIterator<Item = TelemetryEvent>) -> TelemetryData {
    TelemetryData { events: events.into_iter().collect(), metrics: Vec::new() }
}

fn everything(storage: &FileStorage) -> TelemetryData {
    storage.retrieve(None, None, None).unwrap()
}

#[test]
fn a_relative_path_is_that_of_the_directory_in_which_it_was_opened() {
    let disk = Forgetful::default();
    let settings = FileSettings { rotate_bytes: Some(MIN_ROTATE_BYTES), ..FileSettings::default() };
    let storage =
        FileStorage::on(Arc::new(disk.clone()), Path::new("log/telemetry.jsonl"), settings).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(storage.path(), here.join("log/telemetry.jsonl"));
    for seq in 0..60 {
        storage.store(&of_events([event(seq, seq)])).unwrap();
    }
    storage.rebuild_index().unwrap();
    assert_eq!(events(&everything(&storage)), (0..60).collect::<Vec<_>>());
    // The files put aside and the indexes are there too.
    let names = disk.names();
    assert!(names.len() >= 4 && names.iter().all(|name| Path::new(name).starts_with(&here)), "{names:?}");
    let refused = FileStorage::open("").err().unwrap().to_string();
    assert!(refused.starts_with("cannot open : "), "{refused}");
}

#[test]
fn what_is_put_in_a_place_is_whole_and_stays_as_it_is_whoever_does_so_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.jsonl.idx");
    std::thread::scope(|scope| {
        for own in 1..=4 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..200 {
                    System.replace(path, &[own; 32]).unwrap();
                    let there = System.read(path).unwrap();
                    let content = || {
                        let mut bytes = [0; 33];
                        let read = there.read_at(&mut bytes, 0).unwrap();
                        bytes[..read].to_vec()
                    };
                    let found = content();
                    assert_eq!(found, [found[0]; 32]);
                    std::thread::yield_now();
                    assert_eq!(content(), found);
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_batch_is_one_write() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events((0..1000).map(|i| event(i, i)))).unwrap();
    assert_eq!(disk.writes_to(PATH), 1);
    assert_eq!(storage.stats().written_records, 1000);
}

#[test]
fn by_the_policy_every_batch_nothing_stored_is_lost_with_the_machine() {
    let disk = Forgetful::default();
    let settings =
        FileSettings { sync: SyncPolicy::EveryBatch, rotate_bytes: Some(4096), ..FileSettings::default() };
    for round in 0..20 {
        let storage = open(&disk, settings);
        for i in 0..10 {
            storage.store(&of_events([event(1, round * 10 + i)])).unwrap();
        }
        // Not even that it was open.
        std::mem::forget(storage);
        disk.crash(|unsynced| unsynced / 2);
    }
    let storage = open(&disk, settings);
    assert_eq!(events(&everything(&storage)), (0..200).collect::<Vec<_>>());
    assert!(disk.names().len() > 4, "it was rotated: {:?}", disk.names());
}

#[test]
fn by_the_policy_interval_what_is_older_is_not_lost() {
    let disk = Forgetful::default();
    let settings = FileSettings { sync: SyncPolicy::Interval(Duration::ZERO), ..FileSettings::default() };
    let storage = open(&disk, settings);
    storage.store(&of_events([event(1, 1)])).unwrap();
    disk.crash(|_| 0);
    assert_eq!(events(&everything(&open(&disk, settings))), [1]);

    let never = Duration::from_secs(1 << 40);
    let settings = FileSettings { sync: SyncPolicy::Interval(never), ..FileSettings::default() };
    let storage = open(&disk, settings);
    storage.store(&of_events([event(1, 2)])).unwrap();
    storage.tick().unwrap();
    disk.crash(|_| 0);
    assert_eq!(events(&everything(&open(&disk, settings))), [1]);
}

#[test]
fn an_interval_ends_with_a_tick_where_no_batch_comes() {
    let disk = Forgetful::default();
    let settings =
        FileSettings { sync: SyncPolicy::Interval(Duration::from_millis(20)), ..FileSettings::default() };
    let storage = open(&disk, settings);
    storage.store(&of_events([event(1, 1)])).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    storage.tick().unwrap();
    disk.crash(|_| 0);
    assert_eq!(events(&everything(&open(&disk, settings))), [1]);
}

#[test]
fn by_the_policy_never_a_sync_that_is_asked_for_is_made() {
    let disk = Forgetful::default();
    // The name of a new file is not synced by this policy; that of one that was there is.
    drop(open(&disk, FileSettings { sync: SyncPolicy::EveryBatch, ..FileSettings::default() }));
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events([event(1, 1)])).unwrap();
    storage.sync().unwrap();
    storage.store(&of_events([event(1, 2)])).unwrap();
    assert_eq!(storage.stats().syncs, 1);
    disk.crash(|_| 0);
    assert_eq!(events(&everything(&open(&disk, FileSettings::default()))), [1]);
}

#[test]
fn a_torn_last_line_is_ended_wherever_it_was_torn() {
    let disk = Forgetful::default();
    open(&disk, FileSettings::default()).store(&of_events([event(1, 1), event(2, 2)])).unwrap();
    let whole = disk.bytes(PATH);
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in first..=whole.len() {
        let disk = Forgetful::default();
        disk.put(PATH, &whole[..cut]);
        let storage = open(&disk, FileSettings::default());
        storage.store(&of_events([event(3, 3)])).unwrap();
        let is_torn = cut > first && cut < whole.len();
        // Only the line feed was lost: the line is whole again.
        let is_mended = cut + 1 == whole.len() || cut == whole.len();
        assert_eq!(storage.stats().healed, u64::from(is_torn), "{cut}");
        let expected: &[u64] = if is_mended { &[1, 2, 3] } else { &[1, 3] };
        assert_eq!(events(&everything(&storage)), expected, "{cut}");
        assert_eq!(storage.stats().bad_lines, u64::from(is_torn && !is_mended), "{cut}");
    }
}

#[test]
fn a_torn_frame_costs_itself_and_no_other() {
    let settings = FileSettings { compression: Some(3), ..FileSettings::default() };
    let disk = Forgetful::default();
    let storage = open(&disk, settings);
    storage.store(&of_events([event(1, 1)])).unwrap();
    let first = disk.bytes(PATH).len();
    storage.store(&of_events([event(2, 2)])).unwrap();
    let whole = disk.bytes(PATH);
    for cut in first..=whole.len() {
        let disk = Forgetful::default();
        disk.put(PATH, &whole[..cut]);
        let storage = open(&disk, settings);
        storage.store(&of_events([event(3, 3)])).unwrap();
        let expected: &[u64] = if cut == whole.len() { &[1, 2, 3] } else { &[1, 3] };
        assert_eq!(events(&everything(&storage)), expected, "{cut}");
    }
    // A byte that was changed, anywhere.
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let disk = Forgetful::default();
        disk.put(PATH, &bytes);
        let storage = open(&disk, settings);
        let read = events(&everything(&storage));
        let expected: &[&[u64]] = if at < first { &[&[2], &[1, 2]] } else { &[&[1], &[1, 2]] };
        assert!(expected.contains(&&read[..]), "{at}: {read:?}");
    }
}

#[test]
fn a_damaged_piece_is_counted_once() {
    let settings = FileSettings { compression: Some(3), ..FileSettings::default() };
    let disk = Forgetful::default();
    let storage = open(&disk, settings);
    let ends: Vec<usize> = (1..=3)
        .map(|i| {
            storage.store(&of_events([event(i, i)])).unwrap();
            disk.bytes(PATH).len()
        })
        .collect();
    for damaged in 0..3 {
        let mut bytes = disk.bytes(PATH);
        let start = if damaged == 0 { 0 } else { ends[damaged - 1] };
        bytes[start + frame::HEAD_BYTES + 20] ^= 1;
        let disk = Forgetful::default();
        disk.put(PATH, &bytes);
        let mut times = Vec::new();
        let report = open(&disk, settings).scan(None, None, |record| times.push(record.time_ns())).unwrap();
        assert_eq!((report.records, report.bad_lines), (2, 1), "{damaged}");
        assert!(!times.contains(&(damaged as u64 + 1)), "{times:?}");
    }
}

#[test]
fn any_zstd_reads_a_compressed_file() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings { compression: Some(3), ..FileSettings::default() });
    for i in 0..3 {
        storage.store(&of_events([event(i, i)])).unwrap();
    }
    let lines = zstd::stream::decode_all(&disk.bytes(PATH)[..]).unwrap();
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 3);
}

#[test]
fn a_file_of_the_other_kind_is_put_aside_and_read_all_the_same() {
    let disk = Forgetful::default();
    let compressed = FileSettings { compression: Some(1), ..FileSettings::default() };
    open(&disk, FileSettings::default()).store(&of_events([event(1, 1)])).unwrap();
    open(&disk, compressed).store(&of_events([event(2, 2)])).unwrap();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events([event(3, 3)])).unwrap();
    assert_eq!(events(&everything(&storage)), [1, 2, 3]);
}

/// Two who disagree about the kind lose nothing to each other, in whatever order they open the file and write to it.
#[test]
fn two_of_different_kinds_lose_nothing_to_each_other() {
    let compressed = FileSettings { compression: Some(1), ..FileSettings::default() };
    for order in 0..64_u64 {
        let disk = Forgetful::default();
        let both = [open(&disk, FileSettings::default()), open(&disk, compressed)];
        for seq in 0..6 {
            both[(order >> seq & 1) as usize].store(&of_events([event(seq, seq)])).unwrap();
        }
        for storage in &both {
            assert_eq!(events(&everything(storage)), [0, 1, 2, 3, 4, 5], "{order:b}");
        }
    }
}

#[test]
fn what_a_full_disk_took_is_counted_by_the_line() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    let batch = of_events((0..10).map(|i| event(i, i)));
    storage.store(&batch).unwrap();
    let line = disk.bytes(PATH).len() / 10;
    let mut stored = 10;
    for room in 0..3 * line {
        disk.fill_up(room);
        let error = storage.store(&batch).unwrap_err();
        stored += error.stored;
        assert!(error.to_string().contains(PATH), "{error}");
    }
    disk.fill_up(usize::MAX);
    storage.store(&batch).unwrap();
    assert_eq!(everything(&storage).len(), stored + 10);
    assert_eq!(storage.stats().written_records as usize, stored + 10);
}

#[test]
fn bad_lines_are_passed_over_and_counted() {
    let disk = Forgetful::default();
    let mut bytes = b"\n\nnot json\n{\"time_ns\":1}\n".to_vec();
    bytes.extend(vec![b'x'; crate::limits::MAX_LINE_BYTES + 10]);
    bytes.extend(b"\n{\"type\":\"event\",\"time_ns\":5}\n\xff\xfe\n{\"time_ns\":7,\"type\":\"metric\",\"value\":1}\n{\"torn");
    disk.put(PATH, &bytes);
    let storage = open(&disk, FileSettings::default());
    let mut times = Vec::new();
    let report = storage.scan(None, None, |record| times.push(record.time_ns())).unwrap();
    assert_eq!(times, [5, 7]);
    assert_eq!((report.records, report.bad_lines), (2, 5));
    storage.rebuild_index().unwrap();
    // A line whose time can be told is not looked at when that is not asked for.
    let report = storage.scan(Some(7), None, |_| ()).unwrap();
    assert_eq!((report.records, report.bad_lines), (1, 4));
}

#[test]
fn what_is_written_behind_a_line_that_another_process_has_torn_is_a_line_of_its_own() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events([event(1, 1)])).unwrap();
    let whole = disk.bytes(PATH);
    let torn = &whole[..whole.len() / 2];
    disk.put(PATH, &[&whole[..], torn].concat());
    storage.store(&of_events([event(2, 2)])).unwrap();
    let mut found = Vec::new();
    let report = storage.scan(None, None, |record| found.push(record.time_ns())).unwrap();
    assert_eq!((found, report.bad_lines), (vec![1, 2], 1));
}

#[test]
fn a_record_that_no_reader_reads_is_refused_and_all_others_are_stored() {
    let of_line = |bytes: usize| {
        let empty = TelemetryEvent { message: String::new(), ..event(7, 7) };
        let mut line = Vec::new();
        crate::storage::line::write_event(&empty, &mut line);
        TelemetryEvent { message: "x".repeat(bytes - line.len()), ..empty }
    };
    let of_depth = |levels: usize| {
        let value = (0..levels).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        TelemetryEvent { metadata: vec![("deep".into(), value)], ..event(8, 8) }
    };
    let long = crate::limits::MAX_LINE_BYTES;
    for compression in [None, Some(1)] {
        let disk = Forgetful::default();
        let storage = open(&disk, FileSettings { compression, ..FileSettings::default() });
        let batch =
            of_events([event(1, 1), of_line(long + 1), of_depth(121), event(2, 2), of_line(long + 9)]);
        let error = storage.store(&batch).unwrap_err();
        assert_eq!(error.stored, 2);
        assert_eq!(
            error.to_string(),
            format!(
                "3 of 5 records cannot be stored in {PATH}, and the others are: \
                 number 1 has a line of 8388609 bytes, of which there may be 8388608"
            )
        );
        let error = storage.store(&of_events([of_depth(121)])).unwrap_err();
        assert_eq!(error.stored, 0);
        assert!(error.to_string().ends_with("number 0 has a value of more than 120 levels"), "{error}");
        // As far as it may go.
        storage.store(&of_events([of_line(long), of_depth(120), event(3, 3)])).unwrap();
        let mut found = Vec::new();
        let report = storage.scan(None, None, |record| found.push(record.time_ns())).unwrap();
        assert_eq!((found, report.bad_lines), (vec![1, 2, 7, 8, 3], 0));
        assert_eq!(storage.stats().written_records, 5);
    }
}

/// What is refused is told whatever else goes wrong.
#[test]
fn a_record_that_is_refused_is_told_beside_a_sync_and_a_write_that_fail() {
    let deep = (0..121).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    let deep = TelemetryEvent { metadata: vec![("deep".into(), deep)], ..event(8, 8) };
    let disk = Forgetful::default();
    let settings = FileSettings { sync: SyncPolicy::EveryBatch, ..FileSettings::default() };
    let storage = open(&disk, settings);
    let batch = of_events([event(1, 1), deep, event(2, 2)]);
    disk.fail_to_sync(true);
    let error = storage.store(&batch).unwrap_err();
    assert_eq!(error.stored, 2);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot sync {PATH}: cannot be reached; 1 of 3 records cannot be stored in {PATH}, and the others are: \
             number 1 has a value of more than 120 levels"
        )
    );
    disk.fail_to_sync(false);
    disk.fill_up(disk.bytes(PATH).len() / 2);
    let error = storage.store(&batch).unwrap_err();
    assert_eq!(error.stored, 1);
    let refused =
        "; 1 of 3 records cannot be stored in /log/telemetry.jsonl: number 1 has a value of more than";
    assert!(error.to_string().starts_with(&format!("cannot write {PATH}: ")), "{error}");
    assert!(error.to_string().contains(refused), "{error}");
}

/// More than a piece may hold is written in several, and what a full disk took of them is counted by the piece.
#[test]
fn a_batch_of_any_size_is_read_again_whole() {
    let large = |seq| TelemetryEvent { message: "x".repeat(1 << 20), ..event(seq, seq) };
    let batch = of_events((0..300).map(large));
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings { compression: Some(1), ..FileSettings::default() });
    storage.store(&batch).unwrap();
    let one = disk.bytes(PATH);
    let mut found = Vec::new();
    let report = storage.scan(None, None, |record| found.push(record.time_ns())).unwrap();
    assert_eq!((found, report.bad_lines), ((0..300).collect::<Vec<_>>(), 0));
    assert_eq!(disk.writes_to(PATH), 300_usize.div_ceil(16));

    disk.fill_up(one.len() / 2);
    let error = storage.store(&batch).unwrap_err();
    assert!(error.stored > 100 && error.stored < 200, "{}", error.stored);
    let mut found = 0;
    storage.scan(None, None, |_| found += 1).unwrap();
    assert_eq!(found, 300 + error.stored);
}

#[test]
fn a_first_piece_that_is_damaged_hides_no_other_however_long_it_is() {
    let settings = FileSettings { compression: Some(1), ..FileSettings::default() };
    let noise = |seq: u64| {
        let mut state = seq;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + ((state >> 58) as u8))
        };
        TelemetryEvent { message: (0..1 << 20).map(|_| next()).collect(), ..event(seq, seq) }
    };
    let disk = Forgetful::default();
    let storage = open(&disk, settings);
    storage.store(&of_events([noise(1)])).unwrap();
    let first = disk.bytes(PATH).len();
    assert!(first > 2 * crate::limits::READ_BYTES, "{first}");
    (2..5).for_each(|i| storage.store(&of_events([event(i, i)])).unwrap());
    let whole = disk.bytes(PATH);
    for at in 0..frame::MARK.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let disk = Forgetful::default();
        disk.put(PATH, &bytes);
        let storage = open(&disk, settings);
        storage.store(&of_events([event(5, 5)])).unwrap();
        let mut found = Vec::new();
        let report = storage.scan(None, None, |record| found.push(record.time_ns())).unwrap();
        assert_eq!((found, report.bad_lines), (vec![2, 3, 4, 5], 1), "{at}");
        assert_eq!(storage.stats().rotations, 0, "{at}");
    }
    // Lines that begin with ever so much that is none are lines.
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events([event(1, 1)])).unwrap();
    let lines = [&vec![b'x'; 600 << 10][..], b"\n", &disk.bytes(PATH)].concat();
    disk.put(PATH, &lines);
    drop(storage);
    assert_eq!(events(&everything(&open(&disk, FileSettings::default()))), [1]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |settings| {
        FileStorage::on(Arc::new(Forgetful::default()), Path::new(PATH), settings)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let with_level = FileSettings { compression: Some(20), ..FileSettings::default() };
    assert!(refused(with_level).contains("compression"));
    let with_size = FileSettings { rotate_bytes: Some(4095), ..FileSettings::default() };
    assert!(refused(with_size).contains("rotate_bytes"));
}

/// Files that were written by earlier versions, and by this one: they open forever. With `ALDIS_BLESS=1` those that are missing are written.
#[test]
fn files_of_all_versions_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/formats");
    let data = TelemetryData {
        events: (1..=3).map(|seq| event(10 * seq, seq)).collect(),
        metrics: vec![metric(15, 4), TelemetryMetric { value: f64::INFINITY, ..metric(25, 5) }],
    };
    for (name, compression) in
        [("version-1.jsonl", None), ("version-1.jsonl.zst", Some(3)), ("version-2.jsonl.zst", Some(3))]
    {
        let path = folder.join(name);
        if !path.exists() && std::env::var_os("ALDIS_BLESS").is_some() {
            let disk = Forgetful::default();
            open(&disk, FileSettings { compression, ..FileSettings::default() }).store(&data).unwrap();
            std::fs::write(&path, disk.bytes(PATH)).unwrap();
        }
        let disk = Forgetful::default();
        disk.put(PATH, &std::fs::read(&path).unwrap());
        let storage = open(&disk, FileSettings { compression, ..FileSettings::default() });
        assert_eq!(everything(&storage), data, "{name}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Times of events, and of metrics.
    Store(Vec<u64>, Vec<u64>),
    Reopen,
    Rebuild,
    SpoilIndex(usize),
    Crash,
    Ask(Option<u64>, Option<u64>, Option<usize>),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let times = || prop::collection::vec(0..60_u64, 0..60);
    let ask = (prop::option::of(0..60_u64), prop::option::of(0..60_u64), prop::option::of(0..50_usize));
    let act = prop_oneof![
        8 => (times(), times()).prop_map(|(events, metrics)| Act::Store(events, metrics)),
        2 => Just(Act::Reopen),
        1 => Just(Act::Rebuild),
        1 => any::<usize>().prop_map(Act::SpoilIndex),
        1 => Just(Act::Crash),
        6 => ask.prop_map(|(start, end, limit)| Act::Ask(start, end, limit)),
    ];
    prop::collection::vec(act, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Against a list of everything, in whatever order times come, through rotation, crashes and spoilt indexes.
    #[test]
    fn what_is_asked_for_is_found(acts in acts(), rotates: bool, compresses: bool) {
        let disk = Forgetful::default();
        let settings = FileSettings {
            sync: SyncPolicy::EveryBatch,
            rotate_bytes: rotates.then_some(8192),
            compression: compresses.then_some(1),
            keep_files: None,
        };
        let mut storage = open(&disk, settings);
        let (mut all, mut seq) = (Vec::new(), 0);
        for act in acts {
            match act {
                Act::Store(of_events, of_metrics) => {
                    let mut number = || { seq += 1; seq };
                    let data = TelemetryData {
                        events: of_events.into_iter().map(|time| event(time, number())).collect(),
                        metrics: of_metrics.into_iter().map(|time| metric(time, number())).collect(),
                    };
                    storage.store(&data).unwrap();
                    all.extend(data.events.into_iter().map(Record::Event));
                    all.extend(data.metrics.into_iter().map(Record::Metric));
                }
                Act::Reopen => storage = open(&disk, settings),
                Act::Rebuild => storage.rebuild_index().unwrap(),
                Act::SpoilIndex(at) => disk.spoil(&format!("{PATH}.idx"), at),
                Act::Crash => {
                    std::mem::forget(storage);
                    disk.crash(|unsynced| unsynced / 3);
                    storage = open(&disk, settings);
                }
                Act::Ask(start, end, limit) => {
                    let found = storage.retrieve(start, end, limit).unwrap();
                    let mut expected: Vec<&Record> = all
                        .iter()
                        .filter(|record| start.is_none_or(|start| record.time_ns() >= start))
                        .filter(|record| end.is_none_or(|end| record.time_ns() < end))
                        .collect();
                    expected.sort_by_key(|record| record.time_ns());
                    expected.truncate(limit.unwrap_or(usize::MAX));
                    let is_event = |record: &&&Record| matches!(record, Record::Event(_));
                    let (of_events, of_metrics): (Vec<&Record>, Vec<&Record>) =
                        expected.iter().partition(|record| is_event(record));
                    let found_events: Vec<Record> = found.events.into_iter().map(Record::Event).collect();
                    let found_metrics: Vec<Record> = found.metrics.into_iter().map(Record::Metric).collect();
                    prop_assert_eq!(found_events.iter().collect::<Vec<_>>(), of_events);
                    prop_assert_eq!(found_metrics.iter().collect::<Vec<_>>(), of_metrics);
                }
            }
        }
        prop_assert_eq!(storage.retrieve(None, None, None).unwrap().len(), all.len());
    }
}
