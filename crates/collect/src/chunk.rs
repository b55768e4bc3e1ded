//! Records in a row of bytes, and a queue of such rows.

use std::{collections::VecDeque, ops::Range};

use crate::{
    TelemetryData,
    limits::{CHUNK_BYTES, SPARE_CHUNKS},
    name::NameCache,
    record,
};

/// Records and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

impl std::ops::SubAssign for Size {
    fn sub_assign(&mut self, other: Self) {
        debug_assert!(self.items >= other.items && self.bytes >= other.bytes, "{self:?} - {other:?}");
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// Records one behind the other. Room is allocated, and zeroed, once.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    buf: Vec<u8>,
    filled: Range<usize>,
    items: usize,
}

impl Chunk {
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self { buf: vec![0; bytes], ..Self::default() }
    }

    pub(crate) fn size(&self) -> Size {
        Size { items: self.items, bytes: self.filled.len() }
    }

    pub(crate) fn room(&self) -> usize {
        self.buf.len() - self.filled.end
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Room for a record of `len` bytes behind the others. Panics if there is none: [`Chunk::room`] was asked before.
    #[inline]
    pub(crate) fn push(&mut self, len: usize) -> &mut [u8] {
        let start = self.filled.end;
        self.filled.end += len;
        self.items += 1;
        &mut self.buf[start..start + len]
    }

    fn extend(&mut self, other: &Chunk) {
        self.append(other.bytes(), other.items);
    }

    fn append(&mut self, bytes: &[u8], items: usize) {
        self.buf[self.filled.end..self.filled.end + bytes.len()].copy_from_slice(bytes);
        self.filled.end += bytes.len();
        self.items += items;
    }

    fn pop_front(&mut self) -> Size {
        let Some(bytes) = record::len_of(self.bytes()) else { return Size::default() };
        self.filled.start += bytes;
        self.items -= 1;
        Size { items: 1, bytes }
    }

    fn clear(&mut self) {
        self.filled = 0..0;
        self.items = 0;
    }

    fn bytes(&self) -> &[u8] {
        &self.buf[self.filled.clone()]
    }

    /// The bytes of each record.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            let (record, behind) = rest.split_at(record::len_of(rest)?);
            rest = behind;
            Some(record)
        })
    }

    /// Reads the records that are wanted.
    pub(crate) fn decode(
        &self,
        names: &mut NameCache,
        wanted: impl Fn(&[u8]) -> bool,
        data: &mut TelemetryData,
    ) {
        for record in self.records().filter(|record| wanted(record)) {
            let read = record::decode(record, names, data);
            debug_assert!(read.is_some(), "a record that was written cannot be read");
        }
    }
}

/// Chunks in the order in which they came. Every record has a position: how many came before it since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    chunks: VecDeque<Chunk>,
    size: Size,
    end: u64,
    spare: Vec<Chunk>,
}

impl Queue {
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The position of the first record.
    pub(crate) fn front(&self) -> u64 {
        self.end - self.size.items as u64
    }

    /// The position of the next record to come.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// An empty chunk, of the usual size unless more is needed.
    pub(crate) fn empty_chunk(&mut self, room: usize) -> Chunk {
        if room > CHUNK_BYTES {
            return Chunk::with_room(room);
        }
        self.spare.pop().unwrap_or_else(|| Chunk::with_room(CHUNK_BYTES))
    }

    /// Takes back what is not needed any more.
    pub(crate) fn recycle(&mut self, mut chunk: Chunk) {
        if chunk.buf.len() == CHUNK_BYTES && self.spare.len() < SPARE_CHUNKS {
            chunk.clear();
            self.spare.push(chunk);
        }
    }

    /// Puts a chunk at the end as it is. What it holds is left empty.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.size += chunk.size();
        self.end += chunk.items as u64;
        if chunk.is_empty() {
            self.recycle(chunk);
        } else {
            self.chunks.push_back(chunk);
        }
    }

    /// Empties a chunk that goes on being filled: copies it behind the last records if it is less than half full, so that chunks in
    /// the queue are at least half full on average.
    pub(crate) fn drain(&mut self, chunk: &mut Chunk) {
        let size = chunk.size();
        if size.items == 0 {
            return;
        }
        if size.bytes * 2 > chunk.buf.len() {
            let empty = self.empty_chunk(CHUNK_BYTES);
            return self.push(std::mem::replace(chunk, empty));
        }
        if self.chunks.back().is_none_or(|last| last.room() < size.bytes) {
            let empty = self.empty_chunk(size.bytes);
            self.chunks.push_back(empty);
        }
        if let Some(last) = self.chunks.back_mut() {
            last.extend(chunk);
        }
        chunk.clear();
        self.size += size;
        self.end += size.items as u64;
    }

    /// Removes the oldest record.
    pub(crate) fn evict(&mut self) -> Size {
        let Some(first) = self.chunks.front_mut() else { return Size::default() };
        let size = first.pop_front();
        if first.is_empty()
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.recycle(chunk);
        }
        self.size -= size;
        size
    }

    /// Takes chunks from the front until there are as many records, or bytes, as asked for.
    pub(crate) fn take(&mut self, enough: Size) -> (Vec<Chunk>, Size) {
        let (mut taken, mut size) = (Vec::new(), Size::default());
        while size.items < enough.items && size.bytes < enough.bytes {
            let Some(chunk) = self.chunks.pop_front() else { break };
            size += chunk.size();
            taken.push(chunk);
        }
        self.size -= size;
        (taken, size)
    }

    /// A copy of the records from a position on, `None` where there are none.
    pub(crate) fn copy_from(&self, position: u64) -> Option<Chunk> {
        let mut skip = position.saturating_sub(self.front()) as usize;
        let mut copy = Chunk::default();
        for chunk in &self.chunks {
            if skip >= chunk.items {
                skip -= chunk.items;
                continue;
            }
            let bytes: usize = chunk.records().take(skip).map(<[u8]>::len).sum();
            let wanted = &chunk.bytes()[bytes..];
            copy.buf.resize(copy.filled.end + wanted.len(), 0);
            copy.append(wanted, chunk.items - skip);
            skip = 0;
        }
        (!copy.is_empty()).then_some(copy)
    }
}
