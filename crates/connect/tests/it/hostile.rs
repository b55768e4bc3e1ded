//! Senders that are slow, broken, gone, too many, or mean harm.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use aldis_connect::otlp::{Code, Keepalive};
use http::HeaderValue;
use otlp::{Codec, Depth, Signal};

use crate::{
    rows::assert_balanced,
    side::{
        PATIENCE, Side, TRACES, ask, block_on, eventually, framed, full, grpc_request, http_request, http1,
        http2, own_address, pieces, settings, settings_at, spans, whole,
    },
};

fn encoded(request: &mut http::Request<crate::side::AnyBody>, name: &'static str, codec: Codec) {
    let value = aldis_connect::codec::name(codec);
    request.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// 64 MiB of zeros in some kilobytes.
fn bomb(codec: Codec) -> Vec<u8> {
    let zeros = vec![0; 64 << 20];
    match codec {
        Codec::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(&zeros).expect("memory");
            packer.finish().expect("memory")
        }
        Codec::Zstd => zstd::encode_all(&zeros[..], 3).expect("memory"),
    }
}

#[test]
fn bombs_are_refused_within_the_budget() {
    let mut settings = settings();
    settings.http.as_mut().expect("http").max_request_body_size = 4 << 20;
    let side = Side::with(settings, 8 << 20);
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        for codec in [Codec::Gzip, Codec::Zstd] {
            let mut bomb = bomb(codec);
            for lie in [false, true] {
                if lie && codec == Codec::Gzip {
                    // The announced length says a thousand bytes.
                    let at = bomb.len() - 4;
                    bomb[at..].copy_from_slice(&1000u32.to_le_bytes());
                }
                let mut request = grpc_request(side.grpc(), TRACES, full(framed(1, &bomb)));
                encoded(&mut request, "grpc-encoding", codec);
                let answer = ask(&mut sender, request).await;
                assert_eq!(answer.grpc_status(), Some(8), "{answer:?}");
                assert_eq!(answer.text("grpc-status-details-bin"), None, "never to be sent again");
                let mut request = http_request("/v1/traces", full(bomb.clone().into()));
                encoded(&mut request, "content-encoding", codec);
                assert_eq!(http1(side.http(), request).await.status.as_u16(), 413);
            }
        }
    });
    assert_balanced(&side);
}

#[test]
fn no_memory_is_a_reason_to_come_back() {
    let side = Side::with(settings(), 1 << 20);
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        eventually("its window is paid", || side.memory.budget.reserved() > 0).await;
        let rest = (1 << 20) - side.memory.budget.used();
        let holding = side.memory.budget.try_charge(rest - 100).expect("free");
        let request = || grpc_request(side.grpc(), TRACES, full(framed(0, &spans(20))));
        let answer = ask(&mut sender, request()).await;
        assert_eq!(answer.grpc_status(), Some(8));
        assert!(answer.text("grpc-status-details-bin").is_some(), "with RetryInfo");
        let answer = http1(side.http(), http_request("/v1/traces", full(spans(20)))).await;
        assert_eq!((answer.status.as_u16(), answer.text("retry-after")), (429, Some("1")));
        assert_eq!(answer.status_message().2, 1, "with RetryInfo");
        drop(holding);
        assert_eq!(ask(&mut sender, request()).await.grpc_status(), Some(0));
    });
    assert_eq!(side.listening().counts().signal(Signal::Traces).requests_refused(Code::ResourceExhausted), 2);
    assert_balanced(&side);
}

