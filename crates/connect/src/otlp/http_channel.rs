//! OTLP/HTTP over a bounded pool of HTTP/1.1 connections.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use otlp::{Codec, Signal};

use super::{
    channel::{Open, Unanswered, read},
    endpoint::Endpoint,
    exporter::Encoding,
    http::{JSON, PROTOBUF},
    reply::Reply,
};
use crate::{auth::Credentials, body::RequestBody, codec, limits::MAX_IDLE_CONNECTIONS};

type Sender = Open<http1::SendRequest<RequestBody>>;

/// Connections to the endpoints of the signals, one pool for each.
pub(super) struct HttpChannel {
    targets: [Target; 4],
    headers: HeaderMap,
    auth: Option<Credentials>,
    timeout: Duration,
}

/// Where one signal goes.
pub(crate) struct Target {
    endpoint: Endpoint,
    /// In origin form, as HTTP/1.1 has it.
    path: Uri,
    host: HeaderValue,
    idle: Mutex<Vec<Sender>>,
}

impl Target {
    pub(crate) fn new(endpoint: Endpoint, path: Uri) -> Self {
        // An authority is a subset of what a header value may hold.
        let host = HeaderValue::try_from(endpoint.authority.as_str()).unwrap_or(HeaderValue::from_static(""));
        Self { endpoint, path, host, idle: Mutex::default() }
    }

    /// A connection that is there.
    async fn idle(&self) -> Option<Sender> {
        loop {
            let mut open = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if open.sender.ready().await.is_ok() {
                return Some(open);
            }
        }
    }

    async fn connect(&self, timeout: Duration) -> Result<Sender, String> {
        let failed = |error: &dyn Error| format!("cannot connect to {}: {error}", self.endpoint.authority);
        let stream = self.endpoint.connect(timeout).await.map_err(|error| failed(&error))?;
        let shaking = http1::handshake::<_, RequestBody>(TokioIo::new(stream));
        let (sender, connection) = shaking.await.map_err(|error| failed(&error))?;
        Ok(Open::new(sender, connection))
    }

    /// Posts a request over one of its connections; `Err` says why there is no answer.
    pub(crate) async fn post(
        &self,
        headers: HeaderMap,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Reply> {
        let mut request = Request::new(RequestBody::new(Bytes::new(), payload));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, self.host.clone());
        if let Some(open) = self.idle().await {
            match self.attempt(open, request.clone(), timeout).await {
                Err(Unanswered { had_gone: true, .. }) => {}
                other => return other.map_err(|failed| failed.reply),
            }
        }
        let open = self.connect(timeout).await.map_err(|reason| Reply::none(false, reason))?;
        self.attempt(open, request, timeout).await.map_err(|failed| failed.reply)
    }

    async fn attempt(
        &self,
        mut open: Sender,
        request: Request<RequestBody>,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Unanswered> {
        let answered = async {
            let response =
                open.sender.send_request(request).await.map_err(|error| open.ending.broken(&error))?;
            open.ending.answered();
            let (head, body) = response.into_parts();
            let (body, _) = read(body).await.map_err(|error| open.ending.broken(&error))?;
            Ok::<_, Unanswered>((head.status, head.headers, body))
        };
        let late = |_| Reply::none(true, format!("no answer within {timeout:?}"));
        let answer = tokio::time::timeout(timeout, answered).await.map_err(late)??;
        self.keep(open);
        Ok(answer)
    }

    fn keep(&self, open: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.sender.is_closed() && idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(open);
        }
    }
}

impl HttpChannel {
    pub(super) fn new(
        targets: [Target; 4],
        (mut headers, auth): (HeaderMap, Option<Credentials>),
        timeout: Duration,
        encoding: Encoding,
    ) -> Self {
        let kind = match encoding {
            Encoding::Proto => PROTOBUF,
            Encoding::Json => JSON,
        };
        headers.insert(CONTENT_TYPE, kind);
        Self { targets, headers, auth, timeout }
    }

    pub(super) async fn send(&self, signal: Signal, payload: Bytes, codec: Option<Codec>) -> Reply {
        let mut headers = self.headers.clone();
        if let Some(Err(error)) = self.auth.as_ref().map(|auth| auth.apply(&mut headers)) {
            return Reply::none(false, format!("no credentials to send: {error}"));
        }
        if let Some(codec) = codec {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(codec::name(codec)));
        }
        match self.targets[signal as usize].post(headers, payload, self.timeout).await {
            Ok((status, headers, body)) => {
                Reply::of_http(signal, (status, &headers, &body), SystemTime::now())
            }
            Err(reply) => reply,
        }
    }
}
