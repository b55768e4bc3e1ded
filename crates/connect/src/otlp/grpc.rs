//! gRPC over HTTP/2, unary calls only: five bytes before the message, status in the trailers.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body;

use super::{
    Refusal, base64,
    intake::{Arrived, Desk, Held, Port, metadata, metadata_bytes},
    message::{PartialSuccess, Status},
    route,
    stats::{Counted, Transport},
};
use crate::{
    auth::Guard,
    body::{AnswerBody, ReadError, next_data, read_announced},
    codec,
    limits::{MAX_REASON_BYTES, MIN_LENT_HTTP2_BYTES},
};

/// Bytes before every message: one flag, then its length.
pub(super) const PREFIX_BYTES: usize = 5;
/// What we can decompress, as `grpc-accept-encoding` lists it.
pub(super) const ACCEPTED: &str = "identity,gzip,zstd";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The listener's settings that every request needs.
#[derive(Debug)]
pub(super) struct GrpcRules {
    pub(super) max: usize,
    pub(super) include_metadata: bool,
    pub(super) guard: Option<Arc<Guard>>,
}

/// The five bytes before a message.
pub(super) fn prefix(compressed: bool, length: usize) -> Option<[u8; PREFIX_BYTES]> {
    let [a, b, c, d] = u32::try_from(length).ok()?.to_be_bytes();
    Some([u8::from(compressed), a, b, c, d])
}

/// Answers one call.
pub(super) async fn answer<B>(desk: &Desk, rules: &GrpcRules, request: Request<B>) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let is_grpc = |value: &HeaderValue| {
        let kind = value.as_bytes();
        kind.starts_with(b"application/grpc") && matches!(kind.get(16), None | Some(b'+' | b';'))
    };
    if request.method() != Method::POST || !request.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
        // Not gRPC at all, so its answer cannot be in gRPC's words: the gRPC specification says 415.
        desk.stats.unrouted.fetch_add(1, Relaxed);
        let mut response = Response::new(AnswerBody::default());
        *response.status_mut() = if request.method() == Method::POST {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        } else {
            StatusCode::METHOD_NOT_ALLOWED
        };
        return response;
    }
    let path = request.uri().path();
    let signal = route::by_grpc_path(path);
    let Some(port) = signal.and_then(|signal| desk.port(signal)) else {
        desk.stats.unrouted.fetch_add(1, Relaxed);
        let admitted = desk.identify(rules.guard.as_deref(), request.headers()).await;
        return refused(&admitted.err().unwrap_or_else(|| Refusal::NoSuchPath(path.to_owned())));
    };
    let mut counted = desk.count(Transport::Grpc, port.signal(), request.headers());
    let end = call(desk, &port, rules, request, &mut counted).await;
    counted.settle(&end);
    match end {
        Ok(partial) => admitted(&partial),
        Err(refusal) => refused(&refusal),
    }
}

async fn call<B>(
    desk: &Desk,
    port: &Port,
    rules: &GrpcRules,
    request: Request<B>,
    counted: &mut Counted<'_>,
) -> Result<PartialSuccess, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let guard = rules.guard.as_deref();
    // Before anything is read or charged.
    let tenant = desk.identify(guard, request.headers()).await?;
    let (head, mut stream) = request.into_parts();
    let timeout = match head.headers.get("grpc-timeout") {
        None => None,
        Some(value) => Some(timeout(value.as_bytes()).ok_or_else(|| {
            Refusal::Malformed("grpc-timeout is not up to eight digits and one of H M S m u n".to_owned())
        })?),
    };
    let encoding = match head.headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => None,
        Some(other) => {
            let name = String::from_utf8_lossy(other);
            Some(codec::by_name(&name).ok_or_else(|| Refusal::WrongEncoding(name.into_owned()))?)
        }
    };
    let mut held = desk.hold(port);
    let headers = rules.include_metadata.then(|| metadata(&head.headers, guard.map(Guard::header)));
    held.must_take(headers.as_deref().map_or(0, metadata_bytes))?;
    // The rest, and trailers, must not be kept as long as it may take to read a body and to deliver it.
    drop(head);
    let read = tokio::time::timeout(desk.body_timeout, message(&mut stream, rules.max, &mut held));
    let (compressed, body) = read.await.map_err(|_| Refusal::SlowBody)??;
    drop(stream);
    if compressed && encoding.is_none() {
        return Err(Refusal::Undecodable(
            "the message is marked compressed, but grpc-encoding names none".to_owned(),
        ));
    }
    let codec = encoding.filter(|_| compressed);
    let max = rules.max;
    let arrived = Arrived { body, codec, is_json: false, max, headers, tenant, timeout };
    desk.admit(port, arrived, held, counted).await
}