/// Two bytes on the wire are a whole row of the index: of a record, and of its attributes where they are indexed.
#[test]
fn an_index_is_paid_for_before_it_is_built() {
    let spans_of = |count| vec![Span::default(); count];
    let attributes_of =
        |count| vec![Span { attributes: vec![KeyValue::default(); count], ..Span::default() }];
    for (hostile, budget) in [
        (spans_of(200_000), 4 << 20),
        (spans_of(700_000), 32 << 20),
        (attributes_of(200_000), 4 << 20),
        (attributes_of(700_000), 32 << 20),
    ] {
        let side = Side::deep(settings(), budget, Depth::Attributes);
        let scope = ScopeSpans { spans: hostile, ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let hostile = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        block_on(async {
            let mut sender = http2(side.grpc()).await;
            let answer = ask(&mut sender, grpc_request(side.grpc(), TRACES, full(framed(0, &hostile)))).await;
            assert_eq!(answer.grpc_status(), Some(8), "{budget}: {answer:?}");
            assert_eq!(answer.text("grpc-status-details-bin"), None, "it would never fit");
            let answer =
                ask(&mut sender, grpc_request(side.grpc(), TRACES, full(framed(0, &spans(20))))).await;
            assert_eq!(answer.grpc_status(), Some(0), "what was charged is given back");
        });
        side.memory.batches.lock().expect("unpoisoned").clear();
        assert_balanced(&side);
    }
}

/// What a request was charged for itself does not stand in its way, and what can never fit is not to be sent again.
#[test]
fn json_passes_alone_or_is_told_that_it_never_will() {
    let span = format!(r#"{{"name":"{}"}}"#, "n".repeat(1000));
    let long =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, [&*span; 300].join(","));
    // Each element may be eight bytes on the wire; that nobody knows the field is seen later.
    let list = ["0"; 100_000].join(",");
    let dense = format!(r#"{{"list":[{list}],"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    // The text itself, and the most that it can become: twice, or four times as much.
    for (json, tenths, reserved, status) in [
        (&long, 45, 0, 200),
        (&long, 32, 0, 200),
        (&long, 32, 16, 200),
        (&long, 28, 0, 413),
        (&dense, 60, 0, 200),
        (&dense, 52, 0, 200),
        (&dense, 52, 26, 200),
        (&dense, 45, 0, 413),
        (&dense, 30, 0, 413),
    ] {
        let side = Side::with(settings(), json.len() * tenths / 10);
        let _windows =
            side.memory.budget.try_reserve(json.len() * reserved / 10, 2).expect("half is for windows");
        let mut request = http_request("/v1/traces", full(json.clone().into()));
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        let answer = block_on(http1(side.http(), request));
        assert_eq!(answer.status.as_u16(), status, "{tenths}, {reserved}: {answer:?}");
        assert_eq!(answer.text("retry-after"), None);
        side.memory.batches.lock().expect("unpoisoned").clear();
        assert_balanced(&side);
    }
}

/// Estimates before, exact afterwards: whatever a request went through, it is charged for what its batch keeps.
#[test]
fn a_batch_is_charged_for_what_it_keeps() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","kind":2},{"name":"b"}]}]}]}"#;
    for depth in [Depth::Counts, Depth::Records, Depth::Attributes] {
        // Enough for the estimate of the densest request, and so little that frames are counted.
        for budget in [64 << 20, 2 << 20] {
            let side = Side::deep(settings(), budget, depth);
            *side.memory.keeps.lock().expect("unpoisoned") = Some(Vec::new());
            let plain = spans(500);
            let packed = |codec| aldis_connect::codec::compress(codec, 1, &plain).expect("compressed");
            block_on(async {
                let mut sender = http2(side.grpc()).await;
                for (flag, body, codec) in [
                    (0, plain.clone(), None),
                    (1, packed(Codec::Gzip), Some(Codec::Gzip)),
                    (1, packed(Codec::Zstd), Some(Codec::Zstd)),
                ] {
                    let mut request = grpc_request(side.grpc(), TRACES, full(framed(flag, &body)));
                    if let Some(codec) = codec {
                        encoded(&mut request, "grpc-encoding", codec);
                    }
                    assert_eq!(ask(&mut sender, request).await.grpc_status(), Some(0));
                }
                let mut request = http_request("/v1/traces", full(json.into()));
                request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
                assert_eq!(http1(side.http(), request).await.status.as_u16(), 200);
                let chunked = http_request("/v1/traces", pieces(&plain, 1000));
                assert_eq!(http1(side.http(), chunked).await.status.as_u16(), 200);
            });
            let kept: usize =
                side.memory.batches.lock().expect("unpoisoned").iter().map(otlp::Batch::memory_bytes).sum();
            // The last connection of the block before may be giving back its window.
            let what = format!("{depth:?} within {budget}: as much as is kept");
            block_on(eventually(&what, || side.memory.held() == kept));
            *side.memory.keeps.lock().expect("unpoisoned") = None;
            assert_balanced(&side);
        }
    }
}

#[test]
fn bodies_in_tiny_pieces() {
    let side = Side::start();
    let body = spans(40);
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        for size in [1, 3, 4, 5, 6, 100, 1000] {
            let answer =
                ask(&mut sender, grpc_request(side.grpc(), TRACES, pieces(&framed(0, &body), size))).await;
            assert_eq!(answer.grpc_status(), Some(0), "pieces of {size}");
            // Without a known length: chunked.
            let answer = http1(side.http(), http_request("/v1/traces", pieces(&body, size))).await;
            assert_eq!(answer.status.as_u16(), 200, "pieces of {size}");
        }
    });
    let batches = side.memory.batches.lock().expect("unpoisoned");
    assert_eq!(batches.len(), 14);
    assert!(batches.iter().all(|batch| batch.raw() == &body));
    drop(batches);
    side.memory.batches.lock().expect("unpoisoned").clear();
    assert_balanced(&side);
}

