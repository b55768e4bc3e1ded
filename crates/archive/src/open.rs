//! From an archive to its stream.

pub(crate) mod framing;
pub(crate) mod worker;

use std::{
    io::{self, BufRead, Read, Write},
    mem,
    sync::Arc,
};

use self::{
    framing::Framing,
    worker::{OpenDone, OpenJob, OpenWorker},
};
use crate::{
    counters::TelemetryCounters,
    digest::Tree,
    error::Error,
    frame::{CLOSING_BYTES, FRAME_OVERHEAD, Head, Kind},
    header::HEADER_BYTES,
    index::{self, Totals},
    key::Key,
    limits::MAX_DATA_FRAMES,
    options::{OpenOptions, workers},
    pool::{Ordered, Panicked},
    snapshot::TelemetrySnapshot,
    suite::FileKey,
    timers::{Stage, TelemetryTimer},
};

/// Opens an archive. What is written is authentic, frame by frame, but whether that is all is known at the end only: an output
/// that must be whole is a file that is renamed after this returns ([`open_file`](crate::open_file)).
///
/// # Errors
/// As the variants of [`Error`] say; what was written before is a true beginning.
pub fn open<R: Read, W: Write>(
    input: R,
    mut output: W,
    key: &Key,
    options: &OpenOptions,
) -> Result<TelemetrySnapshot, Error> {
    let mut opener = Opener::new(input, key, options)?;
    while opener.has_piece()? {
        let (timer, piece) = (&mut opener.timer, &opener.piece[opener.read..]);
        timer.measure(Stage::Write, || output.write_all(piece))?;
        opener.read = opener.piece.len();
    }
    opener.timer.measure(Stage::Write, || output.flush())?;
    let (_, snapshot) = opener.finish()?;
    Ok(snapshot)
}

/// Reads an archive to its end and forgets what it holds.
///
/// # Errors
/// As [`open`].
pub fn verify<R: Read>(input: R, key: &Key, options: &OpenOptions) -> Result<TelemetrySnapshot, Error> {
    let (_, snapshot) = Opener::new(input, key, options)?.finish()?;
    Ok(snapshot)
}

/// An archive that is being read: a [`Read`] of its plaintext.
///
/// What is read is authentic: no byte of a frame is released before its tag is verified. Whether it is all is known when a read
/// says that nothing is left (`Ok(0)`): an archive that was cut off ends in an error instead.
///
/// ```
/// use std::io::Read;
/// use aldis_archive::{Error, Key, OpenOptions, Opener, SealOptions, seal};
///
/// let key = Key::new([7; 32]);
/// let mut archive = Vec::new();
/// seal(&b"anything"[..], &mut archive, &key, &SealOptions::default())?;
/// archive.pop();
///
/// let mut text = String::new();
/// let error = Opener::new(&archive[..], &key, &OpenOptions::default())?.read_to_string(&mut text).unwrap_err();
/// assert!(matches!(Error::from_io(error), Error::Truncated { .. }));
/// # Ok::<(), Error>(())
/// ```
pub struct Opener<R> {
    framing: Framing<R>,
    frame_bytes: usize,
    pool: Ordered<OpenWorker>,
    /// Opens what is not data.
    own: OpenWorker,
    /// Why no more data frames are read: their end, or an error that is told when those before it are released.
    stop: Option<Result<Closing, Error>>,
    state: State,
    /// Plaintext that is released, and how much of it was read.
    piece: Vec<u8>,
    read: usize,
    /// Plaintext bytes of the frames that were read.
    plaintext: u64,
    max_plaintext: u64,
    /// Lengths of the bodies of data frames.
    lengths: Vec<u32>,
    tree: Tree,
    /// Buffers for plaintext and bodies.
    spare: Vec<(Vec<u8>, Vec<u8>)>,
    counters: TelemetryCounters,
    timer: TelemetryTimer,
}

/// The first frame that holds no data.
struct Closing {
    head: Head,
    at: u64,
    body: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Ended,
    Failed,
}

