//! Databases in real files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use aldis_sqlite::{DatabaseSettings, DatabaseStorage, from_config};
use collect::{
    EventType, FileStorage, MemoryStorage, MetricKind, Origin, StorageBackend, StorageError,
    TelemetryCollector, TelemetryConfig, TelemetryData, TelemetryEvent, TelemetryMetric, TelemetryStorage,
    TelemetryStream, Value,
};
use proptest::prelude::*;

/// How long what is to come may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

fn event(time_ns: u64, seq: u64) -> TelemetryEvent {
    TelemetryEvent {
        time_ns,
        source: "test".into(),
        message: "it's \"quoted\"".into(),
        event_type: EventType::Error,
        metadata: vec![("n".into(), Value::List(vec![Value::Null, Value::Double(1.0), Value::Int(1)]))],
        origin: Origin { lane: 3, seq },
    }
}

fn metric(time_ns: u64, seq: u64) -> TelemetryMetric {
    TelemetryMetric {
        time_ns,
        name: "cpu".into(),
        value: 0.1,
        unit: "percent".into(),
        tags: vec![("core".into(), "0".into())],
        kind: MetricKind::Delta,
        origin: Origin { lane: 3, seq },
    }
}

/// What a database has by its own shell, or by this program's library: any reader of SQLite sees the same.
fn count(path: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    // Whoever closes it last needs it alone for a moment.
    connection.busy_timeout(PATIENCE).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_stream_stores_in_the_database_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/telemetry.db");
    let config = TelemetryConfig {
        storage_backend: StorageBackend::Sqlite,
        storage_path: Some(path.clone()),
        ..TelemetryConfig::default()
    };
    let collector = TelemetryCollector::new(config).unwrap();
    let stream = from_config(&collector).unwrap();
    stream.start().unwrap();
    collector.collect_event("app", "Started", EventType::Info, &[("pid", 42.into())]);
    collector.collect_metric("cpu", f64::NAN, "percent", &[]);
    collector.flush_within(PATIENCE).unwrap();
    let stored = stream.storage().retrieve(None, None, None).unwrap();
    assert_eq!((&*stored.events[0].message, stored.events[0].get("pid")), ("Started", Some(&Value::Int(42))));
    assert!(stored.metrics[0].value.is_nan());
    drop((stream, collector));
    assert_eq!((count(&path, "events"), count(&path, "metrics")), (1, 1));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let by_json: i64 = connection
        .query_row(
            "SELECT json_extract(metadata, '$.pid') FROM events WHERE event_type = 'INFO'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(by_json, 42);

    let memory = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    from_config(&memory).unwrap().start().unwrap();
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| DatabaseStorage::open(path).map(drop).unwrap_err().to_string();
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(refused(&foreign).contains("something else"), "{}", refused(&foreign));
    let newer = folder.path().join("newer.db");
    drop(DatabaseStorage::open(&newer).unwrap());
    rusqlite::Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    assert!(refused(&newer).contains("version 2"), "{}", refused(&newer));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all, but long enough to have a header that is none".repeat(20))
        .unwrap();
    assert!(refused(&text).contains("text.db"));
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let storage = DatabaseStorage::open(&path).unwrap();
    storage.store(&TelemetryData { events: vec![event(1, 1)], metrics: vec![] }).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER no BEFORE INSERT ON metrics BEGIN SELECT raise(ABORT, 'not today'); END",
        )
        .unwrap();
    let batch = TelemetryData { events: vec![event(2, 2)], metrics: vec![metric(2, 3)] };
    let error: StorageError = storage.store(&batch).unwrap_err();
    assert!(error.to_string().contains("not today") && error.stored == 0, "{error}");
    assert_eq!(storage.retrieve(None, None, None).unwrap().len(), 1);
    other.execute_batch("DROP TRIGGER no").unwrap();
    storage.store(&batch).unwrap();
    assert_eq!(storage.retrieve(None, None, None).unwrap().len(), 3);
}

