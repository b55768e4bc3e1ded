//! One thread's way to a far side, over either protocol.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use otlp::{Codec, Signal};

use super::{
    endpoint::Endpoint,
    grpc::{self, PREFIX_BYTES},
    http_channel::HttpChannel,
    reply::Reply,
};
use crate::{
    auth::Credentials,
    body::RequestBody,
    codec,
    limits::{MAX_FRAME_BYTES, MAX_HEADER_BYTES, MAX_RESPONSE_BYTES},
    tls,
};

/// Either protocol.
#[expect(clippy::large_enum_variant, reason = "one per thread and exporter, never moved")]
pub(super) enum Channel {
    Grpc(GrpcChannel),
    Http(HttpChannel),
}

impl Channel {
    /// Sends one request and reads its answer. `payload` is compressed if `codec` says so.
    pub(super) async fn send(&self, signal: Signal, payload: Bytes, codec: Option<Codec>) -> Reply {
        match self {
            Channel::Grpc(channel) => channel.send(signal, payload, codec).await,
            Channel::Http(channel) => channel.send(signal, payload, codec).await,
        }
    }
}

/// When a client pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKeepalive {
    /// `time`: ping a peer that was silent for this long.
    pub time: Duration,
    /// `timeout`: close the connection if the ping is not answered for this long.
    pub timeout: Duration,
    /// `permit_without_stream`: ping without a request in flight too.
    pub permit_without_stream: bool,
}

/// A few HTTP/2 connections to one endpoint, made when they are needed and taken in turn.
pub(super) struct GrpcChannel {
    pub(super) endpoint: Endpoint,
    pub(super) keepalive: Option<ClientKeepalive>,
    pub(super) timeout: Duration,
    /// By signal.
    pub(super) uris: [Uri; 4],
    pub(super) headers: HeaderMap,
    auth: Option<Credentials>,
    slots: Vec<Slot>,
    next: AtomicUsize,
}

type Sender = Open<http2::SendRequest<RequestBody>>;

/// A connection that takes requests.
#[derive(Clone)]
pub(super) struct Open<S> {
    pub(super) sender: S,
    pub(super) ending: Ending,
}

/// How a connection ended, once it has.
#[derive(Clone, Default)]
pub(super) struct Ending(Arc<Ended>);

#[derive(Default)]
struct Ended {
    error: OnceLock<hyper::Error>,
    /// Whether a request was ever answered on it.
    has_answered: AtomicBool,
}

impl<S> Open<S> {
    /// Runs a connection. It ends with the last sender or by an error, which the requests in flight are told.
    pub(super) fn new(
        sender: S,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    ) -> Self {
        let ending = Ending::default();
        let note = ending.0.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // It is the only one who sets it.
                let _ = note.error.set(error);
            }
        });
        Self { sender, ending }
    }
}

impl Ending {
    /// Notes that the far side answers, so that it believes this one.
    pub(super) fn answered(&self) {
        self.0.has_answered.store(true, Relaxed);
    }

    /// What became of a request on it that ended in an error: whether the far side may have taken it, and why.
    pub(super) fn broken(&self, error: &hyper::Error) -> Unanswered {
        let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        // A request that never left is only told that it did not.
        let cause = self.0.error.get().filter(|_| error.is_canceled()).unwrap_or(error);
        let alerted = tls::alerted(cause);
        let has_answered = self.0.has_answered.load(Relaxed);
        let untouched = error.is_canceled()
            || alerted.is_some() && !has_answered
            || h2.is_some_and(|error| {
                error.is_remote()
                    && (error.reason() == Some(h2::Reason::REFUSED_STREAM)
                        // Streams above the last one that GOAWAY names (RFC 9113, section 6.8).
                        || error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR))
            });
        let deeper = cause.source().map(|source| format!(": {source}")).unwrap_or_default();
        let advice = alerted.map(|advice| format!(" ({advice})")).unwrap_or_default();
        let reply = Reply::none(!untouched, format!("the connection broke: {cause}{deeper}{advice}"));
        Unanswered { reply, had_gone: untouched && has_answered }
    }
}

/// Why there is no answer.
pub(super) struct Unanswered {
    pub(super) reply: Reply,
    /// The connection had served and was being closed when the request came to it, which the far side has not seen: sent again on
    /// another one at once it is no second copy, and nothing is wrong that waiting would mend.
    pub(super) had_gone: bool,
}

impl From<Reply> for Unanswered {
    fn from(reply: Reply) -> Self {
        Self { reply, had_gone: false }
    }
}

#[derive(Default)]
struct Slot {
    sender: Mutex<Option<Sender>>,
    /// Held while connecting, so that a burst makes one connection.
    connecting: tokio::sync::Mutex<()>,
}

