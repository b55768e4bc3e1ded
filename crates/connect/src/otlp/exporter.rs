//! Sends batches to an OTLP endpoint.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Uri;
use otlp::{Batch, Check, Checker, Codec, Depth, Signal, WireError, json};
use pipeline::{
    Compressor, Exporter, Item, Outcome, Sender,
    exporter::{BoxFuture, Packing},
};

pub use super::channel::ClientKeepalive;
use super::{
    SettingsError,
    channel::{Channel, GrpcChannel},
    endpoint::Endpoint,
    http_channel::{HttpChannel, Target},
    route,
};
use crate::{
    auth::{AuthError, BearerSettings, ClientAuthSettings, Credentials},
    codec, headers,
    secret::Secret,
    tls::{Alpn, ClientTls, TlsClientSettings},
};

/// Which of OTLP's transports is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The Collector's `otlp` exporter.
    #[default]
    Grpc,
    /// The Collector's `otlphttp` exporter.
    Http,
}

/// What bodies are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Binary protobuf: batches go out as the bytes they are.
    #[default]
    Proto,
    /// OTLP/JSON, over HTTP only. Every batch is written anew, so nothing leaves compressed as it was received.
    Json,
}

/// Settings of an exporter, in the words of the Collector's `otlp` and `otlphttp` exporters. The default sends over gRPC
/// to 127.0.0.1:4317, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Its name in configuration, metrics and logs.
    pub name: String,
    /// The transport.
    pub protocol: Protocol,
    /// `endpoint`: `host:port` or a URL. For HTTP the signal's path (`/v1/traces`, …) is put behind it.
    pub endpoint: String,
    /// `traces_endpoint`, HTTP only: the whole URL, used as it is.
    pub traces_endpoint: Option<String>,
    /// `logs_endpoint`, HTTP only.
    pub logs_endpoint: Option<String>,
    /// `metrics_endpoint`, HTTP only.
    pub metrics_endpoint: Option<String>,
    /// `profiles_endpoint`, HTTP only.
    pub profiles_endpoint: Option<String>,
    /// `encoding`, HTTP only.
    pub encoding: Encoding,
    /// `headers`: sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// `auth`: how it makes itself known.
    pub auth: Option<ClientAuthSettings>,
    /// `compression`. `None` sends uncompressed what the pipeline does not compress (`with_compression`).
    pub compression: Option<Codec>,
    /// `compression_params.level`: gzip 1 to 12, zstd 1 to 22.
    pub compression_level: i32,
    /// `timeout`: how long one attempt may take.
    pub timeout: Duration,
    /// `keepalive`, gRPC only.
    pub keepalive: Option<ClientKeepalive>,
    /// `tls`.
    pub tls: TlsClientSettings,
    /// Connections of each shard for gRPC, taken in turn. HTTP/1.1 has one for each send under way, which its queue bounds.
    pub connections: usize,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            name: "otlp".to_owned(),
            protocol: Protocol::Grpc,
            endpoint: "127.0.0.1:4317".to_owned(),
            traces_endpoint: None,
            logs_endpoint: None,
            metrics_endpoint: None,
            profiles_endpoint: None,
            encoding: Encoding::Proto,
            headers: Vec::new(),
            auth: None,
            compression: None,
            compression_level: codec::DEFAULT_LEVEL,
            timeout: Duration::from_secs(5),
            keepalive: None,
            tls: TlsClientSettings::insecure(),
            connections: 1,
        }
    }
}

impl OtlpConfig {
    /// The same with another endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The same over HTTP.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same with bodies written otherwise.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The same with compression.
    #[must_use]
    pub fn with_compression(mut self, codec: Codec) -> Self {
        self.compression = Some(codec);
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a token in every request: `Authorization: Bearer …`.
    #[must_use]
    pub fn with_bearer_token(mut self, token: impl Into<Secret>) -> Self {
        self.auth = Some(ClientAuthSettings::Bearer(BearerSettings::default().with_token(token)));
        self
    }

    /// The same with other settings of TLS. An endpoint without a scheme heeds them all; `http://` and `https://` decide
    /// themselves whether there is TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsClientSettings) -> Self {
        self.tls = tls;
        self
    }

