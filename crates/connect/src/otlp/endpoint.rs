//! Where an exporter sends to.

use std::{io, time::Duration};

use http::{Uri, uri::Authority};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::SettingsError;
use crate::{
    tls::{ClientTls, TlsClientSettings},
    transport::Transport,
};

/// A host, a port, whether they speak TLS, and the path that a URL gave, if any.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(super) authority: Authority,
    pub(crate) path: String,
    pub(crate) is_tls: bool,
    host: String,
    port: u16,
    tls: Option<(ClientTls, ServerName<'static>)>,
}

impl Endpoint {
    /// Reads `host:port` or a URL. A scheme decides between TLS and plain text; where there is none the settings do, and they
    /// say TLS, as the Collector's.
    pub(crate) fn parse(
        key: &'static str,
        text: &str,
        tls: &TlsClientSettings,
    ) -> Result<Self, SettingsError> {
        let wrong = |message: String| SettingsError { key, message };
        let (rest, is_tls) = match text.split_once("://") {
            Some(("http", rest)) => (rest, false),
            Some(("https", rest)) => (rest, true),
            Some((scheme, _)) => {
                let message = format!("scheme {scheme:?} is not understood; use http:// or https://");
                return Err(wrong(message));
            }
            None => (text, !tls.is_plain()),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            // Errors quote what they are about, and nobody's logs are a place for a password.
            let message =
                "the URL names a user; put name and password into an extension `basicauth` that `auth` names";
            return Err(wrong(message.to_owned()));
        }
        let authority: Authority =
            authority.parse().map_err(|_| wrong(format!("{authority:?} is not host:port")))?;
        let port = match authority.port_u16() {
            Some(port) => port,
            None if text.contains("://") && authority.port().is_none() => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            None => return Err(wrong(format!("{text:?} has no port; write host:port"))),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong(format!("{text:?} has no host; write host:port")));
        }
        Ok(Self { authority, path: path.to_owned(), is_tls, host, port, tls: None })
    }

    /// The same over this TLS, if it is one that speaks TLS.
    pub(crate) fn over(mut self, tls: Option<&ClientTls>) -> Result<Self, SettingsError> {
        if let Some(tls) = tls.filter(|_| self.is_tls) {
            self.tls = Some((tls.clone(), tls.name(&self.host)?));
        }
        Ok(self)
    }

    /// An absolute URI of that path, with another authority where one is given.
    pub(super) fn uri(
        &self,
        key: &'static str,
        authority: Option<&str>,
        path: &str,
    ) -> Result<Uri, SettingsError> {
        let scheme = if self.is_tls { "https" } else { "http" };
        let authority = authority.unwrap_or(self.authority.as_str());
        let built = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        built.map_err(|error| SettingsError { key, message: format!("{path:?} is not a path: {error}") })
    }

    /// Connects, with the handshake of TLS where there is one, in this time.
    pub(super) async fn connect(&self, timeout: Duration) -> io::Result<Transport> {
        tokio::time::timeout(timeout, self.connected()).await?
    }

    async fn connected(&self) -> io::Result<Transport> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((tls, name)) => tls.connect(stream, name.clone()).await,
            None => Ok(Transport::Plain(stream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, insecure: bool) -> Result<Endpoint, SettingsError> {
        let tls = TlsClientSettings { insecure, ..TlsClientSettings::default() };
        Endpoint::parse("endpoint", text, &tls)
    }

    #[test]
    fn endpoints_are_host_and_port_or_urls() {
        for (text, insecure, authority, path, is_tls) in [
            ("127.0.0.1:4317", true, "127.0.0.1:4317", "", false),
            ("collector:4317", true, "collector:4317", "", false),
            ("collector:4317", false, "collector:4317", "", true),
            ("http://collector:4318", false, "collector:4318", "", false),
            ("http://collector/base", false, "collector", "/base", false),
            ("http://[::1]:4318/v1/traces", false, "[::1]:4318", "/v1/traces", false),
            ("https://collector:4318/base", true, "collector:4318", "/base", true),
        ] {
            let endpoint = parse(text, insecure).expect(text);
            let got = (endpoint.authority.as_str(), endpoint.path.as_str(), endpoint.is_tls);
            assert_eq!(got, (authority, path, is_tls), "{text}");
        }
        assert_eq!(parse("http://[::1]:7", true).expect("v6").host, "::1");
        let ports = ["http://a", "https://a"].map(|text| parse(text, true).expect(text).port);
        assert_eq!(ports, [80, 443]);
    }

    #[test]
    fn a_ca_asks_for_tls_whatever_insecure_says() {
        let ca_file = Some("ca.pem".into());
        let tls = TlsClientSettings { insecure: true, ca_file, ..TlsClientSettings::default() };
        assert!(Endpoint::parse("endpoint", "collector:4317", &tls).expect("endpoint").is_tls);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, says) in [
            ("collector", "no port"),
            ("ftp://collector:1", "use http://"),
            (":4317", "host"),
            ("a b:1", "not host:port"),
            ("http://anna:sesame@host:1", "names a user"),
            ("anna:sesame@host", "names a user"),
        ] {
            let error = parse(text, true).expect_err(text);
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
    }
}
