//! What the service manager is told: the protocol of sd_notify(3), one datagram for each change of state.

use std::{io, os::unix::net::UnixDatagram, path::Path};

use rustix::time::{ClockId, clock_gettime};

/// Names the socket, where there is a manager that wants to know.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The service manager, or nobody.
pub(crate) struct ServiceManager {
    socket: Option<UnixDatagram>,
}

impl ServiceManager {
    /// The one that started this process; nobody where none said so.
    ///
    /// # Errors
    /// It said so, but its socket cannot be reached.
    pub(crate) fn of_this_process() -> io::Result<ServiceManager> {
        let name = std::env::var(VARIABLE).unwrap_or_default();
        let socket = if name.is_empty() { None } else { Some(connect(&name)?) };
        Ok(ServiceManager { socket })
    }

    /// Nobody.
    pub(crate) fn nobody() -> ServiceManager {
        ServiceManager { socket: None }
    }

    /// Everything listens and runs.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again, until it is [ready](Self::ready_again). The time tells the manager which of its own
    /// requests this answers, if any: `Type=notify-reload` needs it.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It runs on, by what `came` of the reload.
    pub(crate) fn ready_again(&self, came: &str) {
        // One line, of what a person would see first.
        let line = came.lines().next_back().unwrap_or_default();
        self.tell(&format!("READY=1\nSTATUS={line}"));
    }

    /// Nothing new is taken, and what was accepted leaves.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // It reached us when we started. If it is gone now, there is nobody to be told so either.
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// A path, or after `@` a name in Linux's abstract namespace.
fn connect(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(Path::new(name))?,
    }
    Ok(socket)
}
