//! The answers that the OTLP and gRPC specifications demand, one row each.

use std::time::Duration;

use aldis_connect::otlp::Code;
use http::{HeaderValue, Method, Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use otlp::Signal;
use pipeline::Outcome;
use prost::Message;

use crate::side::{
    AnyBody, Side, TRACES, ask, block_on, eventually, framed, full, grpc_request, http_request, http1, http2,
    settings, spans,
};

type Change = fn(&mut Request<AnyBody>);

fn nothing(_: &mut Request<AnyBody>) {}

fn header(request: &mut Request<AnyBody>, name: &'static str, value: &'static str) {
    request.headers_mut().insert(name, HeaderValue::from_static(value));
}

#[test]
fn grpc_requests() {
    let side = Side::start();
    let valid = framed(0, &spans(3));
    let malformed = framed(0, &[0x0a, 0x7f, 1]);
    let gzip = framed(1, &zstd::encode_all(&spans(3)[..], 1).expect("zstd"));
    let cut_off = valid.slice(..valid.len() - 1);
    let two = [&valid[..], &valid[..]].concat().into();
    let flag = framed(2, &spans(3));
    let large = bytes::Bytes::from(vec![0, 0x00, 0x40, 0x00, 0x01]);
    // What it is, path, body, change, expected grpc-status.
    let rows: [(&str, &str, &bytes::Bytes, Change, u32); 16] = [
        ("valid", TRACES, &valid, nothing, 0),
        ("empty", TRACES, &framed(0, &[]), nothing, 0),
        ("identity named", TRACES, &valid, |r| header(r, "grpc-encoding", "identity"), 0),
        ("encoding named but not used", TRACES, &valid, |r| header(r, "grpc-encoding", "gzip"), 0),
        ("malformed message", TRACES, &malformed, nothing, 3),
        ("compressed with another codec", TRACES, &gzip, |r| header(r, "grpc-encoding", "gzip"), 13),
        ("compressed without a name", TRACES, &gzip, nothing, 13),
        ("unknown encoding", TRACES, &valid, |r| header(r, "grpc-encoding", "snappy"), 12),
        ("unknown flag", TRACES, &flag, nothing, 13),
        ("cut off", TRACES, &cut_off, nothing, 13),
        ("no message", TRACES, &bytes::Bytes::new(), nothing, 13),
        ("two messages", TRACES, &two, nothing, 12),
        ("announced one byte too large", TRACES, &large, nothing, 8),
        (
            "unknown method",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
            &valid,
            nothing,
            12,
        ),
        (
            "a signal without a pipeline",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            &valid,
            nothing,
            12,
        ),
        ("a timeout that is none", TRACES, &valid, |r| header(r, "grpc-timeout", "soon"), 3),
    ];
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        for (what, path, body, change, expected) in rows {
            let mut request = grpc_request(side.grpc(), path, full(body.clone()));
            change(&mut request);
            let answer = ask(&mut sender, request).await;
            assert_eq!(answer.status, StatusCode::OK, "{what}");
            assert_eq!(answer.headers["content-type"], "application/grpc", "{what}");
            assert_eq!(answer.grpc_status(), Some(expected), "{what}: {answer:?}");
            if expected == 0 {
                assert_eq!(answer.body, framed(0, &[]), "{what}: full success has no partial success");
            } else {
                assert!(!answer.text("grpc-message").expect("a reason").is_empty(), "{what}");
                assert_eq!(answer.text("grpc-status-details-bin"), None, "{what}: not to be retried");
            }
            if what == "unknown encoding" {
                assert_eq!(answer.text("grpc-accept-encoding"), Some("identity,gzip,zstd"));
            }
        }
        let mut json = grpc_request(side.grpc(), TRACES, full(valid.clone()));
        header(&mut json, "content-type", "application/json");
        assert_eq!(ask(&mut sender, json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let mut get = grpc_request(side.grpc(), TRACES, full(bytes::Bytes::new()));
        *get.method_mut() = Method::GET;
        assert_eq!(ask(&mut sender, get).await.status, StatusCode::METHOD_NOT_ALLOWED);
    });
    assert_balanced(&side);
}

#[test]
fn http_requests() {
    let side = Side::start();
    let (valid, malformed) = (spans(3), bytes::Bytes::from_static(&[0x0a, 0x7f, 1]));
    let empty = bytes::Bytes::new();
    // What it is, path, body, change, expected status.
    let rows: [(&str, &str, &bytes::Bytes, Change, u16); 13] = [
        ("valid", "/v1/traces", &valid, nothing, 200),
        ("empty", "/v1/traces", &empty, nothing, 200),
        (
            "a parameter behind the type",
            "/v1/traces",
            &valid,
            |r| header(r, "content-type", "Application/X-Protobuf; v=1"),
            200,
        ),
        ("identity", "/v1/traces", &valid, |r| header(r, "content-encoding", "identity"), 200),
        ("malformed", "/v1/traces", &malformed, nothing, 400),
        ("not gzip at all", "/v1/traces", &valid, |r| header(r, "content-encoding", "gzip"), 400),
        ("another path", "/v2/traces", &valid, nothing, 404),
        ("a signal without a pipeline", "/v1/metrics", &valid, nothing, 404),
        ("profiles without a pipeline", "/v1development/profiles", &valid, nothing, 404),
        ("GET", "/v1/traces", &empty, |r| *r.method_mut() = Method::GET, 405),
        ("text", "/v1/traces", &valid, |r| header(r, "content-type", "text/plain"), 415),
        ("no type", "/v1/traces", &valid, |r| drop(r.headers_mut().remove("content-type")), 415),
        ("unknown compression", "/v1/traces", &valid, |r| header(r, "content-encoding", "br"), 415),
    ];
    block_on(async {
        for (what, path, body, change, expected) in rows {
            let mut request = http_request(path, full(body.clone()));
            change(&mut request);
            let answer = http1(side.http(), request).await;
            assert_eq!(answer.status.as_u16(), expected, "{what}: {answer:?}");
            assert_eq!(answer.headers["content-type"], "application/x-protobuf", "{what}");
            assert_eq!(answer.text("retry-after"), None, "{what}");
            if expected == 200 {
                assert!(answer.body.is_empty(), "{what}: full success has no partial success");
            } else {
                let (code, message, details) = answer.status_message();
                assert!(code != 0 && !message.is_empty() && details == 0, "{what}");
            }
            match expected {
                405 => assert_eq!(answer.text("allow"), Some("POST")),
                415 if what == "unknown compression" => {
                    assert_eq!(answer.text("accept-encoding"), Some("gzip, zstd"));
                }
                _ => {}
            }
        }
        // The same port speaks HTTP/2.
        let mut sender = http2(side.http()).await;
        let request = http_request(&format!("http://{}/v1/traces", side.http()), full(valid.clone()));
        let answer = ask(&mut sender, request).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    });
    assert_balanced(&side);
}

#[test]
fn json_requests() {
    let side = Side::start();
    let two = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","kind":2},{"name":"b"}]}]}]}"#;
    let gzip = aldis_connect::codec::compress(otlp::Codec::Gzip, 1, two.as_bytes()).expect("compressed");
    let json = |body: bytes::Bytes| {
        let mut request = http_request("/v1/traces", full(body));
        header(&mut request, "content-type", "application/json; charset=utf-8");
        request
    };
    block_on(async {
        let mut packed = json(gzip);
        header(&mut packed, "content-encoding", "gzip");
        for request in [json(two.into()), packed] {
            let answer = http1(side.http(), request).await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{}"[..]), "{answer:?}");
            assert_eq!(answer.headers["content-type"], "application/json");
            let batch = side.memory.batches.lock().expect("unpoisoned").pop().expect("offered");
            assert_eq!((batch.len(), batch.compressed(otlp::Codec::Gzip)), (2, None));
        }
        side.memory.answer_with(Some(Outcome::Delivered { rejected: 1 }));
        let answer = http1(side.http(), json(two.into())).await;
        assert!(answer.body.starts_with(br#"{"partialSuccess":{"rejectedSpans":"1""#), "{answer:?}");
        let answer = http1(side.http(), json("{".into())).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.body.starts_with(br#"{"code":3,"message":"malformed JSON"#), "{answer:?}");
    });
    side.memory.batches.lock().expect("unpoisoned").clear();
    assert_balanced(&side);
}

#[test]
fn outcomes_in_both_protocols() {
    let side = Side::start();
    let retry =
        |after| Outcome::Retry { after, maybe_delivered: false, overloaded: false, reason: "dead".into() };
    let busy =
        |after| Outcome::Retry { after, maybe_delivered: false, overloaded: true, reason: "full".into() };
    // Outcome, grpc-status, HTTP status, seconds of Retry-After.
    let rows = [
        (Outcome::DELIVERED, 0, 200, None),
        (Outcome::Removed, 0, 200, None),
        (Outcome::Delivered { rejected: 2 }, 0, 200, None),
        (retry(None), 14, 503, None),
        (retry(Some(Duration::from_millis(1200))), 14, 503, Some("2")),
        (retry(Some(Duration::ZERO)), 14, 503, Some("1")),
        (busy(Some(Duration::from_millis(1200))), 8, 429, Some("2")),
        // Without RetryInfo no client would ever try again.
        (busy(None), 8, 429, Some("1")),
        (Outcome::Permanent { code: "400".into(), reason: "never".into() }, 13, 500, None),
    ];
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        for (outcome, grpc_status, http_status, after) in rows {
            side.memory.answer_with(Some(outcome.clone()));
            let request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(5))));
            let grpc = ask(&mut sender, request).await;
            assert_eq!(grpc.grpc_status(), Some(grpc_status), "{outcome:?}");
            assert_eq!(grpc.text("grpc-status-details-bin").is_some(), after.is_some(), "{outcome:?}");
            let http = http1(side.http(), http_request("/v1/traces", full(spans(5)))).await;
            assert_eq!(http.status.as_u16(), http_status, "{outcome:?}");
            assert_eq!(http.text("retry-after"), after, "{outcome:?}");
            if outcome == (Outcome::Delivered { rejected: 2 }) {
                let expected = ExportTraceServiceResponse {
                    partial_success: Some(ExportTracePartialSuccess {
                        rejected_spans: 2,
                        error_message: "2 records were rejected by a destination".into(),
                    }),
                };
                assert_eq!(ExportTraceServiceResponse::decode(&grpc.body[5..]).expect("valid"), expected);
                assert_eq!(ExportTraceServiceResponse::decode(&http.body[..]).expect("valid"), expected);
            }
        }
    });
    assert_balanced(&side);
}

