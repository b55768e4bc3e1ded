//! Transport security on both sides of a connection, by rustls with the cryptography of `ring`.
//!
//! Settings are plain values in the words of the OpenTelemetry Collector's `configtls`: [`TlsServerSettings`] for what
//! listens, [`TlsClientSettings`] for what connects. [`ServerTls::new`] and [`ClientTls::new`] read the files and find
//! what is wrong with them, so that checking a configuration and starting it say the same. Both are cheap to clone, and
//! read their files again as often as they are told ([`TlsSettings::reload_interval`]): connections that are open stay,
//! new ones get what the files say now. Files that are broken by then change nothing; [`ReloadCounts`] tells it.
//!
//! What a client could resume ends with the certificate and the CAs it began under: one whose CA was taken away cannot come back
//! by an old ticket.
//!
//! TLS 1.2 and 1.3; what came before them, and suites without forward secrecy, rustls does not have.

mod certificate;
mod client;
mod handshake;
mod material;
mod names;
mod pem;
mod reload;
mod server;
mod settings;
mod verify;

use std::fmt;

pub use self::{
    client::ClientTls,
    handshake::HandshakeFailure,
    names::{CURVES, cipher_suites},
    reload::ReloadCounts,
    server::ServerTls,
    settings::{TlsClientSettings, TlsServerSettings, TlsSettings},
};

/// Settings of which no TLS can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// The key of the setting that is at fault: `cert_file`.
    pub key: &'static str,
    /// What is wrong, with the file and the line where there is one.
    pub message: String,
    /// What to do about it; empty where the message says it.
    pub help: String,
}

impl TlsError {
    fn new(key: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { key, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls.{}: {}", self.key, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for TlsError {}

/// What is spoken inside (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 only: gRPC.
    Http2,
    /// HTTP/2, or HTTP/1.1 with those that do not speak it.
    Http,
    /// HTTP/1.1 only.
    Http1,
}

impl Alpn {
    /// In the order of preference.
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Alpn::Http2 => &[H2],
            Alpn::Http => &[H2, HTTP_1_1],
            Alpn::Http1 => &[HTTP_1_1],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

pub(crate) use self::{
    handshake::alerted,
    server::{HANDSHAKE_RECORD, speaks_plain},
};

pub(crate) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

#[cfg(test)]
mod tests;
