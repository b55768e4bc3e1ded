//! Configurations with files on both sides, and with the exporter `debug`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aldis_engine::{Engine, Options, check};
use connect::{
    file::{Key, Next, ReadSettings, RecordFile},
    otlp::{OtlpConfig, OtlpExporter},
};
use otlp::Signal;
use pipeline::{Exporter, Item, Outcome};

use crate::{
    ends::{BOTH, Near, PATIENCE, block_on, eventually, logs},
    telling::{get, is_ready, readers, samples, sum},
};

/// A folder and what is done in it.
struct Scene {
    folder: tempfile::TempDir,
}

const LOG: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"TEXT"}}]}]}]}"#;

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes so many requests of a log record.
    fn input(&self, name: &str, requests: usize) {
        // As well compressed as it is looked into.
        let words = |i: usize| (0..700).map(|n| format!("{} ", n * n * (i + 7) % 97)).collect::<String>();
        let line = |i: usize| LOG.replace("TEXT", &format!("number {i} {}", words(i))) + "\n";
        fs::write(self.path(name), (0..requests).map(line).collect::<String>()).expect("written");
    }

    fn configuration(&self, receiver: &str, exporter: &str) -> String {
        let place = |text: &str| text.replace("DIR", &self.folder.path().display().to_string());
        format!(
            "receivers: {{otlpjsonfile: {{{}}}}}\nexporters: {{{}}}\nservice: {{pipelines: {{logs: {{receivers: [otlpjsonfile], exporters: [{}]}}}}}}\n",
            place(receiver),
            place(exporter),
            exporter.split(':').next().expect("a name"),
        )
    }

    /// Runs receiver and exporter with these settings until that many records are delivered; `DIR` is the folder.
    fn run(&self, receiver: &str, exporter: &str, records: u64) {
        drop(self.problems_of(receiver, exporter, records, 0));
    }

    /// The same, and until there are as many problems, which are told.
    fn problems_of(&self, receiver: &str, exporter: &str, records: u64, problems: usize) -> Vec<String> {
        let file = self.configuration(receiver, exporter);
        let checked = check(&file, &|_| None);
        assert!(!checked.problems.has_errors(), "{file}{:#?}", checked.problems);
        let engine =
            Engine::start(&checked.graph, Options { shards: 2, ..Options::default() }).expect("it starts");
        let give_up = Instant::now() + PATIENCE;
        let delivered = || engine.stats().exporters.iter().map(|row| row.delivered).sum::<u64>();
        let is_all = || delivered() >= records && engine.health().problems().len() >= problems;
        while !is_all() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(2));
        }
        // What is too much comes soon.
        std::thread::sleep(Duration::from_millis(if records == 0 { 100 } else { 10 }));
        assert_eq!(delivered(), records);
        let problems = engine.health().problems().values().map(ToString::to_string).collect();
        let report = engine.shutdown(Instant::now() + PATIENCE);
        assert!(report.is_complete(), "{report:?}");
        report.stats.check().expect("the books close");
        problems
    }

    /// Requests in a file.
    fn count(&self, name: &str) -> usize {
        count(&self.path(name))
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("readable").flatten();
        let names = entries.map(|entry| entry.file_name().into_string().expect("text"));
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }
}

fn count(path: &Path) -> usize {
    count_with(path, None)
}

fn count_with(path: &Path, key: Option<Key>) -> usize {
    let settings = ReadSettings { signal: Some(Signal::Logs), ..ReadSettings::default() };
    let mut records = RecordFile::open_with_key(path, settings, key).expect("it is there");
    let mut count = 0;
    loop {
        match records.read().expect("it unpacks") {
            Next::Record(_) => count += 1,
            Next::End => return count,
            other => panic!("{other:?}"),
        }
    }
}

const ALL: &str = "include: ['DIR/in*.jsonl'], start_at: beginning, poll_interval: 5ms";

