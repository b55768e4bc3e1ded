//! Small pages over HTTP/1.1: what a scraper reads, and what an engine shows of itself.
//!
//! [`Pages`] says what stands on a page; the rest is here, once: a bound on connections and on answers in memory, time
//! limits for headers, reading and quiet, TLS, credentials, `HEAD`, gzip, the answers to what is not there, and an end that
//! lets a reader finish.
//!
//! A listener on a loopback address answers to addresses, to `localhost` and to the name in its own endpoint: a web page could give
//! a name of its own that address, and read as its own what stands there.

mod answer;
mod hosts;
mod serving;

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use pipeline::{Charge, Shards};
use tokio::sync::watch;

pub(crate) use self::answer::quality;
use self::{answer::joined, hosts::Hosts, serving::Desk};
use crate::{
    auth::{Guard, ServerAuthSettings},
    limits::PAGE_END_GRACE,
    otlp::receiver::{BindError, guard},
    sockets::{Buffers, Listener, Sockets},
    tls::{Alpn, ServerTls, TlsError, TlsServerSettings},
};

/// Where pages are served, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSettings {
    /// Host and port; port 0 takes any free one.
    pub endpoint: String,
    /// Transport security; plain text where this is absent.
    pub tls: Option<TlsServerSettings>,
    /// Who may read; everybody where this is absent.
    pub auth: Option<ServerAuthSettings>,
}

impl PageSettings {
    /// In plain text, to everybody who reaches this host and port.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }
}

/// What a server has to show. It is asked on the thread that serves, so it answers at once.
pub trait Pages: Send + Sync + 'static {
    /// Why there is nothing under a path, for people; `None` where there is a page.
    fn missing(&self, path: &str) -> Option<&'static str>;

    /// The page under a path that is not missing.
    fn page(&self, request: &PageRequest<'_>) -> Page;
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    /// The path, without what stands behind a question mark.
    pub path: &'a str,
    headers: &'a HeaderMap,
}

impl PageRequest<'_> {
    /// All lines of `Accept` as one; empty where there is none.
    pub fn accept(&self) -> String {
        joined(self.headers, &header::ACCEPT)
    }
}

/// An answer. It is compressed where the reader wants that.
#[derive(Debug)]
pub struct Page {
    /// The HTTP status, such as 200.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// What stands on it.
    pub body: Bytes,
    /// Whether another `Accept` would have had another answer.
    pub varies: bool,
    /// The memory of `body`, where it is counted; given back when the last byte is gone.
    pub charge: Option<Charge>,
}

impl Page {
    /// A page of plain text.
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        let content_type = "text/plain; charset=utf-8".to_owned();
        Self { status, content_type, body: text.into(), varies: false, charge: None }
    }

    /// A page of JSON.
    pub fn json(status: u16, json: impl Into<Bytes>) -> Self {
        Self { content_type: "application/json".to_owned(), ..Self::text(status, json) }
    }
}

/// A server whose socket is bound but that does not serve yet.
pub struct Endpoint {
    pages: Arc<dyn Pages>,
    listener: Arc<Listener>,
    /// What is accepted by.
    handle: TcpListener,
    tls: Option<ServerTls>,
    guard: Option<Guard>,
    hosts: Hosts,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// A server at work. When this is dropped it takes no more connections, lets answers on their way arrive for
/// [`PAGE_END_GRACE`], and ends.
pub struct Serving {
    listener: Arc<Listener>,
    tls: Option<ServerTls>,
    end: watch::Sender<bool>,
    /// The thread it runs on, where that is its own.
    shards: Option<Shards>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end.send_replace(true);
        if let Some(shards) = &self.shards {
            shards.stop(std::time::Instant::now() + PAGE_END_GRACE);
        }
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Serving {
    /// What it listens on, for another to take over.
    pub fn socket(&self) -> Arc<Listener> {
        self.listener.clone()
    }

    /// Its TLS, to read the certificates again or to be told when that fails.
    pub fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }

    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

impl Endpoint {
    /// Binds the socket. Readers wait in the kernel until [`Endpoint::start`]. Port 0 takes any free one.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use aldis_connect::page::{Endpoint, Page, PageRequest, Pages};
    /// use pipeline::Shards;
    ///
    /// struct Hello;
    ///
    /// impl Pages for Hello {
    ///     fn missing(&self, path: &str) -> Option<&'static str> {
    ///         (path != "/hello").then_some("there is only /hello here\n")
    ///     }
    ///
    ///     fn page(&self, _: &PageRequest<'_>) -> Page {
    ///         Page::text(200, "good day\n")
    ///     }
    /// }
    ///
    /// let shards = Shards::start(1, "pages")?;
    /// let serving = Endpoint::bind(Arc::new(Hello), "127.0.0.1:0")?.start(&shards, 0);
    /// println!("http://{}/hello", serving.address());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An address that the system refuses.
    pub fn bind(pages: Arc<dyn Pages>, address: &str) -> Result<Endpoint, BindError> {
        Self::bind_over(pages, "pages", &PageSettings::at(address), &mut Sockets::default())
    }

    /// As [`Endpoint::bind`], in the name of a component, on the socket that another listens on if it has the address that is wanted.
    ///
    /// # Errors
    /// An address that the system refuses, files that TLS cannot use.
    pub fn bind_over(
        pages: Arc<dyn Pages>,
        owner: &str,
        settings: &PageSettings,
        sockets: &mut Sockets,
    ) -> Result<Endpoint, BindError> {
        let tls = settings.tls.as_ref().map(|tls| ServerTls::new(tls, Alpn::Http1)).transpose();
        let tls = tls.map_err(|error: TlsError| BindError::Settings(error.into()))?;
        let guard = guard("auth", settings.auth.as_ref())?;
        let address = &settings.endpoint;
        let bound = sockets.listen(owner, address, Buffers::default());
        let bound = bound.and_then(|listener| Ok((listener.handle()?, listener)));
        let (handle, listener) =
            bound.map_err(|source| BindError::Socket { endpoint: address.clone(), source })?;
        let hosts = Hosts::of(listener.address(), address);
        Ok(Endpoint { pages, listener, handle, tls, guard, hosts })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves on one of these shards, until what is returned is dropped.
    pub fn start(self, shards: &Shards, shard: usize) -> Serving {
        let (end, ended) = watch::channel(false);
        let Endpoint { pages, listener, handle, tls, guard, hosts } = self;
        let desk = Desk::new(pages, tls.clone(), guard, hosts);
        shards.spawn(shard, serving::accept(handle, Arc::new(desk), ended));
        Serving { listener, tls, end, shards: None }
    }

    /// Serves on these shards, which end with what is returned.
    pub fn start_owning(self, shards: Shards) -> Serving {
        let mut serving = self.start(&shards, 0);
        serving.shards = Some(shards);
        serving
    }
}
