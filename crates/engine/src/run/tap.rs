//! Where the exporter `summary` leads: a thread that looks at batches when it has time.
//!
//! Shards hand batches over and go on. What waits is bounded in batches and bytes and stays charged to the budget that let it
//! in; what finds no room is not looked at, and counted.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
};

use operators::summary::{Snapshot, Summary};
use otlp::Batch;
use pipeline::{Charge, Exporter, Item, Outcome, Sender, clock::now_ns, exporter::BoxFuture};

use crate::{
    components::Settings,
    graph::Graph,
    limits::{SUMMARY_BATCHES, SUMMARY_BYTES},
};

/// What a summary knows, and what it did not get to see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// What it knows.
    pub snapshot: Snapshot,
    /// Records that came while too much waited to be looked at: they are in none of its numbers.
    pub skipped: u64,
}

/// A summary and the way to it.
pub(super) struct Tap {
    way: Arc<Way>,
    thread: Option<JoinHandle<()>>,
}

/// What shards and the thread share.
struct Way {
    send: Mutex<Option<SyncSender<Waiting>>>,
    summary: Mutex<Summary>,
    bytes: AtomicUsize,
    skipped: AtomicU64,
}

struct Waiting {
    batch: Batch,
    at_ns: u64,
    bytes: usize,
    /// Given back when it has been looked at.
    _charges: Vec<Charge>,
}

impl Tap {
    /// Whether an exporter of the graph feeds one.
    pub(super) fn is_wanted(graph: &Graph) -> bool {
        graph.exporters.values().any(|settings| *settings == Settings::Summary)
    }

    pub(super) fn start() -> io::Result<Tap> {
        let (send, waiting) = mpsc::sync_channel::<Waiting>(SUMMARY_BATCHES);
        let way = Arc::new(Way {
            send: Mutex::new(Some(send)),
            summary: Mutex::default(),
            bytes: AtomicUsize::new(0),
            skipped: AtomicU64::new(0),
        });
        let own = way.clone();
        let look = move || {
            for item in waiting {
                lock(&own.summary).step(&item.batch, item.at_ns);
                own.bytes.fetch_sub(item.bytes, Relaxed);
            }
        };
        let thread = thread::Builder::new().name("aldis-summary".into()).spawn(look)?;
        Ok(Tap { way, thread: Some(thread) })
    }

    /// An exporter of this name that feeds it.
    pub(super) fn exporter(&self, name: String) -> Arc<dyn Exporter> {
        Arc::new(Feed { name, way: self.way.clone() })
    }

    /// What it knows now.
    pub(super) fn seen(&self, now_ns: u64) -> Seen {
        self.way.seen(now_ns)
    }

    /// What it knows once everything that waits has been looked at. Nothing is fed to it any more.
    pub(super) fn close(mut self, now_ns: u64) -> Seen {
        drop(lock(&self.way.send).take());
        // If it panicked, what it has seen until then is told.
        self.thread.take().map(JoinHandle::join);
        self.way.seen(now_ns)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The thread ends when nothing waits any more.
        drop(lock(&self.way.send).take());
    }
}

impl Way {
    fn seen(&self, now_ns: u64) -> Seen {
        Seen { snapshot: lock(&self.summary).snapshot(now_ns), skipped: self.skipped.load(Relaxed) }
    }

    fn offer(&self, item: &Item) {
        let bytes = item.batch.memory_bytes();
        let room = |held: usize| held.checked_add(bytes).filter(|held| *held <= SUMMARY_BYTES);
        let taken = self.bytes.fetch_update(Relaxed, Relaxed, room).is_ok();
        let waiting = Waiting {
            batch: item.batch.clone(),
            at_ns: now_ns(),
            bytes,
            _charges: item.context.charges.clone(),
        };
        let sent = taken && lock(&self.send).as_ref().is_some_and(|send| send.try_send(waiting).is_ok());
        if !sent {
            self.skipped.fetch_add(item.batch.len() as u64, Relaxed);
            if taken {
                self.bytes.fetch_sub(bytes, Relaxed);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Feed {
    name: String,
    way: Arc<Way>,
}

impl Exporter for Feed {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(Hand { way: self.way.clone() })
    }
}

struct Hand {
    way: Arc<Way>,
}

impl Sender for Hand {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.way.offer(item);
            Outcome::DELIVERED
        })
    }
}

#[cfg(test)]
mod tests {
    use otlp::{Depth, Signal, event::RequestBuilder};

    use super::*;

    /// Nobody waits for a summary that does not come along, and what it has not seen is counted.
    #[test]
    fn what_finds_no_room_is_counted_and_holds_nothing_up() {
        let tap = Tap::start().unwrap();
        let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
        builder.push_span(&otlp::Span::default()).unwrap();
        builder.push_span(&otlp::Span::default()).unwrap();
        let item = Item::new(builder.finish());
        let offered = SUMMARY_BATCHES as u64 + 100;
        let held = lock(&tap.way.summary);
        for _ in 0..offered {
            tap.way.offer(&item);
        }
        drop(held);
        let seen = tap.close(now_ns());
        // One more than may wait is looked at: the one that waited for the summary.
        assert!((2 * 99..=2 * 100).contains(&seen.skipped), "{}", seen.skipped);
        assert_eq!(seen.snapshot.signal(Signal::Traces).records + seen.skipped, 2 * offered);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_too() {
        let tap = Tap::start().unwrap();
        let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
        let span = otlp::Span { name: "x".repeat(SUMMARY_BYTES / 4), ..otlp::Span::default() };
        builder.push_span(&span).unwrap();
        let item = Item::new(builder.finish());
        let held = lock(&tap.way.summary);
        for _ in 0..9 {
            tap.way.offer(&item);
        }
        assert!(tap.way.bytes.load(Relaxed) <= SUMMARY_BYTES);
        assert_eq!(tap.way.skipped.load(Relaxed), 6);
        drop(held);
        let way = tap.way.clone();
        assert_eq!(tap.close(now_ns()).snapshot.signal(Signal::Traces).records, 3);
        assert_eq!(way.bytes.load(Relaxed), 0);
    }
}
