//! What a receiver can be told, in the words of the OpenTelemetry Collector's `otlp` receiver.

use std::{fmt, sync::Arc, time::Duration};

use otlp::{Check, Signal};

use super::route;
use crate::{
    auth::{AuthError, ServerAuthSettings},
    cors::CorsSettings,
    limits,
    tls::{Alpn, ServerTls, TlsError, TlsServerSettings},
};

/// A wrong setting: what it is called and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The setting's key, with dots between its levels: `tls.insecure`.
    pub key: &'static str,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for SettingsError {}

impl From<TlsError> for SettingsError {
    fn from(error: TlsError) -> Self {
        let TlsError { key, message, help } = error;
        let separator = if help.is_empty() { "" } else { "; " };
        Self { key: "tls", message: format!("{key}: {message}{separator}{help}") }
    }
}

/// A receiver's settings. By default gRPC on 127.0.0.1:4317 and HTTP on 127.0.0.1:4318.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiverSettings {
    /// Its name in configuration, metrics and contexts.
    pub name: Arc<str>,
    /// `protocols.grpc`; `None` for no gRPC.
    pub grpc: Option<GrpcSettings>,
    /// `protocols.http`; `None` for no HTTP.
    pub http: Option<HttpSettings>,
    /// How much of a request is validated.
    pub check: Check,
    /// Connections open at once over both protocols.
    pub max_connections: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
}

/// Settings of the gRPC listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcSettings {
    /// `endpoint`: address and port; port 0 takes any free one.
    pub endpoint: String,
    /// `max_recv_msg_size_mib`: the largest message in MiB, before and after decompression.
    pub max_recv_msg_size_mib: usize,
    /// `max_concurrent_streams`: of one connection.
    pub max_concurrent_streams: u32,
    /// `read_buffer_size`: bytes that the kernel holds for one connection before we read them; `None` lets it choose.
    pub read_buffer_size: Option<usize>,
    /// `write_buffer_size`: bytes that the kernel holds for one connection before they are sent; `None` lets it choose.
    pub write_buffer_size: Option<usize>,
    /// `keepalive.server_parameters`.
    pub keepalive: Keepalive,
    /// `include_metadata`: whether request headers travel with the batch, but for the one that `auth` reads.
    pub include_metadata: bool,
    /// `auth`: who may send; everybody, where there is none.
    pub auth: Option<ServerAuthSettings>,
    /// `tls`; `None` for plain text.
    pub tls: Option<TlsServerSettings>,
    /// Flow-control windows and frame size.
    pub windows: WindowSettings,
}

/// Settings of the HTTP listener, which speaks HTTP/1.1 and HTTP/2 with prior knowledge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// `endpoint`: address and port; port 0 takes any free one.
    pub endpoint: String,
    /// `traces_url_path`.
    pub traces_url_path: String,
    /// `logs_url_path`.
    pub logs_url_path: String,
    /// `metrics_url_path`.
    pub metrics_url_path: String,
    /// `profiles_url_path`.
    pub profiles_url_path: String,
    /// `max_request_body_size`: the largest body in bytes, before and after decompression.
    pub max_request_body_size: usize,
    /// `include_metadata`: whether request headers travel with the batch, but for the one that `auth` reads.
    pub include_metadata: bool,
    /// `auth`: who may send; everybody, where there is none.
    pub auth: Option<ServerAuthSettings>,
    /// `cors`: web pages of which origins may send; none, where there is none.
    pub cors: Option<CorsSettings>,
    /// `tls`; `None` for plain text.
    pub tls: Option<TlsServerSettings>,
    /// `read_header_timeout`: how long the headers of an HTTP/1.1 request may take, counted from the answer before it or from the
    /// beginning of the connection; zero for ever.
    pub read_header_timeout: Duration,
    /// `idle_timeout`: how long a connection may stay open without a request; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// Flow-control windows and frame size of HTTP/2.
    pub windows: WindowSettings,
}

/// `keepalive.server_parameters`: when the server pings, and when it closes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// `max_connection_idle`: close a connection after this long without a request.
    pub max_connection_idle: Option<Duration>,
    /// `max_connection_age`: close a connection after this long whatever it does.
    pub max_connection_age: Option<Duration>,
    /// `max_connection_age_grace`: what is in flight may take this much longer. `None` waits for ever.
    pub max_connection_age_grace: Option<Duration>,
    /// `time`: ping a peer that was silent for this long.
    pub time: Duration,
    /// `timeout`: close the connection if the ping is not answered for this long.
    pub timeout: Duration,
}

