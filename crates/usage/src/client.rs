//! OTLP/HTTP, as little of it as one request needs.
//!
//! A body of known length is posted to a connection of its own, and the status of the answer is read: nothing that a library of HTTP
//! would do better, and a fraction of its bytes. One deadline holds for all of it.

mod answer;
mod endpoint;
mod proxy;
mod stream;
#[cfg(feature = "tls")]
mod tls;

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use crate::{
    limits::{TIMEOUT_MAX, TIMEOUT_MIN},
    metric::CommandMetric,
};

use answer::Answer;
pub(crate) use endpoint::Endpoint;
pub use endpoint::EndpointError;
use proxy::Proxy;
use stream::Connection;

/// Why a request was not counted, in words that hold nothing of the request, the host or the user, except what a receiver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It took longer than the timeout.
    TimedOut,
    /// The endpoint's name has no address.
    NameNotFound,
    /// Nobody listens there, or no way leads there.
    NotConnected,
    /// The connection broke off.
    BrokenOff,
    /// No trusted certificate, or no TLS.
    Tls,
    /// What answered does not speak HTTP.
    NotHttp,
    /// The receiver's status.
    Refused(u16),
    /// The receiver has read it and did not take the point (OTLP specification, § Partial Success): its message, at most
    /// [`REJECTION_CHARS_MAX`](crate::limits::REJECTION_CHARS_MAX) characters that can be shown.
    Rejected(String),
    /// As many names as may be asked for at once ([`SENDERS_MAX`](crate::limits::SENDERS_MAX)) are being asked for in this process: the
    /// system's resolver can take longer than any timeout.
    Busy,
    /// The system has no thread to ask for the endpoint's name on.
    NoThread,
    /// A variable names a proxy that is not one of HTTP, which is the only kind that is spoken.
    Proxy,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::TimedOut => f.write_str("no answer in time"),
            SendError::NameNotFound => f.write_str("the endpoint's name has no address"),
            SendError::NotConnected => f.write_str("cannot connect"),
            SendError::BrokenOff => f.write_str("the connection broke off"),
            SendError::Tls => f.write_str("no TLS with a trusted certificate"),
            SendError::NotHttp => f.write_str("the answer is not HTTP"),
            SendError::Refused(status) => write!(f, "refused with status {status}"),
            SendError::Rejected(message) if message.is_empty() => f.write_str("rejected by the receiver"),
            SendError::Rejected(message) => write!(f, "rejected by the receiver: {message}"),
            SendError::NoThread => f.write_str("no thread to ask for the endpoint's name on"),
            SendError::Proxy => f.write_str("the proxy is of a kind that is not supported"),
            SendError::Busy => f.write_str("too many names are being asked for"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => SendError::TimedOut,
            // What rustls says of a far side that it does not believe.
            io::ErrorKind::InvalidData => SendError::Tls,
            _ => SendError::BrokenOff,
        }
    }
}

/// Sends [`CommandMetric`]s to one endpoint, over a connection each.
///
/// ```
/// use std::time::Duration;
/// use aldis_usage::OtlpClient;
///
/// let client = OtlpClient::new("http://127.0.0.1:4318", "trix-cli/0.19.3", Duration::from_secs(2))?;
/// assert_eq!(client.url(), "http://127.0.0.1:4318/v1/metrics");
/// # Ok::<(), aldis_usage::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OtlpClient {
    endpoint: Endpoint,
    proxy: Result<Option<Proxy>, SendError>,
    agent: String,
    timeout: Duration,
}

