//! What the exporter can be told, in the words of the OpenTelemetry Collector's `prometheusremotewrite` exporter.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    Secret,
    auth::{AuthError, ClientAuthSettings, Credentials},
    headers, limits,
    otlp::{SettingsError, endpoint::Endpoint, http_channel::Target},
    prometheus::{naming::TranslationStrategy, rules::Rules},
    tls::{Alpn, ClientTls, TlsClientSettings},
};

/// Which message requests are (`protobuf_message`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteWriteMessage {
    /// Remote write 1.0.
    #[default]
    V1,
    /// Remote write 2.0 (the release candidate of Prometheus 3.8 and later), and 1.0 while the far side does not understand it.
    V2,
}

impl RemoteWriteMessage {
    /// Every message.
    pub const ALL: [RemoteWriteMessage; 2] = [Self::V1, Self::V2];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// Settings of a [`super::RemoteWriteExporter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteWriteConfig {
    /// Its name in configuration, metrics and logs.
    pub name: String,
    /// `endpoint`: the whole URL, such as `http://prometheus:9090/api/v1/write`.
    pub endpoint: String,
    /// `tls`.
    pub tls: TlsClientSettings,
    /// `headers`: sent with every request. Those of the protocol stay as they are.
    pub headers: Vec<(String, Secret)>,
    /// `auth`: how it makes itself known.
    pub auth: Option<ClientAuthSettings>,
    /// `timeout`: how long one request may take.
    pub timeout: Duration,
    /// `external_labels`: labels of every series.
    pub external_labels: Vec<(String, String)>,
    /// `namespace`: stands in front of every metric's name.
    pub namespace: String,
    /// `translation_strategy`.
    pub translation_strategy: TranslationStrategy,
    /// `resource_to_telemetry_conversion.enabled`: whether every attribute of the resource is a label of its series too.
    pub resource_labels: bool,
    /// `resource_to_telemetry_conversion.exclude_service_attributes`: but for those that `job` and `instance` say.
    pub exclude_service_attributes: bool,
    /// `target_info.enabled`: whether resources are sent as series of `target_info`.
    pub target_info: bool,
    /// `disable_scope_info`: whether series do not say their instrumentation scope.
    pub without_scope_info: bool,
    /// `send_metadata`: whether 1.0 says type, unit and description of metrics; 2.0 always does.
    pub send_metadata: bool,
    /// `protobuf_message`.
    pub message: RemoteWriteMessage,
    /// `max_batch_size_bytes`: the largest request, uncompressed. A series that is larger goes alone.
    pub max_request_bytes: usize,
    /// `max_batch_request_parallelism`: requests of one batch under way at once.
    pub requests_at_once: usize,
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            name: "prometheusremotewrite".to_owned(),
            endpoint: "http://127.0.0.1:9090/api/v1/write".to_owned(),
            tls: TlsClientSettings::default(),
            headers: Vec::new(),
            auth: None,
            timeout: Duration::from_secs(5),
            external_labels: Vec::new(),
            namespace: String::new(),
            translation_strategy: TranslationStrategy::default(),
            resource_labels: false,
            exclude_service_attributes: false,
            target_info: true,
            without_scope_info: false,
            send_metadata: false,
            message: RemoteWriteMessage::default(),
            max_request_bytes: limits::DEFAULT_WRITE_REQUEST_BYTES,
            requests_at_once: limits::DEFAULT_WRITE_REQUESTS,
        }
    }
}

impl RemoteWriteConfig {
    /// The same with another endpoint.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// The same with another message.
    #[must_use]
    pub fn with_message(mut self, message: RemoteWriteMessage) -> Self {
        self.message = message;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with one more label of every series.
    #[must_use]
    pub fn with_external_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.external_labels.push((name.into(), value.into()));
        self
    }

