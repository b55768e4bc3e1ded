//! Where components listen, and to whom.

use connect::{
    auth::ServerAuthSettings,
    page::PageSettings,
    tls::{Alpn, TlsServerSettings},
};

use super::{Settings, auth, tls};
use crate::settings::Section;

/// An address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What is spoken: `grpc`, `http`, `prometheus`, `health`.
    pub protocol: &'static str,
    /// Host and port as configured.
    pub endpoint: String,
    /// What it is spoken over.
    pub transport: Transport,
    /// By what senders are known; everybody is let in, where that is nothing.
    pub senders: Option<&'static str>,
    /// Bytes of the largest request, where requests have bodies.
    pub largest_bytes: Option<usize>,
}

/// What is spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain text.
    Plain,
    /// TLS; only we show a certificate.
    Tls,
    /// TLS; they must show a certificate, too.
    MutualTls,
}

impl Transport {
    /// One of them: `mutual TLS`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Plain => "plain text",
            Transport::Tls => "TLS",
            Transport::MutualTls => "mutual TLS",
        }
    }

    fn of(tls: Option<&TlsServerSettings>) -> Self {
        match tls {
            None => Transport::Plain,
            Some(tls) if tls.client_ca_file.is_some() => Transport::MutualTls,
            Some(_) => Transport::Tls,
        }
    }
}

/// Where a component listens.
pub fn listeners(settings: &Settings) -> Vec<Listener> {
    match settings {
        Settings::OtlpReceiver(settings) => {
            let grpc = settings.grpc.as_ref().map(|grpc| Listener {
                protocol: "grpc",
                endpoint: grpc.endpoint.clone(),
                transport: Transport::of(grpc.tls.as_ref()),
                senders: grpc.auth.as_ref().map(known_by),
                largest_bytes: Some(grpc.max_recv_msg_size_mib << 20),
            });
            let http = settings.http.as_ref().map(|http| Listener {
                protocol: "http",
                endpoint: http.endpoint.clone(),
                transport: Transport::of(http.tls.as_ref()),
                senders: http.auth.as_ref().map(known_by),
                largest_bytes: Some(http.max_request_body_size),
            });
            grpc.into_iter().chain(http).collect()
        }
        Settings::Prometheus(settings) => vec![pages("prometheus", &settings.server)],
        Settings::HealthCheck(settings) => vec![pages("health", &settings.server)],
        _ => Vec::new(),
    }
}

fn pages(protocol: &'static str, server: &PageSettings) -> Listener {
    Listener {
        protocol,
        endpoint: server.endpoint.clone(),
        transport: Transport::of(server.tls.as_ref()),
        senders: server.auth.as_ref().map(known_by),
        largest_bytes: None,
    }
}

/// Reads `endpoint`, `tls` and `auth` of what only shows pages. Who is let in is known once extensions are.
pub fn read_pages(section: &Section<'_>) -> PageSettings {
    auth::check(section);
    PageSettings {
        endpoint: section.address("endpoint").to_string(),
        tls: tls::read_server(section, Alpn::Http1),
        auth: None,
    }
}

fn known_by(auth: &ServerAuthSettings) -> &'static str {
    match auth {
        ServerAuthSettings::Bearer(_) => "a token",
        ServerAuthSettings::Basic(_) => "name and password",
    }
}
