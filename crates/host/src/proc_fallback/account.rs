//! Sums over processes that come and go, so that the sum never falls.
//!
//! A process that has ended takes its account with it. Whoever waited for it has it from then on; nobody has it if nobody did (a parent
//! that ignores `SIGCHLD`), or if that was a process outside. So what a vanished process was last known to have used is
//!
//! - *owed* by its parent where that lives: by as much as the parent's account of children has grown it is paid, the rest is kept here;
//! - kept here where its parent was outside already;
//! - paid by whoever's account has grown by more than was owed, and else kept, where its parent has vanished too: some ancestor may
//!   have got it, or have waited for the parent that had.
//!
//! What is kept in doubt would be counted twice; so the sum is a lower bound of the truth, and is the truth where every process is seen
//! before its end.

use super::ProcessId;
use crate::parse::{ProcIo, ProcStat};

/// What a process and the children that it waited for have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) user: u64,
    pub(super) system: u64,
    pub(super) io: ProcIo,
}

impl Usage {
    fn map(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            user: f(self.user, other.user),
            system: f(self.system, other.system),
            io: ProcIo {
                read_chars: f(self.io.read_chars, other.io.read_chars),
                write_chars: f(self.io.write_chars, other.io.write_chars),
                read_bytes: f(self.io.read_bytes, other.io.read_bytes),
                write_bytes: f(self.io.write_bytes, other.io.write_bytes),
            },
        }
    }

    fn plus(self, other: Self) -> Self {
        self.map(other, u64::saturating_add)
    }

    fn minus(self, other: Self) -> Self {
        self.map(other, u64::saturating_sub)
    }
}

/// One process at one reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    pub(super) start_known: bool,
    pub(super) parent: u32,
    /// It was there to be looked at.
    pub(super) alive_or_zombie: bool,
    /// Nobody has waited for it yet.
    pub(super) ended: bool,
    pub(super) usage: Usage,
    /// Of the usage, that of children that were waited for. The kernel does not tell it of I/O: that is the whole of it.
    waited: Usage,
    /// What children of it that have ended were known to have used.
    owed: Usage,
}

impl Process {
    /// A process of which no more is known.
    pub(super) fn named(pid: u32, start_ticks: Option<u64>) -> Self {
        let id = ProcessId { pid, start_ticks: start_ticks.unwrap_or_default() };
        Self { id, start_known: start_ticks.is_some(), ..Self::default() }
    }

    pub(super) fn fill(&mut self, stat: &ProcStat) {
        self.id = ProcessId { pid: stat.pid, start_ticks: stat.start_ticks };
        self.parent = stat.parent;
        self.alive_or_zombie = true;
        self.ended = matches!(stat.state, b'Z' | b'X');
        self.waited.user = stat.waited_user_ticks;
        self.waited.system = stat.waited_system_ticks;
        self.usage.user = stat.user_ticks.saturating_add(stat.waited_user_ticks);
        self.usage.system = stat.system_ticks.saturating_add(stat.waited_system_ticks);
    }

    /// How much its account has grown by what it waited for, at most.
    fn absorbed(&self, before: Option<&Self>) -> Usage {
        let before = before.copied().unwrap_or_default();
        let cpu = self.waited.minus(before.waited);
        Usage { io: self.usage.minus(before.usage).io, ..cpu }
    }
}

/// What was known at the last reading, and what nobody tells any more.
#[derive(Debug, Default)]
pub(super) struct Account {
    known: Vec<Process>,
    kept: Usage,
}

impl Account {
    /// The processes of the last reading.
    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.known.iter()
    }

    pub(super) fn knows(&self, id: ProcessId) -> bool {
        find(&self.known, id).is_some()
    }

    pub(super) fn io_of(&self, id: ProcessId) -> ProcIo {
        find(&self.known, id).map_or(ProcIo::default(), |at| self.known[at].usage.io)
    }

    /// Takes a reading, sorted by id, for the last one, and gives back what all have used. `now` is scratch afterwards.
    pub(super) fn settle(&mut self, now: &mut Vec<Process>) -> Usage {
        let (mut orphaned, mut spare, mut sum) = (Usage::default(), Usage::default(), Usage::default());
        for vanished in &self.known {
            if find(now, vanished.id).is_some() {
                continue;
            }
            match self.with_number(vanished.parent).map(|parent| find(now, parent.id)) {
                Some(Some(at)) => now[at].owed = now[at].owed.plus(vanished.usage),
                Some(None) => orphaned = orphaned.plus(vanished.usage),
                None => self.kept = self.kept.plus(vanished.usage),
            }
        }
        for process in now.iter_mut() {
            let before = find(&self.known, process.id).map(|at| &self.known[at]);
            let (owed, absorbed) = (std::mem::take(&mut process.owed), process.absorbed(before));
            self.kept = self.kept.plus(owed.minus(absorbed));
            spare = spare.plus(absorbed.minus(owed));
            sum = sum.plus(process.usage);
        }
        self.kept = self.kept.plus(orphaned.minus(spare));
        std::mem::swap(&mut self.known, now);
        sum.plus(self.kept)
    }

    fn with_number(&self, pid: u32) -> Option<&Process> {
        let at = self.known.partition_point(|process| process.id.pid < pid);
        self.known.get(at).filter(|process| process.id.pid == pid)
    }
}

fn find(sorted: &[Process], id: ProcessId) -> Option<usize> {
    sorted.binary_search_by_key(&id, |process| process.id).ok()
}

#[cfg(test)]
mod tests;
