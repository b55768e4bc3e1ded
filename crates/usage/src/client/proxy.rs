//! The proxy that the environment names.

use std::net::IpAddr;

use super::{
    SendError,
    endpoint::{Endpoint, host_and_port},
};

/// The port of a proxy that names none.
const PORT: u16 = 80;

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// `user:password`, as they are sent.
    credentials: Option<String>,
}

impl Proxy {
    /// The proxy for an endpoint, by the usual variables. `HTTP_PROXY` is not read: a web server sets it to what a request says. The own
    /// host is reached directly, as is what `no_proxy` lists.
    ///
    /// # Errors
    /// A proxy that is not one of HTTP: whoever names one, an onion router maybe, does not want to be seen without it.
    pub(super) fn of(
        endpoint: &Endpoint,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SendError> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| lookup(name).filter(|value| !value.trim().is_empty()))
        };
        let own = if endpoint.tls { &["https_proxy", "HTTPS_PROXY"][..] } else { &["http_proxy"] };
        let Some(url) = first(own).or_else(|| first(&["all_proxy", "ALL_PROXY"])) else { return Ok(None) };
        let excluded = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        if is_own_host(&endpoint.host) || excludes(&excluded, &endpoint.host) {
            return Ok(None);
        }
        Self::parse(url.trim()).map(Some).ok_or(SendError::Proxy)
    }

    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let authority = rest.split('/').next().filter(|_| scheme.eq_ignore_ascii_case("http"))?;
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(decoded(credentials)), authority),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority)?;
        Some(Self { host: host.to_owned(), port: port.unwrap_or(PORT), credentials })
    }

    /// What to connect to.
    pub(super) fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The header that says who asks, or nothing (RFC 7617).
    pub(super) fn authorization(&self) -> String {
        let header = |text: &String| format!("Proxy-Authorization: Basic {}\r\n", base64(text.as_bytes()));
        self.credentials.as_ref().map(header).unwrap_or_default()
    }

    /// The request for a way through to an endpoint (RFC 9110, §9.3.6).
    pub(super) fn tunnel(&self, endpoint: &Endpoint) -> String {
        let host = &endpoint.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let target = format!("{host}:{}", endpoint.port);
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n", self.authorization())
    }
}

fn is_own_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether a list (`a.org, .b.org, *`) has this host, or a domain of it.
fn excludes(list: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        let below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        !domain.is_empty() && (domain == "*" || host == domain || below)
    })
}

/// Undoes percent-encoding (RFC 3986, §2.1); what is none stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 4648, §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, SendError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Proxy::of(&Endpoint::parse(endpoint).unwrap(), &lookup)
    }

    #[test]
    fn variables_name_the_proxy() {
        let a = |port| Some(Proxy { host: "a".to_owned(), port, credentials: None });
        for (endpoint, variables, expected) in [
            ("http://x", &[][..], None),
            ("http://x", &[("http_proxy", "http://a:3128/")], a(3128)),
            ("http://x", &[("http_proxy", "a")], a(80)),
            ("http://x", &[("HTTP_PROXY", "http://a")], None),
            ("http://x", &[("https_proxy", "http://a")], None),
            ("http://x", &[("ALL_PROXY", "http://a")], a(80)),
            ("http://x", &[("http_proxy", "a"), ("no_proxy", "*")], None),
            ("http://x.org", &[("http_proxy", "a"), ("NO_PROXY", "y, .ORG")], None),
            ("http://x.org", &[("http_proxy", "a"), ("no_proxy", "x.or,rg,,")], a(80)),
            ("http://localhost", &[("http_proxy", "a")], None),
            ("http://127.9.9.9", &[("http_proxy", "a")], None),
            ("http://[::1]:1", &[("http_proxy", "a")], None),
        ] {
            assert_eq!(of(endpoint, variables), Ok(expected), "{endpoint} {variables:?}");
        }
    }

    /// Nothing is sent past a proxy that was asked for.
    #[test]
    fn a_proxy_of_another_kind_is_no_way_through() {
        for url in ["socks5://a", "socks5h://127.0.0.1:9050", "https://a", "http://", "http://a:port"] {
            assert_eq!(of("http://x", &[("all_proxy", url)]), Err(SendError::Proxy), "{url}");
            assert_eq!(of("http://x", &[("all_proxy", url), ("no_proxy", "x")]), Ok(None), "{url}");
        }
    }

    #[test]
    fn a_proxy_is_told_who_asks() {
        let proxy = of("http://x", &[("http_proxy", "http://Aladdin:open%20sesame@a")]).unwrap().unwrap();
        // The example of RFC 7617, §2.
        assert_eq!(proxy.authorization(), "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            // RFC 4648, §10.
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }
}
