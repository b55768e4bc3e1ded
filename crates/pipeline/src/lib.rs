//! Moves telemetry batches under bounds.
//!
//! A receiver charges the [`Budget`] before it reads a body, wraps the checked batch and its [`Context`] into an
//! [`Item`] and offers it to an [`Inlet`]. Stages are called, not messaged; an item ends in exporter queues, from which
//! senders lease it. Whoever waits for the item holds a [`Receipt`], which resolves to the worst [`Outcome`] of all that
//! became of it. Nothing is dropped uncounted.
//!
//! It knows no protocol.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod budget;
pub mod exporter;
pub mod inlet;
pub mod item;
pub mod outcome;
pub mod receipt;
pub mod shard;

pub use budget::{Budget, Charge};
pub use exporter::{Exporter, Sender};
pub use inlet::Inlet;
pub use item::{Context, Item};
pub use outcome::Outcome;
pub use receipt::{Receipt, Share};
pub use shard::Shards;
