//! A request that has been checked.

use bytes::Bytes;

use crate::{Check, Depth, Index, Signal};

/// How bytes are compressed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// An export request that has been checked: bytes, index, and which records are still in it.
///
/// Cloning is cheap (three reference counts); the first change copies.
#[derive(Clone, Debug)]
pub struct Batch {
    signal: Signal,
    bytes: Bytes,
}

impl Batch {
    /// The kind of records it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }
    /// How many records are in it, not counting those that were filtered out.
    pub fn len(&self) -> usize {
        todo!("contract stub")
    }
    /// Whether no record is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How it was validated.
    pub fn checked(&self) -> Check {
        todo!("contract stub")
    }
    /// How deep its index goes.
    pub fn depth(&self) -> Depth {
        todo!("contract stub")
    }
    /// Makes the index at least this deep, by another pass where it is not.
    pub fn deepen(&mut self, _depth: Depth) {
        todo!("contract stub")
    }
    /// Its index. Columns below [`Batch::depth`] are empty.
    pub fn index(&self) -> &Index {
        todo!("contract stub")
    }
    /// The request's bytes as checked, *including* records that were filtered out since; offsets of the index point here.
    pub fn raw(&self) -> &Bytes {
        &self.bytes
    }
    /// Bytes that it keeps in memory: request, index and compressed copy.
    pub fn memory_bytes(&self) -> usize {
        todo!("contract stub")
    }
    /// The request to send: without the records that were filtered out, and without resources and scopes they leave empty.
    pub fn to_wire(&self) -> Bytes {
        todo!("contract stub")
    }
    /// Whether record `i` (a number of the index) is still in it.
    pub fn is_kept(&self, _i: usize) -> bool {
        todo!("contract stub")
    }
    /// Keeps the records for which `keep(batch, i)` holds; returns how many went. Clears bits only: bytes are copied at the
    /// next edit, merge, split or `to_wire`.
    pub fn retain(&mut self, _keep: impl FnMut(&Batch, usize) -> bool) -> usize {
        todo!("contract stub")
    }
    /// The request as it was received under this codec, if it still says the same.
    pub fn compressed(&self, _codec: Codec) -> Option<&Bytes> {
        todo!("contract stub")
    }
    /// Remembers the compressed form of exactly this content. Any change forgets it.
    pub fn set_compressed(&mut self, _codec: Codec, _bytes: Bytes) {
        todo!("contract stub")
    }
}
