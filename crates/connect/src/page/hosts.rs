//! By what names a listener may be called.
//!
//! Who serves a web page can have the name of its own site resolve to 127.0.0.1 a moment later. The browser then lets the page
//! read whatever answers there, as its own (DNS rebinding). Such a request still says whom it was meant for.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, Uri, header};

/// Names that a listener answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Others reach it too, by whatever name it has there.
    Any,
    /// Only this machine reaches it: addresses, `localhost`, and the name in the endpoint.
    Own(String),
}

impl Hosts {
    /// Those of a listener that was asked for by this host and port.
    pub(super) fn of(address: SocketAddr, endpoint: &str) -> Self {
        match address.ip().to_canonical().is_loopback() {
            true => Hosts::Own(name(endpoint).to_ascii_lowercase()),
            false => Hosts::Any,
        }
    }

    /// Whether a request is meant for it. One that says nothing comes from no browser.
    pub(super) fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Hosts::Own(own) = self else { return true };
        let is_ours = |said: &str| {
            let said = name(said).to_ascii_lowercase();
            said == *own || said == "localhost" || said.ends_with(".localhost") || is_address(&said)
        };
        let named = headers.get_all(header::HOST).iter();
        named
            .map(|value| value.to_str().unwrap_or("?"))
            .chain(uri.authority().map(|of| of.as_str()))
            .all(is_ours)
    }
}

/// The host of `host:port`, without the dot that may end it.
fn name(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_means_this_machine_is_answered_on_a_loopback_address() {
        let loopback = Hosts::of(([127, 0, 0, 1], 8888).into(), "aldis.test:8888");
        let everywhere = Hosts::of(([0, 0, 0, 0], 8888).into(), "0.0.0.0:8888");
        let mapped = Hosts::of("[::ffff:127.0.0.1]:1".parse().expect("an address"), "[::ffff:127.0.0.1]:1");
        for (host, is_ours) in [
            ("127.0.0.1:8888", true),
            ("10.1.2.3", true),
            ("[::1]:8888", true),
            ("[::1]", true),
            ("localhost:8888", true),
            ("LOCALHOST.", true),
            ("aldis.localhost", true),
            ("aldis.test:1", true),
            ("rebound.example:8888", false),
            ("127.0.0.1.rebound.example", false),
            ("localhost.rebound.example", false),
            ("notlocalhost", false),
            ("[rebound.example]", false),
            ("", false),
        ] {
            let headers: HeaderMap = [(header::HOST, host.parse().expect("a value"))].into_iter().collect();
            assert_eq!(loopback.allow(&Uri::from_static("/metrics"), &headers), is_ours, "{host}");
            assert!(everywhere.allow(&Uri::from_static("/metrics"), &headers), "{host}");
            assert_eq!(mapped.allow(&Uri::from_static("/"), &headers), is_ours && host != "aldis.test:1");
        }
        assert!(loopback.allow(&Uri::from_static("/metrics"), &HeaderMap::new()));
        let whole = Uri::from_static("http://rebound.example/metrics");
        assert!(!loopback.allow(&whole, &HeaderMap::new()));
        let mut two: HeaderMap =
            [(header::HOST, "localhost".parse().expect("a value"))].into_iter().collect();
        two.append(header::HOST, "rebound.example".parse().expect("a value"));
        assert!(!loopback.allow(&Uri::from_static("/metrics"), &two));
    }
}
