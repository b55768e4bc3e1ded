//! Records in real files, written by this process, by one that is killed, and by children.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use aldis_collect::{
    EventType, FileSettings, FileStorage, StorageBackend, SyncPolicy, TelemetryCollector, TelemetryConfig,
    TelemetryData, TelemetryEvent, TelemetryStorage, TelemetryStream,
};

use crate::scenes::{PATIENCE, collector, event, in_time, messages, patient};

#[test]
fn pattern_3_persistent_storage() {
    let stored = in_time(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/telemetry.jsonl");
        let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();

        let storage = FileStorage::open(&path).unwrap();
        let stream = TelemetryStream::new(&collector, storage);
        stream.start().unwrap();
        // Data is automatically persisted

        collector.collect_event("app", "Started", EventType::Info, &[]);
        collector.collect_metric("cpu", 45.2, "percent", &[]);
        drop((stream, collector));
        FileStorage::open(&path).unwrap().retrieve(None, None, None).unwrap()
    });
    assert_eq!((&*stored.events[0].message, stored.metrics[0].value), ("Started", 45.2));
}

#[test]
fn the_file_of_the_configuration_is_where_a_stream_stores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let storage_path = Some(path.clone());
    let collector =
        collector(TelemetryConfig { storage_backend: StorageBackend::File, storage_path, ..patient() });
    let stream = TelemetryStream::from_config(&collector).unwrap();
    stream.start().unwrap();
    event(&collector, "1");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&stream.storage().retrieve(None, None, Some(1)).unwrap()), ["1"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);

    let storage_path = Some(path);
    let config = TelemetryConfig { storage_backend: StorageBackend::Sqlite, storage_path, ..patient() };
    let refused = TelemetryStream::from_config(&crate::scenes::collector(config)).map(drop).unwrap_err();
    assert!(refused.to_string().contains("aldis-sqlite"), "{refused}");
}

const VICTIM: &str = "ALDIS_COLLECT_TEST_VICTIM";

/// No test: what the next one starts, and kills.
#[test]
fn a_process_that_is_killed() {
    let Ok(path) = std::env::var(VICTIM) else { return };
    let settings = FileSettings { rotate_bytes: Some(256 << 10), ..FileSettings::default() };
    let settings = match path.ends_with("zst") {
        true => FileSettings { compression: Some(1), ..settings },
        false => settings,
    };
    let collector =
        collector(TelemetryConfig { flush_interval: Duration::from_millis(1), ..TelemetryConfig::default() });
    let stream = TelemetryStream::new(&collector, FileStorage::with_settings(&path, settings).unwrap());
    stream.start().unwrap();
    for number in 0_i64.. {
        collector.collect_event("victim", "still here", EventType::Info, &[("number", number.into())]);
        if number % 100 == 99 {
            collector.flush_within(PATIENCE).unwrap();
            // What it says is stored is in the file: the system has taken it.
            println!("stored {}", number + 1);
        }
    }
}

#[test]
fn a_kill_loses_nothing_that_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    for (round, name) in
        ["a.jsonl", "b.jsonl.zst", "c.jsonl", "d.jsonl.zst", "e.jsonl", "f.jsonl"].iter().enumerate()
    {
        let path = folder.path().join(name);
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "filing::a_process_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut stored = 0;
        // A little later each time, and at whatever it is doing then.
        while stored < 2_000 + 3_700 * round as i64 {
            let line = said.next().unwrap().unwrap();
            stored = line.rsplit("stored ").next().and_then(|number| number.parse().ok()).unwrap_or(stored);
        }
        victim.kill().unwrap();
        // What it said before it was killed counts, too.
        for line in said {
            let line = line.unwrap();
            stored = line.strip_prefix("stored ").and_then(|number| number.parse().ok()).unwrap_or(stored);
        }
        victim.wait().unwrap();
        let read = FileStorage::open(&path).unwrap().retrieve(None, None, None).unwrap();
        let numbers: Vec<u64> = read.events.iter().map(|event| event.origin.seq).collect();
        assert!(numbers.len() as i64 >= stored, "{name}: {} of {stored}", numbers.len());
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn two_who_write_to_one_file_lose_nothing_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.jsonl");
    let settings =
        FileSettings { rotate_bytes: Some(20_000), sync: SyncPolicy::Never, ..FileSettings::default() };
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let storage = FileStorage::with_settings(&path, settings).unwrap();
            scope.spawn(move || {
                let collector = collector(patient());
                let stream = TelemetryStream::new(&collector, storage);
                stream.start().unwrap();
                for i in 0..200 {
                    event(&collector, &format!("{name} {i}"));
                    collector.flush_within(PATIENCE).unwrap();
                }
            });
        }
    });
    let storage = FileStorage::open(&path).unwrap();
    let read = messages(&storage.retrieve(None, None, None).unwrap());
    assert_eq!(read.len(), 400);
    for name in ["one", "two"] {
        let own = read.iter().filter(|message| message.starts_with(name)).cloned();
        assert_eq!(own.collect::<Vec<_>>(), (0..200).map(|i| format!("{name} {i}")).collect::<Vec<_>>());
    }
    assert_eq!(storage.stats().bad_lines, 0);
}

const WRITER: &str = "ALDIS_COLLECT_TEST_WRITER";
const BATCHES: u64 = 300;

