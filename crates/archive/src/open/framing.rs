//! Frames as they come from an input, in their order.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{
    error::Error,
    frame::{HEAD_BYTES, Head, Kind, TAG_BYTES},
    header::{HEADER_BYTES, Header},
};

/// An input of which so much was read.
pub(crate) struct Framing<R> {
    pub(crate) input: R,
    /// Bytes that were read.
    pub(crate) offset: u64,
    /// Number of the next frame.
    pub(crate) seq: u64,
    /// The kind of the last frame: a later one does not come before it.
    last: Kind,
    /// Whether the last frame was not full: no data frame follows it.
    was_short: bool,
}

impl<R: Read> Framing<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, offset: 0, seq: 0, last: Kind::Data, was_short: false }
    }

    /// Goes on at another place, where frame `seq` begins.
    pub(crate) fn go_on_at(&mut self, offset: u64, seq: u64) {
        (self.offset, self.seq, self.last, self.was_short) = (offset, seq, Kind::Data, false);
    }

    pub(crate) fn header(&mut self) -> Result<Header, Error> {
        let mut bytes = [0; HEADER_BYTES];
        match self.read(&mut bytes) {
            // Less than a header is an archive only if it begins as one.
            Err(Error::Truncated { offset }) if !Header::may_begin(&bytes[..offset as usize]) => {
                Err(Error::NotAnArchive)
            }
            read => read.and_then(|()| Header::decode(&bytes)),
        }
    }

    /// The next frame's head and where it begins; its body and tag, into `body`.
    pub(crate) fn frame(&mut self, frame_bytes: usize, body: &mut Vec<u8>) -> Result<(Head, u64), Error> {
        let (head, at) = self.head(frame_bytes)?;
        // At most a frame, which the commitment of the header bounds.
        body.resize(head.body_len as usize + TAG_BYTES, 0);
        self.read(body)?;
        self.seq += 1;
        Ok((head, at))
    }

    /// Passes over the next frame, and says of which kind it claims to be.
    pub(crate) fn pass_frame(&mut self, frame_bytes: usize) -> Result<Kind, Error>
    where
        R: Seek,
    {
        let (head, at) = self.head(frame_bytes)?;
        self.offset = at + head.frame_bytes();
        self.input.seek(SeekFrom::Start(self.offset))?;
        self.seq += 1;
        Ok(head.kind)
    }

    /// The next frame's head, which is where one may be, and where it begins.
    fn head(&mut self, frame_bytes: usize) -> Result<(Head, u64), Error> {
        let at = self.offset;
        let mut bytes = [0; HEAD_BYTES];
        self.read(&mut bytes)?;
        let corrupt = |what| Error::Corrupt { frame: self.seq, offset: at, what };
        let head = Head::decode(bytes, self.seq, frame_bytes).map_err(corrupt)?;
        if head.kind < self.last || (head.kind == self.last && head.kind > Kind::Index) {
            return Err(corrupt("it does not come here"));
        }
        if head.kind == Kind::Data && self.was_short {
            return Err(corrupt("a frame that is not full is not the last"));
        }
        self.last = head.kind;
        self.was_short = (head.plaintext_len as usize) < frame_bytes;
        Ok((head, at))
    }

    /// What may be the last frame, which begins here whatever its number is: its head, its body and tag.
    pub(crate) fn last_head(&mut self, at: u64, frame_bytes: usize) -> Result<Option<(Head, Vec<u8>)>, Error>
    where
        R: Seek,
    {
        self.input.seek(SeekFrom::Start(at))?;
        let mut bytes = [0; HEAD_BYTES];
        self.go_on_at(at, 0);
        self.read(&mut bytes)?;
        let Ok(head) = Head::decode(bytes, Head::seq_in(bytes), frame_bytes) else { return Ok(None) };
        let mut body = vec![0; head.body_len as usize + TAG_BYTES];
        match self.read(&mut body) {
            Ok(()) => Ok(Some((head, body))),
            Err(Error::Truncated { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Error> {
        Ok(fill(&mut self.input, &mut [0])? == 0)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let read = fill(&mut self.input, bytes)?;
        self.offset += read as u64;
        if read < bytes.len() { Err(Error::Truncated { offset: self.offset }) } else { Ok(()) }
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, mut bytes: &mut [u8]) -> Result<usize, Error> {
    let wanted = bytes.len();
    while !bytes.is_empty() {
        match input.read(bytes) {
            Ok(0) => break,
            Ok(n) => bytes = &mut bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(wanted - bytes.len())
}
