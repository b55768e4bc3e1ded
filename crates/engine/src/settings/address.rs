//! Host and port.

use std::fmt;

/// Where to listen or connect: a host name or IP address, and a port. Names are resolved when the engine starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, IPv6 without brackets. Empty: every interface.
    pub host: String,
    /// The port; 0 lets the system choose one to listen on.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, `:port`, `[v6]:port`.
    ///
    /// # Errors
    /// What is wrong with it, as half a sentence.
    pub fn parse(text: &str) -> Result<Address, String> {
        if text.contains("://") {
            return Err("there is no scheme here".into());
        }
        let Some((host, port)) = text.rsplit_once(':') else { return Err("the port is missing".into()) };
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or("`[` is not closed")?,
            None if host.contains(':') => {
                return Err("an IPv6 address stands in brackets, `[::1]:4317`".into());
            }
            None => host,
        };
        if host.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err("the host has a character that no host has".into());
        }
        let port = port.parse().map_err(|_| format!("`{port}` is not a port (0 to 65535)"))?;
        Ok(Address { host: host.to_owned(), port })
    }

    /// Whether it is every interface of the machine.
    pub fn is_everywhere(&self) -> bool {
        self.host.is_empty() || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let is_name = self.host.eq_ignore_ascii_case("localhost");
        is_name || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_write() {
        for (text, host, port, loopback) in [
            ("localhost:4317", "localhost", 4317, true),
            ("127.0.0.1:0", "127.0.0.1", 0, true),
            ("[::1]:80", "::1", 80, true),
            (":4317", "", 4317, false),
            ("0.0.0.0:4317", "0.0.0.0", 4317, false),
            ("collector.example:65535", "collector.example", 65535, false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), text);
            assert_eq!(address.is_loopback(), loopback, "{text}");
        }
        for text in
            ["", "localhost", "localhost:", "a:65536", "::1:80", "[::1:80", "http://a:1", "a b:1", "a/b:1"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
