//! The specification's tables, row by row.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use otlp::Signal;
use pipeline::Outcome;

use super::{Reply, retry_after};
use crate::otlp::{
    base64,
    message::{PartialSuccess, Status},
};

/// `r` retry, `?` retry that may have been delivered, `p` permanent.
fn letter(outcome: &Outcome) -> char {
    match outcome {
        Outcome::Delivered { .. } => 'd',
        Outcome::Removed => '-',
        Outcome::Retry { maybe_delivered: false, .. } => 'r',
        Outcome::Retry { maybe_delivered: true, .. } => '?',
        Outcome::Permanent { .. } => 'p',
    }
}

#[test]
fn every_grpc_status() {
    //                   0 CANCELLED UNKNOWN INVALID DEADLINE …
    let expected = "d?pp?ppppprrpprrp";
    for (number, letter_expected) in expected.chars().enumerate() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(number));
        let reply = Reply::of_grpc(StatusCode::OK, &trailers, &[]);
        assert_eq!(letter(&reply.outcome), letter_expected, "{}", reply.code);
    }
}

#[test]
fn resource_exhausted_is_retryable_only_with_a_delay() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("8"));
    trailers.insert("grpc-message", HeaderValue::from_static("50%25 full"));
    assert_eq!(letter(&Reply::of_grpc(StatusCode::OK, &trailers, &[]).outcome), 'p');
    let status = Status { code: 8, message: String::new(), retry_after: Some(Duration::from_secs(3)) };
    let details = HeaderValue::try_from(base64::encode(&status.encode())).expect("base64");
    trailers.insert("grpc-status-details-bin", details);
    let expected = Outcome::Retry {
        after: Some(Duration::from_secs(3)),
        maybe_delivered: false,
        overloaded: true,
        reason: "RESOURCE_EXHAUSTED: 50% full".into(),
    };
    assert_eq!(Reply::of_grpc(StatusCode::OK, &trailers, &[]).outcome, expected);
}

#[test]
fn a_proxy_that_does_not_speak_grpc() {
    for (status, expected) in [
        (400, 'p'),
        (401, 'p'),
        (403, 'p'),
        (404, 'p'),
        (429, 'r'),
        (502, 'r'),
        (503, 'r'),
        (504, 'r'),
        (500, 'p'),
        (200, 'p'),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(letter(&Reply::of_grpc(status, &HeaderMap::new(), &[]).outcome), expected, "{status}");
    }
}

#[test]
fn every_http_status() {
    for (status, expected) in [
        (200, 'd'),
        (202, 'd'),
        (204, 'd'),
        (301, 'p'),
        (400, 'p'),
        (401, 'p'),
        (403, 'p'),
        (404, 'p'),
        (408, 'p'),
        (413, 'p'),
        (415, 'p'),
        (429, 'r'),
        (500, 'p'),
        (501, 'p'),
        (502, '?'),
        (503, 'r'),
        (504, '?'),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let reply = Reply::of_http(Signal::Logs, (status, &HeaderMap::new(), &Bytes::new()), UNIX_EPOCH);
        assert_eq!(letter(&reply.outcome), expected, "{status}");
    }
}

#[test]
fn rejected_records_are_counted() {
    let body = PartialSuccess { rejected: 7, message: "too old".into() }.response();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let expected = Outcome::Delivered { rejected: 7 };
    assert_eq!(Reply::of_grpc(StatusCode::OK, &trailers, &body).outcome, expected);
    let reply = Reply::of_http(Signal::Logs, (StatusCode::OK, &HeaderMap::new(), &body.into()), UNIX_EPOCH);
    assert_eq!(reply.outcome, expected);
}

/// Each answer in JSON, and what it means; the last ones are no JSON though they say so.
#[test]
fn answers_in_json_are_read() {
    let reply = |signal, status: u16, kind: &'static str, body: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        let status = StatusCode::from_u16(status).expect("a status");
        Reply::of_http(signal, (status, &headers, &Bytes::from_static(body.as_bytes())), UNIX_EPOCH).outcome
    };
    const JSON: &str = "application/json";
    for (signal, name) in Signal::ALL.into_iter().zip([
        "rejectedSpans",
        "rejectedLogRecords",
        "rejectedDataPoints",
        "rejectedProfiles",
    ]) {
        for rejected in [
            format!(r#"{{"partialSuccess":{{"{name}":"7","errorMessage":"old"}}}}"#),
            format!(r#"{{"partialSuccess":{{"{name}":7}}, "unheard": []}}"#),
        ] {
            let body: &'static str = rejected.leak();
            assert_eq!(reply(signal, 200, JSON, body), Outcome::Delivered { rejected: 7 }, "{body}");
        }
    }
    for (kind, body) in [(JSON, "{}"), (JSON, r#"{"partialSuccess":{}}"#), (JSON, ""), (JSON, "<html>")] {
        assert_eq!(reply(Signal::Traces, 200, kind, body), Outcome::DELIVERED, "{body}");
    }
    let status = r#"{"code":3,"message":"no \"such\" thing","details":[{"@type":"x","y":1}]}"#;
    for (kind, body, expected) in [
        (JSON, status, "HTTP 400 Bad Request: no \"such\" thing"),
        ("Application/JSON; charset=utf-8", status, "HTTP 400 Bad Request: no \"such\" thing"),
        (JSON, "{}", "HTTP 400 Bad Request"),
        (JSON, "not so", "HTTP 400 Bad Request: not so"),
        ("text/plain", "{}", "HTTP 400 Bad Request: {}"),
    ] {
        let expected = Outcome::Permanent { code: "400".into(), reason: expected.to_owned() };
        assert_eq!(reply(Signal::Traces, 400, kind, body), expected, "{kind} {body}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
    for (text, expected) in [
        ("5", Some(5)),
        ("0", Some(0)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("999999999", Some(3600)),
        ("soon", None),
        ("-1", None),
    ] {
        assert_eq!(retry_after(text, now), expected.map(Duration::from_secs), "{text}");
    }
}
