//! Reading files of lines, in constant memory.

use std::io;

use super::{
    disk::Read,
    frame::{self, Head},
    index::{self, Block, Entries},
};
use crate::{
    limits::{MAX_LINE_BYTES, READ_BYTES},
    name::NameCache,
    storage::{Record, line, oldest::Span},
};

/// What reading came across.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanReport {
    /// Records that were in the range asked for.
    pub records: u64,
    /// Lines that are none of ours, torn, or too long, and damaged frames: they were passed over.
    pub bad_lines: u64,
    /// Bytes read from files.
    pub bytes_read: u64,
    /// Bytes passed over by the index, or by what frames say of themselves.
    pub bytes_passed_over: u64,
}

/// Who looks at what is read.
pub(crate) trait Visitor {
    /// Whether anything between these times may be of interest.
    fn wants(&self, min_ns: u64, max_ns: u64) -> bool;
    fn visit(&mut self, record: Record);
}

/// One pass over files.
pub(crate) struct Scan<'a, V> {
    visitor: &'a mut V,
    span: Span,
    pub(crate) report: ScanReport,
    names: NameCache,
    buffer: Vec<u8>,
}

impl<'a, V: Visitor> Scan<'a, V> {
    pub(crate) fn new(visitor: &'a mut V, span: Span) -> Self {
        Self { visitor, span, report: ScanReport::default(), names: NameCache::new(), buffer: Vec::new() }
    }

    /// Reads the first `len` bytes of a file.
    pub(crate) fn file(&mut self, file: &dyn Read, index: Option<&dyn Read>, len: u64) -> io::Result<()> {
        if frame::is_in(file)? {
            return self.frames(file, len);
        }
        let entries = match index {
            Some(index) => Entries::of(index, file, len)?,
            None => None,
        };
        let at = match entries {
            Some(entries) => self.indexed(file, entries)?,
            None => 0,
        };
        self.lines(file, at, len)
    }

    /// Reads what blocks hold that may be of interest, and what lies between; says how far that was. What does not agree with the file
    /// ends it: a line begins wherever it goes on.
    fn indexed(&mut self, file: &dyn Read, mut entries: Entries<'_>) -> io::Result<u64> {
        // Blocks that stand together are passed over together: the first and the last.
        let (mut at, mut run) = (0, None::<(Block, Block)>);
        loop {
            let block = entries.next()?;
            let wanted = block.filter(|block| self.is_of_interest(block.min_ns, block.max_ns));
            if let (Some(block), None, Some((_, last))) = (block, wanted, &mut run)
                && last.end() == block.position
            {
                *last = block;
                continue;
            }
            if let Some((first, last)) = run.take() {
                if !(first.is_in(file)? && last.is_in(file)?) {
                    return Ok(at);
                }
                self.lines(file, at, first.position)?;
                self.report.bytes_passed_over += last.end() - first.position;
                at = last.end();
            }
            match (block, wanted) {
                (None, _) => return Ok(at),
                (Some(block), None) => run = Some((block, block)),
                (_, Some(block)) => {
                    if !index::begins_line(file, block.end())? {
                        return Ok(at);
                    }
                    self.lines(file, at, block.end())?;
                    at = block.end();
                }
            }
        }
    }

    fn is_of_interest(&self, min_ns: u64, max_ns: u64) -> bool {
        self.span.overlaps(min_ns, max_ns) && self.visitor.wants(min_ns, max_ns)
    }