/// No test: what the next one starts, several times.
#[test]
fn a_process_that_writes_where_others_do() {
    let Ok(path) = std::env::var(WRITER) else { return };
    let compression = path.ends_with("zst").then_some(1);
    let settings = FileSettings { rotate_bytes: Some(4096), compression, ..FileSettings::default() };
    let storage = FileStorage::with_settings(&path, settings).unwrap();
    let pid = std::process::id();
    for number in 0..BATCHES {
        let event = TelemetryEvent {
            time_ns: number,
            message: format!("{pid} {number}"),
            metadata: vec![("filler".into(), "x".repeat(300).into())],
            ..TelemetryEvent::default()
        };
        storage.store(&TelemetryData { events: vec![event], metrics: Vec::new() }).unwrap();
        println!("stored {number}");
    }
}

/// Starts this program for one of its tests.
fn start(test: &str, variable: &str, value: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn processes_that_put_files_aside_lose_nothing_to_each_other_nor_to_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["shared.jsonl", "shared.jsonl.zst"] {
        let path = folder.path().join(name);
        let start = || start("filing::a_process_that_writes_where_others_do", WRITER, &path);
        let writers: Vec<_> = (0..3).map(|_| start()).collect();
        let reader = (!name.ends_with("zst")).then(|| FileStorage::open(&path).unwrap());
        let stored = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            let follow = |mut writer: std::process::Child| {
                let stored = &stored;
                scope.spawn(move || {
                    let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
                    let told = lines.filter(|line| line.contains("stored ")).inspect(|_| {
                        stored.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    });
                    assert_eq!(told.count() as u64, BATCHES);
                    assert!(writer.wait().unwrap().success());
                })
            };
            let writing: Vec<_> = writers.into_iter().map(follow).collect();
            // One that is opened to be written as lines would put compressed ones aside.
            if let Some(reader) = &reader {
                while !writing.iter().all(|writer| writer.is_finished()) {
                    let least = stored.load(std::sync::atomic::Ordering::SeqCst);
                    let read = reader.retrieve(None, None, None).unwrap().len() as u64;
                    assert!(read >= least, "{read} of {least}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let storage = reader.unwrap_or_else(|| {
            let settings = FileSettings { compression: Some(1), ..FileSettings::default() };
            FileStorage::with_settings(&path, settings).unwrap()
        });
        let mut read = messages(&storage.retrieve(None, None, None).unwrap());
        assert_eq!(read.len() as u64, 3 * BATCHES, "{name}");
        read.sort();
        read.dedup();
        assert_eq!(read.len() as u64, 3 * BATCHES, "{name}: some are there twice");
    }
}

const READER: &str = "ALDIS_COLLECT_TEST_READER";

/// No test: what the next one starts. Says by how many KiB its memory grew while it read.
#[test]
#[cfg(target_os = "linux")]
fn a_process_that_reads() {
    let Ok(path) = std::env::var(READER) else { return };
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let storage = FileStorage::open(path).unwrap();
    let before = peak();
    let mut records = 0;
    let report = storage.scan(None, None, |_| records += 1).unwrap();
    assert_eq!(report.records, records);
    let ten = storage.retrieve(Some(1000), None, Some(10)).unwrap();
    println!("\nread {records} {} {}", ten.len(), peak() - before);
}

/// A file of 100 MB is a hundred times what reading may take.
#[test]
#[cfg(target_os = "linux")]
fn reading_takes_memory_that_does_not_depend_on_the_file() {
    const RECORDS: u64 = 400_000;
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("large.jsonl");
    let frames = folder.path().join("large.jsonl.zst");
    let compressed = FileSettings { compression: Some(1), ..FileSettings::default() };
    let compressed = FileStorage::with_settings(&frames, compressed).unwrap();
    let filler = "x".repeat(150);
    let mut text = Vec::new();
    for number in 0..RECORDS {
        // What else a line has needs no writer.
        text.extend_from_slice(
            format!("{{\"time_ns\":{number},\"type\":\"event\",\"message\":\"{filler}\"}}\n").as_bytes(),
        );
    }
    std::fs::write(&lines, &text).unwrap();
    drop(text);
    for first in (0..RECORDS).step_by(5000) {
        let event =
            |time_ns| TelemetryEvent { time_ns, message: filler.clone(), ..TelemetryEvent::default() };
        compressed
            .store(&TelemetryData { events: (first..first + 5000).map(event).collect(), metrics: Vec::new() })
            .unwrap();
    }
    for path in [lines, frames] {
        let output = start("filing::a_process_that_reads", READER, &path).wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said =
            said.lines().find_map(|line| line.strip_prefix("read ")).unwrap_or_else(|| panic!("{said}"));
        let numbers: Vec<u64> = said.split(' ').map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers[..2], [RECORDS, 10], "{}", path.display());
        assert!(numbers[2] < 8 << 10, "{}: {} KiB", path.display(), numbers[2]);
    }
}

/// Files that are put aside may be more than a process may have open.
#[test]
#[cfg(target_os = "linux")]
fn many_files_are_read_with_few_descriptors() {
    const FILES: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.jsonl");
    let line = |time_ns: u64| format!("{{\"time_ns\":{time_ns},\"type\":\"event\"}}\n");
    for number in 1..FILES {
        std::fs::write(folder.path().join(format!("telemetry.jsonl.{number:06}")), line(1000 + number))
            .unwrap();
    }
    std::fs::write(&path, line(1000 + FILES)).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 100; exec \"$0\" filing::a_process_that_reads --exact --nocapture"]).arg(own);
    let output = few.env(READER, &path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains(&format!("\nread {FILES} 10 ")),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Neither a reader that nobody has nor a folder makes it wait, and nothing takes the place of what is there.
#[test]
fn what_is_no_regular_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for path in [&pipe, &link, folder.path()] {
        let refused = FileStorage::open(path).err().unwrap().to_string();
        assert!(refused.contains(path.to_str().unwrap()) && refused.contains("no regular file"), "{refused}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