    /// Whether an exporter could be made of it. Files of certificates are read where an endpoint speaks TLS.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.channel(self.client_tls()?.as_ref()).map(drop)
    }

    /// As [`OtlpConfig::validate`], without the files.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate_values(&self) -> Result<(), SettingsError> {
        self.channel(None).map(drop)
    }

    /// The whole URL for a signal, where one is configured.
    pub fn own_endpoint(&self, signal: Signal) -> Option<&str> {
        match signal {
            Signal::Traces => self.traces_endpoint.as_deref(),
            Signal::Logs => self.logs_endpoint.as_deref(),
            Signal::Metrics => self.metrics_endpoint.as_deref(),
            Signal::Profiles => self.profiles_endpoint.as_deref(),
        }
    }

    /// Whether any of the endpoints speaks TLS; an endpoint that is none does not.
    pub fn speaks_tls(&self) -> bool {
        let own = Signal::ALL.into_iter().filter_map(|signal| self.own_endpoint(signal));
        let own = own.filter(|_| self.protocol == Protocol::Http);
        let mut all = own.chain([self.endpoint.as_str()]);
        all.any(|text| Endpoint::parse("endpoint", text, &self.tls).is_ok_and(|endpoint| endpoint.is_tls))
    }

    /// What all endpoints that speak TLS share.
    pub(super) fn client_tls(&self) -> Result<Option<ClientTls>, SettingsError> {
        if !self.speaks_tls() {
            return Ok(None);
        }
        let alpn = match self.protocol {
            Protocol::Grpc => Alpn::Http2,
            Protocol::Http => Alpn::Http1,
        };
        Ok(Some(ClientTls::new(&self.tls, alpn)?))
    }

    pub(super) fn channel(&self, tls: Option<&ClientTls>) -> Result<Channel, SettingsError> {
        let wrong = |key, message: &str| Err(SettingsError { key, message: message.to_owned() });
        if self.connections == 0 {
            return wrong("connections", "must be at least 1");
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "must be longer than nothing");
        }
        let levels = match self.compression {
            Some(Codec::Gzip) => 1..=12,
            Some(Codec::Zstd) => 1..=22,
            None => i32::MIN..=i32::MAX,
        };
        if !levels.contains(&self.compression_level) {
            return wrong("compression_params.level", "must be 1 to 12 for gzip, 1 to 22 for zstd");
        }
        if (self.protocol, self.encoding) == (Protocol::Grpc, Encoding::Json) {
            return wrong("encoding", "gRPC carries protobuf only; JSON needs HTTP");
        }
        let wrong = |error: AuthError| SettingsError { key: "auth", message: error.0 };
        let auth = self.auth.as_ref().map(Credentials::new).transpose().map_err(wrong)?;
        let headers = (headers::configured(&self.headers, |_| false)?, auth);
        match self.protocol {
            Protocol::Grpc => {
                let endpoint = Endpoint::parse("endpoint", &self.endpoint, &self.tls)?.over(tls)?;
                let name = self.tls.server_name_override.as_deref();
                let authority = name.filter(|name| endpoint.is_tls && !name.is_empty());
                let uri = |signal| endpoint.uri("endpoint", authority, route::grpc_path(signal));
                let uris = each_signal(uri)?;
                let options = (self.timeout, self.keepalive);
                Ok(Channel::Grpc(GrpcChannel::new(endpoint, uris, headers, options, self.connections)))
            }
            Protocol::Http => {
                let targets = each_signal(|signal| self.target(signal, tls))?;
                Ok(Channel::Http(HttpChannel::new(targets, headers, self.timeout, self.encoding)))
            }
        }
    }

    fn target(&self, signal: Signal, tls: Option<&ClientTls>) -> Result<Target, SettingsError> {
        let key = match signal {
            Signal::Traces => "traces_endpoint",
            Signal::Logs => "logs_endpoint",
            Signal::Metrics => "metrics_endpoint",
            Signal::Profiles => "profiles_endpoint",
        };
        let (endpoint, path) = match self.own_endpoint(signal) {
            Some(url) => {
                let endpoint = Endpoint::parse(key, url, &self.tls)?;
                let path = if endpoint.path.is_empty() { "/".to_owned() } else { endpoint.path.clone() };
                (endpoint, path)
            }
            None => {
                let endpoint = Endpoint::parse("endpoint", &self.endpoint, &self.tls)?;
                let path = format!("{}{}", endpoint.path.trim_end_matches('/'), route::http_path(signal));
                (endpoint, path)
            }
        };
        let uri: Uri = path
            .parse()
            .map_err(|error| SettingsError { key, message: format!("{path:?} is not a path: {error}") })?;
        Ok(Target::new(endpoint.over(tls)?, uri))
    }
}

fn each_signal<T>(mut make: impl FnMut(Signal) -> Result<T, SettingsError>) -> Result<[T; 4], SettingsError> {
    let [traces, logs, metrics, profiles] = Signal::ALL;
    Ok([make(traces)?, make(logs)?, make(metrics)?, make(profiles)?])
}

/// An OTLP exporter over gRPC or HTTP.
///
/// A batch leaves as it was received, compression included, unless a stage changed it or another codec is configured.
///
/// ```
/// use aldis_connect::otlp::{OtlpConfig, OtlpExporter};
/// use pipeline::Exporter;
///
/// let exporter = OtlpExporter::new(OtlpConfig::default());
/// assert_eq!(exporter.name(), "otlp");
/// let nowhere = OtlpConfig::default().with_endpoint("collector");
/// assert!(OtlpExporter::try_new(nowhere).is_err());
/// ```
#[derive(Debug)]
pub struct OtlpExporter {
    config: OtlpConfig,
    /// What all its senders share.
    tls: Result<Option<ClientTls>, SettingsError>,
}

impl OtlpExporter {
    /// An exporter. Whatever it is sent fails for good, with the reason, if the configuration is wrong; where that
    /// should be known at start-up use [`OtlpExporter::try_new`].
    pub fn new(config: OtlpConfig) -> Self {
        let tls = config.client_tls();
        Self { config, tls }
    }