/// What the path is, how it is written, whether it is kept, compressed, synchronised, and where folders come from.
#[test]
fn every_key_of_a_file_exporter_changes_what_is_written() {
    let scene = Scene::new();
    scene.input("in.jsonl", 3);
    scene.run(ALL, "file: {path: 'DIR/out', format: json}", 3);
    let json = fs::read(scene.path("out")).expect("written");
    assert!(json.starts_with(b"{\"resourceLogs\"") && json.ends_with(b"}\n"));
    scene.run(ALL, "file: {path: 'DIR/out', append: true}", 3);
    assert_eq!(scene.count("out"), 6);
    scene.run(ALL, "file: {path: 'DIR/out'}", 3);
    assert_eq!(scene.count("out"), 3, "without `append` it is made anew");
    scene.run(ALL, "file: {path: 'DIR/logs.proto', format: proto, sync: batch}", 3);
    let frames = fs::read(scene.path("logs.proto")).expect("written");
    assert!(frames.starts_with(&[0, 0]) && scene.count("logs.proto") == 3);
    let compressed = |level: &str| {
        let exporter = format!("file: {{path: 'DIR/logs.zstd', format: proto, compression: zstd{level}}}");
        scene.run(ALL, &exporter, 3);
        assert_eq!(scene.count("logs.zstd"), 3);
        fs::read(scene.path("logs.zstd")).expect("written")
    };
    let fast = compressed("");
    assert!(fast.len() < frames.len() / 2 && fast[4..8] == [0x28, 0xb5, 0x2f, 0xfd]);
    assert_ne!(compressed(", compression_params: {level: 19}"), fast);
    scene.run(ALL, "file: {path: 'DIR/a/b/out', create_directory: true, directory_permissions: '0700', sync: interval, flush_interval: 1ms}", 3);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(scene.path("a/b")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn rotation_moves_files_away_and_keeps_some() {
    let scene = Scene::new();
    scene.input("in.jsonl", 2000);
    scene.run(ALL, "file: {path: 'DIR/out.json', rotation: {max_megabytes: 1, max_backups: 2, max_days: 1, localtime: false}}", 2000);
    let names = scene.names("out");
    assert_eq!(names.len(), 3, "{names:?}");
    let sizes = names.iter().map(|name| fs::metadata(scene.path(name)).expect("there").len());
    assert!(sizes.into_iter().all(|size| size <= 1 << 20));
    scene.run(ALL, "file: {path: 'DIR/other.json', rotation: {max_megabytes: 1, max_backups: 0}}", 2000);
    let names = scene.names("other");
    assert_eq!(names.iter().map(|name| scene.count(name)).sum::<usize>(), 2000, "{names:?}");
}

#[test]
fn files_that_were_moved_away_are_sealed_with_the_key_of_the_configuration() {
    let scene = Scene::new();
    scene.input("in.jsonl", 2000);
    fs::write(scene.path("key"), [7; 32]).expect("written");
    let exporter = "file: {path: 'DIR/out.json', rotation: {max_megabytes: 1, seal_key_file: 'DIR/key'}}";
    scene.run(ALL, exporter, 2000);
    let names = scene.names("out");
    let is_sealed = |name: &str| fs::read(scene.path(name)).expect("there").starts_with(b"\x89ALDS");
    assert!(names.len() > 2, "{names:?}");
    names.iter().for_each(|name| assert_eq!(is_sealed(name), name != "out.json", "{name}"));
    let key = || Key::read(&scene.path("key")).ok();
    assert_eq!(names.iter().map(|name| count_with(&scene.path(name), key())).sum::<usize>(), 2000);

    let problems = |key: &str| {
        let file = scene.configuration(ALL, &exporter.replace("DIR/key", key));
        format!("{:?}", check(&file, &|_| None).problems)
    };
    assert!(problems("DIR/gone").contains("is to seal with the key in"), "{}", problems("DIR/gone"));
    assert!(problems("DIR/in.jsonl").contains("a key is 32 bytes"), "{}", problems("DIR/in.jsonl"));
}

#[test]
fn a_receiver_reads_the_files_that_it_is_told_to() {
    let scene = Scene::new();
    scene.input("in-1.jsonl", 2);
    scene.input("in-2.jsonl", 3);
    let start = "start_at: beginning, poll_interval: 5ms";
    scene.run(&format!("include: ['DIR/in-?.jsonl'], exclude: ['DIR/*2*'], {start}"), "nop: ", 2);
    scene.run(&format!("include: ['DIR/in*'], max_log_size: 1MiB, encoding: utf-8, {start}"), "nop: ", 5);
    let short = format!("include: ['DIR/in*'], max_log_size: 1KiB, {start}");
    let told = scene.problems_of(&short, "nop: ", 0, 1);
    assert!(told[0].contains("longer than a request may be"), "{told:?}");
    // All are a moment old.
    scene.run(&format!("include: ['DIR/in*'], exclude_older_than: 1h, {start}"), "nop: ", 5);
    std::thread::sleep(Duration::from_millis(20));
    scene.run(&format!("include: ['DIR/in*'], exclude_older_than: 1ms, {start}"), "nop: ", 0);
    // The end is the default.
    scene.run("include: ['DIR/in*'], poll_interval: 5ms", "nop: ", 0);
    scene.run("include: ['DIR/in*'], start_at: end", "nop: ", 0);
}

#[test]
fn a_checkpoint_outlives_the_engine_and_files_may_be_removed() {
    let scene = Scene::new();
    scene.input("in.jsonl", 4);
    let receiver = format!("{ALL}, checkpoint: 'DIR/position', fingerprint_size: 64");
    scene.run(&receiver, "file: {path: 'DIR/out', append: true}", 4);
    assert!(scene.path("position").exists());
    scene.run(&receiver, "file: {path: 'DIR/out', append: true}", 0);
    assert_eq!(scene.count("out"), 4);
    scene.run(&format!("{ALL}, format: json, delete_after_read: true"), "file: {path: 'DIR/out'}", 4);
    assert_eq!(scene.names("in"), Vec::<String>::new());
    // What is protobuf is of the pipeline's signal.
    scene.run(ALL.replace("in*.jsonl", "frames").as_str(), "nop: ", 0);
    scene.input("in.jsonl", 4);
    scene.run(ALL, "file: {path: 'DIR/frames', format: proto}", 4);
    scene.run(&format!("{}, format: proto", ALL.replace("in*.jsonl", "frames")), "nop: ", 4);
}

#[test]
fn an_exporter_debug_prints_as_much_as_it_is_told_to() {
    let scene = Scene::new();
    scene.input("in.jsonl", 3);
    let shown = |settings: &str| {
        let _ = fs::remove_file(scene.path("shown"));
        let exporter =
            format!("debug: {{use_internal_logger: false, output_paths: ['DIR/shown']{settings}}}");
        scene.run(ALL, &exporter, scene.count("in.jsonl") as u64);
        fs::read_to_string(scene.path("shown")).expect("written")
    };
    let basic = shown("");
    assert_eq!(basic.matches(" debug: 1 log record, 1 resource, ").count(), 3, "{basic}");
    assert!(!basic.contains("number"));
    let normal = shown(", verbosity: normal");
    assert!((0..3).all(|i| normal.contains(&format!("number {i}"))), "{normal}");
    let detailed = shown(", verbosity: detailed");
    assert!(detailed.len() >= normal.len(), "{detailed}");
    scene.input("in.jsonl", 500);
    let begun = Instant::now();
    let sampled = shown(", sampling_initial: 1, sampling_thereafter: 0");
    let seconds = begun.elapsed().as_secs() as usize + 2;
    assert!((1..=seconds).contains(&sampled.lines().count()), "one in each of {seconds} seconds: {sampled}");
    assert!(seconds < 400, "it would not show");
}

#[test]
fn backups_go_when_they_are_old() {
    let scene = Scene::new();
    scene.input("in.jsonl", 2000);
    fs::write(scene.path("out-2020-02-29T23-59-59.000.json"), "").expect("written");
    scene.run(ALL, "file: {path: 'DIR/out.json', rotation: {max_megabytes: 1, max_days: 0}}", 2000);
    assert!(scene.names("out-2020").len() == 1, "it is kept without a bound");
    scene.run(ALL, "file: {path: 'DIR/out.json', rotation: {max_megabytes: 1, max_days: 3}}", 2000);
    assert_eq!(scene.names("out-2020"), Vec::<String>::new());
}

/// A receiver and an exporter of files whose settings change while lines come: each arrives once, in one file or the other. Nobody
/// gets to write what is being written.
#[test]
fn files_take_part_in_reloads() {
    let scene = Scene::new();
    let graph = |receiver: &str, exporter: &str| {
        let file = format!(
            "receivers: {{otlpjsonfile: {{include: [DIR/in.jsonl], start_at: beginning, poll_interval: 2ms, {receiver}}}}}
exporters: {{{exporter}}}
service: {{pipelines: {{logs: {{receivers: [otlpjsonfile], exporters: [{}]}}}}}}\n",
            exporter.split(':').next().expect("a name"),
        );
        let file = file.replace("DIR", &scene.folder.path().display().to_string());
        let checked = check(&file, &|_| None);
        assert!(!checked.problems.has_errors(), "{file}{:#?}", checked.problems);
        checked.graph
    };
    let patience = PATIENCE;
    let mut engine =
        Engine::start(&graph("", "file: {path: DIR/a.jsonl}"), Options::default()).expect("starts");
    scene.input("in.jsonl", 20);
    let delivered = |engine: &Engine| engine.stats().exporters.iter().map(|row| row.delivered).sum::<u64>();
    let arrive = |engine: &Engine, records| {
        let give_up = Instant::now() + patience;
        while delivered(engine) < records && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(delivered(engine), records);
    };
    arrive(&engine, 20);
    let same = graph("", "file: {path: DIR/a.jsonl, format: proto}");
    let error = engine.reload(&same, patience).expect_err("two would write it").to_string();
    assert!(error.starts_with("exporter `file`: ") && error.contains("is being written already"), "{error}");
    let other = graph("", "file/other: {path: DIR/./a.jsonl}");
    engine.reload(&other, patience).expect_err("nor under another name");
    assert_eq!(count(&scene.path("a.jsonl")), 20, "what is there stays");
    let text = fs::read_to_string(scene.path("in.jsonl")).expect("there");
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(scene.path("in.jsonl")).expect("there");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    };
    append(&text);
    let next = graph("max_log_size: 1MiB", "file: {path: DIR/b.jsonl}");
    let changes = engine.reload(&next, patience).expect("another file");
    assert_eq!(changes.to_string(), "receivers: changed otlpjsonfile; exporters: changed file");
    append(&text);
    arrive(&engine, 60);
    // The one before is done with the first file.
    let back = graph("", "file: {path: DIR/a.jsonl, append: true}");
    let give_up = Instant::now() + patience;
    while let Err(error) = engine.reload(&back, patience) {
        let is_closing = error.to_string().contains("is being written already");
        assert!(is_closing && Instant::now() < give_up, "the first file again: {error}");
        std::thread::sleep(Duration::from_millis(2));
    }
    append(&text);
    arrive(&engine, 80);
    let report = engine.shutdown(Instant::now() + patience);
    assert!(report.is_complete(), "{report:?}");
    report.stats.check().expect("the books close");
    assert_eq!(count(&scene.path("a.jsonl")) + count(&scene.path("b.jsonl")), 80);
    let admitted: u64 =
        report.receivers.iter().map(|(_, counts)| counts.signal(Signal::Logs).requests_admitted).sum();
    assert_eq!(admitted, 80, "{:?}", report.receivers);
}

/// A disk that is full: senders are told and keep what they have, so that nothing is lost, and health says why.
#[test]
fn a_full_disk_is_told_to_senders_and_loses_nothing() {
    let near = Near::running(&format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{file: {{path: /dev/full}}}}\n\
         service: {{telemetry: {{{}}}, pipelines: {{logs: {{receivers: [otlp], exporters: [file]}}}}}}\n",
        readers("basic")
    ));
    let config = OtlpConfig {
        endpoint: format!("http://{}", near.address("grpc")),
        timeout: Duration::from_secs(5),
        ..OtlpConfig::default()
    };
    block_on(async {
        let sender = OtlpExporter::try_new(config).expect("good settings").open();
        let outcome = sender.send(&Item::new(logs(16))).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
        eventually("it is handed back", || {
            near.engine().stats().exporters.iter().any(|row| row.dropped_total() == 16)
        })
        .await;
        eventually("health says why", || {
            let failing = near.engine().verdict().failing;
            failing.iter().any(|reason| reason.what.contains("/dev/full cannot be written: "))
        })
        .await;
        assert!(is_ready(&near), "{:?}", near.engine().verdict());
    });
    let page = samples(&get(near.address("metrics"), "/metrics").1);
    assert_eq!(sum(&page, "aldis_exporter_dropped", &[("reason", "deadline")]), 16.0);
    assert_eq!(sum(&page, "aldis_exporter_handed_back", &[]), 16.0);
    assert!(near.shutdown(PATIENCE).is_complete(), "nothing was accepted");
}

