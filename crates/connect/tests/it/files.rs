//! Files that are written, read back, rotated, taken away and full.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aldis_connect::file::{
    FileConfig, FileExporter, FileFormat, Key, Next, ReadSettings, RecordFile, Rotation, Sync,
};
use bytes::Bytes;
use otlp::{Batch, Check, Checker, Depth, Signal, event::RequestBuilder};
use pipeline::{Exporter, Item, Outcome};

use crate::side::PATIENCE;

/// A request of one log record that says `text`.
pub(crate) fn log(text: &str) -> Batch {
    let mut builder = RequestBuilder::new(Signal::Logs, Depth::Records);
    let record =
        otlp::LogRecord { body: otlp::AttributeValue::String(text.into()).into(), ..Default::default() };
    builder.push_log(&record).expect("it fits");
    builder.finish()
}

/// An exporter to a file. The one before lets go of its file on a thread of its own, which is waited for some seconds
/// when it is dropped, and perhaps a little longer here.
#[expect(clippy::needless_pass_by_value, reason = "whoever asks makes it for this")]
pub(crate) fn begun(config: FileConfig) -> FileExporter {
    let since = Instant::now();
    loop {
        match FileExporter::start(config.clone()) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && since.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            begun => return begun.expect("a file"),
        }
    }
}

pub(crate) fn send(exporter: &FileExporter, batch: Batch) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(exporter.open().send(&Item::new(batch)))
}

/// The requests of a file, and how many pieces of it are none.
pub(crate) fn read(path: &Path, signal: Signal) -> (Vec<Bytes>, usize) {
    read_with(path, signal, None)
}

/// The same of a file that may be sealed with a key.
pub(crate) fn read_with(path: &Path, signal: Signal, key: Option<Key>) -> (Vec<Bytes>, usize) {
    let settings = ReadSettings { signal: Some(signal), ..ReadSettings::default() };
    let mut records = RecordFile::open_with_key(path, settings, key).expect("it is there");
    let (mut requests, mut faults) = (Vec::new(), 0);
    loop {
        match records.read().expect("it unpacks") {
            Next::Record(record) => requests.push(record.request.wire),
            Next::Fault(..) => faults += 1,
            Next::End => return (requests, faults),
            Next::Waiting => panic!("a file that does not grow is not waited for"),
        }
    }
}

/// What the log records of requests say.
pub(crate) fn texts(requests: &[Bytes]) -> Vec<String> {
    let mut checker = Checker::new(Signal::Logs, Check::Full, Depth::Records);
    let of = |request: &Bytes| {
        let batch = checker.check(request.clone()).expect("valid");
        match batch.log(0).body_value() {
            otlp::view::ValueView::String(text) => text.to_owned(),
            other => panic!("{other:?}"),
        }
    };
    requests.iter().map(of).collect()
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("number {i}")).collect()
}

#[test]
fn what_is_written_reads_back_in_every_form() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in [FileFormat::Json, FileFormat::Proto] {
        for compression in [None, Some(3)] {
            for append in [false, true] {
                let path = folder.path().join(format!("{format:?}-{}-{append}", compression.is_some()));
                let config = FileConfig { format, compression, append, ..FileConfig::new(&path) };
                let all = names(20);
                for half in all.chunks(10) {
                    let exporter = begun(config.clone());
                    for text in half {
                        assert_eq!(send(&exporter, log(text)), Outcome::DELIVERED);
                    }
                }
                let (requests, faults) = read(&path, Signal::Logs);
                let expected = if append { &all[..] } else { &all[10..] };
                assert_eq!((texts(&requests), faults), (expected.to_vec(), 0), "{config:?}");
            }
        }
    }
}

/// A file's backups and itself, in the order in which they were written.
pub(crate) fn in_order(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path.parent().expect("a folder"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|file| file != path)
        .collect();
    files.sort();
    files.push(path.to_owned());
    files
}

#[test]
fn rotation_splits_no_request_and_keeps_as_many_files_as_it_is_told() {
    for (format, compression) in [(FileFormat::Json, None), (FileFormat::Proto, Some(1))] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("logs.data");
        let rotation = Rotation { max_bytes: 1000, max_age: None, max_backups: 0 };
        let config = FileConfig { format, compression, rotation: Some(rotation), ..FileConfig::new(&path) };
        let all = names(160);
        let write = |rotation, texts: &[String]| {
            let config = FileConfig { rotation: Some(rotation), ..config.clone() };
            let exporter = begun(config);
            texts.iter().for_each(|text| assert_eq!(send(&exporter, log(text)), Outcome::DELIVERED));
        };
        // A restart goes on with the file that is there.
        write(rotation, &all[..25]);
        write(rotation, &all[25..]);
        let files = in_order(&path);
        assert!(files.len() > 3, "{files:?}");
        let mut found = Vec::new();
        for file in &files {
            let length = fs::metadata(file).expect("there").len();
            assert!(length > 500 && length <= 1000 || *file == path, "{length} bytes in {file:?}");
            let (requests, faults) = read(file, Signal::Logs);
            assert_eq!(faults, 0);
            found.extend(texts(&requests));
        }
        assert_eq!(found, all);
        // The larger than a file may be is in one of its own.
        let large = [(0..5000u64)
            .map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect::<String>()];
        write(Rotation { max_backups: 2, ..rotation }, &large);
        write(Rotation { max_backups: 2, ..rotation }, &all[..1]);
        let files = in_order(&path);
        assert_eq!(files.len(), 3, "{files:?}");
        assert_eq!(texts(&read(&files[1], Signal::Logs).0), large);
        assert_eq!(texts(&read(&files[2], Signal::Logs).0), all[..1]);
    }
}

