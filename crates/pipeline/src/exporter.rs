//! Where batches go.

use std::{future::Future, pin::Pin};

use crate::{Item, Outcome};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A destination. It is shared by all shards; each shard that has work for it opens a [`Sender`] of its own, so that
/// connections are never shared between threads.
pub trait Exporter: Send + Sync + 'static {
    /// Its name in configuration, metrics and logs: `otlp`, `otlp/backup`, …
    fn name(&self) -> &str;

    /// A connection to the destination, made on the thread and runtime that will use it. Connecting is lazy: it happens in
    /// [`Sender::send`] and its failures are outcomes.
    fn open(&self) -> Box<dyn Sender>;
}

/// One thread's connection to a destination. Sends run concurrently on it.
pub trait Sender: Send + Sync {
    /// Sends one item and waits for the far side's answer. It never panics and never retries: retrying, timeouts around
    /// it and counting are the queue's.
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome>;
}