impl GrpcChannel {
    pub(super) fn new(
        endpoint: Endpoint,
        uris: [Uri; 4],
        (mut headers, auth): (HeaderMap, Option<Credentials>),
        (timeout, keepalive): (Duration, Option<ClientKeepalive>),
        connections: usize,
    ) -> Self {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
        if let Ok(value) = HeaderValue::try_from(format!("{}m", timeout.as_millis().min(99_999_999))) {
            headers.insert("grpc-timeout", value);
        }
        let slots = std::iter::repeat_with(Slot::default).take(connections.max(1)).collect();
        Self { endpoint, keepalive, timeout, uris, headers, auth, slots, next: AtomicUsize::new(0) }
    }

    async fn send(&self, signal: Signal, payload: Bytes, codec: Option<Codec>) -> Reply {
        let Some(prefix) = grpc::prefix(codec.is_some(), payload.len()) else {
            return Reply::none(false, "a gRPC message has at most 4 GiB");
        };
        match self.attempt(signal, (prefix, payload.clone()), codec).await {
            Err(Unanswered { had_gone: true, .. }) => {
                self.attempt(signal, (prefix, payload), codec).await.unwrap_or_else(|failed| failed.reply)
            }
            Ok(reply) | Err(Unanswered { reply, .. }) => reply,
        }
    }

    async fn attempt(
        &self,
        signal: Signal,
        (prefix, payload): ([u8; PREFIX_BYTES], Bytes),
        codec: Option<Codec>,
    ) -> Result<Reply, Unanswered> {
        let mut request = Request::new(RequestBody::new(Bytes::copy_from_slice(&prefix), payload));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uris[signal as usize].clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(Err(error)) = self.auth.as_ref().map(|auth| auth.apply(request.headers_mut())) {
            return Err(Reply::none(false, format!("no credentials to send: {error}")).into());
        }
        if let Some(codec) = codec {
            request.headers_mut().insert("grpc-encoding", HeaderValue::from_static(codec::name(codec)));
        }
        let slot = &self.slots[self.next.fetch_add(1, Relaxed) % self.slots.len()];
        let Open { mut sender, ending } =
            self.sender(slot).await.map_err(|reason| Reply::none(false, reason))?;
        let answered = async {
            let broken = |error| ending.broken(&error);
            let response = sender.send_request(request).await.map_err(broken)?;
            ending.answered();
            let (head, body) = response.into_parts();
            let (message, trailers) = read(body).await.map_err(broken)?;
            let message = message.get(PREFIX_BYTES..).unwrap_or_default();
            let ends = if head.headers.contains_key("grpc-status") { &head.headers } else { &trailers };
            Ok(Reply::of_grpc(head.status, ends, message))
        };
        let late = |_| Reply::none(true, format!("no answer within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, answered).await.map_err(late)?
    }

    async fn sender(&self, slot: &Slot) -> Result<Sender, String> {
        if let Some(sender) = slot.open() {
            return Ok(sender);
        }
        let _connecting = slot.connecting.lock().await;
        if let Some(sender) = slot.open() {
            return Ok(sender);
        }
        let sender = self.connect().await?;
        *slot.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self) -> Result<Sender, String> {
        let failed = |error: &dyn Error| format!("cannot connect to {}: {error}", self.endpoint.authority);
        let stream = self.endpoint.connect(self.timeout).await.map_err(|error| failed(&error))?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_frame_size(MAX_FRAME_BYTES)
            .max_header_list_size(MAX_HEADER_BYTES);
        if let Some(keepalive) = self.keepalive {
            builder
                .keep_alive_interval(keepalive.time)
                .keep_alive_timeout(keepalive.timeout)
                .keep_alive_while_idle(keepalive.permit_without_stream);
        }
        let shaking = builder.handshake::<_, RequestBody>(TokioIo::new(stream));
        let (sender, connection) = shaking.await.map_err(|error| failed(&error))?;
        Ok(Open::new(sender, connection))
    }
}

impl Slot {
    fn open(&self) -> Option<Sender> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().filter(|open| !open.sender.is_closed()).cloned()
    }
}

/// Reads an answer's body, up to a limit, and its trailers.
pub(super) async fn read(mut body: Incoming) -> hyper::Result<(Bytes, HeaderMap)> {
    let (mut data, mut trailers) = (BytesMut::new(), HeaderMap::new());
    if body.is_end_stream() {
        return Ok((Bytes::new(), trailers));
    }
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) if data.len() + piece.len() <= MAX_RESPONSE_BYTES => data.extend_from_slice(&piece),
            // Too long to matter; the rest is passed over for the sake of the trailers behind it.
            Ok(_) => {}
            Err(frame) => {
                if let Ok(more) = frame.into_trailers() {
                    trailers = more;
                }
            }
        }
    }
    Ok((data.freeze(), trailers))
}
