//! The way into a pipeline.

use otlp::Depth;

use crate::{Budget, Item};

/// One shard's way into a pipeline for one signal. Receivers hold one per shard and signal.
pub trait Inlet: Send + Sync + 'static {
    /// Hands an item over. What becomes of it is told through the receipts in its context, perhaps before this returns
    /// (a full queue refuses at once; an in-memory queue that answers on acceptance does so here).
    fn offer(&self, item: Item, now_ns: u64);

    /// How deep the batches offered here must be indexed.
    fn depth(&self) -> Depth;

    /// The memory that bodies must be charged to before they are read.
    fn budget(&self) -> &Budget;
}
