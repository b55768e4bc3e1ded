//! One who reads a stream.

use std::{fmt::Write as _, os::unix::net::UnixStream};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};

use super::{Counters, count};
use crate::{frame::TelemetryFrame, handle::TelemetryHandle, limits::STREAM_FRAMES_AT_ONCE, lines};

/// Times that one reader is heard before others are.
const LISTEN_ROUNDS: usize = 64;

/// How a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has everything that there is.
    Waits,
    /// It does not take what there is.
    IsBehind,
    /// It has the end, or is gone.
    Done,
}

/// What it has taken, and lines that are on their way: at most those of [`STREAM_FRAMES_AT_ONCE`] frames.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) socket: UnixStream,
    next_seq: u64,
    lines: String,
    sent: usize,
    frames: Vec<TelemetryFrame>,
    /// Nothing follows the lines that are on their way.
    is_last: bool,
    /// It has not said that it will say nothing more.
    talks: bool,
}

impl Reader {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            next_seq: 0,
            lines: String::new(),
            sent: 0,
            frames: Vec::with_capacity(STREAM_FRAMES_AT_ONCE),
            is_last: false,
            talks: true,
        }
    }

    /// What to wait for: that it takes more, that it says something or goes.
    pub(super) fn awaited(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::OUT, self.sent < self.lines.len());
        flags.set(PollFlags::IN, self.talks);
        flags
    }

    /// Nothing that a reader says means anything; unread it would spoil the end of the stream for it (`unix(7)`: a reset).
    pub(super) fn listen(&mut self) -> Standing {
        let mut said = [0; 4096];
        // Whoever talks on and on is heard again when others have had their turn.
        for _ in 0..LISTEN_ROUNDS {
            match recv(&self.socket, &mut said, RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    // It may read on.
                    self.talks = false;
                    break;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Standing::Done,
            }
        }
        Standing::Waits
    }

    /// Sends what it takes without waiting for it.
    pub(super) fn serve(&mut self, handle: &TelemetryHandle, counters: &Counters) -> Standing {
        loop {
            if self.sent == self.lines.len() {
                if self.is_last {
                    self.listen();
                    return Standing::Done;
                }
                self.fill(handle, counters);
                if self.lines.is_empty() {
                    return Standing::Waits;
                }
            }
            let rest = &self.lines.as_bytes()[self.sent..];
            match send(&self.socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(bytes) => self.sent += bytes,
                Err(Errno::AGAIN) => return Standing::IsBehind,
                Err(Errno::INTR) => {}
                Err(_) => return Standing::Done,
            }
        }
    }

    /// Writes the lines that are next, none if there is nothing new.
    fn fill(&mut self, handle: &TelemetryHandle, counters: &Counters) {
        self.lines.clear();
        self.sent = 0;
        self.frames.clear();
        let ended = handle.copy_frames(self.next_seq, STREAM_FRAMES_AT_ONCE, &mut self.frames);
        let id = handle.episode_id();
        if let Some(missed) = self.frames.first().map(|frame| frame.seq - self.next_seq).filter(|n| *n > 0) {
            count(&counters.missed, missed);
            lines::missed(&mut self.lines, id, missed);
        }
        for frame in &self.frames {
            // Writing to a string does not fail.
            let _ = writeln!(self.lines, "{frame}");
            self.next_seq = frame.seq + 1;
        }
        if let Some(reason) = ended {
            lines::end(&mut self.lines, id, reason, self.next_seq);
            self.is_last = true;
        }
    }
}
