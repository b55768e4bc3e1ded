//! From a stream to an archive.

mod worker;

use std::{
    io::{self, Read, Write},
    mem,
    ops::Range,
    sync::Arc,
};

use zstd::bulk;

use self::worker::{SealDone, SealJob, SealWorker};
use crate::{
    counters::TelemetryCounters,
    digest::Tree,
    error::Error,
    frame::{CLOSING_FRAME_BYTES, Codec, FRAME_OVERHEAD, HEAD_BYTES, Head, Kind},
    header::{HEADER_BYTES, Header, SALT_BYTES},
    index::{self, Entry, TimeSpan, Totals},
    key::Key,
    limits::{INDEX_ENTRIES, MAX_DATA_FRAMES},
    options::{SealOptions, workers},
    pool::{Ordered, Panicked},
    snapshot::TelemetrySnapshot,
    suite::FileKey,
    timers::{Stage, TelemetryTimer},
};

/// Seals everything that can be read.
///
/// ```
/// use aldis_archive::{Direction, Key, OpenOptions, SealOptions, open, seal};
///
/// let key = Key::new([7; 32]);
/// let mut archive = Vec::new();
/// let sealed = seal(&b"anything"[..], &mut archive, &key, &SealOptions::default())?;
/// assert_eq!((sealed.bytes_plaintext, sealed.bytes_ciphertext), (8, archive.len() as u64));
/// assert!(sealed.has_all_stages(Direction::Seal) && sealed.sanity_check().is_empty());
///
/// let mut back = Vec::new();
/// open(&archive[..], &mut back, &key, &OpenOptions::default())?;
/// assert_eq!(back, b"anything");
/// # Ok::<(), aldis_archive::Error>(())
/// ```
///
/// # Errors
/// The input cannot be read, the output not be written, or a setting is outside of its limits.
pub fn seal<R: Read, W: Write>(
    mut input: R,
    output: W,
    key: &Key,
    options: &SealOptions,
) -> Result<TelemetrySnapshot, Error> {
    let mut sealer = Sealer::new(output, key, options)?;
    while sealer.read_frame(&mut input)? {}
    let (_, snapshot) = sealer.finish()?;
    Ok(snapshot)
}

/// An archive that is being written: what is written to it is sealed in frames.
///
/// [`finish`](Sealer::finish) ends it; without that it is truncated, and readers say so. What waits in a frame is not written
/// by [`flush`](Write::flush): all frames but the last are full.
///
/// ```
/// use std::io::Write;
/// use aldis_archive::{Key, SealOptions, Sealer, TimeSpan};
///
/// let mut sealer = Sealer::new(Vec::new(), &Key::new([7; 32]), &SealOptions::default())?;
/// sealer.write_all(b"happened then\n")?;
/// sealer.stamp(0..14, TimeSpan::at(1_700_000_000_000_000_000));
/// let (archive, snapshot) = sealer.finish()?;
/// assert_eq!(snapshot.bytes_ciphertext, archive.len() as u64);
/// # Ok::<(), aldis_archive::Error>(())
/// ```
#[must_use = "without `finish` the archive is truncated"]
pub struct Sealer<W: Write> {
    output: W,
    key: Arc<FileKey>,
    level: i32,
    frame_bytes: usize,
    pool: Ordered<SealWorker>,
    /// The frame that is being filled.
    filling: Vec<u8>,
    /// One for every frame that was given to a worker, and one for that which is filled if it has a time.
    entries: Vec<Entry>,
    /// Frames that were given to a worker.
    given: usize,
    /// Frames that were written.
    landed: usize,
    /// Bytes of the stream that were given to workers.
    plaintext: u64,
    /// Bytes that were written.
    offset: u64,
    tree: Tree,
    /// Buffers of frames that were written.
    spare: Vec<(Vec<u8>, Vec<u8>)>,
    counters: TelemetryCounters,
    timer: TelemetryTimer,
    has_failed: bool,
}