#[test]
fn a_body_too_large_is_told_so() {
    let mut settings = settings();
    settings.http.as_mut().expect("http").max_request_body_size = 1000;
    let side = Side::with(settings, 64 << 20);
    block_on(async {
        for body in [full(spans(100)), pieces(&spans(100), 300)] {
            let answer = http1(side.http(), http_request("/v1/traces", body)).await;
            assert_eq!(answer.status.as_u16(), 413);
        }
    });
    assert_balanced(&side);
}

#[test]
fn a_sender_that_goes_away() {
    let side = Side::start();
    side.memory.answer_with(None);
    block_on(async {
        // Before the body is whole.
        let mut stream = TcpStream::connect(side.http()).expect("a listener");
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 5000\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("written");
        stream.write_all(&[10; 1000]).expect("written");
        eventually("the body is charged", || side.memory.held() == 5000).await;
        drop(stream);
        eventually("the memory is back", || side.memory.held() == 0).await;

        // While it waits for its answer.
        let mut sender = http2(side.grpc()).await;
        let request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(7))));
        let waits = || !side.memory.waiting.lock().expect("unpoisoned").is_empty();
        tokio::select! {
            answer = sender.send_request(request) => panic!("nobody answers: {answer:?}"),
            () = eventually("it is offered", waits) => {}
        }
        drop(sender);
        let cancelled = || {
            let counts = side.listening().counts();
            let traces = counts.signal(Signal::Traces);
            (traces.requests_refused(Code::Cancelled), traces.records_refused(Code::Cancelled))
        };
        eventually("both are counted", || cancelled() == (2, 7)).await;
    });
    // The pipeline has it all the same, and may say so to nobody.
    let share = side.memory.waiting.lock().expect("unpoisoned").pop().expect("offered");
    share.resolve(pipeline::Outcome::DELIVERED);
    assert_balanced(&side);
}