#[test]
fn times_that_integers_do_not_hold_are_refused_and_the_last_that_they_do_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let storage = DatabaseStorage::open(&path).unwrap();
    let last = i64::MAX as u64;
    let batch = TelemetryData {
        events: vec![event(1, 1), event(last + 1, 2), event(last, 3)],
        metrics: vec![metric(u64::MAX, 4), metric(last, 5)],
    };
    let error = storage.store(&batch).unwrap_err();
    assert_eq!(error.stored, 3);
    assert_eq!(
        error.to_string(),
        format!(
            "2 of 5 records cannot be stored in {}, and the others are: \
             number 1 has a time after 2262-04-11T23:47:16.854775807Z",
            path.display()
        )
    );
    let error = storage.store(&TelemetryData { events: vec![event(2, 6)], metrics: batch.metrics.clone() });
    assert!(error.unwrap_err().to_string().contains("number 1 has a time after "), "events come first");
    let within = |start, end| storage.retrieve(start, end, None).unwrap();
    let times = |data: &TelemetryData| -> Vec<u64> {
        let events = data.events.iter().map(|event| event.time_ns);
        events.chain(data.metrics.iter().map(|metric| metric.time_ns)).collect()
    };
    assert_eq!(times(&within(None, None)), [1, 2, last, last, last]);
    assert_eq!(times(&within(Some(last), Some(last + 1))), [last; 3]);
    assert!(times(&within(Some(last + 1), None)).is_empty());
    assert_eq!(times(&within(None, Some(last))), [1, 2]);
}

/// In every storage: what one takes the others take, and what one refuses they all do, in the same words.
#[test]
fn values_that_no_reader_would_read_are_refused_by_every_storage() {
    let of_levels = |levels: usize| {
        let value = (0..levels).fold(Value::Int(7), |inner, level| match level % 2 {
            0 => Value::List(vec![inner]),
            _ => Value::Map(vec![("in".into(), inner)]),
        });
        TelemetryEvent { metadata: vec![("deep".into(), value)], ..event(8, levels as u64) }
    };
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("telemetry.db"), folder.path().join("telemetry.jsonl"));
    let storages: [(&dyn TelemetryStorage, String); 3] = [
        (&DatabaseStorage::open(&database).unwrap(), database.display().to_string()),
        (&FileStorage::open(&file).unwrap(), file.display().to_string()),
        (&MemoryStorage::new(), "memory".to_owned()),
    ];
    for (storage, place) in storages {
        let kept = [event(7, 1), of_levels(120), of_levels(32)];
        let [first, second, third] = kept.clone();
        let events = vec![first, of_levels(121), second, of_levels(200), third];
        let error = storage.store(&TelemetryData { events, metrics: vec![metric(9, 1)] }).unwrap_err();
        assert_eq!(error.stored, 4, "{place}");
        assert_eq!(
            error.to_string(),
            format!(
                "2 of 6 records cannot be stored in {place}, and the others are: \
                 number 1 has a value of more than 120 levels"
            )
        );
        let stored = storage.retrieve(None, None, None).unwrap();
        assert_eq!((stored.events, stored.metrics), (kept.to_vec(), vec![metric(9, 1)]), "{place}");
    }
    // SQLite reads the deepest one, too.
    let connection = rusqlite::Connection::open(&database).unwrap();
    let sound = "SELECT count(*) FROM events WHERE json_valid(metadata)";
    assert_eq!(connection.query_row(sound, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
}

#[test]
fn the_newest_records_are_kept_to_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DatabaseSettings { max_records: Some(5), sync_every_batch: true };
    let storage = DatabaseStorage::with_settings(folder.path().join("a.db"), settings).unwrap();
    for seq in 0..20 {
        let data = match seq % 2 {
            0 => TelemetryData { events: vec![event(100 - seq, seq)], metrics: vec![] },
            _ => TelemetryData { events: vec![], metrics: vec![metric(100 - seq, seq)] },
        };
        storage.store(&data).unwrap();
    }
    let kept = storage.retrieve(None, None, None).unwrap();
    let mut seqs: Vec<u64> = kept.events.iter().map(|event| event.origin.seq).collect();
    seqs.extend(kept.metrics.iter().map(|metric| metric.origin.seq));
    seqs.sort_unstable();
    assert_eq!(seqs, [15, 16, 17, 18, 19]);
}

/// How long a storage waits for others who have its database, as it says, before it stores nothing.
const BUSY: Duration = Duration::from_secs(10);

/// Asks again where others had the database for as long as that.
fn unless_busy<T>(mut ask: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let begun = Instant::now();
        let told = ask();
        if told.is_ok() || begun.elapsed() < BUSY || begun > end {
            return told;
        }
    }
}

