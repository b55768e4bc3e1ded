//! OTLP/HTTP: one POST per request, the answer's status in HTTP's words and as `google.rpc.Status`.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body::Body;
use otlp::{Codec, Signal};

use super::{
    HttpSettings, Refusal,
    intake::{Arrived, Desk, Held, Port, metadata, metadata_bytes},
    message::{PartialSuccess, Status},
    stats::Counted,
};
use crate::{
    body::{AnswerBody, ReadError, next_data, read_announced, read_growing},
    codec,
    limits::MAX_DISCARDED_BYTES,
};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What a body is written in; the answer is written in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

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
    let form = form(request.headers());
    // Whoever sends neither is answered in protobuf.
    let answer_in = *form.as_ref().unwrap_or(&Form::Protobuf);
    let gives_up_on_429 = gives_up_on_429(request.headers());
    let path = request.uri().path();
    let signal = Signal::ALL.into_iter().find(|signal| settings.path(*signal) == path);
    let Some(port) = signal.and_then(|signal| desk.port(signal)) else {
        desk.stats.unrouted.fetch_add(1, Relaxed);
        return refused(&Refusal::NoSuchPath(path.to_owned()), answer_in, gives_up_on_429);
    };
    let mut counted = Counted::new(desk.stats.signal(port.signal()));
    let end = call(desk, port, settings, request, form, &mut counted).await;
    counted.settle(&end);
    match end {
        Ok(partial) => written(answer_in, || partial.response(), || partial.json(port.signal())),
        Err(refusal) => refused(&refusal, answer_in, gives_up_on_429),
    }
}

async fn call<B>(
    desk: &Desk,
    port: &Port,
    settings: &HttpSettings,
    request: Request<B>,
    form: Result<Form, Refusal>,
    counted: &mut Counted<'_>,
) -> Result<PartialSuccess, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if request.method() != Method::POST {
        return Err(Refusal::WrongMethod);
    }
    let is_json = form? == Form::Json;
    let codec = encoding(request.headers())?;
    let max = settings.max_request_body_size;
    let headers = settings.include_metadata.then(|| metadata(request.headers()));
    let may_close = request.version() < Version::HTTP_2;
    let mut held = desk.hold(port);
    held.must_take(headers.as_deref().map_or(0, metadata_bytes))?;
    let mut stream = request.into_body();
    let read = tokio::time::timeout(desk.body_timeout, async {
        let whole = whole(&mut stream, max, &mut held).await;
        if may_close && whole.as_ref().is_err_and(is_of_size) {
            // HTTP/1.1 can only say so by closing while the sender still writes; the answer would be lost.
            discard(&mut stream, max.max(MAX_DISCARDED_BYTES)).await;
        }
        whole
    });
    let body = read.await.map_err(|_| Refusal::SlowBody)??;
    // Trailers must not be kept as long as it may take to deliver the request.
    drop(stream);
    desk.admit(port, Arrived { body, codec, is_json, max, headers, timeout: None }, held, counted)
        .await
        .map_err(|refusal| {
            match refusal {
                // HTTP knows no "internal error of the sender": what does not decompress is a bad request.
                Refusal::Undecodable(why) => Refusal::Malformed(why),
                other => other,
            }
        })
}

fn is_of_size(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Overloaded { .. } | Refusal::TooLarge { .. } | Refusal::TooMuchMemory { .. })
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .unwrap_or_default()
}

fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let kind = text(headers, &CONTENT_TYPE);
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Ok(Form::Protobuf),
        "application/json" => Ok(Form::Json),
        other => {
            let hint = "send application/x-protobuf or application/json";
            Err(Refusal::WrongContentType(format!("content type {other:?} is not understood; {hint}")))
        }
    }
}

fn encoding(headers: &HeaderMap) -> Result<Option<Codec>, Refusal> {
    let name = text(headers, &CONTENT_ENCODING);
    match name.trim() {
        "" | "identity" => Ok(None),
        name => codec::by_name(name).map(Some).ok_or_else(|| Refusal::WrongEncoding(name.to_owned())),
    }
}

fn written(
    form: Form,
    protobuf: impl FnOnce() -> Vec<u8>,
    json: impl FnOnce() -> String,
) -> Response<AnswerBody> {
    let (kind, data) = match form {
        Form::Protobuf => (PROTOBUF, Bytes::from(protobuf())),
        Form::Json => (JSON, Bytes::from(json())),
    };
    let mut response = Response::new(AnswerBody { data: Some(data), trailers: None });
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn whole<B>(body: &mut B, max: usize, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let Some(length) = body.size_hint().exact() else {
        let whole = read_growing(body, max, &mut |bytes| held.take(bytes)).await;
        return whole.map_err(|error| held.refusal_of_body(&error, max));
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > max {
        return Err(Refusal::TooLarge { max });
    }
    held.must_take(length)?;
    read_announced(body, Bytes::new(), length).await.map_err(|error| match error {
        // HTTP frames the body itself: what is cut off means that the sender went away.
        ReadError::CutOff => Refusal::Cancelled,
        error => held.refusal_of_body(&error, max),
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

/// Whether the sender may drop what is answered 429. OTLP allows 503 for the same, and every client tries again after that;
/// older exporters of the Python SDK (1.45 is not among them) know no status but 408 and those from 500 on.
fn gives_up_on_429(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"OTel-OTLP-Exporter-Python/"))
}

fn refused(refusal: &Refusal, form: Form, gives_up_on_429: bool) -> Response<AnswerBody> {
    let status = Status {
        code: refusal.code() as u32,
        message: refusal.to_string(),
        retry_after: refusal.retry_after(),
    };
    let mut response = written(form, || status.encode(), || status.json());
    *response.status_mut() = match refusal.http_status() {
        StatusCode::TOO_MANY_REQUESTS if gives_up_on_429 => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    let headers = response.headers_mut();
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
