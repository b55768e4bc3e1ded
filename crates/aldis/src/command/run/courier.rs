//! Signals that come for this process and are meant for the command.

use std::{
    ffi::c_int,
    fs, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::{
    fd::OwnedFd,
    process::{Signal, getpid, kill_process, pidfd_send_signal},
};
use signal_hook::{
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

/// What is passed on: all that would end or stop this process, but for those that tell of a fault of its own, or have no name, and those of a
/// process that is behind and uses its terminal.
const PASSED: [Signal; 13] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::TSTP,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::POWER,
    Signal::XCPU,
];

/// Passes signals on.
pub(super) struct Courier {
    to: Arc<Mutex<To>>,
}

#[derive(Default)]
struct To {
    command: Option<OwnedFd>,
    /// What came before there was a command.
    waiting: Vec<Signal>,
    /// The command has ended: what comes now is for this process, which is to come to its end.
    is_over: bool,
    is_called_back: bool,
}

impl To {
    fn deliver(&mut self, signal: Signal) {
        match &self.command {
            _ if self.is_over && signal == Signal::TSTP => drop(kill_process(getpid(), Signal::STOP)),
            _ if self.is_over => self.is_called_back = true,
            // One that has ended needs none.
            Some(command) => drop(pidfd_send_signal(command, signal)),
            None => self.waiting.push(signal),
        }
    }

    /// Whether the command has it already: a key has the terminal send a signal to the whole group that is in front. A command that has left
    /// the group would not hear of keys if it were alone either.
    fn has(&self, origin: &Origin) -> bool {
        let is_of_keys =
            [Signal::INT, Signal::QUIT, Signal::TSTP].map(Signal::as_raw).contains(&origin.signal);
        is_of_keys && origin.cause == Cause::Kernel && self.command.is_some() && !self.is_over
    }
}

impl Courier {
    /// From now on these signals neither end nor stop this process: it ends and stops as the command does. Those that whoever started it has
    /// it ignore it goes on to ignore, and so does the command.
    pub(super) fn listen() -> io::Result<Self> {
        let to = Arc::new(Mutex::new(To::default()));
        let ignored = ignored();
        let is_heard = |number: &c_int| ignored & (1 << (number - 1)) == 0;
        let heard = PASSED.map(Signal::as_raw).into_iter().filter(is_heard);
        // Where that of children is ignored nobody can be waited for.
        let all = heard.chain([Signal::CHILD.as_raw()]);
        let mut comes = SignalsInfo::<WithOrigin>::new(all)?;
        let shared = Arc::clone(&to);
        thread::Builder::new().name("aldis-signals".into()).spawn(move || {
            for origin in comes.forever() {
                let passed = PASSED.into_iter().find(|signal| signal.as_raw() == origin.signal);
                let mut to = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(signal) = passed.filter(|_| !to.has(&origin)) {
                    to.deliver(signal);
                }
            }
        })?;
        Ok(Self { to })
    }

    fn to(&self) -> MutexGuard<'_, To> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The command has ended.
    pub(super) fn stop(&self) {
        self.to().is_over = true;
    }

    /// Whether a signal came since.
    pub(super) fn is_called_back(&self) -> bool {
        self.to().is_called_back
    }

    /// To this process.
    pub(super) fn serve(&self, command: OwnedFd) {
        let mut to = self.to();
        to.command = Some(command);
        for signal in std::mem::take(&mut to.waiting) {
            to.deliver(signal);
        }
    }
}

/// Signals that are ignored, as bits: proc(5), `SigIgn`.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}