/// Asks again, so that no disk is too slow.
struct Persistent(DatabaseStorage);

impl TelemetryStorage for Persistent {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        unless_busy(|| self.0.store(data))
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        self.0.retrieve(start_ns, end_ns, limit)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.0.sync()
    }
}

#[test]
fn many_connections_lose_nothing_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
                let storage = Persistent(unless_busy(|| DatabaseStorage::open(&path)).unwrap());
                let stream = TelemetryStream::new(&collector, storage);
                stream.start().unwrap();
                for i in 0..100_i64 {
                    collector.collect_event("t", "m", EventType::Info, &[("i", i.into())]);
                    if i % 10 == 0 {
                        let _ = collector.flush_within(PATIENCE);
                    }
                }
                let _ = stream.stop_within(PATIENCE);
                assert_eq!(collector.stats().delivered, 100, "{:?}", stream.storage_error());
            });
        }
    });
    assert_eq!(count(&path, "events"), 400);
}

const VICTIM: &str = "ALDIS_SQLITE_TEST_VICTIM";

/// No test: what the next one starts, and kills.
#[test]
fn a_process_that_is_killed() {
    let Ok(path) = std::env::var(VICTIM) else { return };
    let storage = DatabaseStorage::open(path).unwrap();
    for seq in 0.. {
        storage.store(&TelemetryData { events: vec![event(seq, seq)], metrics: vec![] }).unwrap();
        println!("stored {}", seq + 1);
    }
}

#[test]
fn a_kill_loses_nothing_that_was_stored() {
    use std::io::BufRead;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("victim.db");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(VICTIM, &path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stored = 0;
    let number = |line: &str| line.rsplit("stored ").next().and_then(|number| number.parse().ok());
    let mut said = std::io::BufReader::new(victim.stdout.take().unwrap()).lines();
    while stored < 300 {
        stored = number(&said.next().unwrap().unwrap()).unwrap_or(stored);
    }
    victim.kill().unwrap();
    stored = said.map_while(Result::ok).filter_map(|line| number(&line)).last().unwrap_or(stored);
    victim.wait().unwrap();
    let read = DatabaseStorage::open(&path).unwrap().retrieve(None, None, None).unwrap();
    let seqs: Vec<u64> = read.events.iter().map(|event| event.origin.seq).collect();
    assert!(seqs.len() as u64 >= stored, "{} of {stored}", seqs.len());
    assert_eq!(seqs, (0..seqs.len() as u64).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against a list.
    #[test]
    fn what_is_asked_for_is_found(
        batches in prop::collection::vec((prop::collection::vec(0..30_u64, 0..20), prop::collection::vec(0..30_u64, 0..20)), 0..6),
        asks in prop::collection::vec((prop::option::of(0..30_u64), prop::option::of(0..30_u64), prop::option::of(0..40_usize)), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(DatabaseStorage::open(folder.path().join("a.db")).unwrap());
        // (time, is a metric, number), in the order in which they are stored.
        let (mut all, mut seq) = (Vec::new(), 0);
        for (events, metrics) in batches {
            let mut number = |time, is_metric| { seq += 1; all.push((time, is_metric, seq)); seq };
            let data = TelemetryData {
                events: events.into_iter().map(|time| event(time, number(time, false))).collect(),
                metrics: metrics.into_iter().map(|time| metric(time, number(time, true))).collect(),
            };
            storage.store(&data).unwrap();
        }
        for (start, end, limit) in asks {
            let mut expected: Vec<(u64, bool, u64)> = all
                .iter()
                .filter(|(time, ..)| start.is_none_or(|start| *time >= start) && end.is_none_or(|end| *time < end))
                .copied()
                .collect();
            expected.sort_by_key(|(time, ..)| *time);
            expected.truncate(limit.unwrap_or(usize::MAX));
            let (metrics, events): (Vec<_>, Vec<_>) = expected.into_iter().partition(|(_, is_metric, _)| *is_metric);
            let found = storage.retrieve(start, end, limit).unwrap();
            prop_assert_eq!(found.events, events.iter().map(|(time, _, seq)| event(*time, *seq)).collect::<Vec<_>>());
            prop_assert_eq!(found.metrics, metrics.iter().map(|(time, _, seq)| metric(*time, *seq)).collect::<Vec<_>>());
        }
    }
}
