//! Listens for OTLP.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use pipeline::{Inlets, Shards, Tracer};
use tokio::{net::TcpStream, sync::watch};

use super::{
    ReceiverCounts, ReceiverMeter, ReceiverSettings, SettingsError,
    connection::{self, Phase, Speaks},
    intake::Desk,
    open::{Accepting, Open},
    stats::ReceiverStats,
};
use crate::{
    auth::{AuthError, Guard, ServerAuthSettings},
    sockets::{Buffers, Listener, Sockets},
    tls::{ReloadCounts, ServerTls, TlsError},
};

/// How long to wait after a failed accept: without a free file descriptor the next one fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a receiver could not be made.
#[derive(Debug)]
pub enum BindError {
    /// A setting is wrong.
    Settings(SettingsError),
    /// The system refused the address.
    Socket {
        /// The configured address.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Settings(error) => error.fmt(f),
            BindError::Socket { endpoint, source } => write!(f, "cannot listen on {endpoint}: {source}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::Settings(error) => Some(error),
            BindError::Socket { source, .. } => Some(source),
        }
    }
}

/// An OTLP receiver whose sockets are bound but not served yet.
///
/// ```no_run
/// use std::{sync::Arc, time::{Duration, Instant}};
/// use aldis_connect::otlp::{Receiver, ReceiverSettings};
/// use otlp::Signal;
/// use pipeline::{Inlet, Inlets, Shards};
///
/// # fn demo(inlet: Arc<dyn Inlet>) -> Result<(), Box<dyn std::error::Error>> {
/// let shards = Shards::start(2, "aldis")?;
/// let receiver = Receiver::bind(ReceiverSettings::default())?;
/// let per_shard = Inlets::new().with(Signal::Traces, inlet);
/// let listening = receiver.start(&shards, vec![per_shard; shards.count()]);
/// // …
/// listening.stop(Instant::now() + Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Receiver {
    settings: ReceiverSettings,
    books: ReceiverMeter,
    tracer: Option<Tracer>,
    listeners: Vec<Port>,
}

/// A socket, the handle that is accepted by, and what is spoken there.
#[derive(Debug)]
struct Port {
    listener: Arc<Listener>,
    handle: TcpListener,
    speaks: Speaks,
    tls: Option<ServerTls>,
}

/// A receiver at work. Dropped without [`Listening::stop`] it ends at once.
#[derive(Debug)]
pub struct Listening {
    books: ReceiverMeter,
    open: Arc<Open>,
    phase: watch::Sender<Phase>,
    tls: Vec<ServerTls>,
    /// What is spoken over each of them.
    tls_speaks: Vec<&'static str>,
    /// Until it stops to listen.
    sockets: Mutex<Vec<Arc<Listener>>>,
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Receiver {
    /// Reads the files of certificates and binds the sockets. Connections wait in the kernel until [`Receiver::start`].
    ///
    /// # Errors
    /// A wrong setting, or an address that the system refuses.
    pub fn bind(settings: ReceiverSettings) -> Result<Receiver, BindError> {
        Self::bind_over(settings, &mut Sockets::default())
    }

    /// As [`Receiver::bind`], on sockets that others listen on as long as those have the addresses that are wanted.
    ///
    /// # Errors
    /// A wrong setting, or an address that the system refuses.
    pub fn bind_over(settings: ReceiverSettings, sockets: &mut Sockets) -> Result<Receiver, BindError> {
        settings.validate_values().map_err(BindError::Settings)?;
        let wrong = |error: TlsError| BindError::Settings(error.into());
        let mut listeners = Vec::new();
        let mut listen = |endpoint: &str, buffers, speaks: Speaks, tls| {
            let owner = format!("{} {}", settings.name, speaks.name());
            let bound = sockets.listen(&owner, endpoint, buffers);
            let port =
                bound.and_then(|listener| Ok(Port { handle: listener.handle()?, listener, speaks, tls }));
            listeners
                .push(port.map_err(|source| BindError::Socket { endpoint: endpoint.to_owned(), source })?);
            Ok(())
        };
        if let Some(grpc) = &settings.grpc {
            let tls = grpc.server_tls().map_err(wrong)?;
            let guard = guard("protocols.grpc.auth", grpc.auth.as_ref())?;
            let buffers = Buffers { read: grpc.read_buffer_size, write: grpc.write_buffer_size };
            listen(&grpc.endpoint, buffers, Speaks::Grpc(Arc::new(grpc.clone()), guard.map(Arc::new)), tls)?;
        }
        if let Some(http) = &settings.http {
            let tls = http.server_tls().map_err(wrong)?;
            let guard = guard("protocols.http.auth", http.auth.as_ref())?;
            let speaks = Speaks::Http(Arc::new(http.clone()), guard.map(Arc::new));
            listen(&http.endpoint, Buffers::default(), speaks, tls)?;
        }
        Ok(Receiver { settings, books: ReceiverMeter::default(), tracer: None, listeners })
    }

    /// The same, counting on in these books.
    #[must_use]
    pub fn counting_in(self, books: ReceiverMeter) -> Self {
        Self { books, ..self }
    }

    /// The same, with spans of the requests that this tracer chooses.
    #[must_use]
    pub fn traced_by(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// The address of the gRPC listener.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.address_of(|speaks| matches!(speaks, Speaks::Grpc(..)))
    }

    /// The address of the HTTP listener.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.address_of(|speaks| matches!(speaks, Speaks::Http(..)))
    }

