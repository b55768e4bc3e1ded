//! What a request keeps while it waits.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use otlp::Depth;

use super::*;
use crate::{
    body::AnswerBody,
    otlp::{
        HttpSettings, Transport,
        grpc::{self, GrpcRules},
        http::{self as http_protocol, HttpRules},
        route,
    },
};

/// Takes what it is offered and never says what becomes of it.
struct Silent(Budget, Mutex<Vec<Item>>);

impl Inlet for Silent {
    fn offer(&self, item: Item, _: u64) {
        self.1.lock().unwrap().push(item);
    }

    fn depth(&self) -> Depth {
        Depth::Counts
    }

    fn budget(&self) -> &Budget {
        &self.0
    }
}

/// A body in one piece, or one that never comes; kept alive by what is known of it.
struct Slow(Option<Bytes>, #[expect(dead_code, reason = "only its end is looked at")] Arc<()>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(data) if data.is_empty() => Poll::Ready(None),
            Some(data) => {
                self.0 = Some(Bytes::new());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            None => Poll::Pending,
        }
    }
}

struct Owner(#[expect(dead_code, reason = "only its end is looked at")] Arc<()>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        b"long"
    }
}

#[tokio::test]
async fn neither_headers_nor_trailers_are_kept_while_a_request_waits() {
    let shards = Shards::start(1, "test").unwrap();
    let inlet = Arc::new(Silent(Budget::new(1 << 20), Mutex::default()));
    let common = (Arc::from("otlp"), Check::Full, Duration::from_secs(60));
    let inlets = Inlets::new().with(Signal::Traces, inlet.clone());
    let desk = Desk::new(common, (&shards, 0), inlets, Arc::default());
    // resource_spans { scope_spans { spans { name: "GET" } } }
    let message = [0x0a, 9, 0x12, 7, 0x12, 5, 0x2a, 3, b'G', b'E', b'T'];
    let framed = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
    let rules = GrpcRules { max: 1000, include_metadata: false, guard: None };
    let http_rules = HttpRules { settings: Arc::new(HttpSettings::default()), guard: None };
    for (path, kind, body) in [
        (GRPC_PATH, "application/grpc", None),
        (GRPC_PATH, "application/grpc", Some(framed)),
        (route::http_path(Signal::Traces), "application/x-protobuf", None),
        (route::http_path(Signal::Traces), "application/x-protobuf", Some(message.to_vec())),
    ] {
        let (header, stream, offered) = (Arc::new(()), Arc::new(()), body.is_some());
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Owner(header.clone()))).unwrap();
        let body = Slow(body.map(Bytes::from), stream.clone());
        let request =
            Request::post(path).header("content-type", kind).header("x-long", value).body(body).unwrap();
        let answer: Pin<Box<dyn Future<Output = Response<AnswerBody>>>> = if path == GRPC_PATH {
            Box::pin(grpc::answer(&desk, &rules, request))
        } else {
            Box::pin(http_protocol::answer(&desk, &http_rules, request))
        };
        let mut answer = pin!(answer);
        assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{path}");
        assert_eq!(Arc::strong_count(&header), 1, "{path}, offered: {offered}");
        assert_eq!(Arc::strong_count(&stream) == 1, offered, "{path}");
    }
    assert_eq!(inlet.1.lock().unwrap().len(), 2);
}

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Answers at once, and notes how deep what comes is indexed.
struct Deep(Budget, Depth, Mutex<Vec<Depth>>);

impl Inlet for Deep {
    fn offer(&self, item: Item, _: u64) {
        self.2.lock().unwrap().push(item.batch.depth());
        item.resolve(Outcome::DELIVERED);
    }
    fn depth(&self) -> Depth {
        self.1
    }
    fn budget(&self) -> &Budget {
        &self.0
    }
}

/// A request whose body was still coming when its way led elsewhere goes there, as deep as it must be there.
#[tokio::test]
async fn a_request_goes_where_its_way_leads_when_it_is_whole() {
    let shards = Shards::start(1, "test").unwrap();
    let deep = |depth| Arc::new(Deep(Budget::new(1 << 20), depth, Mutex::default()));
    let (old, new) = (deep(Depth::Counts), deep(Depth::Attributes));
    let inlets = Inlets::new().with(Signal::Traces, old.clone());
    let common = (Arc::from("otlp"), Check::Full, Duration::from_secs(60));
    let desk = Desk::new(common, (&shards, 0), inlets.clone(), Arc::default());
    let arrived = || Arrived {
        body: Bytes::from_static(&[0x0a, 9, 0x12, 7, 0x12, 5, 0x2a, 3, b'G', b'E', b'T']),
        codec: None,
        is_json: false,
        max: 1000,
        headers: None,
        tenant: None,
        timeout: None,
    };
    for leads_to in [&old, &new, &old] {
        let port = desk.port(Signal::Traces).unwrap();
        let held = desk.hold(&port);
        inlets.lead_as(&Inlets::new().with(Signal::Traces, leads_to.clone()));
        let mut counted = Counted::new(desk.stats.of(Transport::Grpc, Signal::Traces));
        let answer = desk.admit(&port, arrived(), held, &mut counted).await;
        counted.settle(&answer);
        assert!(answer.is_ok());
    }
    assert_eq!(*old.2.lock().unwrap(), [Depth::Counts; 2]);
    assert_eq!(*new.2.lock().unwrap(), [Depth::Attributes]);
    let port = desk.port(Signal::Traces).unwrap();
    inlets.lead_as(&Inlets::new());
    let mut counted = Counted::new(desk.stats.of(Transport::Grpc, Signal::Traces));
    let answer = desk.admit(&port, arrived(), desk.hold(&port), &mut counted).await;
    counted.settle(&answer);
    assert!(matches!(answer, Err(Refusal::Unavailable { .. })));
    assert!(desk.port(Signal::Traces).is_none());
    shards.stop(std::time::Instant::now());
}