#[test]
fn slow_senders_are_given_up() {
    let mut settings = settings();
    settings.body_timeout = Duration::from_millis(100);
    settings.http.as_mut().expect("http").read_header_timeout = Duration::from_secs(1);
    let side = Side::with(settings, 64 << 20);
    for (sent, expected) in [
        ("POST /v1/traces HTTP/1.1\r\nhost: x\r\n", ""),
        (
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 50\r\n\r\nab",
            "HTTP/1.1 408",
        ),
    ] {
        let mut stream = TcpStream::connect(side.http()).expect("a listener");
        // Shorter than the default, which would close it as well.
        stream.set_read_timeout(Some(PATIENCE / 2)).expect("set");
        stream.write_all(sent.as_bytes()).expect("written");
        let mut answer = Vec::new();
        // It ends: the receiver closes.
        stream.read_to_end(&mut answer).expect("closed in time");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn too_many_connections_and_the_wrong_protocol() {
    let mut settings = settings();
    settings.max_connections = 2;
    let side = Side::with(settings, 64 << 20);
    block_on(async {
        let first = http2(side.grpc()).await;
        let mut second = http2(side.http()).await;
        eventually("both are open", || side.listening().counts().connections_open == 2).await;
        let mut third = TcpStream::connect(side.grpc()).expect("the kernel accepts");
        assert_eq!(third.read(&mut [0]).unwrap_or(0), 0, "closed at once");
        assert_eq!(side.listening().counts().connections_refused, 1);
        drop(first);
        eventually("one is gone", || side.listening().counts().connections_open == 1).await;
        // HTTP/1.1 on the gRPC port is closed without an answer.
        let mut wrong = TcpStream::connect(side.grpc()).expect("a listener");
        wrong.write_all(b"POST / HTTP/1.1\r\n\r\n").expect("written");
        assert_eq!(wrong.read(&mut [0]).unwrap_or(0), 0);
        // The other goes on.
        let request = http_request(&format!("http://{}/v1/traces", side.http()), full(spans(1)));
        assert_eq!(ask(&mut second, request).await.status.as_u16(), 200);
    });
}

#[test]
fn old_and_idle_connections_are_told_to_go() {
    for keepalive in [
        Keepalive { max_connection_idle: Some(Duration::from_secs(1)), ..Keepalive::default() },
        Keepalive { max_connection_age: Some(Duration::from_secs(1)), ..Keepalive::default() },
    ] {
        let mut settings = settings();
        settings.grpc.as_mut().expect("grpc").keepalive = keepalive;
        let side = Side::with(settings, 64 << 20);
        block_on(async {
            let sender = loop {
                let mut sender = http2(side.grpc()).await;
                let request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
                // Whoever does not get to ask before its time is over comes again.
                let Ok(answer) = sender.send_request(request).await else { continue };
                assert_eq!(whole(answer).await.grpc_status(), Some(0));
                break sender;
            };
            eventually("GOAWAY", || sender.is_closed()).await;
            eventually("closed", || side.listening().counts().connections_open == 0).await;
        });
    }
}

/// A peer that never answers, the PING of the shutdown included, cannot keep its place.
#[test]
fn whoever_is_told_to_go_and_says_nothing_is_gone_soon() {
    let grace = Some(Duration::from_millis(50));
    let short = Keepalive { max_connection_age_grace: grace, ..Keepalive::default() };
    for keepalive in [
        Keepalive { max_connection_idle: grace, ..short.clone() },
        Keepalive { max_connection_age: grace, ..short },
    ] {
        let mut settings = settings();
        settings.grpc.as_mut().expect("grpc").keepalive = keepalive;
        let side = Side::with(settings, 64 << 20);
        let mut silent = TcpStream::connect(side.grpc()).expect("a listener");
        silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("written");
        block_on(async {
            eventually("accepted", || side.listening().counts().connections_accepted == 1).await;
            eventually("closed", || side.listening().counts().connections_open == 0).await;
        });
        silent.read_to_end(&mut Vec::new()).expect("what it was told, and the end");
    }
}

/// What is in flight when the receiver stops is answered; nothing new is taken.
#[test]
fn a_graceful_stop_finishes_what_is_in_flight() {
    // Once it has let go of its port nobody else is there.
    let mut side = Side::with(settings_at(own_address()), 64 << 20);
    side.memory.answer_with(None);
    let (memory, address) = (side.memory.clone(), side.grpc());
    block_on(async {
        // Neither a peer that has said nothing nor an idle one holds up the end.
        let _silent = TcpStream::connect(address).expect("a listener");
        let _idle = http2(address).await;
        let mut sender = http2(address).await;
        let answer = tokio::spawn(async move {
            let request = grpc_request(address, TRACES, full(framed(0, &spans(2))));
            ask(&mut sender, request).await
        });
        eventually("it is offered", || !memory.waiting.lock().expect("unpoisoned").is_empty()).await;
        let listening = side.listening.take().expect("running");
        let stop = std::thread::spawn(move || listening.stop(std::time::Instant::now() + 2 * PATIENCE));
        eventually("nobody listens", || TcpStream::connect(address).is_err()).await;
        assert!(!stop.is_finished());
        let share = memory.waiting.lock().expect("unpoisoned").pop().expect("offered");
        share.resolve(pipeline::Outcome::DELIVERED);
        assert_eq!(answer.await.expect("no panic").grpc_status(), Some(0));
        eventually("it stopped", || stop.is_finished()).await;
        assert_eq!(stop.join().expect("no panic"), 0);
    });
}