impl<W: Write> Sealer<W> {
    /// Begins an archive: writes its header.
    ///
    /// # Errors
    /// The output cannot be written, the system has no random numbers or threads, or a setting is outside of its limits.
    pub fn new(mut output: W, key: &Key, options: &SealOptions) -> Result<Self, Error> {
        let frame_log2 = options.checked()?;
        let workers = workers(options.workers)?;
        let mut header = Header {
            frame_log2,
            salt: options.salt.map_or_else(random, Ok)?,
            cost: key.is_password().then_some(options.cost),
            context_bytes: options.context.len() as u32,
            commitment: [0; _],
        };
        let mut counters = TelemetryCounters::new();
        let mut timer = TelemetryTimer::new();
        let key = Arc::new(FileKey::create(&mut header, key, &options.context)?);
        timer.measure(Stage::Write, || output.write_all(&header.encode()))?;
        counters.add_header(HEADER_BYTES as u64);
        let worker = |_| SealWorker::new(Arc::clone(&key), options.level);
        let workers: Vec<_> = (0..workers).map(worker).collect::<Result<_, Error>>()?;
        Ok(Self {
            output,
            level: options.level,
            frame_bytes: options.frame_bytes,
            pool: Ordered::new(workers)?,
            key,
            filling: Vec::new(),
            entries: Vec::new(),
            given: 0,
            landed: 0,
            plaintext: 0,
            offset: HEADER_BYTES as u64,
            tree: Tree::default(),
            spare: Vec::new(),
            counters,
            timer,
            has_failed: false,
        })
    }

    /// Bytes of the stream so far.
    pub fn position(&self) -> u64 {
        self.plaintext + self.filling.len() as u64
    }

    /// Says of when a part of the stream is that was written. The index has for every frame the first and the last time of what is
    /// in it, so that a range of times is found without opening the rest. What is beyond [`position`](Self::position) is not
    /// stamped.
    pub fn stamp(&mut self, part: Range<u64>, times: TimeSpan) {
        let end = part.end.min(self.position());
        if part.start >= end {
            return;
        }
        let frame = |at: u64| (at / self.frame_bytes as u64) as usize;
        let (first, last) = (frame(part.start), frame(end - 1));
        if self.entries.len() <= last {
            // The one that is filled: there is no other behind those that were given.
            self.entries.push(Entry { body_len: 0, times: None });
        }
        for entry in &mut self.entries[first..=last] {
            entry.times = Some(entry.times.map_or(times, |before| before.with(times)));
        }
    }

    /// Fills a frame from a reader, without a copy between; whether there may be more.
    ///
    /// # Errors
    /// The input cannot be read or the output not be written. Nothing more can be written then.
    pub fn read_frame(&mut self, input: &mut impl Read) -> Result<bool, Error> {
        self.guarded(|sealer| {
            let room = sealer.room();
            let (timer, filling) = (&mut sealer.timer, &mut sealer.filling);
            let read = timer.measure(Stage::Read, || input.take(room as u64).read_to_end(filling))?;
            sealer.give_if_full()?;
            Ok(read == room)
        })
    }

    /// Ends the archive: index, digest, terminator. Gives the output back, and what was counted.
    ///
    /// # Errors
    /// The output cannot be written, or has failed before.
    pub fn finish(mut self) -> Result<(W, TelemetrySnapshot), Error> {
        self.guarded(|sealer| {
            if !sealer.filling.is_empty() {
                sealer.give()?;
            }
            while let Some(done) = sealer.pool.take() {
                sealer.land(done)?;
            }
            sealer.close()
        })?;
        for worker in self.pool.finish().map_err(|_| Error::Panicked)? {
            self.counters += worker.counters;
            self.counters.add_timer(&worker.timer);
        }
        self.counters.add_timer(&self.timer);
        self.counters.end();
        Ok((self.output, TelemetrySnapshot::from(self.counters)))
    }

