//! What an answer means: the tables of the OTLP specification, "Failures" of OTLP/gRPC and OTLP/HTTP.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use otlp::{Signal, json};
use pipeline::Outcome;

use super::{
    base64, grpc,
    message::{PartialSuccess, Status},
};
use crate::limits::{MAX_REASON_BYTES, MAX_RETRY_AFTER};

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// For counting: a gRPC code's name, an HTTP status, or `io`.
    pub(super) code: Cow<'static, str>,
    pub(crate) outcome: Outcome,
}

/// The names of gRPC's status codes, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Reply {
    /// There is no answer.
    pub(super) fn none(maybe_delivered: bool, reason: impl Into<String>) -> Self {
        let outcome =
            Outcome::Retry { after: None, maybe_delivered, overloaded: false, reason: reason.into() };
        Self { code: Cow::Borrowed("io"), outcome }
    }

    /// `ends` are the headers that carry the status: the trailers, or the only ones there are.
    pub(super) fn of_grpc(status: StatusCode, ends: &HeaderMap, message: &[u8]) -> Self {
        let number = ends.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
        let number: usize = match number {
            Some(number) => number,
            // An answer without a status, if anything answered at all, is a proxy's.
            None => from_http(status),
        };
        let name = NAMES.get(number).copied().unwrap_or("UNKNOWN");
        let text =
            ends.get("grpc-message").map(|value| grpc::percent_decode(value.as_bytes())).unwrap_or_default();
        let after = ends
            .get("grpc-status-details-bin")
            .and_then(|value| base64::decode(value.as_bytes()))
            .and_then(|details| Status::read(&details).retry_after)
            .map(|after| after.min(MAX_RETRY_AFTER));
        let reason = reason(name, &text);
        let overloaded = number == 8;
        let retry = |maybe_delivered| {
            let reason = reason.clone();
            Outcome::Retry { after, maybe_delivered, overloaded, reason }
        };
        let outcome = match number {
            0 => Outcome::Delivered { rejected: PartialSuccess::read(message).rejected },
            // The far side gave up on it without saying how far it had come.
            1 | 4 => retry(true),
            10 | 11 | 14 | 15 => retry(false),
            8 if after.is_some() => retry(false),
            _ => Outcome::Permanent { code: Cow::Borrowed(name), reason },
        };
        Self { code: Cow::Borrowed(name), outcome }
    }

    /// The answer's status, headers and body, protobuf or JSON whichever it says it is.
    pub(super) fn of_http(
        signal: Signal,
        (status, headers, body): (StatusCode, &HeaderMap, &Bytes),
        now: SystemTime,
    ) -> Self {
        let code = Cow::Owned(status.as_str().to_owned());
        let kind = headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let is_json = kind.to_ascii_lowercase().starts_with(b"application/json");
        if status.is_success() {
            // What cannot be read counts as nothing: the status alone decides then.
            let body = match is_json {
                true => Cow::Owned(json::response_to_wire(signal, body).unwrap_or_default()),
                false => Cow::Borrowed(&body[..]),
            };
            let outcome = Outcome::Delivered { rejected: PartialSuccess::read(&body).rejected };
            return Self { code, outcome };
        }
        let text = match (kind, is_json.then(|| json::status_to_wire(body))) {
            (b"application/x-protobuf", _) => Status::read(body).message,
            (_, Some(Ok(status))) => Status::read(&status).message,
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        let reason = reason(&format!("HTTP {status}"), &text);
        let outcome = match status.as_u16() {
            429 | 502 | 503 | 504 => {
                let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
                // A gateway that gave up does not know what became of the request behind it.
                let maybe_delivered = matches!(status.as_u16(), 502 | 504);
                Outcome::Retry { after, maybe_delivered, overloaded: status.as_u16() == 429, reason }
            }
            _ => Outcome::Permanent { code: code.clone(), reason },
        };
        Self { code, outcome }
    }
}

/// The gRPC code of an HTTP answer that has none of its own (gRPC's "HTTP to gRPC status code mapping").
fn from_http(status: StatusCode) -> usize {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let after = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(after.min(MAX_RETRY_AFTER))
}

fn reason(code: &str, text: &str) -> String {
    let cut = text.floor_char_boundary(MAX_REASON_BYTES);
    if text.is_empty() { code.to_owned() } else { format!("{code}: {}", &text[..cut]) }
}

#[cfg(test)]
mod tests;
