//! Writes the index of a file anew, in constant memory, while others may go on writing to the file.

use std::io;

use super::{
    disk::{Beside, Read},
    index::{self, Block},
};
use crate::{
    limits::{INDEX_BLOCK_LEAST_BYTES, MAX_LINE_BYTES, READ_BYTES, SURVEY_BYTES},
    name::NameCache,
    storage::line,
};

/// Times that what was written meanwhile is looked at, too: whoever writes faster than this reads is not caught up with, and what has no
/// entry is read.
const ROUNDS: usize = 4;

/// Reads lines and writes entries.
pub(crate) struct Survey<'a> {
    file: &'a dyn Read,
    index: Box<dyn Beside>,
    /// Entries that are to be written.
    entries: Vec<u8>,
    /// Lines that are to be in the next entry.
    block: Block,
    names: NameCache,
    /// What was read of the file last, and how far.
    buffer: Vec<u8>,
    filled: usize,
    at: u64,
}

impl<'a> Survey<'a> {
    /// Writes entries for all of a file: what is left is to give the index its place.
    pub(crate) fn of(file: &'a dyn Read, index: Box<dyn Beside>) -> io::Result<Box<dyn Beside>> {
        let (block, names, buffer) = (Block::default(), NameCache::new(), vec![0; READ_BYTES]);
        let entries = index::head(&file.look()?);
        let mut survey = Self { file, index, entries, block, names, buffer, filled: 0, at: 0 };
        for _ in 0..ROUNDS {
            let len = file.len()?;
            if survey.at >= len || !survey.read_to(len)? {
                break;
            }
        }
        survey.close_block()?;
        survey.index.write(&survey.entries)?;
        Ok(survey.index)
    }

    /// Says whether it could go on behind that.
    fn read_to(&mut self, len: u64) -> io::Result<bool> {
        while self.at < len {
            if self.filled == self.buffer.len() {
                if self.filled >= MAX_LINE_BYTES {
                    // A line that is too long to be read: no block covers it, and nothing behind it.
                    return Ok(false);
                }
                self.buffer.resize((2 * self.filled).min(MAX_LINE_BYTES), 0);
            }
            let read = self.file.read_at(&mut self.buffer[self.filled..], self.at)?;
            if read == 0 {
                return Ok(false);
            }
            self.at += read as u64;
            let (filled, end, mut start) = (self.filled, self.filled + read, 0);
            let buffer = std::mem::take(&mut self.buffer);
            for feed in memchr::memchr_iter(b'\n', &buffer[filled..end]).map(|feed| filled + feed) {
                self.line(&buffer[start..=feed], self.at - (end - start) as u64)?;
                start = feed + 1;
            }
            self.buffer = buffer;
            self.buffer.copy_within(start..end, 0);
            self.filled = end - start;
        }
        Ok(true)
    }

    /// A line with its end, and where it stands.
    fn line(&mut self, ended: &[u8], position: u64) -> io::Result<()> {
        let line = &ended[..ended.len() - 1];
        let time_ns = line::time_of(line).or_else(|| Some(line::read(line, &mut self.names)?.time_ns()));
        // What is none of ours is to be read, and counted, whatever is asked for.
        let Some(time_ns) = time_ns else { return self.close_block() };
        let mut own = Block::default();
        own.add(ended.len(), time_ns);
        own.sample(ended);
        own.position = position;
        if self.block.lines == 0 {
            self.block = own;
        } else {
            self.block.append(&own);
        }
        if self.block.is_full() { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        // To read so little costs no more than to know what it is.
        if block.bytes < INDEX_BLOCK_LEAST_BYTES as u64 {
            return Ok(());
        }
        block.put(&mut self.entries);
        if self.entries.len() >= SURVEY_BYTES {
            self.index.write(&self.entries)?;
            self.entries.clear();
        }
        Ok(())
    }
}