    /// Reads the lines in a part of a file.
    fn lines(&mut self, file: &dyn Read, from: u64, to: u64) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(buffer.len().max(READ_BYTES), 0);
        let (mut at, mut filled, mut is_too_long) = (from, 0, false);
        while at < to {
            if filled == buffer.len() {
                if buffer.len() >= MAX_LINE_BYTES {
                    // What has come of this line is let go of, and the rest will be.
                    (filled, is_too_long) = (0, true);
                } else {
                    buffer.resize(2 * buffer.len(), 0);
                }
            }
            let room = usize::try_from(to - at).unwrap_or(usize::MAX).min(buffer.len() - filled);
            let read = file.read_at(&mut buffer[filled..filled + room], at)?;
            if read == 0 {
                break;
            }
            at += read as u64;
            self.report.bytes_read += read as u64;
            let end = filled + read;
            let mut start = 0;
            for feed in memchr::memchr_iter(b'\n', &buffer[filled..end]).map(|feed| filled + feed) {
                if std::mem::take(&mut is_too_long) {
                    self.report.bad_lines += 1;
                } else {
                    self.line(&buffer[start..feed]);
                }
                start = feed + 1;
            }
            buffer.copy_within(start..end, 0);
            filled = end - start;
        }
        // A last line without an end is torn, unless nothing but its end was lost.
        if is_too_long {
            self.report.bad_lines += 1;
        } else {
            self.line(&buffer[..filled]);
        }
        self.buffer = buffer;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        if let Some(time_ns) = line::time_of(line)
            && !self.is_wanted(time_ns)
        {
            return;
        }
        match line::read(line, &mut self.names) {
            Some(record) => {
                if self.is_wanted(record.time_ns()) {
                    self.report.records += 1;
                    self.visitor.visit(record);
                }
            }
            None => self.report.bad_lines += u64::from(!line.is_empty()),
        }
    }

    fn is_wanted(&self, time_ns: u64) -> bool {
        self.span.contains(time_ns) && self.visitor.wants(time_ns, time_ns)
    }

    /// Reads a file of compressed pieces.
    fn frames(&mut self, file: &dyn Read, len: u64) -> io::Result<()> {
        let (mut at, mut before) = (0, None);
        while at < len {
            let mut head = [0; frame::HEAD_BYTES];
            let read = file.read_at(&mut head, at)?;
            self.report.bytes_read += read as u64;
            let rest_at = at + frame::HEAD_BYTES as u64;
            let whole = |head: &Head| rest_at + head.rest_bytes() as u64 <= len;
            let is_whole = match Head::read(&head[..read]).filter(whole) {
                Some(head) => {
                    let is_wanted = self.is_of_interest(head.min_ns, head.max_ns);
                    let is_whole = if is_wanted {
                        self.frame(file, &head, rest_at)?
                    } else {
                        self.pass_over(file, &head, rest_at)?
                    };
                    is_whole.then_some(rest_at + head.rest_bytes() as u64)
                }
                None => None,
            };
            (at, before) = match is_whole {
                Some(end) => (end, Some(at)),
                None => {
                    self.report.bad_lines += 1;
                    // Where the last bytes of the piece before are missing and what was written next begins with the same ones, that
                    // began inside of it.
                    let inside = match before {
                        Some(before) => {
                            Some(self.next_mark(file, before + 1, at)?).filter(|found| *found < at)
                        }
                        None => None,
                    };
                    match inside {
                        Some(inside) => (inside, None),
                        None => (self.next_mark(file, at + 1, len)?, None),
                    }
                }
            };
        }
        Ok(())
    }

    /// Reads what stands behind a header. `false`: it is damaged.
    fn frame(&mut self, file: &dyn Read, head: &Head, at: u64) -> io::Result<bool> {
        let mut rest = vec![0; head.rest_bytes()];
        let read = file.read_at(&mut rest, at)?;
        self.report.bytes_read += read as u64;
        let Some(lines) = head.unpack(&rest[..read]) else { return Ok(false) };
        lines.split(|byte| *byte == b'\n').for_each(|line| self.line(line));
        Ok(true)
    }

    /// Passes over what stands behind a header. `false`: it is torn, and what stands behind it begins inside of it.
    fn pass_over(&mut self, file: &dyn Read, head: &Head, at: u64) -> io::Result<bool> {
        let frame_end = at + head.frame_bytes as u64;
        let is_whole = match head.end() {
            Some(end) => {
                let mut there = vec![0; end.len()];
                let read = file.read_at(&mut there, frame_end)?;
                self.report.bytes_read += read as u64;
                there[..read] == *end
            }
            None => self.next_mark(file, at, frame_end)? >= frame_end,
        };
        self.report.bytes_passed_over += if is_whole { head.frame_bytes as u64 } else { 0 };
        Ok(is_whole)
    }

    /// Where the next header that begins before `to` may be; `to` if there is none.
    fn next_mark(&mut self, file: &dyn Read, from: u64, to: u64) -> io::Result<u64> {
        let overlap = frame::MARK.len() - 1;
        let (mut at, mut buffer) = (from, vec![0; READ_BYTES]);
        while at < to {
            let room = usize::try_from(to - at).unwrap_or(usize::MAX).saturating_add(overlap).min(READ_BYTES);
            let read = file.read_at(&mut buffer[..room], at)?;
            self.report.bytes_read += read as u64;
            if let Some(found) = memchr::memmem::find(&buffer[..read], &frame::MARK) {
                return Ok(at + found as u64);
            }
            if read < room || room < READ_BYTES {
                break;
            }
            at += (read - overlap) as u64;
        }
        Ok(to)
    }
}
