//! HTTP/2 as a server: requests in, answers out, pings, and a window that follows the memory budget.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, RecvStream,
    server::{self, SendResponse},
};
use http::{Request, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::{
    WindowSettings,
    frame_lengths::FrameLengths,
    window::{Read, Window},
};
use crate::{
    body::AnswerBody,
    limits::{
        FIRST_BYTES_TIMEOUT, FIRST_WINDOW_BYTES, MAX_HEADER_BYTES, MAX_RESET_STREAMS, MAX_SMALL_FRAME_BYTES,
        MAX_UNSEEN_RESETS,
    },
    read_ahead::ReadAhead,
    transport::Transport,
};

/// One connection, and what answers the requests on it.
pub(super) struct Http2<S> {
    connection: server::Connection<FrameLengths, Bytes>,
    window: Window,
    pings: Option<Pings>,
    answer: S,
}

/// Does the handshake; `None` if the peer does not do its part in time.
pub(super) async fn open<S>(
    stream: Transport,
    (settings, streams): (&WindowSettings, u32),
    window: Window,
    pings: Option<(Duration, Duration)>,
    answer: S,
) -> Option<Http2<S>> {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(settings.stream_bytes)
        .initial_connection_window_size(FIRST_WINDOW_BYTES)
        .max_frame_size(settings.frame_bytes)
        .max_concurrent_streams(streams)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(MAX_RESET_STREAMS))
        .data_frame_budget(MAX_SMALL_FRAME_BYTES);
    let stream = FrameLengths::new(ReadAhead::new(stream), window.read().clone());
    let handshake = builder.handshake(stream);
    let mut connection = tokio::time::timeout(FIRST_BYTES_TIMEOUT, handshake).await.ok()?.ok()?;
    let pings = pings.and_then(|times| Some(Pings::new(connection.ping_pong()?, times)));
    Some(Http2 { connection, window, pings, answer })
}

impl<S> Http2<S> {
    /// Takes no new requests and ends after those in flight.
    pub(super) fn finish(&mut self) {
        self.connection.graceful_shutdown();
    }
}

impl<S, F> Future for Http2<S>
where
    S: Fn(Request<Received>) -> F + Unpin,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    type Output = Result<(), h2::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match this.connection.poll_accept(cx) {
                Poll::Ready(Some(accepted)) => {
                    let (request, respond) = accepted?;
                    let received = Received::of(request, this.window.read().clone());
                    tokio::spawn(exchange((this.answer)(received), respond));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => match this.window.widen(Instant::now) {
                    // Polled again, so that the peer is told now.
                    Some(bytes) => this.connection.set_target_window_size(bytes),
                    None => break,
                },
            }
        }
        match &mut this.pings {
            Some(pings) => pings.poll(this.window.read().bytes(), cx).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// Answers one request, unless its sender takes it back.
async fn exchange<F>(answer: F, mut respond: SendResponse<Bytes>)
where
    F: Future<Output = Response<AnswerBody>>,
{
    let mut answer = pin!(answer);
    let answered = poll_fn(|cx| match respond.poll_reset(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => answer.as_mut().poll(cx).map(Some),
    });
    let Some(response) = answered.await else { return };
    // What fails here means that the peer is gone; its request has been counted.
    let _ = send(respond, response);
}

/// Answers are small: they are handed over whole and leave when the peer's window lets them.
fn send(mut respond: SendResponse<Bytes>, response: Response<AnswerBody>) -> Result<(), h2::Error> {
    let (head, body) = response.into_parts();
    let mut stream = respond.send_response(Response::from_parts(head, ()), body.is_end_stream())?;
    if let Some(data) = body.data {
        stream.send_data(data, body.trailers.is_none())?;
    }
    if let Some(trailers) = body.trailers {
        stream.send_trailers(trailers)?;
    }
    Ok(())
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Received {
    stream: RecvStream,
    read: Arc<Read>,
    /// `Content-Length`, to which HTTP/2 itself holds the peer.
    length: Option<u64>,
}

impl Received {
    fn of(request: Request<RecvStream>, read: Arc<Read>) -> Request<Self> {
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        request.map(|stream| Self { stream, read, length })
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let Some(data) = ready!(self.stream.poll_data(cx)) else { return Poll::Ready(None) };
        let data = data?;
        // From here on the request's own charge pays for the bytes.
        self.stream.flow_control().release_capacity(data.len())?;
        self.read.add(data.len());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Asks a peer that says nothing whether it is still there.
struct Pings {
    ping_pong: PingPong,
    every: Duration,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    is_asked: bool,
    /// Bytes read when it was looked at last.
    read: u64,
}

impl Pings {
    fn new(ping_pong: PingPong, (every, timeout): (Duration, Duration)) -> Self {
        let timer = Box::pin(tokio::time::sleep(every));
        Self { ping_pong, every, timeout, timer, is_asked: false, read: 0 }
    }

    /// Ready when the peer did not answer.
    fn poll(&mut self, read: u64, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.is_asked && matches!(self.ping_pong.poll_pong(cx), Poll::Ready(Ok(_))) {
                self.wait(false);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.is_asked {
                return Poll::Ready(());
            }
            // Whoever sends is there. The one ping in flight is ours, so it cannot be refused but by the end.
            let is_silent = std::mem::replace(&mut self.read, read) == read;
            let is_asked = is_silent && self.ping_pong.send_ping(Ping::opaque()).is_ok();
            self.wait(is_asked);
        }
    }

    fn wait(&mut self, is_asked: bool) {
        self.is_asked = is_asked;
        let wait = if is_asked { self.timeout } else { self.every };
        self.timer.as_mut().reset(tokio::time::Instant::now() + wait);
    }
}
