//! Frames that are no longer than what was paid for.
//!
//! What is on the far side of a frame's header is kept until the frame is whole, and only then is it compared with the window:
//! one of a kind that nobody knows is compared with nothing at all. SETTINGS can promise a peer but one length for good. So the
//! headers are looked at where they come in: as long as the window is narrow, no frame that keeps to it can be long.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::window::Read;
use crate::{read_ahead::ReadAhead, transport::Transport};

/// Bytes before the first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// Bytes of a frame's header that say how long the frame is (RFC 9113, section 4.1).
const LENGTH_BYTES: usize = 3;
/// The others.
const REST_BYTES: usize = 6;

/// A socket that ends with an error where a peer announces a frame that is longer than its window pays for.
#[derive(Debug)]
pub(super) struct FrameLengths {
    stream: ReadAhead<Transport>,
    read: Arc<Read>,
    heads: Heads,
}

/// Where the headers lie in a stream of frames.
#[derive(Debug)]
struct Heads {
    /// Bytes until the next one.
    skip: usize,
    /// What was seen of its length, and how many bytes that is.
    length: usize,
    seen: usize,
}

impl FrameLengths {
    pub(super) fn new(stream: ReadAhead<Transport>, read: Arc<Read>) -> Self {
        Self { stream, read, heads: Heads { skip: PREFACE_BYTES, length: 0, seen: 0 } }
    }
}

impl Heads {
    /// The longest frame that begins in these bytes, which are the next of the stream.
    fn longest(&mut self, mut bytes: &[u8]) -> usize {
        let mut longest = 0;
        while let Some((first, rest)) = bytes.get(self.skip..).and_then(<[u8]>::split_first) {
            self.skip = 0;
            self.length = self.length << 8 | usize::from(*first);
            self.seen += 1;
            bytes = rest;
            if self.seen == LENGTH_BYTES {
                longest = longest.max(self.length);
                *self = Self { skip: REST_BYTES + self.length, length: 0, seen: 0 };
            }
        }
        self.skip -= bytes.len();
        longest
    }
}

impl AsyncRead for FrameLengths {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        let longest = this.heads.longest(&into.filled()[before..]);
        if longest > this.read.longest_frame() {
            let message = "a frame is longer than the window";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FrameLengths {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_however_the_stream_is_cut() {
        let mut stream = vec![0xff; PREFACE_BYTES];
        let lengths = [0usize, 3, 70_000, 1, 300];
        for length in lengths {
            stream.extend(&(length as u32).to_be_bytes()[1..]);
            stream.extend(vec![0xff; REST_BYTES + length]);
        }
        for size in [1, 2, 3, 7, 9, 10, 1000, 80_000] {
            let mut heads = Heads { skip: PREFACE_BYTES, length: 0, seen: 0 };
            let found: Vec<usize> = stream.chunks(size).map(|piece| heads.longest(piece)).collect();
            assert_eq!(found.iter().max(), Some(&70_000), "{size}");
            assert_eq!((heads.skip, heads.seen), (0, 0), "{size}");
            if size == 1 {
                assert_eq!(found.iter().sum::<usize>(), lengths.iter().sum::<usize>());
            }
        }
    }
}
