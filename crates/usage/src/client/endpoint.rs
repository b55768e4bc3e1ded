//! Where to send to.

use std::fmt;

use crate::limits::ENDPOINT_BYTES_MAX;

/// The path of OTLP/HTTP for metrics (OTLP specification, § OTLP/HTTP Request).
const PATH: &str = "/v1/metrics";

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// The name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As it stands in the URL, which is what `Host` says.
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// An endpoint that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// It begins neither with `http://` nor with `https://`.
    Scheme,
    /// The program was built without TLS.
    NoTls,
    /// It has a name and a password in it, which would stand in a file and in `status`.
    Credentials,
    /// The host is missing, or the port is no port.
    Host,
    /// It has a question or a fragment, or letters that do not belong into a URL, or is too long.
    Letters,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndpointError::Scheme => "it must begin with http:// or https://",
            EndpointError::NoTls => "this program has no TLS: it must begin with http://",
            EndpointError::Credentials => "it must not have a user or a password in it",
            EndpointError::Host => "it must have a host, and a port between 1 and 65535 if any",
            EndpointError::Letters => "it must have nothing but printable ASCII in it, no `?` and no `#`",
        })
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Reads a URL; `/v1/metrics` is added unless it ends so.
    pub(crate) fn parse(url: &str) -> Result<Self, EndpointError> {
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"?#\"\\<>^`{|}".contains(&byte);
        if url.len() > ENDPOINT_BYTES_MAX || !url.bytes().all(fine) {
            return Err(EndpointError::Letters);
        }
        let (scheme, rest) = url.split_once("://").ok_or(EndpointError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" if cfg!(feature = "tls") => true,
            "https" => return Err(EndpointError::NoTls),
            _ => return Err(EndpointError::Scheme),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let (host, port) = host_and_port(authority).ok_or(EndpointError::Host)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let path = format!("/{path}");
        let path = path.trim_end_matches('/');
        let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
        Ok(Self { tls, host: host.to_owned(), port, authority: authority.to_owned(), path })
    }

    /// What to connect to.
    pub(crate) fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
pub(super) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let digits = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        Some(port) => Some(Some(port).filter(digits)?.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    (!host.is_empty() && !host.contains('[')).then_some((host, port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, host, port, whole) in [
            ("http://a", "a", 80, "http://a/v1/metrics"),
            ("HTTP://a.b:4318/", "a.b", 4318, "http://a.b:4318/v1/metrics"),
            ("http://127.0.0.1:1/otlp/", "127.0.0.1", 1, "http://127.0.0.1:1/otlp/v1/metrics"),
            ("http://[::1]:4318/v1/metrics", "::1", 4318, "http://[::1]:4318/v1/metrics"),
            ("http://[::1]", "::1", 80, "http://[::1]/v1/metrics"),
            ("http://a/x/v1/metrics", "a", 80, "http://a/x/v1/metrics"),
        ] {
            let read = Endpoint::parse(url).unwrap();
            assert_eq!((read.target(), read.to_string().as_str()), ((host, port), whole), "{url}");
            assert_eq!(Endpoint::parse(whole).unwrap(), read, "what is told is the same");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (url, error) in [
            ("", EndpointError::Scheme),
            ("a:4318", EndpointError::Scheme),
            ("ftp://a", EndpointError::Scheme),
            ("http://", EndpointError::Host),
            ("http:///x", EndpointError::Host),
            ("http://:80", EndpointError::Host),
            ("http://a:", EndpointError::Host),
            ("http://a:0", EndpointError::Host),
            ("http://a:65536", EndpointError::Host),
            ("http://a:+1", EndpointError::Host),
            ("http://::1", EndpointError::Host),
            ("http://[::1", EndpointError::Host),
            ("http://[a]", EndpointError::Host),
            ("http://[::1]80", EndpointError::Host),
            ("http://user:secret@a", EndpointError::Credentials),
            ("http://a\r\nX: y", EndpointError::Letters),
            ("http://a/?b", EndpointError::Letters),
            ("http://a b", EndpointError::Letters),
            ("http://ä", EndpointError::Letters),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
        let long = format!("http://{}", "a".repeat(ENDPOINT_BYTES_MAX));
        assert_eq!(Endpoint::parse(&long), Err(EndpointError::Letters));
        let https = Endpoint::parse("https://a");
        if cfg!(feature = "tls") {
            assert_eq!(https.unwrap().port, 443);
        } else {
            assert_eq!(https, Err(EndpointError::NoTls));
        }
    }
}