    fn address_of(&self, wanted: impl Fn(&Speaks) -> bool) -> Option<SocketAddr> {
        self.listeners.iter().find(|port| wanted(&port.speaks)).map(|port| port.listener.address())
    }

    /// Begins to serve on these shards. `inlets` has one entry per shard.
    ///
    /// # Panics
    /// If `inlets` has another length than there are shards.
    pub fn start(self, shards: &Shards, inlets: Vec<Inlets>) -> Listening {
        assert_eq!(inlets.len(), shards.count(), "one set of inlets per shard");
        let (grpc, http) = (self.grpc_addr(), self.http_addr());
        let settings = Arc::new(self.settings);
        let stats = self.books.0.clone();
        let open = Arc::new(Open::default());
        let (phase, told) = watch::channel(Phase::Running);
        let desks: Arc<[Arc<Desk>]> = inlets
            .into_iter()
            .enumerate()
            .map(|(shard, inlets)| {
                let common = (settings.name.clone(), settings.check, settings.body_timeout);
                let desk = Desk::new(common, (shards, shard), inlets, stats.clone());
                Arc::new(desk.traced_by(self.tracer.clone()))
            })
            .collect();
        let secured = self.listeners.iter().filter_map(|port| Some((port.tls.clone()?, port.speaks.name())));
        let (tls, tls_speaks) = secured.unzip();
        let mut sockets = Vec::new();
        for (i, port) in self.listeners.into_iter().enumerate() {
            sockets.push(port.listener);
            let acceptor = Acceptor {
                speaks: port.speaks,
                tls: port.tls,
                shards: shards.clone(),
                desks: desks.clone(),
                stats: stats.clone(),
                open: open.clone(),
                max_connections: settings.max_connections,
                phase: told.clone(),
            };
            let accepting = Accepting::new(&open);
            shards.spawn(i, acceptor.run(port.handle, accepting));
        }
        let sockets = Mutex::new(sockets);
        Listening { books: self.books, open, phase, tls, tls_speaks, sockets, grpc, http }
    }
}

impl Listening {
    /// The address of the gRPC listener.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// The address of the HTTP listener.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// What was counted so far.
    pub fn counts(&self) -> ReceiverCounts {
        let mut counts = self.books.counts();
        for ReloadCounts { reloaded, failed, problem } in self.tls.iter().map(ServerTls::counts) {
            counts.certificates.reloaded += reloaded;
            counts.certificates.failed += failed;
            counts.certificates.problem = counts.certificates.problem.or(problem);
        }
        counts
    }

    /// The TLS of its listeners, to read the certificates again or to be told when that fails.
    pub fn tls(&self) -> &[ServerTls] {
        &self.tls
    }

    /// The same with what is spoken over each: `grpc` or `http`.
    pub fn tls_by_protocol(&self) -> impl Iterator<Item = (&'static str, &ServerTls)> {
        self.tls_speaks.iter().copied().zip(&self.tls)
    }

    /// Reads what was counted so far, also after this is gone.
    pub fn meter(&self) -> ReceiverMeter {
        self.books.clone()
    }