    /// Whether an exporter could be made of it. Files of certificates are read where the endpoint speaks TLS.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.credentials()?;
        self.target(self.client_tls()?.as_ref()).map(drop)
    }

    /// As [`RemoteWriteConfig::validate`], without the files.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate_values(&self) -> Result<(), SettingsError> {
        self.target(None).map(drop)
    }

    /// Whether the endpoint speaks TLS; one that is none does not.
    pub fn speaks_tls(&self) -> bool {
        Endpoint::parse("endpoint", &self.endpoint, &self.tls).is_ok_and(|endpoint| endpoint.is_tls)
    }

    /// What all connections share.
    pub(super) fn client_tls(&self) -> Result<Option<ClientTls>, SettingsError> {
        let tls = self.speaks_tls().then(|| ClientTls::new(&self.tls, Alpn::Http1));
        Ok(tls.transpose()?)
    }

    /// Where requests go, and their headers but for those of the message.
    pub(super) fn target(&self, tls: Option<&ClientTls>) -> Result<(Target, HeaderMap), SettingsError> {
        let wrong = |key, message: &str| Err(SettingsError { key, message: message.to_owned() });
        if self.timeout.is_zero() {
            return wrong("timeout", "must be longer than nothing");
        }
        if self.max_request_bytes == 0 || self.max_request_bytes > limits::MAX_WRITE_REQUEST_BYTES {
            return wrong("max_batch_size_bytes", "must be between 1 byte and 1 GiB");
        }
        if self.requests_at_once == 0 || self.requests_at_once > limits::MAX_IDLE_CONNECTIONS {
            return wrong("max_batch_request_parallelism", "must be between 1 and 32");
        }
        if self.external_labels.iter().any(|(name, _)| name.is_empty() || name.starts_with("__")) {
            return wrong("external_labels", "names must not be empty or begin with `__`");
        }
        let endpoint = Endpoint::parse("endpoint", &self.endpoint, &self.tls)?.over(tls)?;
        let path = if endpoint.path.is_empty() { "/" } else { endpoint.path.as_str() };
        let path = path.parse().map_err(|error| SettingsError {
            key: "endpoint",
            message: format!("{path:?} is not a path: {error}"),
        })?;
        Ok((Target::new(endpoint, path), self.header_map()?))
    }

    /// What is sent of `auth`.
    pub(super) fn credentials(&self) -> Result<Option<Credentials>, SettingsError> {
        let wrong = |error: AuthError| SettingsError { key: "auth", message: error.0 };
        self.auth.as_ref().map(Credentials::new).transpose().map_err(wrong)
    }

    fn header_map(&self) -> Result<HeaderMap, SettingsError> {
        let own = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::USER_AGENT, header::HOST];
        let is_own =
            |key: &HeaderName| own.contains(key) || key.as_str().starts_with("x-prometheus-remote-write-");
        let mut all = headers::configured(&self.headers, is_own)?;
        all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        Ok(all)
    }

    /// What decides on names and labels.
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            strategy: self.translation_strategy,
            namespace: &self.namespace,
            const_labels: &self.external_labels,
            resource_labels: self.resource_labels,
            exclude_service_attributes: self.exclude_service_attributes,
            without_scope_info: self.without_scope_info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let config = RemoteWriteConfig::default;
        assert_eq!(config().validate(), Ok(()));
        for (config, says) in [
            (config().with_endpoint("prometheus/api/v1/write"), "endpoint"),
            (config().with_header("Content-Type", "text/plain"), "of the protocol"),
            (config().with_header("X-Prometheus-Remote-Write-Version", "9"), "of the protocol"),
            (config().with_header("a", "\n"), "not a header's value"),
            (config().with_external_label("__name__", "x"), "external_labels"),
            (RemoteWriteConfig { timeout: Duration::ZERO, ..config() }, "timeout"),
            (RemoteWriteConfig { max_request_bytes: 0, ..config() }, "max_batch_size_bytes"),
            (RemoteWriteConfig { requests_at_once: 0, ..config() }, "max_batch_request_parallelism"),
        ] {
            let error = config.validate().expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
