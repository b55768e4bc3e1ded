//! A batch of lines as a piece of a compressed file: a header that says what it holds, a frame of zstd, and an end.
//!
//! Header and end are skippable frames of zstd, so that any zstd reads the file. Pieces are found again behind one that is damaged.
//! Who passes over a piece looks at its end alone: where a piece was torn, others stand in what it lacks, and the end of one of them may
//! stand where its own would, but it says fewer bytes. Little-endian:
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `0x184D2A57`: a skippable frame |
//! | 4..8 | 48: its length |
//! | 8..16 | `ALDISFR2` |
//! | 16..24 | bytes of the frame behind it |
//! | 24..32 | bytes of lines in that |
//! | 32..40 | earliest time |
//! | 40..48 | latest time |
//! | 48..56 | check: FNV-1a of bytes 0..48 |
//! | | the frame |
//! | 24 bytes | `0x184D2A58`: a skippable frame; 16: its length; bytes 16..24 and 48..56 again |
//!
//! Pieces of the first version, `ALDISFR1`, have no end. Who passes over one looks for headers in it.

use std::io;

use super::{
    disk::Read,
    index::{Block, fnv1a},
};
use crate::{
    limits::{MAX_FRAME_BYTES, READ_BYTES},
    name::NameCache,
    storage::line,
};

/// What every header begins with, but for the number of its version.
pub(crate) const MARK: [u8; 15] = *b"\x57\x2a\x4d\x18\x30\x00\x00\x00ALDISFR";
const VERSION_1: u8 = b'1';
const VERSION: u8 = b'2';
pub(crate) const HEAD_BYTES: usize = 56;
/// What every end begins with.
const END_MARK: [u8; 8] = *b"\x58\x2a\x4d\x18\x10\x00\x00\x00";
const END_BYTES: usize = 24;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) frame_bytes: usize,
    pub(crate) line_bytes: usize,
    pub(crate) min_ns: u64,
    pub(crate) max_ns: u64,
    /// `None`: pieces of this version have no end.
    end: Option<[u8; END_BYTES]>,
}

/// Whether a file has pieces, and not lines: no line has the bytes of the mark. The first piece may be damaged, and so may the first line:
/// what comes first that is whole says what there is.
pub(crate) fn is_in(file: &dyn Read) -> io::Result<bool> {
    let overlap = MARK.len() - 1;
    let (mut at, mut beginning, mut names) = (0, vec![0; READ_BYTES], NameCache::new());
    loop {
        let read = file.read_at(&mut beginning, at)?;
        let there = &beginning[..read];
        if memchr::memmem::find(there, &MARK).is_some() {
            return Ok(true);
        }
        // Of what was read, the first line and the last may be parts of some.
        let inside = memchr::memrchr(b'\n', there).map_or(&there[..0], |feed| &there[..feed]);
        let mut lines = inside.split(|byte| *byte == b'\n').skip(usize::from(at > 0));
        if read < beginning.len()
            || lines.any(|line| line::time_of(line).is_some() || line::read(line, &mut names).is_some())
        {
            return Ok(false);
        }
        at += (read - overlap) as u64;
    }
}

/// Compresses lines; `block` says what they hold.
pub(crate) fn pack(lines: &[u8], block: &Block, level: i32) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.include_checksum(true)?;
    let frame = compressor.compress(lines)?;
    let mut piece = Vec::with_capacity(HEAD_BYTES + frame.len());
    piece.extend_from_slice(&MARK);
    piece.push(VERSION);
    for number in [frame.len() as u64, lines.len() as u64, block.min_ns, block.max_ns] {
        piece.extend_from_slice(&number.to_le_bytes());
    }
    let check = fnv1a(&piece);
    piece.extend_from_slice(&check.to_le_bytes());
    let end = end_of(&piece);
    piece.extend_from_slice(&frame);
    piece.extend_from_slice(&end);
    Ok(piece)
}

/// The end of the piece that has this header.
fn end_of(head: &[u8]) -> [u8; END_BYTES] {
    let mut end = [0; END_BYTES];
    end[..8].copy_from_slice(&END_MARK);
    end[8..16].copy_from_slice(&head[16..24]);
    end[16..].copy_from_slice(&head[48..HEAD_BYTES]);
    end
}

impl Head {
    /// `None`: no header stands here.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        if bytes[..15] != MARK || fnv1a(&bytes[..48]) != number(48) {
            return None;
        }
        let end = match bytes[15] {
            VERSION => Some(end_of(bytes)),
            VERSION_1 => None,
            _ => return None,
        };
        let size = |at: usize| usize::try_from(number(at)).ok().filter(|bytes| *bytes <= MAX_FRAME_BYTES);
        let (min_ns, max_ns) = (number(32), number(40));
        Some(Self { frame_bytes: size(16)?, line_bytes: size(24)?, min_ns, max_ns, end })
    }

    /// Bytes of what stands behind it: the frame, and the end.
    pub(crate) fn rest_bytes(&self) -> usize {
        self.frame_bytes + self.end.map_or(0, |end| end.len())
    }

    /// What the piece ends with.
    pub(crate) fn end(&self) -> Option<&[u8]> {
        self.end.as_ref().map(|end| &end[..])
    }

    /// The lines, from all that stands behind the header. `None`: it is damaged.
    pub(crate) fn unpack(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let (frame, end) = rest.split_at_checked(self.frame_bytes)?;
        if end != self.end().unwrap_or_default() {
            return None;
        }
        zstd::bulk::decompress(frame, self.line_bytes).ok().filter(|lines| lines.len() == self.line_bytes)
    }
}
