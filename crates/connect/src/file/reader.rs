//! The one reader of files of requests.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use archive::{Key, MAGIC, OpenOptions, Opener};
use flate2::bufread::MultiGzDecoder;
use otlp::{Codec, Signal};

use super::{
    Cutter, Fault, Form, Place, Request,
    cutter::Cut,
    decode::{self, packed_with},
};
use crate::limits::{FILE_READ_BYTES, MAX_FRAME_LENGTH};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSettings {
    /// The signal of requests in protobuf; without it the one that the file's name has in it.
    pub signal: Option<Signal>,
    /// The form; without it the content tells.
    pub form: Option<Form>,
    /// Bytes of the longest request, packed and unpacked.
    pub max_bytes: usize,
    /// Whether the file may still grow: its end is then waited for, and nothing in front of it is torn.
    pub follows: bool,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self { signal: None, form: None, max_bytes: MAX_FRAME_LENGTH, follows: false }
    }
}

/// A request of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub at: Place,
    /// Where the next begins, in bytes of the unpacked file.
    pub end: u64,
    /// What it is.
    pub request: Request,
}

/// What comes next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A request.
    Record(Record),
    /// Something that is no request and is passed over.
    Fault(Place, Fault),
    /// Nothing yet, of a file that may still grow.
    Waiting,
    /// Nothing more.
    End,
}

/// Reads a file of requests from its beginning to its end, in the memory of the longest request.
///
/// ```
/// use aldis_connect::file::{Next, ReadSettings, RecordFile};
/// use otlp::Signal;
///
/// let file = tempfile::NamedTempFile::new()?;
/// std::fs::write(file.path(), "{\"resourceLogs\":[]}\n{\"resourceSp\n{\"resourceSpans\":[]}\n")?;
/// let mut records = RecordFile::open(file.path(), ReadSettings::default())?;
/// assert!(matches!(records.read()?, Next::Record(record) if record.request.signal == Signal::Logs));
/// assert!(matches!(records.read()?, Next::Fault(place, _) if place.line == 2));
/// assert!(matches!(records.read()?, Next::Record(record) if record.request.signal == Signal::Traces));
/// assert_eq!(records.read()?, Next::End);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordFile {
    content: Content,
    cutter: Cutter,
    named: Option<Signal>,
    max_bytes: usize,
    ended: bool,
    /// Of a sealed archive.
    key: Option<Key>,
}

/// The bytes of a file, unpacked.
enum Content {
    /// Nothing has been read yet.
    New(Tail),
    Plain(BufReader<Tail>),
    Zstd(zstd::Decoder<'static, BufReader<Tail>>),
    Gzip(Box<MultiGzDecoder<BufReader<Tail>>>),
    Sealed(Box<Opener<Tail>>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::New(_) => "New",
            Content::Plain(_) => "Plain",
            Content::Zstd(_) => "Zstd",
            Content::Gzip(_) => "Gzip",
            Content::Sealed(_) => "Sealed",
        })
    }
}

