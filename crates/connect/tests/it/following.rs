//! A receiver of files: files that grow, are moved, cut and copied, and a receiver that stops and comes again.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aldis_connect::{
    file::{FileReceiver, FileReceiverConfig, Follows, StartAt},
    otlp::{Code, Inlets, ReceiverMeter},
};
use otlp::{Batch, Depth, Signal, view::ValueView};
use pipeline::{Health, Outcome, Shards};

use crate::{
    files::log,
    side::{Memory, PATIENCE},
};

/// What files say that are only there to be seen.
const SEEN: &str = "seen";

/// A folder with files, and a receiver that can be started and stopped.
struct Scene {
    folder: tempfile::TempDir,
    shards: Shards,
    inlet: Arc<Memory>,
    health: Health,
    config: FileReceiverConfig,
    books: ReceiverMeter,
    running: Mutex<Option<Follows>>,
}

impl Scene {
    fn new(include: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let include = folder.path().join(include).to_str().expect("text").to_owned();
        let config = FileReceiverConfig {
            start_at: StartAt::Beginning,
            poll_interval: Duration::from_millis(2),
            checkpoint: Some(folder.path().join("checkpoint")),
            ..FileReceiverConfig::new([include])
        };
        Self {
            folder,
            shards: Shards::start(2, "files").expect("threads"),
            inlet: Memory::new(64 << 20, Depth::Records),
            health: Health::new(),
            config,
            books: ReceiverMeter::default(),
            running: Mutex::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) {
        self.begin(FileReceiver::open(self.config.clone()).expect("a checkpoint or none"));
    }

    /// Has one of these settings take the place of the one that runs.
    fn replace(&mut self, config: FileReceiverConfig) {
        let before = self.running.lock().expect("no panic").take().expect("it runs");
        self.config = config;
        let receiver =
            FileReceiver::open_over(self.config.clone(), Some(&before)).expect("a checkpoint or none");
        self.begin(receiver);
        before.leave();
    }

    fn begin(&self, receiver: FileReceiver) {
        let receiver = receiver.counting_in(self.books.clone());
        let inlets = vec![Inlets::new().with(Signal::Logs, self.inlet.clone()); 2];
        let running = receiver.start(&self.shards, inlets, &self.health);
        *self.running.lock().expect("no panic") = Some(running);
    }

    fn stop(&self) {
        let running = self.running.lock().expect("no panic").take().expect("it runs");
        assert!(!running.stop(Instant::now() + PATIENCE), "it ends");
    }

    /// What has arrived, sorted, once that many have.
    fn arrived(&self, count: usize) -> Vec<String> {
        let give_up = Instant::now() + PATIENCE;
        while self.texts().len() < count && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(2));
        }
        // What is too much comes soon.
        std::thread::sleep(Duration::from_millis(20));
        self.texts()
    }

    /// What has arrived, sorted, without what was only there to be seen.
    fn texts(&self) -> Vec<String> {
        let batches = self.inlet.batches.lock().expect("no panic");
        let text = |batch: &Batch| match batch.log(0).body_value() {
            ValueView::String(text) => text.to_owned(),
            other => panic!("{other:?}"),
        };
        let mut texts: Vec<String> = batches.iter().map(text).filter(|text| text != SEEN).collect();
        texts.sort();
        texts
    }

    /// Waits until the receiver has looked for the first time, when files are read from their end: one that it reads
    /// came later.
    fn wait_for_first_look(&self) {
        let give_up = Instant::now() + PATIENCE;
        for i in 0.. {
            if !self.inlet.batches.lock().expect("no panic").is_empty() {
                return;
            }
            assert!(Instant::now() < give_up, "it never looks");
            append(&self.path(&format!("seen{i}.jsonl")), &line(SEEN));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn refused(&self) -> u64 {
        self.books.counts().signal(Signal::Logs).requests_refused(Code::InvalidArgument)
    }
}

fn line(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    otlp::json::append(&log(text), &mut out).expect("valid");
    out.push(b'\n');
    out
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a file").write_all(bytes).expect("written");
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    words.sort();
    words
}

#[test]
fn a_file_that_grows_is_followed_and_a_torn_line_is_waited_for() {
    let scene = Scene::new("*.jsonl");
    let path = scene.path("a.jsonl");
    append(&path, &line("a1"));
    fs::write(scene.path("other.txt"), line("not wanted")).expect("written");
    scene.start();
    assert_eq!(scene.arrived(1), words("a1"));
    let second = line("a2");
    append(&path, &second[..second.len() / 2]);
    assert_eq!(scene.arrived(1), words("a1"), "half a line is nothing yet");
    append(&path, &second[second.len() / 2..]);
    assert_eq!(scene.arrived(2), words("a1 a2"));
    append(&scene.path("b.jsonl"), &line("b1"));
    assert_eq!(scene.arrived(3), words("a1 a2 b1"));
    assert_eq!(scene.refused(), 0);
    append(&path, b"{\"resourceLogs\":[{\"broken\n");
    append(&path, &line("a3"));
    assert_eq!(scene.arrived(4), words("a1 a2 a3 b1"));
    assert_eq!(scene.refused(), 1);
    let problems = scene.health.problems();
    assert!(problems["file"].what.contains("a.jsonl: line 3"), "{problems:?}");
    scene.stop();
}

#[test]
fn what_was_delivered_is_not_read_again_after_a_restart() {
    let scene = Scene::new("*.jsonl");
    let path = scene.path("a.jsonl");
    append(&path, &[line("1"), line("2")].concat());
    scene.start();
    assert_eq!(scene.arrived(2), words("1 2"));
    scene.stop();
    // Nobody looks while it grows, is moved beside, and another takes its place.
    append(&path, &line("3"));
    fs::rename(&path, scene.path("a-old.moved")).expect("moved");
    append(&path, &line("4"));
    scene.start();
    assert_eq!(scene.arrived(4), words("1 2 3 4"));
    scene.stop();
    scene.start();
    append(&path, &line("5"));
    assert_eq!(scene.arrived(5), words("1 2 3 4 5"));
    scene.stop();
}

#[test]
fn files_that_are_moved_and_cut_lose_and_repeat_nothing() {
    let scene = Scene::new("a*.jsonl");
    let path = scene.path("a.jsonl");
    scene.start();
    append(&path, &line("1"));
    assert_eq!(scene.arrived(1), words("1"));
    // By moving: the writer goes on with the old one for a moment.
    fs::rename(&path, scene.path("a-1.jsonl")).expect("moved");
    append(&scene.path("a-1.jsonl"), &line("2"));
    append(&path, &line("3"));
    assert_eq!(scene.arrived(3), words("1 2 3"));
    // By copying and cutting.
    fs::copy(&path, scene.path("kept")).expect("copied");
    OpenOptions::new().write(true).open(&path).expect("there").set_len(0).expect("cut");
    std::thread::sleep(Duration::from_millis(30));
    append(&path, &line("4"));
    assert_eq!(scene.arrived(4), words("1 2 3 4"));
    // Moved to where nobody looks, with a rest.
    append(&path, &line("5"));
    fs::rename(&path, scene.path("elsewhere")).expect("moved");
    append(&path, &line("6"));
    assert_eq!(scene.arrived(6), words("1 2 3 4 5 6"));
    assert_eq!(scene.refused(), 0);
    scene.stop();
}

/// Files of one writer begin with the same resource for more bytes than they are known by.
#[test]
fn files_that_begin_alike_are_told_apart() {
    let mut scene = Scene::new("a.jsonl");
    scene.config.fingerprint_bytes = 20;
    let path = scene.path("a.jsonl");
    scene.start();
    append(&path, &line("1"));
    assert_eq!(scene.arrived(1), words("1"));
    for (i, text) in ["2", "3"].iter().enumerate() {
        fs::rename(&path, scene.path(&format!("moved-{i}"))).expect("moved");
        append(&path, &line(text));
        scene.arrived(2 + i);
    }
    assert_eq!(scene.arrived(3), words("1 2 3"));
    scene.stop();
    fs::rename(&path, scene.path("moved-2")).expect("moved");
    append(&path, &line("4"));
    scene.start();
    assert_eq!(scene.arrived(4), words("1 2 3 4"));
    // A copy of what was read, and what came between.
    append(&path, &line("5"));
    assert_eq!(scene.arrived(5), words("1 2 3 4 5"));
    scene.stop();
}

/// With a checkpoint and without: another that takes its place begins when the one before has had its last answer, where that
/// came to, even if it would begin at the end of files.
#[test]
fn another_that_takes_its_place_loses_and_repeats_nothing() {
    for checkpoint in [true, false] {
        let mut scene = Scene::new("*.jsonl");
        scene.config.checkpoint = scene.config.checkpoint.take().filter(|_| checkpoint);
        scene.config.start_at = StartAt::End;
        scene.start();
        scene.wait_for_first_look();
        append(&scene.path("a.jsonl"), &line("0"));
        let mut expected = vec!["0".to_owned()];
        for i in 1..20 {
            append(&scene.path("a.jsonl"), &line(&format!("a{i}")));
            scene.replace(FileReceiverConfig { max_request_bytes: 1000 + i, ..scene.config.clone() });
            append(&scene.path(&format!("b{i}.jsonl")), &line(&format!("b{i}")));
            expected.extend([format!("a{i}"), format!("b{i}")]);
        }
        expected.sort();
        assert_eq!(scene.arrived(expected.len()), expected, "with a checkpoint: {checkpoint}");
        // Somebody else does not get at the checkpoint while it is used.
        assert_eq!(FileReceiver::open(scene.config.clone()).is_err(), checkpoint);
        scene.stop();
    }
}

/// What could not be delivered is offered again; while it is not settled the checkpoint does not pass it.
#[test]
fn the_checkpoint_waits_for_what_is_on_its_way() {
    let scene = Scene::new("*.jsonl");
    let refuse =
        Outcome::Retry { after: None, maybe_delivered: false, overloaded: true, reason: "full".into() };
    *scene.inlet.answer.lock().expect("no panic") = Some(refuse);
    append(&scene.path("a.jsonl"), &[line("1"), line("2")].concat());
    scene.start();
    scene.arrived(2);
    scene.stop();
    *scene.inlet.answer.lock().expect("no panic") = Some(Outcome::DELIVERED);
    scene.inlet.batches.lock().expect("no panic").clear();
    scene.start();
    assert_eq!(scene.arrived(2), words("1 2"), "they were not delivered before");
    scene.stop();
    scene.inlet.batches.lock().expect("no panic").clear();
    scene.start();
    assert_eq!(scene.arrived(0), Vec::<String>::new());
    scene.stop();
}

#[test]
fn frames_and_compressed_files_are_read_and_removed() {
    let mut scene = Scene::new("*.data");
    scene.config.signal = Some(Signal::Logs);
    scene.config.delete_after_read = true;
    let frame = |text: &str| {
        let wire = log(text).to_wire();
        [&(wire.len() as u32).to_be_bytes()[..], &wire].concat()
    };
    append(&scene.path("frames.data"), &[frame("f1"), frame("f2")].concat());
    let packed = aldis_connect::codec::compress(otlp::Codec::Zstd, 1, &[line("z1"), line("z2")].concat());
    append(&scene.path("lines.data"), &packed.expect("memory"));
    let packed = aldis_connect::codec::compress(otlp::Codec::Gzip, 1, &frame("g1"));
    append(&scene.path("gzip.data"), &packed.expect("memory"));
    scene.start();
    assert_eq!(scene.arrived(5), words("f1 f2 g1 z1 z2"));
    let give_up = Instant::now() + PATIENCE;
    let left = || {
        fs::read_dir(scene.folder.path())
            .expect("readable")
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|it| it == "data"))
            .count()
    };
    while left() > 0 && Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(left(), 0, "what is delivered is removed");
    assert_eq!(scene.refused(), 0);
    scene.stop();
}

#[test]
fn files_that_are_there_at_the_start_may_be_read_from_their_end() {
    let mut scene = Scene::new("*.jsonl");
    scene.config.start_at = StartAt::End;
    scene.config.checkpoint = None;
    scene.config.exclude = vec![scene.path("no*").to_str().expect("text").to_owned()];
    append(&scene.path("a.jsonl"), &line("before"));
    append(&scene.path("no.jsonl"), &line("excluded"));
    scene.start();
    scene.wait_for_first_look();
    append(&scene.path("a.jsonl"), &line("after"));
    append(&scene.path("b.jsonl"), &line("new"));
    assert_eq!(scene.arrived(2), words("after new"));
    scene.stop();
}