    /// Work whose time is that of a stage.
    pub(crate) fn timed<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.timer.measure(stage, work)
    }

    /// Whoever goes on after an error would write what nobody can read.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        self.has_failed = true;
        let done = work(self)?;
        self.has_failed = false;
        Ok(done)
    }

    /// Bytes that the frame has room for, at least one.
    fn room(&mut self) -> usize {
        // Taken whole at once: it is filled in most cases, and given on.
        self.filling.reserve_exact(self.frame_bytes - self.filling.len());
        self.frame_bytes - self.filling.len()
    }

    fn give_if_full(&mut self) -> Result<(), Error> {
        if self.filling.len() < self.frame_bytes { Ok(()) } else { self.give() }
    }

    /// Gives the frame to a worker, and writes what others have done.
    fn give(&mut self) -> Result<(), Error> {
        let number = self.given as u64;
        if number >= MAX_DATA_FRAMES {
            return Err(Error::TooManyFrames);
        }
        while !self.pool.has_room() {
            let Some(done) = self.pool.take() else { break };
            self.land(done)?;
        }
        let (plain, frame) = self.spare.pop().unwrap_or_default();
        self.plaintext += self.filling.len() as u64;
        if self.entries.len() == self.given {
            self.entries.push(Entry { body_len: 0, times: None });
        }
        self.given += 1;
        self.pool.give(SealJob {
            seq: number as u32,
            offset: number * self.frame_bytes as u64,
            plain: mem::replace(&mut self.filling, plain),
            frame,
        });
        while let Some(done) = self.pool.take_ready() {
            self.land(done)?;
        }
        Ok(())
    }

    /// Writes a frame that is done; they come in order.
    fn land(&mut self, done: Result<SealDone, Panicked>) -> Result<(), Error> {
        let SealDone { mut plain, frame, sealed } = done.map_err(|_| Error::Panicked)?;
        let (head, leaf) = sealed?;
        let bytes = head.frame_bytes();
        let output = &mut self.output;
        self.timer.measure(Stage::Write, || output.write_all(&frame[..bytes as usize]))?;
        self.offset += bytes;
        self.entries[self.landed].body_len = head.body_len;
        self.landed += 1;
        self.tree.push(&leaf);
        plain.clear();
        self.spare.push((plain, frame));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let index_offset = self.offset;
        let mut seq = self.entries.len() as u32;
        let data_frames = u64::from(seq);
        for entries in mem::take(&mut self.entries).chunks(INDEX_ENTRIES) {
            let plain = index::encode(entries);
            let packed = bulk::compress(&plain, self.level)?;
            let is_smaller = packed.len() < plain.len();
            let (codec, body) = if is_smaller { (Codec::Zstd, &packed) } else { (Codec::Stored, &plain) };
            let bytes = self.write_frame(Kind::Index, codec, seq, plain.len(), body)?;
            self.counters.add_index(bytes);
            seq += 1;
        }
        let plaintext = self.plaintext;
        let compressed = index_offset - HEADER_BYTES as u64 - data_frames * FRAME_OVERHEAD;
        let mut digest = mem::take(&mut self.tree).root().as_bytes().to_vec();
        digest.extend(plaintext.to_le_bytes());
        self.write_frame(Kind::Digest, Codec::Stored, seq, digest.len(), &digest)?;
        self.counters.add_digest(CLOSING_FRAME_BYTES);
        let totals = Totals {
            data_frames,
            index_frames: u64::from(seq) - data_frames,
            plaintext,
            compressed,
            index_offset,
        };
        let totals = totals.encode();
        self.write_frame(Kind::Terminator, Codec::Stored, seq + 1, totals.len(), &totals)?;
        self.counters.add_terminator(CLOSING_FRAME_BYTES);
        let output = &mut self.output;
        Ok(self.timer.measure(Stage::Write, || output.flush())?)
    }

    fn write_frame(
        &mut self,
        kind: Kind,
        codec: Codec,
        seq: u32,
        plaintext_len: usize,
        body: &[u8],
    ) -> Result<u64, Error> {
        let head =
            Head { kind, codec, seq, plaintext_len: plaintext_len as u32, body_len: body.len() as u32 };
        let mut frame = head.encode().to_vec();
        frame.extend(body);
        let (key, output) = (&self.key, &mut self.output);
        let tag = self.timer.measure(Stage::Encrypt, || key.seal(&head, &mut frame[HEAD_BYTES..]))?;
        frame.extend(tag);
        self.timer.measure(Stage::Write, || output.write_all(&frame))?;
        self.offset += frame.len() as u64;
        Ok(frame.len() as u64)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.guarded(|sealer| {
            let taken = bytes.len().min(sealer.room());
            sealer.filling.extend_from_slice(&bytes[..taken]);
            sealer.give_if_full()?;
            Ok(taken)
        })?;
        Ok(taken)
    }

    /// Writes what is sealed; what waits in a frame stays there until it is full.
    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn random() -> Result<[u8; SALT_BYTES], Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| Error::Io(io::Error::other(error)))?;
    Ok(salt)
}
