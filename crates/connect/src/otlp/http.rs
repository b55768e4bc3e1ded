//! OTLP/HTTP: one POST per request, the answer's status in HTTP's words and as `google.rpc.Status`.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Body;
use otlp::{Codec, Signal};

use super::{
    HttpSettings, Refusal,
    intake::{Arrived, Desk, Held, Port, metadata},
    message::{PartialSuccess, Status},
    stats::Counted,
};
use crate::{
    body::{AnswerBody, ReadError, next_data, read_announced, read_growing},
    codec,
    limits::{MAX_DISCARDED_BYTES, OVERLOAD_RETRY_AFTER},
};

pub(super) const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Answers one request.
pub(super) async fn answer<B>(
    desk: &Desk,
    settings: &HttpSettings,
    request: Request<B>,
) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let path = request.uri().path();
    let signal = Signal::ALL.into_iter().find(|signal| settings.path(*signal) == path);
    let Some(port) = signal.and_then(|signal| desk.port(signal)) else {
        desk.stats.unrouted.fetch_add(1, Relaxed);
        return refused(&Refusal::NoSuchPath(path.to_owned()));
    };
    let mut counted = Counted::new(desk.stats.signal(port.signal()));
    let end = call(desk, port, settings, request, &mut counted).await;
    counted.settle(&end);
    match end {
        Ok(partial) => {
            let mut response =
                Response::new(AnswerBody { data: Some(partial.response().into()), trailers: None });
            response.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
            response
        }
        Err(refusal) => refused(&refusal),
    }
}

async fn call<B>(
    desk: &Desk,
    port: &Port,
    settings: &HttpSettings,
    request: Request<B>,
    counted: &mut Counted<'_>,
) -> Result<PartialSuccess, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let codec = encoding(&request)?;
    let max = settings.max_request_body_size;
    let headers = settings.include_metadata.then(|| metadata(request.headers()));
    let may_close = request.version() < Version::HTTP_2;
    let mut body = request.into_body();
    let mut held = desk.hold(port);
    let read = tokio::time::timeout(desk.body_timeout, async {
        let whole = whole(&mut body, max, &mut held).await;
        if may_close && matches!(whole, Err(Refusal::Overloaded { .. } | Refusal::TooLarge { .. })) {
            // HTTP/1.1 can only say so by closing while the sender still writes; the answer would be lost.
            discard(&mut body, max.max(MAX_DISCARDED_BYTES)).await;
        }
        whole
    });
    let body = read.await.map_err(|_| Refusal::SlowBody)??;
    desk.admit(port, Arrived { body, codec, max, headers, timeout: None }, held, counted).await.map_err(
        |refusal| {
            match refusal {
                // HTTP knows no "internal error of the sender": what does not decompress is a bad request.
                Refusal::Undecodable(why) => Refusal::Malformed(why),
                other => other,
            }
        },
    )
}

/// Method, media type and compression; the one place that a reader of OTLP/JSON has to be told of.
fn encoding<B>(request: &Request<B>) -> Result<Option<Codec>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::WrongMethod);
    }
    let text = |name| {
        request.headers().get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()))
    };
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/x-protobuf" => {}
        "application/json" => {
            let why = "OTLP/JSON is not read here; send application/x-protobuf";
            return Err(Refusal::WrongContentType(why.to_owned()));
        }
        other => {
            let why = format!("content type {other:?} is not understood; send application/x-protobuf");
            return Err(Refusal::WrongContentType(why));
        }
    }
    let name = text(CONTENT_ENCODING).unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(None),
        name => codec::by_name(name).map(Some).ok_or_else(|| Refusal::WrongEncoding(name.to_owned())),
    }
}

async fn whole<B>(body: &mut B, max: usize, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let wrong = |error: ReadError| Refusal::of_body(&error, max);
    let Some(length) = body.size_hint().exact() else {
        return read_growing(body, max, &mut |bytes| held.take(bytes)).await.map_err(wrong);
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > max {
        return Err(Refusal::TooLarge { max });
    }
    if !held.take(length) {
        return Err(Refusal::Overloaded { after: OVERLOAD_RETRY_AFTER });
    }
    read_announced(body, Bytes::new(), length).await.map_err(|error| match error {
        // HTTP frames the body itself: what is cut off means that the sender went away.
        ReadError::CutOff => Refusal::Cancelled,
        error => wrong(error),
    })
}

/// Reads and forgets up to `max` bytes.
async fn discard<B>(body: &mut B, max: usize)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut left = max;
    while let Ok(Some(data)) = next_data(body).await {
        match left.checked_sub(data.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn refused(refusal: &Refusal) -> Response<AnswerBody> {
    let status = Status {
        code: refusal.code() as u32,
        message: refusal.to_string(),
        retry_after: refusal.retry_after(),
    };
    let mut response = Response::new(AnswerBody { data: Some(status.encode().into()), trailers: None });
    *response.status_mut() = refusal.http_status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROTOBUF);
    if let Some(after) = status.retry_after {
        // Whole seconds, and never zero: that would invite the sender back at once.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match refusal {
        Refusal::WrongMethod => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        Refusal::WrongEncoding(_) => headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")),
        _ => None,
    };
    response
}
