//! A request that has been checked.

use std::sync::Arc;

use bytes::Bytes;

use crate::bitmap::Bitmap;
use crate::compact::compact;
use crate::spare::SharedIndex;
use crate::{Check, Checker, Depth, Index, Signal};

/// How bytes are compressed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How much is in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ResourceSpans`, `ResourceLogs`, `ResourceMetrics`, `ResourceProfiles`.
    pub resources: u32,
    /// `ScopeSpans`, `ScopeLogs`, `ScopeMetrics`, `ScopeProfiles`.
    pub scopes: u32,
    /// Spans, log records, data points, profiles.
    pub records: u32,
}

/// An export request that has been checked: bytes, index, and which records are still in it.
///
/// Cloning is cheap (reference counts); the first change copies.
///
/// One that waits for nothing but being sent may be [packed](Batch::pack): then only its compressed form is left, and the
/// numbers.
///
/// A batch that was checked in full says everything once: no singular field, message or oneof occurs twice in it,
/// whatever arrived.
#[derive(Clone, Debug)]
pub struct Batch {
    signal: Signal,
    check: Check,
    depth: Depth,
    counts: Counts,
    bytes: Bytes,
    index: SharedIndex,
    keep: Option<Arc<Bitmap>>,
    compressed: Option<(Codec, Bytes)>,
    /// Whether `compressed` is all there is.
    is_packed: bool,
}

impl Batch {
    /// Puts together what a checker or an edit found out. The index describes `bytes` to `depth`, `counts` is what is in it.
    pub(crate) fn from_parts(
        signal: Signal,
        bytes: Bytes,
        index: SharedIndex,
        counts: Counts,
        check: Check,
        depth: Depth,
    ) -> Self {
        let (keep, compressed, is_packed) = (None, None, false);
        Self { signal, check, depth, counts, bytes, index, keep, compressed, is_packed }
    }

    /// The kind of records it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many records are in it, not counting those that were filtered out.
    pub fn len(&self) -> usize {
        self.keep.as_ref().map_or(self.counts.records as usize, |keep| keep.ones())
    }

    /// Whether no record is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its bytes hold, *including* records that were filtered out since.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How it was validated. Profiles are always [`Check::Framing`].
    pub fn checked(&self) -> Check {
        self.check
    }

    /// How deep its index goes.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Makes the index at least this deep, by another pass where it is not. A framing-checked batch is not meant to be read
    /// and stays as it is, and so does a packed one.
    pub fn deepen(&mut self, depth: Depth) {
        if self.depth >= depth || self.check == Check::Framing || self.is_packed {
            return;
        }
        // What passed once passes again.
        if let Ok(deeper) = Checker::new(self.signal, self.check, depth).check(self.bytes.clone()) {
            self.index = deeper.index;
            self.depth = depth;
        }
    }

    /// Its index. Columns below [`Batch::depth`] are empty.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The request's bytes as checked, *including* records that were filtered out since; offsets of the index point here.
    /// A packed batch has none.
    pub fn raw(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes that it keeps in memory: request, index and compressed copy.
    pub fn memory_bytes(&self) -> usize {
        let index = if self.is_packed { 0 } else { self.index.memory_bytes() };
        self.bytes.len()
            + index
            + self.keep.as_ref().map_or(0, |keep| keep.memory_bytes())
            + self.compressed.as_ref().map_or(0, |(_, bytes)| bytes.len())
    }

    /// The request to send: without the records that were filtered out, and without resources and scopes they leave empty.
    /// Whoever may be given a packed batch looks at [`Batch::packed`] before: there it would have to be decompressed.
    pub fn to_wire(&self) -> Bytes {
        debug_assert!(!self.is_packed, "a packed batch has only its compressed form");
        if self.keep.is_none() { self.bytes.clone() } else { compact(self) }
    }

    /// Whether record `i` (a number of the index) is still in it.
    pub fn is_kept(&self, i: usize) -> bool {
        match &self.keep {
            Some(keep) => keep.contains(i),
            None => i < self.counts.records as usize,
        }
    }

    /// The records that are left, where any was filtered out.
    pub(crate) fn keep(&self) -> Option<&Bitmap> {
        self.keep.as_deref()
    }

    /// Keeps the records for which `keep(batch, i)` holds; returns how many went. Clears bits only: bytes are copied at the
    /// next edit, merge, split or `to_wire`.
    ///
    /// `keep` is asked about records that are still in the batch, in wire order. Nothing is allocated unless a record goes.
    ///
    /// # Panics
    /// If it is packed: nobody can look at its records.
    pub fn retain(&mut self, mut keep: impl FnMut(&Batch, usize) -> bool) -> usize {
        assert!(!self.is_packed, "a packed batch has no records to look at");
        let records = self.counts.records as usize;
        let mut left: Option<Bitmap> = None;
        let mut removed = 0;
        for i in 0..records {
            if self.is_kept(i) && !keep(self, i) {
                let bits = left.get_or_insert_with(|| match self.keep.as_deref() {
                    Some(bits) => bits.clone(),
                    None => Bitmap::full(records),
                });
                bits.clear(i);
                removed += 1;
            }
        }
        if let Some(bits) = left {
            self.keep = Some(Arc::new(bits));
            self.compressed = None;
        }
        removed
    }

    /// The request as it was received under this codec, if it still says the same.
    pub fn compressed(&self, codec: Codec) -> Option<&Bytes> {
        self.compressed.as_ref().filter(|(held, _)| *held == codec).map(|(_, bytes)| bytes)
    }

    /// Forgets everything but the form compressed with this codec, and the numbers: `raw` is empty then, and there is no
    /// index. `false`, and nothing is done, where there is no such form.
    ///
    /// ```
    /// use aldis_otlp::{Check, Checker, Codec, Depth, Signal};
    /// use bytes::Bytes;
    ///
    /// let request = Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0]); // one span of which nothing is said
    /// let mut batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(request)?;
    /// assert!(!batch.pack(Codec::Gzip));
    /// batch.set_compressed(Codec::Gzip, Bytes::from_static(b"..."));
    /// assert!(batch.pack(Codec::Gzip));
    /// assert_eq!((batch.len(), batch.memory_bytes()), (1, 3));
    /// # Ok::<(), aldis_otlp::WireError>(())
    /// ```
    pub fn pack(&mut self, codec: Codec) -> bool {
        if self.is_packed || self.compressed(codec).is_none() {
            return self.is_packed && self.compressed(codec).is_some();
        }
        if self.keep.is_some() {
            let mut counting = Checker::new(self.signal, Check::Framing, Depth::Counts);
            // What was put together of checked parts passes.
            self.counts = counting.check(self.to_wire()).map_or(self.counts, |left| left.counts);
        }
        self.bytes = Bytes::new();
        self.index = SharedIndex::empty();
        self.depth = Depth::Counts;
        self.keep = None;
        self.is_packed = true;
        true
    }

    /// The compressed form that is all that a packed batch has.
    pub fn packed(&self) -> Option<(Codec, &Bytes)> {
        self.compressed.as_ref().filter(|_| self.is_packed).map(|(codec, bytes)| (*codec, bytes))
    }

    /// Remembers the compressed form of exactly this content. Any change forgets it.
    pub fn set_compressed(&mut self, codec: Codec, bytes: Bytes) {
        self.compressed = Some((codec, bytes));
    }
}
