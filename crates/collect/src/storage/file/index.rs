//! Which times are where in a file of lines, so that a reader passes over what is not asked for.
//!
//! The index stands beside its file, as `<file>.idx`. It is a help and no truth: what it does not cover is read, what does not agree with
//! the file is ignored, and [`crate::FileStorage::rebuild_index`] writes it anew. Little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | `ALDISIX3` |
//! | 8..24 | device and inode of the file |
//! | 24..32 | check: FNV-1a of bytes 0..24 |
//! | 32..56 | stamp: the file's length, when it was last modified, FNV-1a of these 16 bytes |
//! | then, for each block of lines, 72 bytes | position, length, number of lines, earliest time, latest time, length of the last line, FNV-1a of the beginning of the first line, and of the last, FNV-1a of these 64 bytes |
//!
//! Entries rise in position; blocks begin and end with a line. The beginning of a line is 64 bytes, or all of it with its line feed: its
//! time stands there. A file that was cut off and written anew, past its old length, has others: that is how a reader knows, before it
//! passes over anything, that it has to read. Who writes an entry looks whether the one before still stands, so that a last one that does
//! speaks for all.
//!
//! A file may also be changed in its middle. So whoever has written lines writes the stamp, and whoever finds another there than the file
//! has believes no entry: a reader reads everything, and who writes lines begins the index anew first.

use std::io;

use super::disk::{Identity, Look, Read};
use crate::limits::INDEX_BLOCK_BYTES;

const MAGIC: &[u8; 8] = b"ALDISIX3";
pub(crate) const STAMP_AT: u64 = 32;
const STAMP_BYTES: usize = 24;
pub(crate) const HEAD_BYTES: usize = STAMP_AT as usize + STAMP_BYTES;
const NUMBERS: usize = 9;
pub(crate) const ENTRY_BYTES: usize = 8 * NUMBERS;

/// Bytes of a line by which it is known again.
const SAMPLE_BYTES: usize = 64;

/// Lines that stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) position: u64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) min_ns: u64,
    pub(crate) max_ns: u64,
    /// Bytes of the last line.
    last_line: u64,
    /// What the first line begins with, and the last.
    samples: [u64; 2],
}

impl Block {
    pub(crate) fn at(position: u64) -> Self {
        Self { position, ..Self::default() }
    }

    /// Where it ends.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.bytes
    }

    /// Adds a line that stands right behind it, of so many bytes with its end. Samples are taken once all are there.
    pub(crate) fn add(&mut self, bytes: usize, time_ns: u64) {
        self.min_ns = if self.lines == 0 { time_ns } else { self.min_ns.min(time_ns) };
        self.max_ns = self.max_ns.max(time_ns);
        self.lines += 1;
        self.bytes += bytes as u64;
        self.last_line = bytes as u64;
    }

    /// Takes the samples of a block of `lines`, in which its position counts.
    pub(crate) fn sample(&mut self, lines: &[u8]) {
        let (first, last) = (self.position as usize, (self.end() - self.last_line) as usize);
        self.samples = [first, last].map(|at| sample(lines.get(at..).unwrap_or_default()));
    }

    /// Adds the lines of a block that stands right behind it.
    pub(crate) fn append(&mut self, next: &Self) {
        self.bytes += next.bytes;
        self.lines += next.lines;
        self.min_ns = self.min_ns.min(next.min_ns);
        self.max_ns = self.max_ns.max(next.max_ns);
        self.last_line = next.last_line;
        self.samples[1] = next.samples[1];
    }

    /// Whether the file still has these lines, as far as the first and the last tell.
    pub(crate) fn is_in(&self, file: &dyn Read) -> io::Result<bool> {
        let begins = |at: u64, expected: u64| -> io::Result<bool> {
            let mut there = [0; SAMPLE_BYTES];
            let read = file.read_at(&mut there, at)?;
            Ok(sample(&there[..read]) == expected && begins_line(file, at)?)
        };
        let [first, last] = self.samples;
        Ok(begins(self.position, first)?
            && begins(self.end() - self.last_line, last)?
            && begins_line(file, self.end())?)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= INDEX_BLOCK_BYTES as u64
    }

    /// The entry in the index.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let [first, last] = self.samples;
        let Self { position, bytes, lines, min_ns, max_ns, last_line, .. } = *self;
        for number in [position, bytes, lines, min_ns, max_ns, last_line, first, last] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let check = fnv1a(&out[start..]);
        out.extend_from_slice(&check.to_le_bytes());
    }

    /// `None`: it is no entry.
    fn read(entry: &[u8]) -> Option<Self> {
        let mut numbers = [0; NUMBERS];
        for (number, bytes) in numbers.iter_mut().zip(entry.chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        let [position, bytes, lines, min_ns, max_ns, last_line, first, last, check] = numbers;
        let is_whole = entry.len() == ENTRY_BYTES && fnv1a(&entry[..ENTRY_BYTES - 8]) == check;
        let is_sound = (1..=bytes).contains(&last_line) && lines > 0 && position.checked_add(bytes).is_some();
        let samples = [first, last];
        (is_whole && is_sound).then_some(Self { position, bytes, lines, min_ns, max_ns, last_line, samples })
    }
}

