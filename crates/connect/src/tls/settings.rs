//! What can be told, in the words of the Collector's `configtls`.

use std::{path::PathBuf, time::Duration};

use crate::Secret;

/// What both sides can be told. The default names no file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `cert_file`: the certificate to show, and behind it those that lead to a root.
    pub cert_file: Option<PathBuf>,
    /// `cert_pem`: the same as text.
    pub cert_pem: Option<Secret>,
    /// `key_file`: the private key of the certificate.
    pub key_file: Option<PathBuf>,
    /// `key_pem`: the same as text.
    pub key_pem: Option<Secret>,
    /// `include_system_ca_certs_pool`: trust the system's roots beside the CA that is configured.
    pub include_system_ca_certs_pool: bool,
    /// `min_version`: `1.2` or `1.3`; empty for `1.2`.
    pub min_version: String,
    /// `max_version`: `1.2` or `1.3`; empty for `1.3`.
    pub max_version: String,
    /// `cipher_suites`, by their IANA names; empty for all that rustls has. As long as none of TLS 1.3 is named, those of
    /// TLS 1.3 stay: Go does not let them be configured at all.
    pub cipher_suites: Vec<String>,
    /// `curve_preferences`: groups for the exchange of keys, the best first; empty for rustls' own order.
    pub curve_preferences: Vec<String>,
    /// `reload_interval`: read the files again when a connection begins and this much time has passed; `None` for never.
    pub reload_interval: Option<Duration>,
}

/// What a listener can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsServerSettings {
    /// What both sides have. Certificate and key are required.
    pub common: TlsSettings,
    /// `client_ca_file`: every client must show a certificate that one of these CAs signed.
    pub client_ca_file: Option<PathBuf>,
    /// `client_ca_file_reload`: a change of that file holds within a second, whatever `reload_interval` says.
    pub client_ca_file_reload: bool,
}

/// What a client can be told. The default verifies servers by the system's roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsClientSettings {
    /// What both sides have. The certificate is what the client shows where a server asks for one.
    pub common: TlsSettings,
    /// `insecure`: no TLS where neither the endpoint's scheme nor a CA asks for it.
    pub insecure: bool,
    /// `insecure_skip_verify`: believe any certificate.
    pub insecure_skip_verify: bool,
    /// `ca_file`: the CAs that servers are verified by, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `ca_pem`: the same as text.
    pub ca_pem: Option<Secret>,
    /// `server_name_override`: the name that is asked for and verified, instead of the endpoint's host.
    pub server_name_override: Option<String>,
}

impl TlsClientSettings {
    /// No TLS, unless the endpoint's scheme asks for it.
    pub fn insecure() -> Self {
        Self { insecure: true, ..Self::default() }
    }

    /// Whether an endpoint without a scheme is spoken to in plain text. A CA asks for TLS whatever `insecure` says, as it
    /// does for the Collector.
    pub fn is_plain(&self) -> bool {
        self.insecure && self.ca_file.is_none() && self.ca_pem.is_none()
    }
}