    /// An exporter whose configuration was found right.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn try_new(config: OtlpConfig) -> Result<Self, SettingsError> {
        let tls = config.client_tls()?;
        config.channel(tls.as_ref())?;
        Ok(Self { config, tls: Ok(tls) })
    }

    /// Its TLS, where an endpoint speaks it: to read the certificates again, or to be told when that fails.
    pub fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref().ok()?.as_ref()
    }

    /// Its configuration.
    pub fn config(&self) -> &OtlpConfig {
        &self.config
    }
}

impl Exporter for OtlpExporter {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(OtlpSender {
            channel: self.tls.clone().and_then(|tls| self.config.channel(tls.as_ref())),
            encoding: self.config.encoding,
            codec: self.config.compression,
            level: self.config.compression_level,
        })
    }

    fn compressor(&self) -> Option<Arc<dyn Compressor>> {
        // What pipelines compress is protobuf.
        if self.config.encoding != Encoding::Proto {
            return None;
        }
        let codec = self.config.compression.unwrap_or(Codec::Gzip);
        Some(Arc::new(OtlpCompressor { codec, level: self.config.compression_level }))
    }

    fn packing(&self) -> Packing {
        match self.config.encoding {
            Encoding::Proto => self.config.compression.map_or(Packing::Any, Packing::Only),
            Encoding::Json => Packing::Never,
        }
    }
}

/// Compresses as an exporter is told to, with gzip where it is told nothing.
struct OtlpCompressor {
    codec: Codec,
    level: i32,
}

impl Compressor for OtlpCompressor {
    fn codec(&self) -> Codec {
        self.codec
    }

    fn compress(&self, request: &[u8]) -> Option<Bytes> {
        codec::compress(self.codec, self.level, request).ok()
    }
}

/// Nothing was sent, and nothing would change if it were tried again.
fn unsendable(error: &dyn std::error::Error) -> Outcome {
    Outcome::Permanent { code: "unsendable".into(), reason: error.to_string() }
}

struct OtlpSender {
    channel: Result<Channel, SettingsError>,
    encoding: Encoding,
    codec: Option<Codec>,
    level: i32,
}

impl Sender for OtlpSender {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let channel = match &self.channel {
                Ok(channel) => channel,
                Err(error) => return unsendable(error),
            };
            match self.payload(&item.batch) {
                Ok((payload, codec)) => {
                    // What was written anew is beside what it was written of until it is sent.
                    let charge = item.context.charges.first().filter(|_| self.encoding == Encoding::Json);
                    let _written = charge.map(|charge| charge.beside(payload.len()));
                    channel.send(item.batch.signal(), payload, codec).await.outcome
                }
                Err(error) => unsendable(&error),
            }
        })
    }
}

impl OtlpSender {
    /// What is sent, and how it is compressed.
    fn payload(&self, batch: &Batch) -> Result<(Bytes, Option<Codec>), Unwritable> {
        let body = match (batch.packed(), self.codec) {
            (Some((codec, packed)), own)
                if self.encoding == Encoding::Proto && own.is_none_or(|own| own == codec) =>
            {
                return Ok((packed.clone(), Some(codec)));
            }
            // Of somebody who did not ask in which form it is wanted.
            (Some((codec, packed)), _) => self.encoding.body(&unpack(batch, codec, packed)?),
            (None, Some(codec)) => match batch.compressed(codec) {
                Some(as_received) if self.encoding == Encoding::Proto => {
                    return Ok((as_received.clone(), Some(codec)));
                }
                _ => self.encoding.body(batch),
            },
            (None, None) => self.encoding.body(batch),
        };
        let body = body.map_err(Unwritable::Malformed)?;
        let Some(codec) = self.codec else { return Ok((body, None)) };
        Ok((codec::compress(codec, self.level, &body).map_err(Unwritable::Codec)?, Some(codec)))
    }
}

/// The batch as it was before it was packed.
fn unpack(batch: &Batch, codec: Codec, packed: &[u8]) -> Result<Batch, Unwritable> {
    let raw = codec::decompress(codec, packed, otlp::limits::MAX_REQUEST_BYTES, &mut |_| true)
        .map_err(Unwritable::Codec)?;
    let mut checker = Checker::new(batch.signal(), Check::Full, Depth::Counts);
    checker.check(raw).map_err(Unwritable::Malformed)
}

impl Encoding {
    /// What is sent of a batch, uncompressed.
    pub(super) fn body(self, batch: &Batch) -> Result<Bytes, WireError> {
        if self == Encoding::Proto {
            return Ok(batch.to_wire());
        }
        let mut text = Vec::new();
        json::append(batch, &mut text)?;
        text.shrink_to_fit();
        Ok(text.into())
    }
}

/// Why a batch cannot be sent, ever.
#[derive(Debug)]
enum Unwritable {
    /// It was never checked in full, and JSON has no form for malformed bytes.
    Malformed(WireError),
    Codec(codec::CodecError),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Malformed(error) => write!(f, "it has no JSON form: {error}"),
            Unwritable::Codec(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unwritable {}
