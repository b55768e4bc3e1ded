//! OTLP export requests as checked bytes with an index.
//!
//! A request stays the bytes it arrived as. [`Checker::check`] validates it once and builds an [`Index`] in the same
//! pass; afterwards every accessor is infallible and allocates nothing. Batches are read ([`view`]), filtered
//! ([`Batch::retain`]), edited ([`edit`], [`trace_state`]), merged ([`merge()`]), split ([`split()`]) and built ([`event`], [`compose`]) without ever
//! becoming a tree of objects.
//!
//! It knows nothing of sockets, clocks, threads or async runtimes.
#![deny(missing_docs)]

pub mod batch;
mod bitmap;
pub mod check;
mod compact;
pub mod compose;
mod cut;
mod draft;
pub mod edit;
pub mod error;
pub mod event;
pub mod id;
pub mod index;
pub mod json;
pub mod limits;
pub mod merge;
mod normalise;
mod put;
mod schema;
pub mod signal;
mod spare;
pub mod split;
pub mod trace_state;
pub mod view;
pub mod wire;

pub use batch::{Batch, Codec, Counts};
pub use check::{Check, Checker, Depth};
pub use error::{WireError, WireErrorKind};
pub use event::{AttributeValue, LogRecord, Span, SpanStatus, TelemetryEvent};
pub use id::{SpanId, TraceId};
pub use index::Index;
pub use merge::merge;
pub use signal::Signal;
pub use split::split;