/// HTTP/2 flow control: how much a peer may send before we have read any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSettings {
    /// Bytes per stream.
    pub stream_bytes: u32,
    /// Bytes per connection.
    pub connection_bytes: u32,
    /// Bytes of the largest frame; 16 KiB to 16 MiB.
    pub frame_bytes: u32,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self {
            name: Arc::from("otlp"),
            grpc: Some(GrpcSettings::default()),
            http: Some(HttpSettings::default()),
            check: Check::Full,
            max_connections: limits::MAX_CONNECTIONS,
            body_timeout: limits::BODY_TIMEOUT,
        }
    }
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self {
            endpoint: "127.0.0.1:4317".to_owned(),
            max_recv_msg_size_mib: 4,
            max_concurrent_streams: limits::MAX_CONCURRENT_STREAMS,
            read_buffer_size: None,
            write_buffer_size: None,
            keepalive: Keepalive::default(),
            include_metadata: false,
            auth: None,
            tls: None,
            windows: WindowSettings::default(),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            endpoint: "127.0.0.1:4318".to_owned(),
            traces_url_path: route::http_path(Signal::Traces).to_owned(),
            logs_url_path: route::http_path(Signal::Logs).to_owned(),
            metrics_url_path: route::http_path(Signal::Metrics).to_owned(),
            profiles_url_path: route::http_path(Signal::Profiles).to_owned(),
            max_request_body_size: 20 << 20,
            include_metadata: false,
            auth: None,
            cors: None,
            tls: None,
            read_header_timeout: limits::HEADER_TIMEOUT,
            idle_timeout: Some(Duration::from_secs(60)),
            windows: WindowSettings::default(),
        }
    }
}

impl Default for Keepalive {
    /// gRPC's own: no closing, a ping every two hours.
    fn default() -> Self {
        Self {
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: None,
            time: Duration::from_secs(2 * 3600),
            timeout: Duration::from_secs(20),
        }
    }
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            stream_bytes: limits::STREAM_WINDOW_BYTES,
            connection_bytes: limits::CONNECTION_WINDOW_BYTES,
            frame_bytes: limits::MAX_FRAME_BYTES,
        }
    }
}

impl ReceiverSettings {
    /// Whether a receiver could be made of them, sockets aside. Files of certificates are read.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.validate_values()?;
        if let Some(grpc) = &self.grpc {
            grpc.server_tls()?;
        }
        if let Some(http) = &self.http {
            http.server_tls()?;
        }
        Ok(())
    }

    /// As [`ReceiverSettings::validate`], without the files.
    pub(super) fn validate_values(&self) -> Result<(), SettingsError> {
        let wrong = |key, message: &str| Err(SettingsError { key, message: message.to_owned() });
        if self.grpc.is_none() && self.http.is_none() {
            return wrong("protocols", "neither grpc nor http is there; name at least one");
        }
        if self.max_connections == 0 {
            return wrong("max_connections", "must be at least 1");
        }
        if let Some(grpc) = &self.grpc {
            if grpc.max_recv_msg_size_mib == 0
                || grpc.max_recv_msg_size_mib > otlp::limits::MAX_REQUEST_BYTES >> 20
            {
                return wrong("protocols.grpc.max_recv_msg_size_mib", "must be between 1 and 1024");
            }
            if grpc.max_concurrent_streams == 0 {
                return wrong("protocols.grpc.max_concurrent_streams", "must be at least 1");
            }
            if grpc.keepalive.time.is_zero() || grpc.keepalive.timeout.is_zero() {
                return wrong("protocols.grpc.keepalive", "time and timeout must be longer than nothing");
            }
            let wrong = |error: AuthError| SettingsError { key: "protocols.grpc.auth", message: error.0 };
            grpc.auth.as_ref().map_or(Ok(()), ServerAuthSettings::validate).map_err(wrong)?;
            grpc.windows.validate()?;
        }
        if let Some(http) = &self.http {
            if http.max_request_body_size == 0 || http.max_request_body_size > otlp::limits::MAX_REQUEST_BYTES
            {
                return wrong(
                    "protocols.http.max_request_body_size",
                    "must be between 1 and 1073741824 bytes",
                );
            }
            for signal in Signal::ALL {
                if !http.path(signal).starts_with('/') {
                    return wrong("protocols.http.*_url_path", "must begin with a slash");
                }
            }
            let wrong = |error: AuthError| SettingsError { key: "protocols.http.auth", message: error.0 };
            http.auth.as_ref().map_or(Ok(()), ServerAuthSettings::validate).map_err(wrong)?;
            if let Some(Err((_, message))) = http.cors.as_ref().map(CorsSettings::validate) {
                return Err(SettingsError { key: "protocols.http.cors", message });
            }
            http.windows.validate()?;
        }
        Ok(())
    }
}

impl GrpcSettings {
    pub(super) fn server_tls(&self) -> Result<Option<ServerTls>, TlsError> {
        self.tls.as_ref().map(|tls| ServerTls::new(tls, Alpn::Http2)).transpose()
    }
}

impl HttpSettings {
    pub(super) fn server_tls(&self) -> Result<Option<ServerTls>, TlsError> {
        self.tls.as_ref().map(|tls| ServerTls::new(tls, Alpn::Http)).transpose()
    }

    /// The path of a signal.
    pub fn path(&self, signal: Signal) -> &str {
        match signal {
            Signal::Traces => &self.traces_url_path,
            Signal::Logs => &self.logs_url_path,
            Signal::Metrics => &self.metrics_url_path,
            Signal::Profiles => &self.profiles_url_path,
        }
    }
}

impl WindowSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        let wrong = |key, message: &str| Err(SettingsError { key, message: message.to_owned() });
        if !(16 << 10..1 << 24).contains(&self.frame_bytes) {
            return wrong("frame_bytes", "must be between 16384 and 16777215");
        }
        let window = 65_535..1 << 31;
        if !window.contains(&self.stream_bytes) || !window.contains(&self.connection_bytes) {
            return wrong("windows", "must be between 65535 and 2147483647 bytes");
        }
        Ok(())
    }
}
