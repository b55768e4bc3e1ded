//! A part of an archive, without opening the rest.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    sync::Arc,
};

use crate::{
    counters::TelemetryCounters,
    error::Error,
    frame::{CLOSING_BYTES, CLOSING_FRAME_BYTES, FRAME_OVERHEAD, Head, Kind},
    header::HEADER_BYTES,
    index::{self, Entry, TimeSpan, Totals},
    key::Key,
    limits::{INDEX_ENTRIES, MAX_DATA_FRAMES},
    open::{
        framing::Framing,
        worker::{OpenDone, OpenJob, OpenWorker},
    },
    options::OpenOptions,
    pool::Worker,
    snapshot::TelemetrySnapshot,
    suite::FileKey,
    timers::{Stage, TelemetryTimer},
};

/// An archive whose end and index were read and verified; frames are opened as they are asked for.
///
/// The end was found where the file ends, so nothing is missing and nothing follows; frames that are not opened are not
/// verified, nor is the digest. An archive that was cut off is [`Error::Truncated`] here: [`open`](crate::open) gives what is
/// left of it.
///
/// ```
/// use std::io::Cursor;
/// use aldis_archive::{Archive, Key, OpenOptions, SealOptions, seal};
///
/// let key = Key::new([7; 32]);
/// let mut sealed = Vec::new();
/// seal(&b"anything"[..], &mut sealed, &key, &SealOptions::default())?;
///
/// let mut archive = Archive::read(Cursor::new(sealed), &key, &OpenOptions::default())?;
/// let mut part = Vec::new();
/// archive.copy(3..5, &mut part)?;
/// assert_eq!((archive.plaintext_bytes(), &part[..]), (8, &b"th"[..]));
/// # Ok::<(), aldis_archive::Error>(())
/// ```
pub struct Archive<R> {
    framing: Framing<R>,
    worker: OpenWorker,
    frame_bytes: usize,
    totals: Totals,
    entries: Vec<Entry>,
    /// Where each data frame begins in the file.
    offsets: Vec<u64>,
    /// What was read so far, of all kinds.
    counters: TelemetryCounters,
    timer: TelemetryTimer,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the header, the end and the index.
    ///
    /// # Errors
    /// As [`open`](crate::open), for what is read.
    pub fn read(input: R, key: &Key, options: &OpenOptions) -> Result<Self, Error> {
        let mut counters = TelemetryCounters::new();
        let mut framing = Framing::new(input);
        let header = framing.header()?;
        counters.add_header(HEADER_BYTES as u64);
        let key = Arc::new(FileKey::agreed(&header, key, &options.context)?);
        let mut archive = Self {
            framing,
            worker: OpenWorker::new(key)?,
            frame_bytes: header.frame_bytes(),
            totals: Totals { data_frames: 0, index_frames: 0, plaintext: 0, compressed: 0, index_offset: 0 },
            entries: Vec::new(),
            offsets: Vec::new(),
            counters,
            timer: TelemetryTimer::new(),
        };
        let end = archive.find_end()?;
        archive.find_frames()?;
        // A terminator of this archive, but not where it was written: it stands there twice.
        if archive.framing.offset != end {
            return Err(Error::TrailingData { offset: archive.framing.offset + CLOSING_FRAME_BYTES });
        }
        Ok(archive)
    }

    /// Bytes of the stream.
    pub fn plaintext_bytes(&self) -> u64 {
        self.totals.plaintext
    }

    /// From the first to the last time that was stamped on anything; `None` if the archive was sealed without times, or nothing had one.
    pub fn times(&self) -> Option<TimeSpan> {
        self.entries.iter().filter_map(|entry| entry.times).reduce(TimeSpan::with)
    }

