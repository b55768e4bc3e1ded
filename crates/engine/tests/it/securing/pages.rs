//! TLS and credentials of what only shows pages: the exporter `prometheus`, the extension `health_check`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use aldis_engine::components::Settings;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::*;
use crate::ends::PATIENCE;

const TOKEN: &str = "0123456789abcdef";

/// An engine whose pages have these settings besides their addresses.
fn showing(settings: &str) -> String {
    showing_at(["127.0.0.1:0"; 2], settings)
}

fn showing_at([prometheus, health]: [&str; 2], settings: &str) -> String {
    format!(
        "extensions: {{bearertokenauth: {{token: {TOKEN}}}, health_check: {{endpoint: '{health}', {settings}}}}}
receivers: {{otlp: {BOTH}}}
exporters: {{prometheus: {{endpoint: '{prometheus}', {settings}}}}}
service:
  extensions: [bearertokenauth, health_check]
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus]}}}}
"
    )
}

/// Both pages of an engine: address and path. Whether it is well is a matter of the whole process, in which other tests run;
/// whether it lives is not.
fn pages(near: &Near) -> [(SocketAddr, &'static str); 2] {
    [(near.address("prometheus"), "/metrics"), (near.address("health"), "/live")]
}

/// The first line of the answer and the rest, or why there is none.
fn ask(mut stream: impl Read + Write, path: &str, header: &str) -> Result<(String, String), String> {
    let told = |error: std::io::Error| error.to_string();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n")
        .map_err(told)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(told)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (first, rest) = answer.split_once("\r\n").ok_or("nothing")?;
    Ok((first.to_owned(), rest.to_owned()))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Authority {
    /// A client that trusts it, and shows what it signed under this name.
    fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}-key.pem"))).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        })
    }
}

/// The status over TLS.
fn status(
    client: &Arc<ClientConfig>,
    (address, path): (SocketAddr, &str),
    header: &str,
) -> Result<String, String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(client.clone(), name).unwrap();
    let answer = ask(Stream::new(&mut tls, &mut connect(address)), path, header);
    answer.map(|(first, _)| first.trim_start_matches("HTTP/1.1 ").to_owned())
}

#[test]
fn pages_are_shown_over_tls_and_to_whom_they_are_meant_for() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let own = ours.pair("own", &["localhost"]);
    let settings = format!("tls: {{{own}}}, auth: {{authenticator: bearertokenauth}}");
    let near = Near::running(&showing(&settings));
    let known = format!("authorization: Bearer {TOKEN}\r\n");
    let client = ours.client(None);
    for (address, path) in pages(&near) {
        let (first, rest) = ask(connect(address), path, &known).unwrap();
        assert!(first.starts_with("HTTP/1.1 400") && rest.contains("TLS only"), "{path}: {first} {rest}");
        assert_eq!(status(&client, (address, path), &known).unwrap(), "200 OK", "{path}");
        for (path, header) in
            [(path, ""), (path, "authorization: Bearer 0123456789abcdee\r\n"), ("/nothing", "")]
        {
            assert_eq!(
                status(&client, (address, path), header).unwrap(),
                "401 Unauthorized",
                "{path} {header}"
            );
        }
        assert!(status(&theirs.client(None), (address, path), &known).is_err(), "another CA");
    }
    // The files are replaced; the next one who connects gets what they say now.
    theirs.pair("own", &["localhost"]);
    for name in ["own.pem", "own-key.pem"] {
        fs::copy(theirs.file(name), ours.file(name)).unwrap();
    }
    assert!(near.engine().reload_certificates().is_empty());
    for page in pages(&near) {
        assert!(status(&client, page, &known).is_err());
        assert_eq!(status(&theirs.client(None), page, &known).unwrap(), "200 OK");
    }
    fs::write(ours.file("own.pem"), "nothing").unwrap();
    let failed: Vec<_> = near.engine().reload_certificates().into_iter().map(|(name, _)| name).collect();
    assert_eq!(failed, ["exporter prometheus", "extension health_check"]);
    let unwell: Vec<_> = near.engine().health().problems().into_keys().collect();
    assert_eq!(unwell, ["exporter prometheus certificates", "extension health_check certificates"]);
    for page in pages(&near) {
        assert_eq!(status(&theirs.client(None), page, &known).unwrap(), "200 OK", "the old ones hold on");
    }
}

