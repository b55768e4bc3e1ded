//! Follows files that requests are written to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use glob::Pattern;
use otlp::Signal;
use pipeline::{Health, Shards};

use super::{
    Form,
    checkpoint::{self, Entry},
    claim::Claim,
    delivery::Delivery,
    end::{End, Tell},
    watch::Watch,
};
use crate::{
    limits::FILE_REQUEST_BYTES,
    otlp::{Inlets, ReceiverMeter},
};

/// Where the files that are there at the start are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// Their beginning.
    Beginning,
    /// Their end: only what is written from then on.
    #[default]
    End,
}

/// Settings in the words of the Collector's `otlpjsonfile` receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReceiverConfig {
    /// Its name in configuration, metrics and logs.
    pub name: String,
    /// Patterns of the files that are followed.
    pub include: Vec<String>,
    /// Patterns of those among them that are not.
    pub exclude: Vec<String>,
    /// Files that have not changed for so long are not begun.
    pub exclude_older_than: Option<Duration>,
    /// Where files that are there at the start and in no checkpoint are read from.
    pub start_at: StartAt,
    /// How often is looked for what is new.
    pub poll_interval: Duration,
    /// Bytes from the beginning of a file that it is known by.
    pub fingerprint_bytes: usize,
    /// Bytes of the longest request.
    pub max_request_bytes: usize,
    /// The form of the files; without it their content tells.
    pub form: Option<Form>,
    /// The signal of requests in protobuf.
    pub signal: Option<Signal>,
    /// Whether a file is removed once all of it has been delivered.
    pub delete_after_read: bool,
    /// Where is written down how far files have been read; without it, it is forgotten at the end.
    pub checkpoint: Option<PathBuf>,
}

impl FileReceiverConfig {
    /// One that follows the files of these patterns.
    pub fn new(include: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: "file".to_owned(),
            include: include.into_iter().map(Into::into).collect(),
            exclude: Vec::new(),
            exclude_older_than: None,
            start_at: StartAt::End,
            poll_interval: Duration::from_millis(200),
            fingerprint_bytes: 1000,
            max_request_bytes: FILE_REQUEST_BYTES,
            form: None,
            signal: None,
            delete_after_read: false,
            checkpoint: None,
        }
    }

    /// Whether it would follow a file at this path.
    pub fn reads(&self, path: &Path) -> bool {
        let any = |patterns: &[String]| {
            patterns.iter().any(|text| Pattern::new(text).is_ok_and(|pattern| pattern.matches_path(path)))
        };
        any(&self.include) && !any(&self.exclude)
    }

    /// Whether this is a pattern of files.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_pattern(pattern: &str) -> Result<(), String> {
        if pattern.contains('{') {
            return Err("alternatives in braces are not known here; write a pattern for each".to_owned());
        }
        Pattern::new(pattern).map(drop).map_err(|error| error.msg.to_owned())
    }
}

/// A receiver of files that has not begun. It delivers everything at least once: what was on its way when the process ended is read again.
#[derive(Debug)]
pub struct FileReceiver {
    config: FileReceiverConfig,
    known: Vec<Entry>,
    books: ReceiverMeter,
    claim: Option<Arc<Claim>>,
    before: Option<Before>,
    /// Gives its thread what it is to do.
    give: SyncSender<Work>,
    end: Arc<End>,
}

/// What its thread does.
type Work = Box<dyn FnOnce() + Send>;

/// The one whose place it takes.
#[derive(Debug)]
struct Before {
    config: FileReceiverConfig,
    end: Arc<End>,
}

/// A receiver of files at work.
#[derive(Debug)]
pub struct Follows {
    config: FileReceiverConfig,
    claim: Option<Arc<Claim>>,
    stop: Arc<AtomicBool>,
    end: Arc<End>,
}

impl FileReceiver {
    /// Reads the checkpoint, and has a thread wait.
    ///
    /// # Errors
    /// A checkpoint that cannot be read or is none, or that another receiver of this process writes; no thread.
    pub fn open(config: FileReceiverConfig) -> io::Result<Self> {
        Self::open_over(config, None)
    }

    /// [Opens](Self::open) one that takes the place of another, and goes on where that one ends: it begins once the other,
    /// which is to be told to [leave](Follows::leave), has had its last answer.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_over(config: FileReceiverConfig, before: Option<&Follows>) -> io::Result<Self> {
        let same = before.filter(|before| before.config.checkpoint == config.checkpoint);
        let (known, claim) = match (same, &config.checkpoint) {
            (Some(before), _) => (Vec::new(), before.claim.clone()),
            (None, Some(path)) => {
                let claim = Claim::take(path)?.map(Arc::new);
                (checkpoint::load(path)?, claim)
            }
            (None, None) => (Vec::new(), None),
        };
        let before = before.map(|before| Before { config: before.config.clone(), end: before.end.clone() });
        let (give, given) = mpsc::sync_channel::<Work>(1);
        let run = move || {
            if let Ok(work) = given.recv() {
                work();
            }
        };
        thread::Builder::new().name(format!("aldis-{}", config.name)).spawn(run)?;
        let (books, end) = (ReceiverMeter::default(), Arc::default());
        Ok(Self { config, known, books, claim, before, give, end })
    }

    /// Counts in these.
    #[must_use]
    pub fn counting_in(self, books: ReceiverMeter) -> Self {
        Self { books, ..self }
    }

    /// Begins to read, on a thread of its own, into these inlets, one set for each shard. What is wrong with files is told to
    /// `health`.
    pub fn start(self, shards: &Shards, inlets: Vec<Inlets>, health: &Health) -> Follows {
        let Self { config, known, books, claim, before, give, end } = self;
        let stop = Arc::new(AtomicBool::new(false));
        let delivery = Arc::new(Delivery::new(&config.name, shards, inlets, books, stop.clone()));
        let follows =
            Follows { config: config.clone(), claim: claim.clone(), stop: stop.clone(), end: end.clone() };
        let health = health.clone();
        let work = move || {
            let mut known = known;
            if let Some(before) = &before {
                // What it came to is later than what a checkpoint said.
                known = checkpoint::joined(before.end.wait(), known);
            }
            let mut tell = Tell { end, came_to: known.clone() };
            let mut watch = Watch::new(config, before.map(|before| before.config), known, delivery, health);
            watch.run(&stop);
            tell.came_to = watch.entries();
            drop(claim);
        };
        // Its thread waits for nothing else.
        let _ = give.send(Box::new(work));
        follows
    }
}

impl Follows {
    /// Reads nothing more. What is on its way is finished.
    pub fn leave(&self) {
        self.stop.store(true, Relaxed);
    }

    /// [Leaves](Self::leave), waits until `deadline` for what is on its way, and writes down how far it came. Blocks. Returns whether
    /// something was still on its way.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.leave();
        self.end.wait_until(deadline).is_none()
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        self.leave();
    }
}
