//! Fewer reads of a socket that brings many small messages.
//!
//! An HTTP/2 reader asks for the rest of the frame that it has begun, so requests of a few kilobytes cost it a system call
//! each, even where the kernel holds a dozen of them. This takes what is there in one, and hands it out in pieces.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::limits::READ_AHEAD_BYTES;

/// A socket that is read ahead of what is asked for, as long as that is little: a reader with room for
/// [`READ_AHEAD_BYTES`] gets what it asks for from the kernel, without a copy in between.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    stream: S,
    /// Read and not handed out. It has no memory while the socket has nothing: idle connections are many.
    ahead: BytesMut,
}

impl<S> ReadAhead<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: BytesMut::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead.is_empty() {
            if into.remaining() >= READ_AHEAD_BYTES {
                return Pin::new(&mut this.stream).poll_read(cx, into);
            }
            this.ahead.reserve(READ_AHEAD_BYTES);
            let read = pin!(this.stream.read_buf(&mut this.ahead)).poll(cx);
            if !matches!(read, Poll::Ready(Ok(1..))) {
                this.ahead = BytesMut::new();
                return read.map_ok(drop);
            }
        }
        let length = this.ahead.len().min(into.remaining());
        into.put_slice(&this.ahead[..length]);
        this.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
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
    use std::future::poll_fn;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    async fn read(from: &mut ReadAhead<TcpStream>, room: usize) -> Vec<u8> {
        let mut memory = vec![0; room];
        let mut buffer = ReadBuf::new(&mut memory);
        poll_fn(|cx| Pin::new(&mut *from).poll_read(cx, &mut buffer)).await.unwrap();
        buffer.filled().to_vec()
    }

    #[tokio::test]
    async fn the_stream_is_the_same_whatever_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut ahead = ReadAhead::new(listener.accept().await.unwrap().0);
        let sent: Vec<u8> = (0..5 * READ_AHEAD_BYTES).map(|n| (n % 251) as u8).collect();
        let all = sent.clone();
        tokio::spawn(async move { peer.write_all(&all).await });
        let mut got = Vec::new();
        for room in [9, 1, 5000, READ_AHEAD_BYTES - 1, READ_AHEAD_BYTES, 2 * READ_AHEAD_BYTES].iter().cycle()
        {
            let piece = read(&mut ahead, *room).await;
            if piece.is_empty() {
                break;
            }
            got.extend_from_slice(&piece);
        }
        assert!(got == sent);
        // Nothing is kept for a connection that has nothing to say.
        assert_eq!(ahead.ahead.capacity(), 0);
    }
}
