//! What travels through a pipeline.

use std::sync::Arc;

use otlp::Batch;

use crate::{Charge, Share};

/// A batch and what must be known about it on its way.
#[derive(Debug)]
pub struct Item {
    /// The telemetry.
    pub batch: Batch,
    /// Where it came from and who waits for it.
    pub context: Context,
}

/// What is known about a batch besides its bytes. Batches whose tenant or headers differ are never merged.
#[derive(Debug, Default)]
pub struct Context {
    /// The receiver's configured name.
    pub source: Option<Arc<str>>,
    /// Who sent it, where receivers tell senders apart.
    pub tenant: Option<Arc<str>>,
    /// Request headers selected by configuration (`include_metadata`), sorted by name, lower case.
    pub headers: Option<Arc<[(String, String)]>>,
    /// When it was received, Unix nanoseconds.
    pub received_ns: u64,
    /// When its sender stops waiting, Unix nanoseconds.
    pub deadline_ns: Option<u64>,
    /// Who waits for it, and with which weight.
    pub shares: Vec<Share>,
    /// The memory it is charged for; freed when the last part of it is gone.
    pub charges: Vec<Charge>,
}