/// Reads the one message of a unary call: whether it is compressed, and its bytes.
async fn message<B>(body: &mut B, max: usize, held: &mut Held<'_>) -> Result<(bool, Bytes), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let wrong = |held: &Held<'_>, error: ReadError| held.refusal_of_body(&error, max);
    let cut_off = |held: &Held<'_>| wrong(held, ReadError::CutOff);
    let mut first =
        next_data(body).await.map_err(|error| wrong(held, error))?.ok_or_else(|| cut_off(held))?;
    if first.len() < PREFIX_BYTES {
        let mut joined = BytesMut::from(first);
        while joined.len() < PREFIX_BYTES {
            let next =
                next_data(body).await.map_err(|error| wrong(held, error))?.ok_or_else(|| cut_off(held))?;
            joined.extend_from_slice(&next);
        }
        first = joined.freeze();
    }
    let flag = first[0];
    let length = u32::from_be_bytes([first[1], first[2], first[3], first[4]]) as usize;
    first.advance(PREFIX_BYTES);
    if flag > 1 {
        return Err(Refusal::Undecodable(format!("the message's flag is {flag}, which gRPC does not know")));
    }
    if length > max {
        return Err(Refusal::TooLarge { max });
    }
    held.must_take(length)?;
    let whole = read_announced(body, first, length, MIN_LENT_HTTP2_BYTES).await;
    let whole = whole.map_err(|error| wrong(held, error))?;
    Ok((flag == 1, whole))
}

fn admitted(partial: &PartialSuccess) -> Response<AnswerBody> {
    let message = partial.response();
    let mut data = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    data.extend_from_slice(&[0]);
    data.extend_from_slice(&(message.len() as u32).to_be_bytes());
    data.extend_from_slice(&message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(AnswerBody { data: Some(data.freeze()), trailers: Some(trailers) });
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// A "Trailers-Only" answer.
fn refused(refusal: &Refusal) -> Response<AnswerBody> {
    let message = refusal.to_string();
    let mut response = Response::new(AnswerBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert("grpc-status", HeaderValue::from(refusal.code() as u16));
    if let Ok(text) = HeaderValue::try_from(percent_encode(&message)) {
        headers.insert("grpc-message", text);
    }
    if let Refusal::WrongEncoding(_) = refusal {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED));
    }
    let status = Status { code: refusal.code() as u32, message, retry_after: refusal.retry_after() };
    if status.retry_after.is_some()
        && let Ok(details) = HeaderValue::try_from(base64::encode(&status.encode()))
    {
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(n * 3600)),
        b'M' => Some(Duration::from_secs(n * 60)),
        b'S' => Some(Duration::from_secs(n)),
        b'm' => Some(Duration::from_millis(n)),
        b'u' => Some(Duration::from_micros(n)),
        b'n' => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

/// `grpc-message`: printable ASCII but `%` as it is, all else as `%XX`.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes().take(MAX_REASON_BYTES) {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The inverse; an incomplete escape stands for itself.
pub(super) fn percent_decode(text: &[u8]) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(*first);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{percent_decode, percent_encode, timeout};

    #[test]
    fn timeouts_have_eight_digits_and_a_unit() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("8n", Some(Duration::from_nanos(8))),
            ("2M", Some(Duration::from_secs(120))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1s", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn messages_survive_percent_encoding() {
        for text in ["", "plain words", "100 % of Größe\n", "%41"] {
            let coded = percent_encode(text);
            assert!(coded.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{coded:?}");
            assert_eq!(percent_decode(coded.as_bytes()), text);
        }
        assert_eq!(percent_decode(b"50%"), "50%");
    }
}
