//! Where batches go.

use std::{future::Future, pin::Pin, sync::Arc};

use otlp::{Codec, Signal};

use crate::{Compressor, Item, Outcome, Progress};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A destination. It is shared by all shards; each shard that has work for it opens a [`Sender`] of its own, so that
/// connections are never shared between threads.
pub trait Exporter: Send + Sync + 'static {
    /// Its name in configuration, metrics and logs: `otlp`, `otlp/backup`, …
    fn name(&self) -> &str;

    /// Whether it has a use for records of this signal. Pipelines do not offer it others.
    fn takes(&self, signal: Signal) -> bool {
        let _ = signal;
        true
    }

    /// A connection to the destination, made on the thread and runtime that will use it. Connecting is lazy: it happens in
    /// [`Sender::send`] and its failures are outcomes.
    fn open(&self) -> Box<dyn Sender>;

    /// What compresses requests the way this exporter sends them, for pipelines that compress once for all exporters
    /// (`with_compression`). A [`Sender`] given an item with that form sends it as it is.
    fn compressor(&self) -> Option<Arc<dyn Compressor>> {
        None
    }

    /// In which compressed form, if any, it needs nothing else of a request. What waits for it is then kept in that form
    /// only: its senders are given [packed](otlp::Batch::pack) batches.
    fn packing(&self) -> Packing {
        Packing::Never
    }

    /// Whether items must leave in the order in which they came. One is sent at a time then, and nothing is sent while an
    /// earlier one waits for another attempt.
    fn in_order(&self) -> bool {
        false
    }
}

/// What an exporter needs of a request ([`Exporter::packing`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Its bytes or its records: it is never given a packed batch.
    #[default]
    Never,
    /// The form of this codec, in which it sends by its own settings.
    Only(Codec),
    /// Whatever form the pipeline makes; it sends uncompressed what comes uncompressed.
    Any,
}

impl Packing {
    /// Whether it is enough to have what a pipeline has compressed with this codec.
    pub fn takes(self, codec: Codec) -> bool {
        match self {
            Packing::Never => false,
            Packing::Only(own) => own == codec,
            Packing::Any => true,
        }
    }
}

/// One thread's connection to a destination. Sends run concurrently on it.
pub trait Sender: Send + Sync {
    /// Sends one item and waits for the far side's answer. It never panics and never retries: retrying, timeouts around
    /// it and counting are the queue's.
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome>;

    /// The same for destinations that take an item in parts: sends what `progress` does not call settled, and notes there what
    /// it settles, also where the future is dropped before it ends. [`Outcome::Delivered`] then counts the records that were
    /// rejected over all attempts.
    fn send_rest<'a>(&'a self, item: &'a Item, progress: &'a mut Progress) -> BoxFuture<'a, Outcome> {
        let _ = progress;
        self.send(item)
    }
}

/// An exporter that takes everything and does nothing with it, for measurements and for pipelines without a destination.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullExporter;

impl Exporter for NullExporter {
    fn name(&self) -> &str {
        "null"
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(NullExporter)
    }
}

impl Sender for NullExporter {
    fn send<'a>(&'a self, _item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::ready(Outcome::DELIVERED))
    }
}