#[test]
fn pages_ask_for_certificates_and_turn_to_tls_where_they_are() {
    let authority = Authority::new();
    let (own, _) = (authority.pair("own", &["localhost"]), authority.pair("reader", &["reader"]));
    let mut near = Near::running(&showing(""));
    for (address, path) in pages(&near) {
        assert_eq!(ask(connect(address), path, "").unwrap().0, "HTTP/1.1 200 OK");
    }
    let before = pages(&near);
    let mutual = format!("tls: {{{own}, {}}}", authority.ca("client_ca_file"));
    let checked = check(&showing(&mutual), &|_| None);
    let changes = near.engine_mut().reload(&checked.graph, PATIENCE).unwrap();
    assert_eq!(changes.to_string(), "extensions: changed health_check; exporters: changed prometheus");
    assert_eq!(pages(&near), before, "on the same sockets");
    for page in pages(&near) {
        assert_eq!(status(&authority.client(Some("reader")), page, "").unwrap(), "200 OK");
        assert!(status(&authority.client(None), page, "").is_err());
    }
}

/// Every key is read as it is for a receiver, where each has its test.
#[test]
fn tls_of_pages_has_the_settings_of_receivers() {
    let authority = Authority::new();
    authority.pair("own", &["localhost"]);
    let own =
        format!("cert_file: '{}', key_file: '{}'", authority.file("own.pem"), authority.file("own-key.pem"));
    let texts =
        format!("{}, {}", authority.text("cert_pem", "own.pem"), authority.text("key_pem", "own-key.pem"));
    let ca = authority.ca("client_ca_file");
    for settings in [
        own.clone(),
        texts,
        format!(
            "{own}, {ca}, client_ca_file_reload: true, include_system_ca_certs_pool: true, reload_interval: 7s"
        ),
        format!(
            "{own}, min_version: '1.3', max_version: '1.3', curve_preferences: [P256], cipher_suites: [TLS_AES_128_GCM_SHA256]"
        ),
    ] {
        let receiver = format!("otlp: {{protocols: {{http: {{tls: {{{settings}}}}}}}}}");
        let text = showing(&format!("tls: {{{settings}}}")).replace(&format!("otlp: {BOTH}"), &receiver);
        let checked = check(&text, &|_| None);
        assert!(!checked.problems.has_errors(), "{:?}", checked.problems);
        let graph = &checked.graph;
        let mut all =
            graph.receivers.values().chain(graph.exporters.values()).chain(graph.extensions.values());
        let tls = |settings: &Settings| match settings {
            Settings::OtlpReceiver(settings) => settings.http.as_ref().unwrap().tls.clone(),
            Settings::Prometheus(settings) => settings.server.tls.clone(),
            Settings::HealthCheck(settings) => settings.server.tls.clone(),
            _ => None,
        };
        let read: Vec<_> = all.by_ref().filter_map(tls).collect();
        assert!(read.len() == 3 && read.iter().all(|tls| *tls == read[0]), "{read:?}");
    }
}

#[test]
fn pages_cannot_share_an_address() {
    let problems = check(&showing_at(["127.0.0.1:9999"; 2], ""), &|_| None).problems;
    let told = problems.iter().any(|problem| problem.message.ends_with("both listen on 127.0.0.1:9999"));
    assert!(told, "{problems:?}");
}

/// A name that resolves to this machine for a web page does not open what only this machine may read.
#[test]
fn pages_of_a_loopback_listener_are_not_read_under_another_name() {
    let near = Near::running(&showing(""));
    for (address, path) in pages(&near) {
        for (host, status) in [("localhost", "200"), ("127.0.0.1:1", "200"), ("rebound.example", "421")] {
            let mut stream = connect(address);
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {host}: {answer}");
        }
    }
    let everywhere = Near::running(&showing_at(["0.0.0.0:0"; 2], ""));
    for (address, path) in pages(&everywhere) {
        let stream = connect(([127, 0, 0, 1], address.port()).into());
        let mut answer = String::new();
        let mut named = &stream;
        write!(named, "GET {path} HTTP/1.1\r\nhost: aldis:8888\r\nconnection: close\r\n\r\n").unwrap();
        named.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "Prometheus scrapes by name: {answer}");
    }
}
