//! Listening sockets, which outlive the components that listen on them.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds for us before we accept them.
const BACKLOG: i32 = 1024;

/// Listening sockets that others may take over instead of binding their own: while one of them is open nobody who connects is
/// refused, and what waits in the kernel is accepted by whoever comes next.
#[derive(Debug, Default)]
pub struct Sockets {
    free: Vec<Arc<Listener>>,
}

/// A bound socket. It is closed when its last holder lets go.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// As it was asked for; port 0 is any.
    asked: SocketAddr,
    address: SocketAddr,
    /// For whom: port 0 means another port to everybody.
    owner: String,
}

/// Sizes of the buffers of accepted connections, in bytes; the system's where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) read: Option<usize>,
    pub(crate) write: Option<usize>,
}

impl Sockets {
    /// These may be taken over.
    pub fn of(free: impl IntoIterator<Item = Arc<Listener>>) -> Self {
        Self { free: free.into_iter().collect() }
    }

    /// Takes over the socket at this address, or binds one.
    pub(crate) fn listen(
        &mut self,
        owner: &str,
        endpoint: &str,
        buffers: Buffers,
    ) -> io::Result<Arc<Listener>> {
        let asked = resolve(endpoint)?;
        let is_it = |free: &Arc<Listener>| free.asked == asked && (asked.port() != 0 || free.owner == owner);
        if let Some(at) = self.free.iter().position(is_it) {
            let listener = self.free.swap_remove(at);
            buffers.set(&Socket::from(listener.socket.try_clone()?))?;
            return Ok(listener);
        }
        let (socket, address) = bind(asked, buffers).map_err(|error| self.explain(asked, error))?;
        Ok(Arc::new(Listener { socket, asked, address, owner: owner.to_owned() }))
    }
}

impl Sockets {
    /// A port of all addresses cannot be had while we have it of one, nor the other way around, and who listens is not sent away.
    fn explain(&self, asked: SocketAddr, error: io::Error) -> io::Error {
        let ours = self.free.iter().find(|free| free.address.port() == asked.port());
        match ours {
            Some(ours) if error.kind() == io::ErrorKind::AddrInUse => {
                let at = ours.address;
                io::Error::new(
                    error.kind(),
                    format!(
                        "this engine itself has the port, at {at}; to move it to {asked} restart the engine"
                    ),
                )
            }
            _ => error,
        }
    }
}

impl Listener {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another handle on it, to accept by.
    pub(crate) fn handle(&self) -> io::Result<TcpListener> {
        self.socket.try_clone()
    }
}

impl Buffers {
    /// Accepted sockets inherit them.
    fn set(self, socket: &Socket) -> io::Result<()> {
        if let Some(bytes) = self.read {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.write {
            socket.set_send_buffer_size(bytes)?;
        }
        Ok(())
    }
}

fn resolve(endpoint: &str) -> io::Result<SocketAddr> {
    endpoint.to_socket_addrs()?.next().ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address; write host:port")
    })
}

fn bind(address: SocketAddr, buffers: Buffers) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    buffers.set(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(sockets: &mut Sockets, owner: &str, endpoint: &str) -> io::Result<SocketAddr> {
        let listener = sockets.listen(owner, endpoint, Buffers::default());
        // It stays open: what is bound twice is refused.
        listener.map(|listener| Box::leak(Box::new(listener)).address())
    }

    #[test]
    fn a_socket_is_taken_over_once_and_by_its_address() {
        let one = Sockets::default().listen("one", "127.0.0.1:0", Buffers::default()).unwrap();
        let endpoint = one.address().to_string();
        assert!(listen(&mut Sockets::default(), "one", &endpoint).is_err(), "it is in use");
        let same = Sockets::default().listen("two", "127.0.0.1:0", Buffers::default()).unwrap();
        let mut free = Sockets::of([one.clone(), same]);
        assert_eq!(listen(&mut free, "one", "127.0.0.1:0").unwrap(), one.address());
        assert_ne!(listen(&mut free, "one", "127.0.0.1:0").unwrap(), one.address(), "taken already");
        let asked = Listener { asked: one.address(), socket: one.handle().unwrap(), ..listener(&one) };
        let mut free = Sockets::of([Arc::new(asked)]);
        assert_eq!(listen(&mut free, "another", &endpoint).unwrap(), one.address(), "whoever had it");
    }

    #[test]
    fn who_has_the_port_already_is_told_to_restart() {
        let one = Sockets::default().listen("one", "127.0.0.1:0", Buffers::default()).unwrap();
        let everywhere = format!("0.0.0.0:{}", one.address().port());
        let error = listen(&mut Sockets::of([one]), "one", &everywhere).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("restart"), "{error}");
    }

    fn listener(of: &Listener) -> Listener {
        let socket = of.handle().unwrap();
        Listener { socket, asked: of.asked, address: of.address, owner: of.owner.clone() }
    }
}