impl OtlpClient {
    /// A client of this endpoint, through the proxy that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name. `agent` is told as
    /// `User-Agent`; a timeout outside of [`TIMEOUT_MIN`] to [`TIMEOUT_MAX`] is the nearest of them.
    ///
    /// # Errors
    /// The endpoint is no URL of `http`, or `https` where the feature `tls` is there.
    pub fn new(endpoint: &str, agent: &str, timeout: Duration) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::parse(endpoint)?;
        let proxy = Proxy::of(&endpoint, &|name| std::env::var(name).ok());
        let agent = agent.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '-' });
        let timeout = timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        Ok(Self { endpoint, proxy, agent: agent.collect(), timeout })
    }

    /// Where it sends.
    pub fn url(&self) -> String {
        self.endpoint.to_string()
    }

    /// Sends one point and waits for its status, in all no longer than the timeout.
    ///
    /// # Errors
    /// Why it did not arrive. After [`SendError::TimedOut`] and [`SendError::BrokenOff`] it may have.
    pub fn send(&self, metric: &CommandMetric<'_>) -> Result<(), SendError> {
        let mut open = self.open(Instant::now() + self.timeout)?;
        open.post(metric)?;
        open.answer()
    }

    /// Connects: everything that takes time before the first byte that tells something. The deadline is that of all that follows.
    pub(crate) fn open(&self, deadline: Instant) -> Result<Open<'_>, SendError> {
        let proxy = self.proxy.as_ref().map_err(Clone::clone)?.as_ref();
        let (host, port) = proxy.map_or_else(|| self.endpoint.target(), Proxy::target);
        let mut stream = stream::connect(host, port, deadline)?;
        if !self.endpoint.tls {
            return Ok(Open { client: self, connection: Box::new(stream) });
        }
        if let Some(proxy) = proxy {
            stream.write_all(proxy.tunnel(&self.endpoint).as_bytes())?;
            accepted(Answer::head(&mut stream)?.status)?;
        }
        Ok(Open { client: self, connection: secured(stream, &self.endpoint)? })
    }

    fn head(&self, body_bytes: usize) -> String {
        let Self { endpoint, agent, .. } = self;
        let (target, authorization) = match &self.proxy {
            // RFC 9112, §3.2.2: a proxy is asked for the whole URL.
            Ok(Some(proxy)) if !endpoint.tls => (endpoint.to_string(), proxy.authorization()),
            _ => (endpoint.path.clone(), String::new()),
        };
        format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\nContent-Type: application/json\r\n\
             Content-Length: {body_bytes}\r\nConnection: close\r\n{authorization}\r\n",
            endpoint.authority
        )
    }
}

/// A connection that has told nothing yet.
pub(crate) struct Open<'a> {
    client: &'a OtlpClient,
    connection: Box<dyn Connection>,
}

impl Open<'_> {
    /// Hands one point to the system.
    pub(crate) fn post(&mut self, metric: &CommandMetric<'_>) -> Result<(), SendError> {
        let body = metric.to_string();
        let request = self.client.head(body.len()) + &body;
        self.connection.write_all(request.as_bytes())?;
        Ok(self.connection.flush()?)
    }

    /// Waits for its status, and for what else the receiver has to say.
    pub(crate) fn answer(mut self) -> Result<(), SendError> {
        let answer = Answer::head(&mut *self.connection)?;
        accepted(answer.status)?;
        answer.rejection(&mut *self.connection).map_or(Ok(()), |message| Err(SendError::Rejected(message)))
    }
}

fn accepted(status: u16) -> Result<(), SendError> {
    match status {
        200..=299 => Ok(()),
        status => Err(SendError::Refused(status)),
    }
}

#[cfg(feature = "tls")]
fn secured(stream: stream::Timed, endpoint: &Endpoint) -> Result<Box<dyn Connection>, SendError> {
    tls::client(stream, &endpoint.host).map(|stream| Box::new(stream) as Box<dyn Connection>)
}

/// [`Endpoint::parse`] lets no such endpoint through.
#[cfg(not(feature = "tls"))]
fn secured(_: stream::Timed, _: &Endpoint) -> Result<Box<dyn Connection>, SendError> {
    Err(SendError::Tls)
}

#[cfg(test)]
mod tests;