    /// What it listens on, for another receiver to take over.
    pub fn sockets(&self) -> Vec<Arc<Listener>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops listening, and has peers go as soon as they have an answer: over HTTP/2 GOAWAY is sent, over HTTP/1.1 the next
    /// answer says `connection: close`, so that nobody's request is cut off. What they send meanwhile is taken.
    pub fn leave(&self) {
        self.enter(Phase::Leaving);
        self.close_sockets();
    }

    /// Waits until `deadline` for all connections, and all who listen, to be gone. It blocks.
    pub fn wait_for_none(&self, deadline: Instant) {
        self.open.wait_for_none(deadline);
    }

    fn close_sockets(&self) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Stops listening, tells every peer to go (HTTP/2: GOAWAY), waits until `deadline` for the requests in flight, then
    /// ends the rest. Returns how many connections had to be cut off. Its ports are free then, unless [`Listening::sockets`] went to
    /// another receiver.
    ///
    /// It blocks, so it must not be called on a shard.
    pub fn stop(self, deadline: Instant) -> usize {
        self.drain(deadline)
    }

    /// As [`Listening::stop`], for those who want to read [`Listening::counts`] afterwards.
    ///
    /// Several may wait, each until its own deadline: the first that is over ends the rest, and is told how many they were.
    pub fn drain(&self, deadline: Instant) -> usize {
        self.enter(Phase::Draining);
        self.close_sockets();
        let cut = self.open.wait_for_none(deadline);
        if self.enter(Phase::Ended) { cut } else { 0 }
    }

    /// Phases only go forward. Says whether this was the step into it.
    fn enter(&self, next: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let is_later = *phase < next;
            *phase = next.max(*phase);
            is_later
        })
    }
}

/// Takes connections from one listener and hands them to the idlest shard.
struct Acceptor {
    speaks: Speaks,
    tls: Option<ServerTls>,
    shards: Shards,
    desks: Arc<[Arc<Desk>]>,
    stats: Arc<ReceiverStats>,
    open: Arc<Open>,
    max_connections: usize,
    phase: watch::Receiver<Phase>,
}

impl Acceptor {
    /// The listener is closed before `_accepting` says so: locals go before arguments.
    async fn run(mut self, listener: TcpListener, _accepting: Accepting) {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // Running is where it begins: any change, and the end of the sender, mean that it is over.
                _ = self.phase.changed() => return,
            };
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => self.hand_over(stream),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn hand_over(&self, stream: std::net::TcpStream) {
        self.stats.connections_accepted.fetch_add(1, Relaxed);
        let Some(connected) = Connected::new(self) else {
            self.stats.connections_refused.fetch_add(1, Relaxed);
            return;
        };
        let shard = self.shards.idlest();
        let (desk, phase) = (self.desks[shard].clone(), self.phase.clone());
        let speaks = (self.speaks.clone(), self.tls.clone());
        self.shards.spawn(shard, async move {
            let _connected = connected;
            if let Ok(stream) = TcpStream::from_std(stream) {
                connection::drive(stream, desk, speaks, phase).await;
            }
        });
    }
}

/// One open connection, counted as long as it lives.
struct Connected {
    open: Arc<Open>,
    stats: Arc<ReceiverStats>,
}

impl Connected {
    fn new(acceptor: &Acceptor) -> Option<Self> {
        let mut now = acceptor.open.lock();
        if now.connections >= acceptor.max_connections {
            return None;
        }
        now.connections += 1;
        acceptor.stats.connections_open.fetch_add(1, Relaxed);
        Some(Self { open: acceptor.open.clone(), stats: acceptor.stats.clone() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut now = self.open.lock();
        now.connections -= 1;
        self.stats.connections_open.fetch_sub(1, Relaxed);
        self.open.tell();
    }
}

/// What stands before a listener, if anything does.
pub(crate) fn guard(
    key: &'static str,
    auth: Option<&ServerAuthSettings>,
) -> Result<Option<Guard>, BindError> {
    let wrong = |error: AuthError| BindError::Settings(SettingsError { key, message: error.0 });
    auth.map(Guard::new).transpose().map_err(wrong)
}

#[cfg(test)]
mod tests;
