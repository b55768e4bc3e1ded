//! Signals to all that belong together.

use rustix::{
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{ProcError, ProcReader, ProcessId, stat_of};
use crate::{file::Scratch, limits::SIGNAL_ROUNDS};

impl ProcReader {
    /// Sends a signal to every process that belongs to it, once, and to those that they started meanwhile, until there are no new ones.
    ///
    /// # Errors
    /// `/proc` cannot be read; a process may not be signalled, all others having been; there are new ones however often it is looked.
    pub(crate) fn signal_all(&mut self, signal: Signal) -> Result<(), ProcError> {
        let mut asked: Vec<ProcessId> = Vec::new();
        let (mut refused, mut looked) = (None, false);
        // Those of the last reading at once: to look takes a while, in which they would go on.
        for _ in 0..SIGNAL_ROUNDS {
            let new: Vec<ProcessId> = self.processes().filter(|id| !asked.contains(id)).collect();
            if new.is_empty() && looked {
                return refused.map_or(Ok(()), Err);
            }
            for id in &new {
                match send(&self.proc, *id, signal, Scratch::take().of_file()) {
                    // It has ended.
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => {
                        refused = Some(ProcError::NotSignalled { pid: id.pid, source: errno.into() });
                    }
                }
            }
            asked.extend(new);
            self.read()?;
            looked = true;
        }
        Err(ProcError::TooMany)
    }
}

/// A descriptor of a process stays that of the same process: once it is open, its start tells whose it is.
fn send(proc: &OwnedFd, id: ProcessId, signal: Signal, buffer: &mut [u8]) -> Result<(), Errno> {
    let pid = i32::try_from(id.pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    match stat_of(proc, id.pid, buffer) {
        Some(stat) if stat.start_ticks == id.start_ticks => pidfd_send_signal(&process, signal),
        _ => Err(Errno::SRCH),
    }
}
