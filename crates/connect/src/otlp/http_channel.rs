//! OTLP/HTTP over a bounded pool of HTTP/1.1 connections.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use otlp::{Codec, Signal};

use super::{
    channel::{broken, read},
    endpoint::Endpoint,
    exporter::Encoding,
    http::{JSON, PROTOBUF},
    reply::Reply,
};
use crate::{body::RequestBody, codec, limits::MAX_IDLE_CONNECTIONS};

type Sender = http1::SendRequest<RequestBody>;

/// Connections to the endpoints of the signals, one pool for each.
pub(super) struct HttpChannel {
    targets: [Target; 4],
    headers: HeaderMap,
    timeout: Duration,
}

/// Where one signal goes.
pub(super) struct Target {
    endpoint: Endpoint,
    /// In origin form, as HTTP/1.1 has it.
    path: Uri,
    host: HeaderValue,
    idle: Mutex<Vec<Sender>>,
}

impl Target {
    pub(super) fn new(endpoint: Endpoint, path: Uri) -> Self {
        // An authority is a subset of what a header value may hold.
        let host = HeaderValue::try_from(endpoint.authority.as_str()).unwrap_or(HeaderValue::from_static(""));
        Self { endpoint, path, host, idle: Mutex::default() }
    }

    async fn sender(&self, timeout: Duration) -> Result<Sender, String> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let failed = |error: &dyn Error| format!("cannot connect to {}: {error}", self.endpoint.authority);
        let stream = self.endpoint.connect(timeout).await.map_err(|error| failed(&error))?;
        let shaking = http1::handshake::<_, RequestBody>(TokioIo::new(stream));
        let (sender, connection) = shaking.await.map_err(|error| failed(&error))?;
        // It ends with its sender or the connection; what was in flight is told by its own error.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() && idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(sender);
        }
    }
}

impl HttpChannel {
    pub(super) fn new(
        targets: [Target; 4],
        mut headers: HeaderMap,
        timeout: Duration,
        encoding: Encoding,
    ) -> Self {
        let kind = match encoding {
            Encoding::Proto => PROTOBUF,
            Encoding::Json => JSON,
        };
        headers.insert(CONTENT_TYPE, kind);
        Self { targets, headers, timeout }
    }

    pub(super) async fn send(&self, signal: Signal, payload: Bytes, codec: Option<Codec>) -> Reply {
        let target = &self.targets[signal as usize];
        let mut request = Request::new(RequestBody::new(Bytes::new(), payload));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, target.host.clone());
        if let Some(codec) = codec {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(codec::name(codec)));
        }
        let mut sender = match target.sender(self.timeout).await {
            Ok(sender) => sender,
            Err(reason) => return Reply::none(false, reason),
        };
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let (head, body) = response.into_parts();
            let (body, _) = read(body).await?;
            Ok(Reply::of_http(signal, (head.status, &head.headers, &body), SystemTime::now()))
        };
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(reply)) => {
                target.keep(sender);
                reply
            }
            Ok(Err(reply)) => reply,
            Err(_) => Reply::none(true, format!("no answer within {:?}", self.timeout)),
        }
    }
}