/// What a line begins with.
fn sample(bytes: &[u8]) -> u64 {
    let bytes = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    fnv1a(&bytes[..memchr::memchr(b'\n', bytes).map_or(bytes.len(), |feed| feed + 1)])
}

/// Whether a line begins here, or the file ends with one.
pub(crate) fn begins_line(file: &dyn Read, at: u64) -> io::Result<bool> {
    let Some(before) = at.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_at(&mut byte, before)?;
    Ok(byte == *b"\n")
}

/// The file as it was when one who keeps its index wrote to it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified_ns: u64,
}

impl Stamp {
    pub(crate) fn of(look: &Look) -> Self {
        Self { len: look.len, modified_ns: look.modified_ns }
    }

    pub(crate) fn bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.modified_ns.to_le_bytes());
        let check = fnv1a(&bytes[..16]);
        bytes[16..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Whether the index has this one.
    fn is_in(self, index: &dyn Read) -> io::Result<bool> {
        let mut there = [0; STAMP_BYTES];
        index.read_at(&mut there, STAMP_AT)?;
        Ok(there == self.bytes())
    }
}

/// Times that a stamp is looked at again, because others may be between a write and its stamp.
const LOOKS: usize = 20;

/// Whether nobody has changed a file without saying so in its index: the stamp that has, if so.
pub(crate) fn agreed(index: &dyn Read, file: &dyn Read) -> io::Result<Option<Stamp>> {
    for _ in 0..LOOKS {
        let stamp = Stamp::of(&file.look()?);
        if stamp.is_in(index)? {
            return Ok(Some(stamp));
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// What the index of a file as it is begins with.
pub(crate) fn head(of: &Look) -> Vec<u8> {
    [name(of.identity), Stamp::of(of).bytes().to_vec()].concat()
}

/// What the index of a file begins with, whatever was written to that since.
pub(crate) fn name(of: Identity) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&of.0.to_le_bytes());
    head.extend_from_slice(&of.1.to_le_bytes());
    let check = fnv1a(&head);
    head.extend_from_slice(&check.to_le_bytes());
    head
}

pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Reads an index entry by entry, in constant memory.
pub(crate) struct Entries<'a> {
    index: &'a dyn Read,
    position: u64,
    buffer: Vec<u8>,
    at: usize,
    /// Where the last block ended.
    behind: u64,
    /// The length of the file.
    until: u64,
}

impl<'a> Entries<'a> {
    /// `None`: it is not the index of that file.
    pub(crate) fn of(index: &'a dyn Read, file: &dyn Read, until: u64) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD_BYTES];
        let read = index.read_at(&mut head, 0)?;
        if read < HEAD_BYTES || !head.starts_with(&name(file.identity()?)) {
            return Ok(None);
        }
        Ok(Some(Self { until, ..Self::behind(index, HEAD_BYTES as u64, 0) }))
    }

    /// Those that stand in the index from `position` on, of blocks from `behind` on.
    pub(crate) fn behind(index: &'a dyn Read, position: u64, behind: u64) -> Self {
        Self { index, position, buffer: Vec::new(), at: 0, behind, until: u64::MAX }
    }

    /// How far it has read: what was there when it was asked for the last time, if it had no more.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next block that lies within the file and behind the last.
    pub(crate) fn next(&mut self) -> io::Result<Option<Block>> {
        loop {
            if self.buffer.len() - self.at < ENTRY_BYTES {
                self.buffer.resize(ENTRY_BYTES * 512, 0);
                let read = self.index.read_at(&mut self.buffer, self.position)?;
                self.buffer.truncate(read - read % ENTRY_BYTES);
                self.position += self.buffer.len() as u64;
                self.at = 0;
                if self.buffer.is_empty() {
                    return Ok(None);
                }
            }
            let entry = Block::read(&self.buffer[self.at..self.at + ENTRY_BYTES]);
            self.at += ENTRY_BYTES;
            if let Some(block) =
                entry.filter(|block| block.position >= self.behind && block.end() <= self.until)
            {
                self.behind = block.end();
                return Ok(Some(block));
            }
        }
    }
}