/// What starting would find, and what reading would: two names of one file, folders that are not there, signals that nothing tells apart.
#[test]
fn what_is_wrong_with_a_path_is_found_beforehand_and_told_with_it() {
    let scene = Scene::new();
    fs::write(scene.path("there"), "").expect("written");
    std::os::unix::fs::symlink(scene.path("there"), scene.path("link")).expect("linked");
    let told = |exporters: &str, signals: &str| {
        let text = format!(
            "receivers: {{otlp: {BOTH}}}\nexporters: {{{}}}\nservice: {{pipelines: {{{}}}}}\n",
            exporters.replace("DIR", &scene.folder.path().display().to_string()),
            signals
                .split(' ')
                .map(|signal| format!("{signal}: {{receivers: [otlp], exporters: [file, file/b]}}"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        let checked = check(&text, &|_| None);
        let told = checked
            .problems
            .iter()
            .map(|problem| format!("{} {}\n", problem.message, problem.help.as_deref().unwrap_or_default()));
        (checked.problems.has_errors(), told.collect::<String>(), checked.graph)
    };
    for (first, other, says) in [
        ("DIR/new", "DIR/new", "both write"),
        ("DIR/new", "DIR/./new", "both write"),
        ("DIR/there", "DIR/link", "both write"),
        ("DIR/there", "DIR", "is a folder"),
        ("DIR/there", "DIR/none/x", "or set `create_directory: true`"),
    ] {
        let (is_wrong, told, _) =
            told(&format!("file: {{path: {first}}}, file/b: {{path: {other}}}"), "logs");
        assert!(is_wrong && told.contains(says), "{first} {other}: {told}");
    }
    for (first, other) in [
        ("path: DIR/there", "path: DIR/none/x, create_directory: true"),
        ("path: /dev/null", "path: /dev/null"),
    ] {
        let (_, told, _) = told(&format!("file: {{{first}}}, file/b: {{{other}}}"), "logs");
        assert_eq!(told, "", "{first} {other}");
    }
    let two = |format: &str| format!("file: {{path: DIR/a, format: {format}}}, file/b: {{path: DIR/b}}");
    let (is_wrong, proto, _) = told(&two("proto"), "logs traces");
    assert!(!is_wrong && proto.contains("`file` writes logs and traces into one file"), "{proto}");
    assert_eq!((told(&two("json"), "logs traces").1, told(&two("proto"), "logs").1), Default::default());
    // What goes between checking and starting is told with its path.
    fs::create_dir(scene.path("gone")).expect("made");
    let (_, _, graph) = told("file: {path: DIR/gone/x}, file/b: {path: DIR/b}", "logs");
    fs::remove_dir(scene.path("gone")).expect("removed");
    let error = Engine::start(&graph, Options::default()).expect_err("no folder").to_string();
    let path = scene.path("gone/x").display().to_string();
    assert!(error.contains(&path) && error.contains("`create_directory: true`"), "{error}");
}
