//! The thread that serves all readers of one episode.

use std::{
    os::unix::net::UnixListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendFlags, send},
};

use super::{
    Bell, Counters, count,
    reader::{Reader, Standing},
};
use crate::{
    handle::TelemetryHandle,
    limits::{MAX_STREAM_READERS, STREAM_LINGER},
    lines,
};

/// How long nobody is let in when the system has no descriptor left for them.
const NO_DESCRIPTOR_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Server {
    listener: UnixListener,
    handle: TelemetryHandle,
    bell: Arc<Bell>,
    closed: Arc<AtomicBool>,
    counters: Arc<Counters>,
    readers: Vec<Reader>,
    /// Nobody is let in before.
    paused_until: Option<Instant>,
}

impl Server {
    pub(super) fn new(
        listener: UnixListener,
        handle: TelemetryHandle,
        bell: Arc<Bell>,
        closed: Arc<AtomicBool>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { listener, handle, bell, closed, counters, readers: Vec::new(), paused_until: None }
    }

    /// Until it is closed, and what there is has been taken.
    pub(super) fn run(mut self) {
        let mut until = None;
        loop {
            if until.is_none() && self.closed.load(Ordering::Acquire) {
                // Whoever came before the socket went is served.
                self.let_in();
                until = Some(Instant::now() + STREAM_LINGER);
            }
            let standings = self.serve();
            if let Some(until) = until {
                let behind = standings.into_iter().filter(|one| *one == Standing::IsBehind).count();
                if behind == 0 || Instant::now() >= until {
                    return count(&self.counters.cut_off, behind as u64);
                }
            }
            self.wait(until);
        }
    }

    /// Sends to each what it takes, and lets those go that have everything. How the others stand.
    fn serve(&mut self) -> Vec<Standing> {
        let mut standings = Vec::with_capacity(self.readers.len());
        let (handle, counters) = (&self.handle, &self.counters);
        self.readers.retain_mut(|reader| {
            let standing = reader.serve(handle, counters);
            if standing != Standing::Done {
                standings.push(standing);
            }
            standing != Standing::Done
        });
        self.bell.listen(!self.readers.is_empty());
        standings
    }

    /// Waits until there is something to do, and hears who says something or is gone.
    fn wait(&mut self, until: Option<Instant>) {
        let paused = self.paused_until.filter(|paused| *paused > Instant::now());
        let left = [until, paused].into_iter().flatten().min();
        let left = left.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut waited: Vec<PollFd<'_>> = vec![PollFd::new(&*self.bell, PollFlags::IN)];
        let of_listener =
            if until.is_some() || paused.is_some() { PollFlags::empty() } else { PollFlags::IN };
        waited.push(PollFd::new(&self.listener, of_listener));
        waited.extend(self.readers.iter().map(|reader| PollFd::new(&reader.socket, reader.awaited())));
        // Interrupted, or out of memory: it is looked again.
        let _ = poll(&mut waited, timeout.as_ref());
        let mut happened = waited.iter().map(PollFd::revents).collect::<Vec<_>>().into_iter();
        if happened.next().is_some_and(|flags| flags.contains(PollFlags::IN)) {
            self.bell.hush();
        }
        let knocked = happened.next().is_some_and(|flags| flags.contains(PollFlags::IN));
        self.readers.retain_mut(|reader| {
            let flags = happened.next().unwrap_or(PollFlags::empty());
            let is_gone = flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
            !is_gone && (!flags.contains(PollFlags::IN) || reader.listen() != Standing::Done)
        });
        if knocked {
            self.let_in();
        }
    }

    /// Takes everybody in who waits, as far as there is place.
    fn let_in(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) if self.readers.len() < MAX_STREAM_READERS => {
                    count(&self.counters.readers, 1);
                    // From now on each frame is told of, so that none is missed after the first look.
                    self.bell.listen(true);
                    self.readers.push(Reader::new(socket));
                }
                Ok((socket, _)) => {
                    count(&self.counters.refused, 1);
                    let mut line = String::new();
                    lines::refused(&mut line, self.readers.len());
                    // A buffer that is empty takes it.
                    let _ = send(&socket, line.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                }
                Err(error) => match error.kind() {
                    std::io::ErrorKind::Interrupted | std::io::ErrorKind::ConnectionAborted => {}
                    std::io::ErrorKind::WouldBlock => return,
                    _ => {
                        self.paused_until = Some(Instant::now() + NO_DESCRIPTOR_PAUSE);
                        return;
                    }
                },
            }
        }
    }
}
