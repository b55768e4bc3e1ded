//! Both ends of a test: a receiver with an inlet that remembers, requests, and clients that speak the raw protocols.

use std::{
    convert::Infallible,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aldis_connect::otlp::{
    BindError, GrpcSettings, HttpSettings, Inlets, Listening, Receiver, ReceiverSettings,
};
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

/// How long is waited for what must come, however busy the machine is. What a test waits for inside of another wait
/// is given up first, so that it is told which it was.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Bytes charged for requests. The two counts are not read at one moment: what is reserved or given back between
    /// them, such as the window of a client that has just gone, would be taken for a request's.
    pub(crate) fn held(&self) -> usize {
        let begun = Instant::now();
        loop {
            let counts = || (self.budget.used(), self.budget.reserved());
            let (used, reserved) = counts();
            if (used, reserved) == counts()
                && let Some(held) = used.checked_sub(reserved)
            {
                return held;
            }
            assert!(begun.elapsed() < PATIENCE, "{used} used, {reserved} reserved");
            std::thread::yield_now();
        }
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

    #[expect(clippy::needless_pass_by_value, reason = "whoever asks makes them for this")]
    fn of(settings: ReceiverSettings, memory: Arc<Memory>, signals: &[Signal]) -> Self {
        let shards = Shards::start(2, "side").expect("threads");
        let receiver = bound(&settings);
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

/// A receiver on its ports. Those that another has just let go of may be held a moment longer, by a process that a
/// test of this one is making.
fn bound(settings: &ReceiverSettings) -> Receiver {
    let begun = Instant::now();
    loop {
        match Receiver::bind(settings.clone()) {
            Err(BindError::Socket { source, .. })
                if source.kind() == ErrorKind::AddrInUse && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            bound => return bound.expect("free ports"),
        }
    }
}

/// Whether this process was made for this test alone, so that it makes no other; else one is made for it, in which it
/// has to pass.
pub(crate) fn is_alone(test: &str) -> bool {
    const VARIABLE: &str = "ALDIS_TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some() {
        return true;
    }
    let mut alone = Command::new(std::env::current_exe().expect("this program"));
    let output = alone.args(["--exact", test]).env(VARIABLE, "1").output().expect("a process");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

pub(crate) fn settings() -> ReceiverSettings {
    settings_at(Ipv4Addr::LOCALHOST)
}

/// On free ports of this address.
pub(crate) fn settings_at(address: Ipv4Addr) -> ReceiverSettings {
    let free = format!("{address}:0");
    ReceiverSettings {
        grpc: Some(GrpcSettings { endpoint: free.clone(), ..GrpcSettings::default() }),
        http: Some(HttpSettings { endpoint: free, ..HttpSettings::default() }),
        ..ReceiverSettings::default()
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, future).await.expect("in time") })
}

/// Waits for what happens on other threads.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An address of the loopback interface that is no other test's, nor another run's: a port on it that is let go is
/// taken by nobody else before it is bound again.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, NEXT.fetch_add(1, Relaxed), high, low)
}

/// A port at which nobody listens, nor will as long as this lives: it is bound, and refuses whoever connects.
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    _socket: socket2::Socket,
}

impl Nobody {
    pub(crate) fn bind() -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        let address = socket.local_addr().expect("bound").as_socket().expect("of the internet");
        Self { address, _socket: socket }
    }
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