impl RecordFile {
    /// Opens a file at its beginning.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path, settings: ReadSettings) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let named = Signal::ALL.into_iter().find(|signal| name.contains(signal.name()));
        let settings = ReadSettings { signal: settings.signal.or(named), ..settings };
        Self::of(File::open(path)?, settings, 0)
    }

    /// Opens a file that may be a sealed archive, with the key of that. What is read of one is authentic; that it was all is known at
    /// its end, which is an error if the archive was cut off.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_with_key(path: &Path, settings: ReadSettings, key: Option<Key>) -> io::Result<Self> {
        Ok(Self { key, ..Self::open(path, settings)? })
    }

    /// Reads an open file on from `offset` bytes of its unpacked content, where a request begins.
    pub(super) fn of(file: File, settings: ReadSettings, offset: u64) -> io::Result<Self> {
        let mut records = Self {
            content: Content::New(Tail { file, follows: settings.follows }),
            cutter: Cutter::new(settings.form, settings.max_bytes),
            named: settings.signal,
            max_bytes: settings.max_bytes,
            ended: false,
            key: None,
        };
        if offset > 0 {
            records.resume(settings, offset)?;
        }
        Ok(records)
    }

    /// Goes to an offset without looking at what is before it, but for what tells the form.
    fn resume(&mut self, settings: ReadSettings, offset: u64) -> io::Result<()> {
        self.content.open(self.key.as_ref())?;
        let mut first = [0; size_of::<u32>()];
        let read = self.content.read_first(&mut first)?;
        let mut cutter = Cutter::new(settings.form, settings.max_bytes);
        cutter.room().extend_from_slice(&first[..read]);
        cutter.next(false);
        self.content.seek(offset, read)?;
        self.cutter = Cutter::resumed(cutter.form(), settings.max_bytes, offset);
        Ok(())
    }

    /// What comes next.
    ///
    /// # Errors
    /// What the system says, or that the file does not unpack. It cannot be read any further then.
    pub fn read(&mut self) -> io::Result<Next> {
        loop {
            match self.cutter.next(self.ended) {
                Some(Cut::Piece { at, bytes }) => return Ok(self.decoded(at, bytes)),
                Some(Cut::TooLong { at }) => return Ok(Next::Fault(at, Fault::TooLong)),
                Some(Cut::CutOff { at }) => return Ok(Next::Fault(at, Fault::CutOff)),
                None if self.ended => return Ok(Next::End),
                None => {}
            }
            if !self.fill()? {
                return Ok(Next::Waiting);
            }
        }
    }

    /// Passes over all that is there, without reading it.
    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        loop {
            while self.cutter.next(false).is_some() {}
            if self.ended || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// How far it has been read: bytes of the unpacked file before which everything has been handed out.
    pub fn offset(&self) -> u64 {
        self.cutter.offset()
    }

    /// From now on the end of the file is its end.
    pub(super) fn finish(&mut self) {
        if let Some(tail) = self.content.tail() {
            tail.follows = false;
        }
    }

    fn decoded(&self, at: Place, bytes: bytes::Bytes) -> Next {
        // A piece was cut, so the form is known.
        let form = self.cutter.form().unwrap_or(Form::Lines);
        match decode::request(bytes, form, at, self.named, self.max_bytes) {
            Ok(request) => Next::Record(Record { at, end: self.cutter.offset(), request }),
            Err(fault) => Next::Fault(at, fault),
        }
    }

    /// Reads on; `false` if nothing is there yet.
    fn fill(&mut self) -> io::Result<bool> {
        if matches!(self.content, Content::New(_)) && !self.content.open(self.key.as_ref())? {
            return Ok(false);
        }
        let buffer = self.cutter.room();
        let before = buffer.len();
        buffer.resize(before + FILE_READ_BYTES, 0);
        let read = self.content.read(&mut buffer[before..]);
        buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(read) => {
                self.ended = read == 0;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Content {
    /// Looks how it is packed; `false` if too little is there to tell.
    fn open(&mut self, key: Option<&Key>) -> io::Result<bool> {
        let Content::New(tail) = self else { return Ok(true) };
        let mut first = [0; size_of::<u32>()];
        let read = tail.file.read_at(&mut first, 0)?;
        if read < first.len() && tail.follows {
            return Ok(false);
        }
        let again = Tail { file: tail.file.try_clone()?, follows: tail.follows };
        if MAGIC.starts_with(&first) {
            *self = Content::Sealed(Box::new(unsealed(again, key)?));
            return Ok(true);
        }
        let reader = BufReader::with_capacity(FILE_READ_BYTES, again);
        *self = match packed_with(&first[..read]) {
            None => Content::Plain(reader),
            Some(Codec::Zstd) => Content::Zstd(zstd::Decoder::with_buffer(reader)?),
            Some(Codec::Gzip) => Content::Gzip(Box::new(MultiGzDecoder::new(reader))),
        };
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::New(_) => Err(io::ErrorKind::WouldBlock.into()),
            Content::Plain(reader) => reader.read(into),
            Content::Zstd(reader) => reader.read(into),
            Content::Gzip(reader) => reader.read(into),
            Content::Sealed(reader) => reader.read(into),
        }
    }

    /// The first bytes, which of packed content are not to be had a second time.
    fn read_first(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(reader) => reader.get_ref().file.read_at(into, 0),
            _ => self.read(into),
        }
    }

    /// Goes to an offset of the unpacked content. What is packed has to be unpacked up to there, but for the `first` bytes that
    /// [`Content::read_first`] took.
    fn seek(&mut self, offset: u64, first: usize) -> io::Result<()> {
        if let Content::Plain(reader) = self {
            return reader.seek(SeekFrom::Start(offset)).map(drop);
        }
        let mut left = offset.saturating_sub(first as u64);
        let mut gone = vec![0; FILE_READ_BYTES];
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(gone.len());
            match self.read(&mut gone[..part])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read as u64,
            }
        }
        Ok(())
    }

    fn tail(&mut self) -> Option<&mut Tail> {
        Some(match self {
            Content::New(tail) => tail,
            Content::Plain(reader) => reader.get_mut(),
            Content::Zstd(reader) => reader.get_mut().get_mut(),
            Content::Gzip(reader) => reader.get_mut().get_mut(),
            // An archive that grows is none.
            Content::Sealed(_) => return None,
        })
    }
}

/// Reads what is sealed.
fn unsealed(tail: Tail, key: Option<&Key>) -> io::Result<Opener<Tail>> {
    let Some(key) = key else {
        let what = "it is a sealed archive: say its key, or open it with `aldis open` first";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    };
    Ok(Opener::new(tail, key, &OpenOptions::default())?)
}

/// A file whose end is its end, or is what there is so far.
struct Tail {
    file: File,
    follows: bool,
}

impl Read for Tail {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.file.read(into)? {
            0 if self.follows && !into.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