impl<R: Read> Opener<R> {
    /// Reads the header, and checks that the key is the one that it was sealed with.
    ///
    /// # Errors
    /// It is no archive, one of another version, or sealed with another key; or a setting is outside of its limits.
    pub fn new(input: R, key: &Key, options: &OpenOptions) -> Result<Self, Error> {
        let workers = workers(options.workers)?;
        let mut counters = TelemetryCounters::new();
        let mut timer = TelemetryTimer::new();
        let mut framing = Framing::new(input);
        let header = timer.measure(Stage::Read, || framing.header())?;
        counters.add_header(HEADER_BYTES as u64);
        let key = Arc::new(FileKey::agreed(&header, key, &options.context)?);
        let worker = |_| OpenWorker::new(Arc::clone(&key));
        let workers: Vec<_> = (0..workers).map(worker).collect::<Result<_, Error>>()?;
        Ok(Self {
            framing,
            frame_bytes: header.frame_bytes(),
            pool: Ordered::new(workers)?,
            own: OpenWorker::new(key)?,
            stop: None,
            state: State::Data,
            piece: Vec::new(),
            read: 0,
            plaintext: 0,
            max_plaintext: options.max_plaintext_bytes,
            lengths: Vec::new(),
            tree: Tree::default(),
            spare: Vec::new(),
            counters,
            timer,
        })
    }

    /// Reads what is left, verifies that the archive is whole, and gives the input back and what was counted.
    ///
    /// # Errors
    /// As [`open`].
    pub fn finish(mut self) -> Result<(R, TelemetrySnapshot), Error> {
        while self.has_piece()? {
            self.read = self.piece.len();
        }
        let workers = self.pool.finish().map_err(|_| Error::Panicked)?;
        for worker in workers.iter().chain([&self.own]) {
            self.counters += &worker.counters;
            self.counters.add_timer(&worker.timer);
        }
        self.counters.add_timer(&self.timer);
        self.counters.end();
        Ok((self.framing.input, TelemetrySnapshot::from(self.counters)))
    }

    /// Whether there is plaintext that was not read, after work if need be; `false` at the verified end.
    fn has_piece(&mut self) -> Result<bool, Error> {
        if self.read < self.piece.len() {
            return Ok(true);
        }
        match self.state {
            State::Ended => return Ok(false),
            State::Failed => return Err(Error::Failed),
            State::Data => {}
        }
        // An error ends it: nothing behind one is released.
        self.state = State::Failed;
        let is_more = self.advance()?;
        self.state = if is_more { State::Data } else { State::Ended };
        Ok(is_more)
    }

    fn advance(&mut self) -> Result<bool, Error> {
        loop {
            if self.stop.is_none() && self.pool.has_room() {
                self.stop = self.give().transpose();
            }
            let is_full = self.stop.is_some() || !self.pool.has_room();
            let done = if is_full { self.pool.take() } else { self.pool.take_ready() };
            match (done, is_full) {
                (Some(done), _) => {
                    self.release(done)?;
                    return Ok(true);
                }
                (None, false) => {}
                (None, true) => {
                    let closing = self.stop.take().ok_or(Error::Panicked)??;
                    self.close(closing)?;
                    return Ok(false);
                }
            }
        }
    }

    /// Reads a frame and gives it to a worker, or says that it is no data.
    fn give(&mut self) -> Result<Option<Closing>, Error> {
        let (plain, mut body) = self.spare.pop().unwrap_or_default();
        let (framing, frame_bytes) = (&mut self.framing, self.frame_bytes);
        let (head, at) = self.timer.measure(Stage::Read, || framing.frame(frame_bytes, &mut body))?;
        if head.kind != Kind::Data {
            return Ok(Some(Closing { head, at, body }));
        }
        if self.lengths.len() as u64 >= MAX_DATA_FRAMES {
            return Err(Error::TooManyFrames);
        }
        let offset = self.plaintext;
        self.plaintext += u64::from(head.plaintext_len);
        if self.plaintext > self.max_plaintext {
            return Err(Error::TooLong { max: self.max_plaintext });
        }
        self.lengths.push(head.body_len);
        self.pool.give(OpenJob { head, at, offset, body, plain });
        Ok(None)
    }

