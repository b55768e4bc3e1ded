//! Listens for OTLP.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use otlp::Signal;
use pipeline::{Inlet, Shards};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpStream, sync::watch};

use super::{
    ReceiverCounts, ReceiverSettings, SettingsError,
    connection::{self, Phase, Speaks},
    intake::Desk,
    stats::ReceiverStats,
};

/// Connections that the kernel holds for us before we accept them.
const BACKLOG: i32 = 1024;
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

/// One shard's ways into the pipelines, by signal. A signal without one is answered `UNIMPLEMENTED` / 404.
#[derive(Clone, Default)]
pub struct Inlets {
    by_signal: [Option<Arc<dyn Inlet>>; 4],
}

impl Inlets {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this way in for a signal.
    #[must_use]
    pub fn with(mut self, signal: Signal, inlet: Arc<dyn Inlet>) -> Self {
        self.by_signal[signal as usize] = Some(inlet);
        self
    }
}

impl fmt::Debug for Inlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals = Signal::ALL.into_iter().filter(|signal| self.by_signal[*signal as usize].is_some());
        f.debug_set().entries(signals).finish()
    }
}

/// An OTLP receiver whose sockets are bound but not served yet.
///
/// ```no_run
/// use std::{sync::Arc, time::{Duration, Instant}};
/// use aldis_connect::otlp::{Inlets, Receiver, ReceiverSettings};
/// use otlp::Signal;
/// use pipeline::{Inlet, Shards};
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
    listeners: Vec<(TcpListener, SocketAddr, Speaks)>,
}

/// A receiver at work. Dropped without [`Listening::stop`] it ends at once.
#[derive(Debug)]
pub struct Listening {
    stats: Arc<ReceiverStats>,
    open: Arc<Open>,
    phase: watch::Sender<Phase>,
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

/// Waits for the number of connections to become zero.
#[derive(Debug, Default)]
struct Open {
    connections: Mutex<usize>,
    changed: Condvar,
}

impl Receiver {
    /// Binds the sockets. Connections wait in the kernel until [`Receiver::start`].
    ///
    /// # Errors
    /// A wrong setting, or an address that the system refuses.
    pub fn bind(settings: ReceiverSettings) -> Result<Receiver, BindError> {
        settings.validate().map_err(BindError::Settings)?;
        let mut listeners = Vec::new();
        if let Some(grpc) = &settings.grpc {
            let listener = listen(&grpc.endpoint, grpc.read_buffer_size, grpc.write_buffer_size);
            listeners.push((listener, &grpc.endpoint, Speaks::Grpc(Arc::new(grpc.clone()))));
        }
        if let Some(http) = &settings.http {
            let listener = listen(&http.endpoint, None, None);
            listeners.push((listener, &http.endpoint, Speaks::Http(Arc::new(http.clone()))));
        }
        let listeners = listeners
            .into_iter()
            .map(|(listener, endpoint, speaks)| match listener {
                Ok((listener, address)) => Ok((listener, address, speaks)),
                Err(source) => Err(BindError::Socket { endpoint: endpoint.clone(), source }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Receiver { settings, listeners })
    }

    /// The address of the gRPC listener.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.listeners
            .iter()
            .find_map(|(_, address, speaks)| matches!(speaks, Speaks::Grpc(_)).then_some(*address))
    }

    /// The address of the HTTP listener.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.listeners
            .iter()
            .find_map(|(_, address, speaks)| matches!(speaks, Speaks::Http(_)).then_some(*address))
    }

    /// Begins to serve on these shards. `inlets` has one entry per shard.
    ///
    /// # Panics
    /// If `inlets` has another length than there are shards.
    pub fn start(self, shards: &Shards, inlets: Vec<Inlets>) -> Listening {
        assert_eq!(inlets.len(), shards.count(), "one set of inlets per shard");
        let (grpc, http) = (self.grpc_addr(), self.http_addr());
        let settings = Arc::new(self.settings);
        let stats = Arc::new(ReceiverStats::default());
        let open = Arc::new(Open::default());
        let (phase, told) = watch::channel(Phase::Running);
        let desks: Arc<[Arc<Desk>]> = inlets
            .into_iter()
            .enumerate()
            .map(|(shard, inlets)| {
                let common = (settings.name.clone(), settings.check, settings.body_timeout);
                Arc::new(Desk::new(common, (shards, shard), inlets.by_signal, stats.clone()))
            })
            .collect();
        for (i, (listener, _, speaks)) in self.listeners.into_iter().enumerate() {
            let acceptor = Acceptor {
                speaks,
                shards: shards.clone(),
                desks: desks.clone(),
                stats: stats.clone(),
                open: open.clone(),
                max_connections: settings.max_connections,
                phase: told.clone(),
            };
            shards.spawn(i, acceptor.run(listener));
        }
        Listening { stats, open, phase, grpc, http }
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
        self.stats.counts()
    }

    /// Stops listening, tells every peer to go (HTTP/2: GOAWAY), waits until `deadline` for the requests in flight, then
    /// ends the rest. Returns how many connections had to be cut off.
    ///
    /// It blocks, so it must not be called on a shard.
    pub fn stop(self, deadline: Instant) -> usize {
        self.drain(deadline)
    }

    /// As [`Listening::stop`], for those who want to read [`Listening::counts`] afterwards.
    pub fn drain(&self, deadline: Instant) -> usize {
        self.phase.send_replace(Phase::Draining);
        let cut = self.open.wait_for_none(deadline);
        self.phase.send_replace(Phase::Ended);
        cut
    }
}

impl Open {
    fn wait_for_none(&self, deadline: Instant) -> usize {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while *connections > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            connections =
                self.changed.wait_timeout(connections, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *connections
    }
}

/// Takes connections from one listener and hands them to the idlest shard.
struct Acceptor {
    speaks: Speaks,
    shards: Shards,
    desks: Arc<[Arc<Desk>]>,
    stats: Arc<ReceiverStats>,
    open: Arc<Open>,
    max_connections: usize,
    phase: watch::Receiver<Phase>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
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
        let (desk, speaks, phase) = (self.desks[shard].clone(), self.speaks.clone(), self.phase.clone());
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
        let mut connections = acceptor.open.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if *connections >= acceptor.max_connections {
            return None;
        }
        *connections += 1;
        acceptor.stats.connections_open.store(*connections as u64, Relaxed);
        Some(Self { open: acceptor.open.clone(), stats: acceptor.stats.clone() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut connections = self.open.connections.lock().unwrap_or_else(PoisonError::into_inner);
        *connections -= 1;
        self.stats.connections_open.store(*connections as u64, Relaxed);
        self.open.changed.notify_all();
    }
}

pub(crate) fn listen(
    endpoint: &str,
    read_buffer: Option<usize>,
    write_buffer: Option<usize>,
) -> io::Result<(TcpListener, SocketAddr)> {
    let address = endpoint.to_socket_addrs()?.next().ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address; write host:port")
    })?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these.
    if let Some(bytes) = read_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = write_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests;
