//! One pass that validates a request and builds its index.
//!
//! [`Checker::check`] walks the levels that carry the index by hand (`check/levels.rs`, then `span.rs`, `log.rs` or
//! `metric.rs`) and everything below them by the tables of `schema.rs` (`message.rs`), with a short cut for the shape nearly
//! every attribute has (`value.rs`). What is accepted is what prost accepts for the same messages, and ids must have their
//! length or none; see [`Check::Full`].

mod columns;
mod framing;
mod levels;
mod log;
mod message;
mod metric;
mod span;
mod text;
mod value;

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::{WireError, WireErrorKind};
use crate::limits::{MAX_INDEX_BYTES_PER_BYTE, MAX_REQUEST_BYTES};
use crate::normalise::normalise;
use crate::spare::SharedIndex;
use crate::{Batch, Counts, Signal};
use columns::Columns;
use message::Pass;

/// How much of a request is validated when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Check {
    /// Every nested message, string and id. What passes can be read without errors, and merged.
    ///
    /// Fields may come in any order; unknown ones, groups included, are skipped and kept. A singular field that occurs twice
    /// is accepted, and the request is rewritten to say it once, as the protobuf rules merge it. Ids must be empty or of
    /// full length: the Collector refuses others, prost does not. Nothing else is refused that prost accepts.
    #[default]
    Full,
    /// Only the frames of resources, scopes and records, which is what counting needs. Such a batch is passed on whole:
    /// it is never read, edited, split or merged with others.
    Framing,
}

/// How much of a request is remembered. Each level includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Depth {
    /// Numbers only.
    #[default]
    Counts,
    /// Offsets, ids, times of every record.
    Records,
    /// Keys and values of every record's attributes too.
    Attributes,
}

/// Validates requests of one signal, reusing its scratch memory from one to the next.
///
/// ```
/// use aldis_otlp::{Check, Checker, Depth, Signal};
/// use bytes::Bytes;
///
/// // resource_spans { scope_spans { spans { name: "GET" } } }
/// let request = Bytes::from_static(&[0x0a, 9, 0x12, 7, 0x12, 5, 0x2a, 3, b'G', b'E', b'T']);
/// let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Records);
/// let batch = checker.check(request).unwrap();
/// assert_eq!(batch.len(), 1);
/// assert_eq!(batch.span(0).name(), "GET");
///
/// let error = checker.check(Bytes::from_static(&[0x0a, 9, 0x12])).unwrap_err();
/// assert_eq!(error.to_string(), "malformed ExportTraceServiceRequest at byte 1: a field reaches past the end of its message");
/// ```
#[derive(Debug)]
pub struct Checker {
    signal: Signal,
    check: Check,
    depth: Depth,
    columns: Columns,
    /// Shared by all batches that have no index.
    no_index: SharedIndex,
}

impl Checker {
    /// A checker for requests of `signal`. With [`Check::Framing`] the depth is always [`Depth::Counts`]; profiles are always
    /// checked so, since they are passed on whole.
    pub fn new(signal: Signal, check: Check, depth: Depth) -> Self {
        let check = if signal == Signal::Profiles { Check::Framing } else { check };
        let depth = if check == Check::Framing { Depth::Counts } else { depth };
        Self { signal, check, depth, columns: Columns::default(), no_index: SharedIndex::empty() }
    }

    /// Validates one export request.
    ///
    /// The batch holds the bytes as they came, except that a request in which a singular field occurs twice is rewritten to
    /// say it once.
    ///
    /// # Errors
    /// The first fault in the bytes, with its offset.
    pub fn check(&mut self, body: Bytes) -> Result<Batch, WireError> {
        let checked = self.check_whole(body);
        self.columns.release_if_large();
        checked
    }

    /// The most bytes that [`Checker::check`] can take for a request of this length, besides the request: the columns while
    /// they grow, the index, and a rewritten request.
    ///
    /// ```
    /// # use aldis_otlp::{Check, Checker, Depth, Signal};
    /// let checker = Checker::new(Signal::Traces, Check::Full, Depth::Records);
    /// assert!(checker.most_bytes(1000) > 50_000, "two bytes of the request can be a record");
    /// ```
    pub fn most_bytes(&self, request_bytes: usize) -> usize {
        self.taken(request_bytes.saturating_mul(MAX_INDEX_BYTES_PER_BYTE), request_bytes)
    }

    /// The same for this very request, whose frames are counted for it: a small part of the time of a check.
    ///
    /// # Errors
    /// The first fault in the frames, with its offset.
    pub fn needed_bytes(&self, request: &[u8]) -> Result<usize, WireError> {
        let index = framing::index_bytes(self.signal, self.depth, request)?;
        Ok(self.taken(index, request.len()))
    }

    /// Bytes of scratch that are kept for the next request.
    pub fn scratch_bytes(&self) -> usize {
        self.columns.memory_bytes()
    }

    fn taken(&self, index_bytes: usize, request_bytes: usize) -> usize {
        match self.check {
            Check::Framing => 0,
            // A column that grows is there twice, half as large and whole; when it is done it is there with its copy.
            Check::Full => index_bytes.saturating_mul(3).saturating_add(request_bytes),
        }
    }

    fn check_whole(&mut self, body: Bytes) -> Result<Batch, WireError> {
        if body.len() > MAX_REQUEST_BYTES {
            let offset = MAX_REQUEST_BYTES;
            return Err(WireError { offset, within: "request", kind: WireErrorKind::TooLarge });
        }
        if self.check == Check::Framing {
            let counts = framing::count(self.signal, &body)?;
            return Ok(self.batch(body, counts));
        }
        let (counts, repeats) = self.pass(&body)?;
        if !repeats {
            return Ok(self.batch(body, counts));
        }
        let body = Bytes::from(normalise(self.signal, &body));
        let (counts, _) = self.pass(&body)?;
        Ok(self.batch(body, counts))
    }

    /// Validates `body` into the columns: what is in it, and whether a singular field occurs twice.
    fn pass(&mut self, body: &[u8]) -> Result<(Counts, bool), WireError> {
        self.columns.clear();
        match self.depth {
            Depth::Counts => Pass::<COUNTS>::run(self.signal, body, &mut self.columns),
            Depth::Records => Pass::<RECORDS>::run(self.signal, body, &mut self.columns),
            Depth::Attributes => Pass::<ATTRIBUTES>::run(self.signal, body, &mut self.columns),
        }
    }

    fn batch(&mut self, body: Bytes, counts: Counts) -> Batch {
        let index = if self.depth == Depth::Counts { self.no_index.clone() } else { self.columns.to_index() };
        Batch::from_parts(self.signal, body, index, counts, self.check, self.depth)
    }
}

/// Validates a request of any signal in full; where a singular field occurs twice it is rewritten to say it once.
pub(crate) fn whole(signal: Signal, body: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let (_, repeats) = Pass::<COUNTS>::run(signal, body, &mut Columns::default())?;
    Ok(if repeats { Cow::Owned(normalise(signal, body)) } else { Cow::Borrowed(body) })
}

/// [`Depth`] as a constant of the pass: what is not asked for costs nothing.
const COUNTS: u8 = Depth::Counts as u8;
const RECORDS: u8 = Depth::Records as u8;
const ATTRIBUTES: u8 = Depth::Attributes as u8;
