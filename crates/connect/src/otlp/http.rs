//! OTLP/HTTP: one POST per request, the answer's status in HTTP's words and as `google.rpc.Status`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER, USER_AGENT,
        WWW_AUTHENTICATE,
    },
    request::Parts,
};
use http_body::Body;
use otlp::{Codec, Signal};

use super::{
    HttpSettings, Refusal,
    intake::{Arrived, Desk, Held, Port, metadata, metadata_bytes},
    message::{PartialSuccess, Status},
    stats::{Counted, Transport},
};
use crate::{
    auth::Guard,
    body::{AnswerBody, ReadError, next_data, read_announced, read_growing},
    codec,
    cors::Crossing,
    limits::{MAX_DISCARDED_BYTES, MIN_LENT_HTTP1_BYTES, MIN_LENT_HTTP2_BYTES},
};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What a body is written in; the answer is written in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// What a listener holds its requests to.
#[derive(Debug)]
pub(super) struct HttpRules {
    pub(super) settings: Arc<HttpSettings>,
    pub(super) guard: Option<Arc<Guard>>,
}

/// Answers one request, and tells a browser what it wants to know.
pub(super) async fn answer<B>(desk: &Desk, rules: &HttpRules, request: Request<B>) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    match Crossing::of(rules.settings.cors.as_ref(), &request) {
        Crossing::Preflight(answer) => answer,
        Crossing::None => respond(desk, rules, request, true).await,
        Crossing::Refused => respond(desk, rules, request, false).await,
        Crossing::Allowed(headers) => {
            let mut response = respond(desk, rules, request, true).await;
            response.headers_mut().extend(headers);
            response
        }
    }
}

async fn respond<B>(
    desk: &Desk,
    rules: &HttpRules,
    request: Request<B>,
    is_welcome: bool,
) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (head, body) = request.into_parts();
    // Of those who wait to be asked for a body none is asked that nobody reads.
    let waits = head.headers.contains_key(EXPECT);
    let mut unread = Some(body);
    let response = answered(desk, rules, (head, &mut unread), is_welcome).await;
    if let Some(mut body) = unread.filter(|body| !body.is_end_stream() && !waits) {
        // Over HTTP/1.1 the connection would be closed while the sender still writes; over HTTP/2 its stream would be reset, which
        // some clients take for an answer. However this ends, there is one.
        let _ = tokio::time::timeout(desk.body_timeout, discard(&mut body, MAX_DISCARDED_BYTES)).await;
    }
    response
}

/// Takes the body out if it is read.
async fn answered<B>(
    desk: &Desk,
    rules: &HttpRules,
    (head, unread): (Parts, &mut Option<B>),
    is_welcome: bool,
) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let form = form(&head.headers);
    // Whoever sends neither is answered in protobuf.
    let answer_in = *form.as_ref().unwrap_or(&Form::Protobuf);
    let gives_up_on_429 = gives_up_on_429(&head.headers);
    let path = head.uri.path();
    let signal = Signal::ALL.into_iter().find(|signal| rules.settings.path(*signal) == path);
    let Some(port) = signal.and_then(|signal| desk.port(signal)) else {
        desk.stats.unrouted.fetch_add(1, Relaxed);
        let admitted = desk.identify(rules.guard.as_deref(), &head.headers).await;
        let refusal = admitted.err().unwrap_or_else(|| Refusal::NoSuchPath(path.to_owned()));
        return challenged(rules, refused(&refusal, answer_in, gives_up_on_429));
    };
    let mut counted = desk.count(Transport::Http, port.signal(), &head.headers);
    let end = call(desk, &port, rules, (head, unread), (form, is_welcome), &mut counted).await;
    counted.settle(&end);
    match end {
        Ok(partial) => written(answer_in, || partial.response(), || partial.json(port.signal())),
        Err(refusal) => challenged(rules, refused(&refusal, answer_in, gives_up_on_429)),
    }
}

async fn call<B>(
    desk: &Desk,
    port: &Port,
    rules: &HttpRules,
    (head, unread): (Parts, &mut Option<B>),
    (form, is_welcome): (Result<Form, Refusal>, bool),
    counted: &mut Counted<'_>,
) -> Result<PartialSuccess, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let may_close = head.version < Version::HTTP_2;
    let guard = rules.guard.as_deref();
    // Before anything is read or charged.
    let tenant = match is_welcome {
        true => desk.identify(guard, &head.headers).await?,
        false => return Err(Refusal::Forbidden),
    };
    if head.method != Method::POST {
        return Err(Refusal::WrongMethod);
    }
    let is_json = form? == Form::Json;
    let codec = encoding(&head.headers)?;
    let max = rules.settings.max_request_body_size;
    let named = guard.map(Guard::header);
    let headers = rules.settings.include_metadata.then(|| metadata(&head.headers, named));
    let mut held = desk.hold(port);
    held.must_take(headers.as_deref().map_or(0, metadata_bytes))?;
    // Headers must not be kept as long as it may take to read the body, or to deliver it.
    drop(head);
    // It is there: nobody else reads it.
    let mut stream = unread.take().ok_or(Refusal::SlowBody)?;
    let lent = if may_close { MIN_LENT_HTTP1_BYTES } else { MIN_LENT_HTTP2_BYTES };
    let read = tokio::time::timeout(desk.body_timeout, async {
        let whole = whole(&mut stream, (max, lent), &mut held).await;
        if may_close && whole.as_ref().is_err_and(is_of_size) {
            // HTTP/1.1 can only say so by closing while the sender still writes; the answer would be lost.
            discard(&mut stream, max.max(MAX_DISCARDED_BYTES)).await;
        }
        whole
    });
    let body = read.await.map_err(|_| Refusal::SlowBody)??;
    // Trailers must not be kept as long as it may take to deliver the request.
    drop(stream);
    let arrived = Arrived { body, codec, is_json, max, headers, tenant, timeout: None };
    desk.admit(port, arrived, held, counted).await.map_err(|refusal| {
        match refusal {
            // HTTP knows no "internal error of the sender": what does not decompress is a bad request.
            Refusal::Undecodable(why) => Refusal::Malformed(why),
            other => other,
        }
    })
}

/// A refusal for want of credentials says of which kind they are (RFC 9110, section 15.5.2).
fn challenged(rules: &HttpRules, mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    if let (StatusCode::UNAUTHORIZED, Some(guard)) = (response.status(), &rules.guard) {
        response.headers_mut().insert(WWW_AUTHENTICATE, guard.challenge());
    }
    response
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

async fn whole<B>(body: &mut B, (max, lent): (usize, usize), held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let Some(length) = body.size_hint().exact() else {
        let whole = read_growing(body, (max, lent), &mut |bytes| held.take(bytes)).await;
        return whole.map_err(|error| held.refusal_of_body(&error, max));
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > max {
        return Err(Refusal::TooLarge { max });
    }
    held.must_take(length)?;
    read_announced(body, Bytes::new(), length, lent).await.map_err(|error| match error {
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