/// What another writer was stopped in is not made worse, and what follows it can be read.
#[test]
fn a_torn_end_is_healed_before_anything_is_appended() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in [FileFormat::Json, FileFormat::Proto] {
        for torn in [1, 3, 6, 17] {
            let path = folder.path().join(format!("{format:?}-{torn}"));
            let config = FileConfig { format, append: true, ..FileConfig::new(&path) };
            let write = |text: &str| {
                let exporter = begun(config.clone());
                assert_eq!(send(&exporter, log(text)), Outcome::DELIVERED);
            };
            write("first");
            write("second");
            let whole = fs::read(&path).expect("there");
            fs::write(&path, &whole[..whole.len() - torn]).expect("written");
            write("third");
            let (requests, faults) = read(&path, Signal::Logs);
            // Of a line only its line feed may be missing.
            let (expected, faulty) = match (format, torn) {
                (FileFormat::Json, 1) => (vec!["first", "second", "third"], 0),
                (FileFormat::Json, _) => (vec!["first", "third"], 1),
                (FileFormat::Proto, _) => (vec!["first", "third"], 0),
            };
            assert_eq!(
                (texts(&requests), faults),
                (expected.iter().map(|text| (*text).to_owned()).collect(), faulty)
            );
        }
    }
    let path = folder.path().join("something else");
    fs::write(&path, "# notes\n").expect("written");
    let config = FileConfig { format: FileFormat::Proto, append: true, ..FileConfig::new(&path) };
    let error = FileExporter::start(config).expect_err("these are no frames").to_string();
    assert!(error.contains("is no file of requests"), "{error}");
}

fn retried(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { reason, maybe_delivered: false, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_taken_away_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/er/logs.jsonl");
    let plain = FileConfig { sync: Sync::Batch, ..FileConfig::new(&path) };
    let error = FileExporter::start(plain.clone()).expect_err("there is no folder");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let config = FileConfig { create_directory: Some(0o750), ..plain };
    let exporter = begun(config.clone());
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(folder.path().join("deep/er")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777 & !0o750, 0);
    let all = |path: &Path| texts(&read(path, Signal::Logs).0);

    assert_eq!(send(&exporter, log("1")), Outcome::DELIVERED);
    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).expect("moved");
    assert_eq!(send(&exporter, log("2")), Outcome::DELIVERED);
    assert_eq!((all(&moved), all(&path)), (vec!["1".to_owned()], vec!["2".to_owned()]));

    fs::remove_file(&path).expect("removed");
    assert_eq!(send(&exporter, log("3")), Outcome::DELIVERED);
    assert_eq!(all(&path), ["3"]);

    // As `logrotate` with `copytruncate` does.
    fs::OpenOptions::new().write(true).open(&path).expect("there").set_len(0).expect("cut");
    assert_eq!(send(&exporter, log("4")), Outcome::DELIVERED);
    assert_eq!(all(&path), ["4"]);

    fs::remove_dir_all(folder.path().join("deep")).expect("removed");
    assert_eq!(send(&exporter, log("5")), Outcome::DELIVERED);
    assert_eq!(all(&path), ["5"]);

    // Without leave to make folders it waits for them, and says what it lacks.
    drop(exporter);
    let exporter = begun(FileConfig { create_directory: None, ..config });
    fs::remove_dir_all(folder.path().join("deep")).expect("removed");
    let outcome = send(&exporter, log("6"));
    assert!(retried(&outcome).contains("logs.jsonl cannot be written"), "{outcome:?}");
    fs::create_dir_all(folder.path().join("deep/er")).expect("made");
    assert_eq!(send(&exporter, log("6")), Outcome::DELIVERED);
    assert_eq!(all(&path), ["6"]);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_acknowledged() {
    let exporter = begun(FileConfig::new("/dev/full"));
    let outcome = send(&exporter, log("lost?"));
    assert!(retried(&outcome).contains("No space left on device"), "{outcome:?}");
}

#[test]
fn an_interval_of_syncs_ends_with_the_exporter() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs.jsonl");
    let sync = Sync::Interval(Duration::from_millis(1));
    let exporter = begun(FileConfig { sync, ..FileConfig::new(&path) });
    for text in names(30) {
        assert_eq!(send(&exporter, log(&text)), Outcome::DELIVERED);
        std::thread::sleep(Duration::from_micros(300));
    }
    drop(exporter);
    assert_eq!(texts(&read(&path, Signal::Logs).0), names(30));
}
