//! A connection with an end in time.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::SendError;
use crate::limits::SENDERS_MAX;

/// Bytes there and back.
pub(super) trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// A connection on which nothing takes longer than to its deadline.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

/// Connects to the first address that answers.
pub(super) fn connect(host: &str, port: u16, deadline: Instant) -> Result<Timed, SendError> {
    let addresses = resolve(host, port, deadline)?;
    let mut error = SendError::NotConnected;
    for (tried, address) in addresses.iter().enumerate() {
        let left = left(deadline)?;
        // An address that swallows everything leaves the others their share.
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(Timed { stream, deadline }),
            Err(failed) if failed.kind() == io::ErrorKind::TimedOut => error = SendError::TimedOut,
            Err(_) => {}
        }
    }
    Err(error)
}

/// Names that are being asked for in this process, also those that nobody waits for any more.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// One of the few names that may be asked for at a time, until it is dropped.
struct Question;

impl Question {
    fn new() -> Option<Self> {
        let more = |asked: usize| (asked < SENDERS_MAX).then_some(asked + 1);
        ASKED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        ASKED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Asks for the addresses of a name on a thread of its own: the system's resolver knows no deadline, so it is left behind. Those that are
/// left behind are few.
fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, SendError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let question = Question::new().ok_or(SendError::Busy)?;
    let answer = Arc::<Answer>::default();
    let (told, name) = (Arc::clone(&answer), (host.to_owned(), port));
    let resolver = move || {
        let addresses = name.to_socket_addrs().map(Iterator::collect);
        drop(question);
        *told.found() = Some(addresses);
        // Nobody waits any more if it took too long.
        told.is_there.notify_one();
    };
    thread::Builder::new().spawn(resolver).map_err(|_| SendError::NoThread)?;
    let left = left(deadline)?;
    let waited = answer.is_there.wait_timeout_while(answer.found(), left, |found| found.is_none());
    let found = waited.unwrap_or_else(PoisonError::into_inner).0.take();
    match found {
        Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Some(_) => Err(SendError::NameNotFound),
        None => Err(SendError::TimedOut),
    }
}

/// What was found, once it is there. A channel would be a tenth of this crate.
#[derive(Default)]
struct Answer {
    found: Mutex<Option<io::Result<Vec<SocketAddr>>>>,
    is_there: Condvar,
}

impl Answer {
    fn found(&self) -> MutexGuard<'_, Option<io::Result<Vec<SocketAddr>>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
