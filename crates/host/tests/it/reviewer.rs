//! Review runs told by several processes, killed ones among them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use aldis_host::reviewer::{
    FsyncPolicy, LINE_BYTES_MAX, Projector, ReviewerError, ReviewerEvent, ReviewerEventKind, ReviewerFilter,
    ReviewerHealth, ReviewerTelemetryWriter, WriterOptions, project,
};
use tempfile::TempDir;

/// Tells the child which file to write to.
const WRITER: &str = "ALDIS_TEST_REVIEWER";
/// Events that each of several processes writes.
const EVENTS: u64 = 300;

fn event(run: &str, kind: ReviewerEventKind) -> ReviewerEvent {
    ReviewerEvent {
        kind,
        review_type: "security".into(),
        pr_number: 42,
        head_sha: "c982109c982109c982109c982109c982109c9821".into(),
        run_id: run.into(),
        restart_count: 0,
        reason: None,
    }
}

fn started(run: &str) -> ReviewerEvent {
    event(run, ReviewerEventKind::RunStart)
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("events.ndjson")
}

fn writer(path: &Path) -> ReviewerTelemetryWriter {
    ReviewerTelemetryWriter::open(
        path,
        WriterOptions { fsync: FsyncPolicy::Never, ..WriterOptions::default() },
    )
    .unwrap()
}

/// A time that is written as it is.
fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn everything(path: &Path) -> (ReviewerHealth, Vec<u64>) {
    let read = project(path, &ReviewerFilter::default());
    (read.health, read.events.iter().map(|event| event.seq).collect())
}

/// The process that the tests below start.
#[test]
fn a_process_that_writes() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let run = format!("run-{}", std::process::id());
    // About half of what three of them write.
    let options = WriterOptions { file_bytes: 120_000, fsync: FsyncPolicy::Never };
    let mut writer = ReviewerTelemetryWriter::open(path, options).unwrap();
    for number in 0..EVENTS {
        let event = ReviewerEvent { reason: Some(format!("number {number}")), ..started(&run) };
        // Others may have the lock for longer than it is waited for: to emit it again is right.
        let end = Instant::now() + Duration::from_secs(60);
        let mut told = writer.emit(&event, time(number));
        while matches!(told, Err(ReviewerError::Busy(_))) && Instant::now() < end {
            told = writer.emit(&event, time(number));
        }
        match told {
            Ok(seq) => println!("wrote {seq}"),
            Err(error) => println!("refused {error}"),
        }
    }
}