    /// Where in the stream something may be that was stamped with one of these times: whole frames, side by side ones as one
    /// range. What is stamped so stands in them from its first byte to its last.
    pub fn ranges(&self, times: TimeSpan) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            if !entry.times.is_some_and(|of_frame| of_frame.meets(times)) {
                continue;
            }
            let frame = number as u64 * self.frame_bytes as u64;
            let end = (frame + self.frame_bytes as u64).min(self.totals.plaintext);
            match ranges.last_mut() {
                Some(last) if last.end == frame => last.end = end,
                _ => ranges.push(frame..end),
            }
        }
        ranges
    }

    /// Opens the frames that hold a range of the stream and writes that range; what lies behind the end of the stream is
    /// nothing. A frame is verified before any of it is written.
    ///
    /// # Errors
    /// As [`open`](crate::open); what was written before is true.
    pub fn copy(&mut self, range: Range<u64>, mut output: impl Write) -> Result<(), Error> {
        let end = range.end.min(self.totals.plaintext);
        let mut at = range.start;
        let (mut body, mut plain) = (Vec::new(), Vec::new());
        while at < end {
            let frame = at / self.frame_bytes as u64;
            let (opened, spare) = self.frame(frame, body, plain)?;
            let begin = frame * self.frame_bytes as u64;
            let until = (end - begin).min(opened.len() as u64) as usize;
            let part = &opened[(at - begin) as usize..until];
            self.timer.measure(Stage::Write, || output.write_all(part))?;
            at = begin + until as u64;
            (plain, body) = (opened, spare);
        }
        let timer = &mut self.timer;
        timer.measure(Stage::Write, || output.flush())?;
        Ok(())
    }

    /// What was read and opened so far, header, end and index included: whole frames, whatever part of them was asked for.
    pub fn snapshot(&self) -> TelemetrySnapshot {
        let mut counters = self.counters.clone();
        counters += &self.worker.counters;
        counters.add_timer(&self.worker.timer);
        counters.add_timer(&self.timer);
        TelemetrySnapshot::from(counters)
    }

    /// One data frame's plaintext, and a buffer.
    fn frame(&mut self, number: u64, mut body: Vec<u8>, plain: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let (Some(at), Some(entry)) = (self.offsets.get(index).copied(), self.entries.get(index).copied())
        else {
            return Err(Error::Inconsistent("the index has too few frames"));
        };
        let offset = number * self.frame_bytes as u64;
        self.seek(at, number)?;
        let head = self.next(&mut body)?.0;
        let plaintext = (self.totals.plaintext - offset).min(self.frame_bytes as u64);
        if head.kind != Kind::Data
            || head.body_len != entry.body_len
            || u64::from(head.plaintext_len) != plaintext
        {
            let what = "it is another than the index says";
            return Err(Error::Corrupt { frame: number, offset: at, what });
        }
        let OpenDone { body, plain, opened } = self.worker.run(OpenJob { head, at, offset, body, plain });
        opened?;
        Ok((plain, body))
    }

    /// The terminator, as far from the end of the file as it is long; where it begins.
    fn find_end(&mut self) -> Result<u64, Error> {
        let length = self.framing.input.seek(SeekFrom::End(0))?;
        let truncated = Error::Truncated { offset: length };
        let Some(at) = length.checked_sub(CLOSING_FRAME_BYTES).filter(|at| *at >= HEADER_BYTES as u64) else {
            return Err(truncated);
        };
        let (head, body) = match self.framing.last_head(at, self.frame_bytes)? {
            Some(found) if found.0.kind == Kind::Terminator => found,
            _ => return Err(self.why_no_end(length)),
        };
        let told = self.open_closing(&head, at, body)?;
        self.counters.add_terminator(head.frame_bytes());
        self.totals = Totals::decode(&told);
        let Totals { data_frames, index_frames, plaintext, compressed, index_offset } = self.totals;
        let is_so = data_frames <= MAX_DATA_FRAMES
            && index_frames == data_frames.div_ceil(INDEX_ENTRIES as u64)
            && u64::from(head.seq) == data_frames + index_frames + 1
            && plaintext.div_ceil(self.frame_bytes as u64) == data_frames
            && index_offset <= at
            && compressed.checked_add(HEADER_BYTES as u64 + data_frames * FRAME_OVERHEAD)
                == Some(index_offset);
        if is_so { Ok(at) } else { Err(Error::Inconsistent("the terminator counts other frames")) }
    }

    /// Why the file does not end as an archive does: something follows its end, a head is damaged, or the end is missing. Nothing is
    /// opened to tell that.
    fn why_no_end(&mut self, length: u64) -> Error {
        if let Err(error) = self.seek(HEADER_BYTES as u64, 0) {
            return error;
        }
        loop {
            match self.framing.pass_frame(self.frame_bytes) {
                Ok(Kind::Terminator) if self.framing.offset < length => {
                    return Error::TrailingData { offset: self.framing.offset };
                }
                Ok(Kind::Terminator) | Err(Error::Truncated { .. }) => {
                    return Error::Truncated { offset: length };
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// The index and the digest, and from them where data frames are. As every data frame has bytes in the file, the index is
    /// no longer than that.
    fn find_frames(&mut self) -> Result<(), Error> {
        let Totals { data_frames, index_frames, index_offset, .. } = self.totals;
        self.seek(index_offset, data_frames)?;
        let mut body = Vec::new();
        let mut at = HEADER_BYTES as u64;
        for _ in 0..index_frames {
            let (head, of_frame) = self.next(&mut body)?;
            let mut plain = Vec::new();
            self.worker.body(&head, of_frame, &mut body, &mut plain)?;
            if head.kind != Kind::Index {
                return Err(Error::Inconsistent("the terminator counts other frames"));
            }
            self.counters.add_index(head.frame_bytes());
            for entry in index::decode(&plain)? {
                self.entries.push(entry);
                self.offsets.push(at);
                at += u64::from(entry.body_len) + FRAME_OVERHEAD;
            }
        }
        if self.entries.len() as u64 != data_frames || at != index_offset {
            return Err(Error::Inconsistent("the index is that of other frames"));
        }
        let (head, of_frame) = self.next(&mut body)?;
        if head.kind != Kind::Digest {
            return Err(Error::Inconsistent("there is no digest"));
        }
        self.open_closing(&head, of_frame, body)?;
        self.counters.add_digest(head.frame_bytes());
        Ok(())
    }

    fn open_closing(
        &mut self,
        head: &Head,
        at: u64,
        mut body: Vec<u8>,
    ) -> Result<[u8; CLOSING_BYTES], Error> {
        let mut plain = Vec::new();
        self.worker.body(head, at, &mut body, &mut plain)?;
        plain[..].try_into().map_err(|_| Error::Inconsistent("its end has another length"))
    }

    fn seek(&mut self, at: u64, seq: u64) -> Result<(), Error> {
        let input = &mut self.framing.input;
        self.timer.measure(Stage::Read, || input.seek(SeekFrom::Start(at)))?;
        self.framing.go_on_at(at, seq);
        Ok(())
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Result<(Head, u64), Error> {
        let (framing, frame_bytes) = (&mut self.framing, self.frame_bytes);
        self.timer.measure(Stage::Read, || framing.frame(frame_bytes, body))
    }
}
