//! Both ends of a test: a receiver with an inlet that remembers, requests, and clients that speak the raw protocols.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aldis_connect::otlp::{GrpcSettings, HttpSettings, Inlets, Listening, Receiver, ReceiverSettings};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use otlp::{Batch, Depth, Signal};
use pipeline::{Budget, Charge, Inlet, Item, Outcome, Shards, Share};
use prost::Message;
use tokio::net::TcpStream;

use crate::pieces::Pieces;

/// Metadata of one item.
type Headers = Option<Arc<[(String, String)]>>;

/// An inlet that remembers what it was offered and answers as it is told; `None` keeps the shares unresolved.
pub(crate) struct Memory {
    pub(crate) budget: Budget,
    depth: Depth,
    /// Keeps what its items are charged for, as a queue would.
    pub(crate) keeps: Mutex<Option<Vec<Charge>>>,
    pub(crate) answer: Mutex<Option<Outcome>>,
    pub(crate) batches: Mutex<Vec<Batch>>,
    pub(crate) headers: Mutex<Vec<Headers>>,
    pub(crate) waiting: Mutex<Vec<Share>>,
}

impl Memory {
    pub(crate) fn new(budget: usize, depth: Depth) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(budget),
            depth,
            keeps: Mutex::default(),
            answer: Mutex::new(Some(Outcome::DELIVERED)),
            batches: Mutex::default(),
            headers: Mutex::default(),
            waiting: Mutex::default(),
        })
    }

    /// Bytes charged for requests.
    pub(crate) fn held(&self) -> usize {
        self.budget.used() - self.budget.reserved()
    }

    pub(crate) fn answer_with(&self, outcome: Option<Outcome>) {
        *self.answer.lock().expect("unpoisoned") = outcome;
    }
}

impl Inlet for Memory {
    fn offer(&self, item: Item, _now_ns: u64) {
        if let Some(kept) = &mut *self.keeps.lock().expect("unpoisoned") {
            kept.extend(item.context.charges);
        }
        self.batches.lock().expect("unpoisoned").push(item.batch);
        self.headers.lock().expect("unpoisoned").push(item.context.headers);
        let answer = self.answer.lock().expect("unpoisoned").clone();
        for share in item.context.shares {
            match &answer {
                Some(outcome) => share.resolve(outcome.clone()),
                None => self.waiting.lock().expect("unpoisoned").push(share),
            }
        }
    }

    fn depth(&self) -> Depth {
        self.depth
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// A receiver on free ports, with an inlet for traces and logs only unless said otherwise.
pub(crate) struct Side {
    pub(crate) shards: Shards,
    pub(crate) listening: Option<Listening>,
    pub(crate) memory: Arc<Memory>,
}

impl Side {
    pub(crate) fn start() -> Self {
        Self::with(settings(), 64 << 20)
    }

    pub(crate) fn with(settings: ReceiverSettings, budget: usize) -> Self {
        Self::deep(settings, budget, Depth::Records)
    }

    /// With an inlet for metrics, too.
    pub(crate) fn with_metrics() -> Self {
        let signals = [Signal::Traces, Signal::Logs, Signal::Metrics];
        Self::of(settings(), Memory::new(64 << 20, Depth::Records), &signals)
    }

    pub(crate) fn deep(settings: ReceiverSettings, budget: usize, depth: Depth) -> Self {
        Self::of(settings, Memory::new(budget, depth), &[Signal::Traces, Signal::Logs])
    }

    fn of(settings: ReceiverSettings, memory: Arc<Memory>, signals: &[Signal]) -> Self {
        let shards = Shards::start(2, "side").expect("threads");
        let receiver = Receiver::bind(settings).expect("free ports");
        let inlets =
            signals.iter().fold(Inlets::new(), |inlets, signal| inlets.with(*signal, memory.clone()));
        let listening = Some(receiver.start(&shards, vec![inlets; 2]));
        Self { shards, listening, memory }
    }

    pub(crate) fn listening(&self) -> &Listening {
        self.listening.as_ref().expect("not stopped")
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.listening().grpc_addr().expect("grpc")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.listening().http_addr().expect("http")
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let soon = Instant::now() + Duration::from_millis(200);
        if let Some(listening) = self.listening.take() {
            listening.stop(soon);
        }
        self.shards.stop(soon);
    }
}

pub(crate) fn settings() -> ReceiverSettings {
    let free = "127.0.0.1:0".to_owned();
    ReceiverSettings {
        grpc: Some(GrpcSettings { endpoint: free.clone(), ..GrpcSettings::default() }),
        http: Some(HttpSettings { endpoint: free, ..HttpSettings::default() }),
        ..ReceiverSettings::default()
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time") })
}

/// Waits for what happens on other threads.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// A request of that many spans.
pub(crate) fn spans(count: usize) -> Bytes {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let span = |i: usize| Span {
        trace_id: vec![(i % 251) as u8 + 1; 16],
        span_id: vec![(i % 241) as u8 + 1; 8],
        name: format!("operation {i}"),
        start_time_unix_nano: 1_700_000_000_000_000_000 + i as u64,
        end_time_unix_nano: 1_700_000_000_000_900_000 + i as u64,
        attributes: vec![KeyValue {
            key: "url.path".into(),
            value: text("/some/path/to/something"),
            ..KeyValue::default()
        }],
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() };
    let resource = Resource {
        attributes: vec![KeyValue {
            key: "service.name".into(),
            value: text("checkout"),
            ..KeyValue::default()
        }],
        ..Resource::default()
    };
    let resource =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into()
}

pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut out = BytesMut::from(&[flag][..]);
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out.freeze()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.trailers.get(name).or_else(|| self.headers.get(name)).map(|value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn grpc_status(&self) -> Option<u32> {
        self.text("grpc-status").map(|code| code.parse().expect("a number"))
    }

    /// The code, message and details of the `google.rpc.Status` in a body.
    pub(crate) fn status_message(&self) -> (i32, String, usize) {
        let status = RpcStatus::decode(self.body.clone()).expect("a google.rpc.Status");
        (status.code, status.message, status.details.len())
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) details: Vec<Vec<u8>>,
}

pub(crate) type AnyBody = BoxBody<Bytes, Infallible>;

pub(crate) fn full(body: Bytes) -> AnyBody {
    Full::new(body).boxed()
}

/// A body in pieces of that many bytes.
pub(crate) fn pieces(body: &Bytes, size: usize) -> AnyBody {
    Pieces(body.chunks(size).map(|piece| body.slice_ref(piece)).collect()).boxed()
}

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(crate) type Http2 = hyper::client::conn::http2::SendRequest<AnyBody>;

pub(crate) async fn http2(address: SocketAddr) -> Http2 {
    let stream = TcpStream::connect(address).await.expect("a listener");
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A gRPC request as clients send it, to be changed by the test.
pub(crate) fn grpc_request(address: SocketAddr, path: &str, body: AnyBody) -> Request<AnyBody> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request")
}

pub(crate) async fn ask(sender: &mut Http2, request: Request<AnyBody>) -> Answer {
    let response = sender.send_request(request).await.expect("an answer");
    whole(response).await
}

pub(crate) async fn whole(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
}

/// One HTTP/1.1 request on a connection of its own.
pub(crate) async fn http1(address: SocketAddr, request: Request<AnyBody>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a listener");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    whole(sender.send_request(request).await.expect("an answer")).await
}

pub(crate) fn http_request(path: &str, body: AnyBody) -> Request<AnyBody> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/x-protobuf")
        .body(body)
        .expect("a request")
}