    fn release(&mut self, done: Result<OpenDone, Panicked>) -> Result<(), Error> {
        let OpenDone { body, plain, opened } = done.map_err(|_| Error::Panicked)?;
        self.tree.push(&opened?);
        let before = mem::replace(&mut self.piece, plain);
        self.read = 0;
        self.spare.push((before, body));
        Ok(())
    }

    /// Index, digest, terminator, and nothing behind them: all authentic, and all in agreement with what was read.
    fn close(&mut self, closing: Closing) -> Result<(), Error> {
        let index_offset = closing.at;
        let mut next = closing;
        let mut lengths = mem::take(&mut self.lengths).into_iter();
        let data_frames = lengths.len() as u64;
        let mut index_frames = 0;
        let mut digest = None;
        loop {
            let Closing { head, at, body } = &mut next;
            let mut plain = Vec::new();
            self.own.body(head, *at, body, &mut plain)?;
            match head.kind {
                Kind::Data => return Err(Error::Inconsistent("data behind the index")),
                Kind::Index => {
                    let entries = index::decode(&plain)?;
                    if !entries.iter().all(|entry| lengths.next() == Some(entry.body_len)) {
                        return Err(Error::Inconsistent("the index is that of other frames"));
                    }
                    index_frames += 1;
                    self.counters.add_index(head.frame_bytes());
                }
                Kind::Digest => {
                    digest = Some(plain);
                    self.counters.add_digest(head.frame_bytes());
                }
                Kind::Terminator => {
                    self.counters.add_terminator(head.frame_bytes());
                    let compressed = index_offset - HEADER_BYTES as u64 - data_frames * FRAME_OVERHEAD;
                    let read = Totals {
                        data_frames,
                        index_frames,
                        plaintext: self.plaintext,
                        compressed,
                        index_offset,
                    };
                    let is_indexed = lengths.next().is_none();
                    return self.end(&plain, read, digest.as_deref(), is_indexed);
                }
            }
            let (framing, frame_bytes) = (&mut self.framing, self.frame_bytes);
            let (head, at) = self.timer.measure(Stage::Read, || framing.frame(frame_bytes, body))?;
            next = Closing { head, at, body: mem::take(body) };
        }
    }

    fn end(
        &mut self,
        told: &[u8],
        read: Totals,
        digest: Option<&[u8]>,
        is_indexed: bool,
    ) -> Result<(), Error> {
        let told: &[u8; CLOSING_BYTES] = told.try_into().map_err(|_| Error::Panicked)?;
        if Totals::decode(told) != read {
            return Err(Error::Inconsistent("the terminator counts other frames"));
        }
        if !is_indexed {
            return Err(Error::Inconsistent("the index has too few frames"));
        }
        let Some((hash, plaintext)) = digest.and_then(|digest| digest.split_at_checked(32)) else {
            return Err(Error::Inconsistent("there is no digest"));
        };
        if index::number(plaintext) != read.plaintext || mem::take(&mut self.tree).root().as_bytes() != hash {
            return Err(Error::Inconsistent("the digest is that of another plaintext"));
        }
        let framing = &mut self.framing;
        if !self.timer.measure(Stage::Read, || framing.is_at_end())? {
            return Err(Error::TrailingData { offset: self.framing.offset });
        }
        Ok(())
    }
}

impl<R: Read> BufRead for Opener<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.has_piece()?;
        Ok(&self.piece[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read = (self.read + amount).min(self.piece.len());
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(buffer)?;
        self.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{options::SealOptions, seal::seal};

    /// Memory depends on workers, not on the length of the archive.
    #[test]
    fn buffers_are_as_many_as_frames_under_way() {
        let key = Key::new([7; 32]);
        let mut archive = Vec::new();
        let options = SealOptions { frame_bytes: 4096, ..SealOptions::default() };
        seal(io::repeat(b'x').take(4096 * 200), &mut archive, &key, &options).unwrap();
        for workers in [1, 3] {
            let options = OpenOptions { workers, ..OpenOptions::default() };
            let mut opener = Opener::new(&archive[..], &key, &options).unwrap();
            let mut most = 0;
            while opener.has_piece().unwrap() {
                opener.consume(4096);
                most = most.max(opener.spare.len());
            }
            assert!(most <= 2 * workers + 1, "{most}");
        }
    }
}
