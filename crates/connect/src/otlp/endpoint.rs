//! Where an exporter sends to.

use std::{io, time::Duration};

use http::{Uri, uri::Authority};
use tokio::net::TcpStream;

use super::SettingsError;

/// A host, a port, and the path that a URL gave, if any.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) authority: Authority,
    pub(super) path: String,
    host: String,
    port: u16,
}

impl Endpoint {
    /// Reads `host:port` or a URL. What neither says to be plain text is TLS, as for the Collector, unless `insecure`.
    pub(super) fn parse(key: &'static str, text: &str, insecure: bool) -> Result<Self, SettingsError> {
        let wrong = |message: String| SettingsError { key, message };
        let no_tls = |what: &str| {
            let hint = "use http:// or tls.insecure: true, and a proxy where encryption is needed";
            wrong(format!("{what}, but TLS is not built in yet; {hint}"))
        };
        let (rest, plain) = match text.split_once("://") {
            Some(("http", rest)) => (rest, true),
            Some(("https", _)) => return Err(no_tls("https:// asks for TLS")),
            Some((scheme, _)) => {
                return Err(wrong(format!("scheme {scheme:?} is not understood; use http://")));
            }
            None => (text, insecure),
        };
        if !plain {
            return Err(no_tls("without http:// the endpoint asks for TLS"));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let authority: Authority =
            authority.parse().map_err(|_| wrong(format!("{authority:?} is not host:port")))?;
        let port = match authority.port_u16() {
            Some(port) => port,
            None if text.contains("://") && authority.port().is_none() => 80,
            None => return Err(wrong(format!("{text:?} has no port; write host:port"))),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong(format!("{text:?} has no host; write host:port")));
        }
        Ok(Self { authority, path: path.to_owned(), host, port })
    }

    /// An absolute URI of that path.
    pub(super) fn uri(&self, key: &'static str, path: &str) -> Result<Uri, SettingsError> {
        let built =
            Uri::builder().scheme("http").authority(self.authority.clone()).path_and_query(path).build();
        built.map_err(|error| SettingsError { key, message: format!("{path:?} is not a path: {error}") })
    }

    pub(super) async fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let stream =
            tokio::time::timeout(timeout, TcpStream::connect((self.host.as_str(), self.port))).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn endpoints_are_host_and_port_or_urls() {
        for (text, insecure, authority, path) in [
            ("127.0.0.1:4317", true, "127.0.0.1:4317", ""),
            ("collector:4317", true, "collector:4317", ""),
            ("http://collector:4318", false, "collector:4318", ""),
            ("http://collector/base", false, "collector", "/base"),
            ("http://[::1]:4318/v1/traces", false, "[::1]:4318", "/v1/traces"),
        ] {
            let endpoint = Endpoint::parse("endpoint", text, insecure).expect(text);
            assert_eq!((endpoint.authority.as_str(), endpoint.path.as_str()), (authority, path));
        }
        assert_eq!(Endpoint::parse("endpoint", "http://[::1]:7", true).expect("v6").host, "::1");
    }

    #[test]
    fn what_asks_for_tls_or_is_no_address_is_refused() {
        for (text, insecure, says) in [
            ("https://collector:4317", true, "TLS is not built in yet"),
            ("collector:4317", false, "tls.insecure"),
            ("collector", true, "no port"),
            ("ftp://collector:1", true, "use http://"),
            (":4317", true, "host"),
            ("a b:1", true, "not host:port"),
        ] {
            let error = Endpoint::parse("endpoint", text, insecure).expect_err(text);
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }
}