/// What SDKs do with an answer decides what is answered: see the sources of their exporters.
#[test]
fn overload_is_told_so_that_no_sdk_drops_its_batch() {
    let side = Side::start();
    side.memory.answer_with(Some(Outcome::overloaded("the queue is full")));
    block_on(async {
        for (agent, status) in [
            ("OTel-OTLP-Exporter-Python/1.38.0", 503),
            ("OTel OTLP Exporter Go/1.47.0", 429),
            ("OTel-OTLP-Exporter-JavaScript/0.301.0", 429),
        ] {
            let mut request = http_request("/v1/traces", full(spans(1)));
            header(&mut request, "user-agent", agent);
            let answer = http1(side.http(), request).await;
            assert_eq!((answer.status.as_u16(), answer.text("retry-after")), (status, Some("1")), "{agent}");
            assert_eq!(answer.status_message().0, 8, "the status in the body is the same for all");
        }
    });
    assert_eq!(side.listening().counts().signal(Signal::Traces).requests_refused(Code::ResourceExhausted), 3);
    side.memory.batches.lock().expect("unpoisoned").clear();
    assert_balanced(&side);
}

#[test]
fn a_deadline_that_passes_and_metadata_that_travels() {
    let mut settings = settings();
    settings.grpc.as_mut().expect("grpc").include_metadata = true;
    let side = Side::with(settings, 64 << 20);
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        let mut request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        header(&mut request, "x-tenant", "blue");
        header(&mut request, "a-first", "1");
        assert_eq!(ask(&mut sender, request).await.grpc_status(), Some(0));
        let headers = side.memory.headers.lock().expect("unpoisoned").pop().expect("offered");
        let expected = [("a-first".to_owned(), "1".to_owned()), ("x-tenant".to_owned(), "blue".to_owned())];
        assert_eq!(headers.expect("included")[..], expected);

        side.memory.answer_with(None);
        let mut request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        header(&mut request, "grpc-timeout", "20m");
        assert_eq!(ask(&mut sender, request).await.grpc_status(), Some(4));
    });
    assert_balanced(&side);
}

/// Nothing in flight: everything offered is admitted or refused, and all memory is back. Windows of clients that have
/// just gone are given back by other threads, so that what is held is looked at until it is still.
pub(crate) fn assert_balanced(side: &Side) {
    let counts = side.listening().counts();
    for signal in Signal::ALL {
        let c = counts.signal(signal);
        assert_eq!(
            c.requests_offered,
            c.requests_admitted + c.requests_refused.iter().sum::<u64>(),
            "{signal}"
        );
        assert_eq!(c.records_offered, c.records_admitted + c.records_refused.iter().sum::<u64>(), "{signal}");
    }
    block_on(eventually("all memory is back", || side.memory.held() == 0));
}