fn start(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reviewer::a_process_that_writes", "--nocapture", "--test-threads=1"]);
    command.env(WRITER, path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The numbers that a process was told, as it says them.
fn told(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.rsplit("wrote ").next()?.parse().ok())
}

#[test]
fn several_processes_lose_and_interleave_nothing() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut children: Vec<Child> = (0..3).map(|_| start(&path)).collect();
    // A reader beside them never sees half of anything.
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        let (health, numbers) = everything(&path);
        assert!(!matches!(health, ReviewerHealth::Malformed { .. }), "{health}");
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        // One who reads on and on lets nobody write.
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut all: Vec<u64> = children.iter_mut().flat_map(told).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=3 * EVENTS).collect::<Vec<_>>());
    let read = project(&path, &ReviewerFilter::default());
    assert_eq!(read.health, ReviewerHealth::Present);
    assert_eq!(read.events.iter().map(|event| event.seq).collect::<Vec<_>>(), all);
    assert!(folder.path().join("events.ndjson.1").exists(), "it was put aside once");
    for child in &children {
        let filter =
            ReviewerFilter { run_id: Some(format!("run-{}", child.id())), ..ReviewerFilter::default() };
        let reasons: Vec<_> =
            project(&path, &filter).events.into_iter().filter_map(|event| event.reason).collect();
        assert_eq!(reasons, (0..EVENTS).map(|number| format!("number {number}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_process_that_is_killed_leaves_what_it_was_told() {
    for round in 0..4 {
        let folder = TempDir::new().unwrap();
        let path = path(&folder);
        let mut child = start(&path);
        let mut said = told(&mut child);
        let mut last = 0;
        while last < 1 + 41 * round {
            last = said.next().unwrap();
        }
        child.kill().unwrap();
        last = said.last().unwrap_or(last);
        child.wait().unwrap();
        let next = writer(&path).emit(&started("next"), time(0)).unwrap();
        assert!(next > last, "{next} after {last}");
        assert_eq!(everything(&path), (ReviewerHealth::Present, (1..=next).collect()));
    }
}

#[test]
fn half_a_line_is_healed_and_counted() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut first = writer(&path);
    assert_eq!(first.emit(&started("a"), time(0)).unwrap(), 1);
    let whole = fs::read(&path).unwrap();
    for torn in [1, 10, whole.len() - 1] {
        let before = fs::read(&path).unwrap();
        fs::write(&path, [&before[..], &whole[..torn]].concat()).unwrap();
        // Whoever reads meanwhile is not told that all is well.
        assert!(
            matches!(everything(&path).0, ReviewerHealth::Malformed { reason, .. } if reason.contains("no end"))
        );
        let mut second = writer(&path);
        second.emit(&started("b"), time(1)).unwrap();
        assert_eq!(second.stats().healed_bytes, torn as u64);
    }
    // The first had left the file otherwise.
    assert_eq!(first.emit(&started("c"), time(2)).unwrap(), 5);
    assert_eq!(everything(&path), (ReviewerHealth::Present, vec![1, 2, 3, 4, 5]));
}

#[test]
fn numbers_go_on_where_the_file_was_put_aside() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let options = WriterOptions { file_bytes: LINE_BYTES_MAX as u64, fsync: FsyncPolicy::Always };
    let reason = Some("x".repeat(3000));
    let long = |run: &str| ReviewerEvent { reason: reason.clone(), ..started(run) };
    // Five fit: 5, 5 (which puts the first away for good), and 2.
    for number in 1..=12 {
        // A new writer each time: it has only the files to go by.
        let mut writer = ReviewerTelemetryWriter::open(&path, options).unwrap();
        assert_eq!(writer.emit(&long("a"), time(number)).unwrap(), number);
        assert!(fs::metadata(&path).unwrap().len() <= options.file_bytes);
    }
    assert_eq!(everything(&path), (ReviewerHealth::Present, (6..=12).collect()));
    // Also where nothing was written since.
    fs::rename(&path, folder.path().join("events.ndjson.1")).unwrap();
    assert_eq!(writer(&path).emit(&started("a"), time(0)).unwrap(), 13);
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    // Room for some lines and a part of one: 40 blocks of 512 bytes.
    let line = "trap '' XFSZ; ulimit -f 40; exec \"$0\" --exact reviewer::a_process_that_writes --nocapture --test-threads=1";
    let output = Command::new("sh")
        .args(["-c", line])
        .arg(std::env::current_exe().unwrap())
        .env(WRITER, &path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let written = said.matches("wrote ").count() as u64;
    assert!(written > 10 && said.contains("refused ") && said.contains("File too large"), "{said}");
    assert_eq!(everything(&path), (ReviewerHealth::Present, (1..=written).collect()));
    assert_eq!(writer(&path).emit(&started("b"), time(0)).unwrap(), written + 1);
}

#[test]
fn a_file_of_others_is_not_written_to() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    for text in [
        "hello",
        "{\"a\":1}",
        "hello\n",
        "{}\n",
        &format!("{}\n", "x".repeat(LINE_BYTES_MAX)),
        &"x".repeat(LINE_BYTES_MAX * 2),
        "\n",
    ] {
        fs::write(&path, text).unwrap();
        let error = writer(&path).emit(&started("a"), time(0)).unwrap_err();
        assert!(matches!(&error, ReviewerError::Malformed { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let error = writer(folder.path()).emit(&started("a"), time(0)).unwrap_err();
    assert!(matches!(error, ReviewerError::Io { .. }), "{error}");
}

#[test]
fn what_is_no_event_is_refused_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut writer = writer(&path);
    for (event, said) in [
        (started(""), "run_id"),
        (started("a\nb"), "run_id"),
        (ReviewerEvent { pr_number: 0, ..started("a") }, "pr_number"),
        (ReviewerEvent { head_sha: "main".into(), ..started("a") }, "head_sha"),
        (ReviewerEvent { reason: Some("x".repeat(5000)), ..started("a") }, "reason"),
    ] {
        let error = writer.emit(&event, time(0)).unwrap_err();
        assert!(matches!(&error, ReviewerError::Invalid(reason) if reason.contains(said)), "{error}");
    }
    assert!(!path.exists());
    let tiny = WriterOptions { file_bytes: 100, ..WriterOptions::default() };
    let error = ReviewerTelemetryWriter::open(&path, tiny).unwrap_err();
    assert!(error.to_string().contains("file_bytes is 100"), "{error}");
}

#[test]
fn another_that_holds_the_lock_is_waited_for_and_named() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut writer = writer(&path);
    let lock = fs::File::open(folder.path().join("events.ndjson.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(writer.emit(&started("a"), time(0)), Err(ReviewerError::Busy(_))));
    lock.unlock().unwrap();
    assert_eq!(writer.emit(&started("a"), time(0)).unwrap(), 1);
}

/// Somebody tidies up.
#[test]
fn a_lock_that_is_removed_lets_no_two_in() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let (mut first, mut second) = (writer(&path), writer(&path));
    let lock = folder.path().join("events.ndjson.lock");
    fs::remove_file(&lock).unwrap();
    assert_eq!(first.emit(&started("a"), time(0)).unwrap(), 1);
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    assert!(
        matches!(second.emit(&started("b"), time(0)), Err(ReviewerError::Busy(_))),
        "it asks the new one"
    );
    held.unlock().unwrap();
    assert_eq!(second.emit(&started("b"), time(0)).unwrap(), 2);
}

#[test]
fn health_fails_closed() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let health = |healthy: bool, said: &str| {
        let read = project(&path, &ReviewerFilter::default());
        assert!(
            read.health.is_healthy() == healthy && read.health.to_string().contains(said),
            "{}",
            read.health
        );
        assert!(healthy || read.events.is_empty());
    };
    health(false, "missing");
    // A file that says nothing is as good as none.
    fs::write(&path, "").unwrap();
    health(false, "missing");
    let mut writer = writer(&path);
    writer.emit(&started("a"), time(0)).unwrap();
    writer.emit(&started("a"), time(1)).unwrap();
    health(true, "present");
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    for (changed, said) in [
        (format!("{second}{first}\n"), "events.ndjson:2: seq is 1 after 2 in run a"),
        (format!("{first}\n{first}\n"), "events.ndjson:2: seq is 1 after 1"),
        (format!("{first}\n\n{second}"), "events.ndjson:2: EOF"),
        (format!("{text}\u{0}\n"), "events.ndjson:3: "),
        (text.trim_end().to_owned(), "events.ndjson:2: the line has no end"),
    ] {
        fs::write(&path, changed).unwrap();
        health(false, said);
    }
    // A number of one run says nothing about that of another.
    fs::write(&path, format!("{second}{}\n", first.replace(r#""a""#, r#""b""#))).unwrap();
    health(true, "present");
    // The file that was put aside alone is what is left of more; beside one that is begun it is all there is.
    let aside = folder.path().join("events.ndjson.1");
    fs::rename(&path, &aside).unwrap();
    health(false, "missing");
    fs::write(&path, "").unwrap();
    health(true, "present");
    // What was put aside counts as well.
    fs::write(folder.path().join("events.ndjson.1"), "x\n").unwrap();
    health(false, "events.ndjson.1:1: ");
    fs::remove_file(&path).unwrap();
    health(false, "events.ndjson.1:1: ");
    let large = fs::File::create(folder.path().join("events.ndjson.1")).unwrap();
    large.set_len(65 * 1024 * 1024).unwrap();
    health(false, "larger than");
    fs::remove_file(folder.path().join("events.ndjson.1")).unwrap();
    fs::create_dir(&path).unwrap();
    health(false, "is no file");
}

#[test]
fn a_filter_asks_for_everything_it_names() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut writer = writer(&path);
    let sha = "0".repeat(64);
    let events = [
        started("a"),
        ReviewerEvent { pr_number: 7, ..started("b") },
        event("a", ReviewerEventKind::StallDetected),
        ReviewerEvent { head_sha: sha.clone(), ..event("a", ReviewerEventKind::ShaDrift) },
        ReviewerEvent { review_type: "quality".into(), ..event("c", ReviewerEventKind::RunCrash) },
    ];
    for event in &events {
        writer.emit(event, time(0)).unwrap();
    }
    let none = ReviewerFilter::default;
    for (filter, expected) in [
        (none(), vec![1, 2, 3, 4, 5]),
        (ReviewerFilter { run_id: Some("a".into()), ..none() }, vec![1, 3, 4]),
        (ReviewerFilter { pr_number: Some(7), ..none() }, vec![2]),
        (ReviewerFilter { head_sha: Some(sha), run_id: Some("a".into()), ..none() }, vec![4]),
        (ReviewerFilter { review_type: Some("quality".into()), ..none() }, vec![5]),
        (
            ReviewerFilter {
                kinds: vec![ReviewerEventKind::RunStart, ReviewerEventKind::ShaDrift],
                ..none()
            },
            vec![1, 2, 4],
        ),
        (ReviewerFilter { kinds: vec![ReviewerEventKind::RunComplete], ..none() }, vec![]),
    ] {
        let read = project(&path, &filter);
        assert_eq!(read.health, ReviewerHealth::Present);
        assert_eq!(read.events.iter().map(|event| event.seq).collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

#[test]
fn a_summary_is_told_once_a_second_at_most() {
    let folder = TempDir::new().unwrap();
    let path = path(&folder);
    let mut projector = Projector::new(&path, ReviewerFilter::default());
    let second = 1_000_000_000;
    let summary = projector.summary(5 * second).unwrap();
    assert_eq!((summary.health, summary.events, summary.last_ts), (ReviewerHealth::Missing, 0, None));
    let mut writer = writer(&path);
    use ReviewerEventKind::{ModelFallback, RunComplete, RunCrash, RunStart, ShaDrift, StallDetected};
    for (number, (run, kind)) in (0..).zip([
        ("a", RunStart),
        ("b", RunStart),
        ("c", RunStart),
        ("a", StallDetected),
        ("a", ModelFallback),
        ("a", RunComplete),
        ("b", ShaDrift),
        ("b", RunCrash),
    ]) {
        writer.emit(&event(run, kind), time(number)).unwrap();
    }
    assert_eq!(projector.summary(5 * second + 1), None);
    assert_eq!(projector.summary(6 * second - 1), None);
    let summary = projector.summary(6 * second).unwrap();
    assert_eq!(projector.summary(6 * second), None);
    assert_eq!(summary.health, ReviewerHealth::Present);
    assert_eq!((summary.events, summary.runs, summary.runs_open), (8, 3, 1));
    assert_eq!((summary.runs_complete, summary.runs_crashed), (1, 1));
    assert_eq!((summary.stalls, summary.model_fallbacks, summary.sha_drifts), (1, 1, 1));
    assert_eq!((summary.last_seq, summary.last_ts.as_deref()), (8, Some("1970-01-01T00:00:07.000Z")));
    // A run that crashed may be started again.
    writer.emit(&ReviewerEvent { restart_count: 1, ..started("b") }, time(9)).unwrap();
    let summary = projector.summary(8 * second).unwrap();
    assert_eq!((summary.runs_open, summary.runs_crashed), (2, 0));
    // And where nothing can be relied upon nothing is said.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
    let summary = projector.summary(10 * second).unwrap();
    assert!(!summary.health.is_healthy());
    assert_eq!((summary.events, summary.last_seq), (0, 0));
}
