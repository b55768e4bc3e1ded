//! The processes of the machine, and which of them descend from some.

use std::{io::Write, mem::MaybeUninit};

use rustix::{
    fd::OwnedFd,
    fs::{RawDir, SeekFrom, seek},
    io::Errno,
};

use super::{ProcError, ProcessId};
use crate::{
    file::read_once,
    limits::{DIRECTORY_BYTES, MAX_SCANNED_PROCESSES},
    parse,
};

/// One process of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: ProcessId,
    pub(super) parent: u32,
    marked: bool,
}

/// All of them; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Listed>,
    directory: Vec<MaybeUninit<u8>>,
}

impl Table {
    /// Lists every process that there is. One that ends meanwhile may be missing.
    pub(super) fn scan(&mut self, proc: &OwnedFd, buffer: &mut [u8]) -> Result<(), ProcError> {
        let unavailable = |errno: Errno| ProcError::Unavailable { source: errno.into() };
        self.rows.clear();
        self.directory.resize(DIRECTORY_BYTES, MaybeUninit::uninit());
        seek(proc, SeekFrom::Start(0)).map_err(unavailable)?;
        let mut entries = RawDir::new(proc, &mut self.directory);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(unavailable)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            let Ok(pid) = name.parse::<u32>() else { continue };
            let mut path = [0; 16];
            let stat = with_number(&mut path, pid, |name| {
                read_once(proc, name, buffer).ok().and_then(|bytes| parse::proc_stat(bytes).ok())
            });
            if self.rows.len() == MAX_SCANNED_PROCESSES {
                return Err(ProcError::TooMany);
            }
            let row = |stat: parse::ProcStat| Listed {
                id: ProcessId { pid, start_ticks: stat.start_ticks },
                parent: stat.parent,
                marked: false,
            };
            self.rows.extend(stat.map(row));
        }
        self.rows.sort_unstable_by_key(|row| row.id);
        Ok(())
    }

    /// As if one process were not there, nor therefore what descends from it.
    pub(super) fn leave_out(&mut self, pid: u32) {
        self.rows.retain(|row| row.id.pid != pid);
    }

    pub(super) fn listed(&self) -> &[Listed] {
        &self.rows
    }

    /// Marks those that are asked for and all that descend from them.
    pub(super) fn mark(&mut self, first: impl Fn(&Listed) -> bool) {
        for at in 0..self.rows.len() {
            let marked = first(&self.rows[at]);
            self.rows[at].marked = marked;
        }
        // Mostly children have higher numbers than their parents, so that one round does it, and another sees that it did.
        loop {
            let mut more = false;
            for at in 0..self.rows.len() {
                let row = self.rows[at];
                if !row.marked && self.is_child_of_marked(&row) {
                    self.rows[at].marked = true;
                    more = true;
                }
            }
            if !more {
                return;
            }
        }
    }

    fn is_child_of_marked(&self, row: &Listed) -> bool {
        let at = self.rows.partition_point(|other| other.id.pid < row.parent);
        let parent = self.rows.get(at).filter(|other| other.id.pid == row.parent);
        // A parent that is younger than its child has the number of one that has ended.
        parent.is_some_and(|parent| parent.marked && parent.id.start_ticks <= row.id.start_ticks)
    }

    pub(super) fn marked(&self) -> impl Iterator<Item = ProcessId> {
        self.rows.iter().filter(|row| row.marked).map(|row| row.id)
    }
}

/// A number as text, without allocating; in a buffer of 16 it is the path of the process's `stat`.
pub(super) fn with_number<const N: usize, T>(
    buffer: &mut [u8; N],
    pid: u32,
    call: impl FnOnce(&str) -> T,
) -> T {
    let mut rest = &mut buffer[..];
    // Ten digits at most.
    let _ = if N >= 16 { write!(rest, "{pid}/stat") } else { write!(rest, "{pid}") };
    let free = rest.len();
    call(std::str::from_utf8(&buffer[..N - free]).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(u32, u64, u32)]) -> Table {
        let listed = |(pid, start_ticks, parent): &(u32, u64, u32)| Listed {
            id: ProcessId { pid: *pid, start_ticks: *start_ticks },
            parent: *parent,
            marked: false,
        };
        let mut rows: Vec<Listed> = rows.iter().map(listed).collect();
        rows.sort_unstable_by_key(|row| row.id);
        Table { rows, directory: Vec::new() }
    }

    #[test]
    fn descendants_are_found_in_any_order_of_numbers() {
        // 50 is a child of 90, which is a child of 10; 60 has a parent that is younger than itself.
        let mut table = table(&[(1, 0, 0), (10, 5, 1), (90, 6, 10), (50, 7, 90), (60, 4, 90), (70, 8, 1)]);
        table.mark(|row| row.id.pid == 10);
        let found: Vec<u32> = table.marked().map(|id| id.pid).collect();
        assert_eq!(found, [10, 50, 90]);
    }

    #[test]
    fn numbers_are_paths() {
        assert_eq!(with_number(&mut [0; 16], u32::MAX, str::to_owned), "4294967295/stat");
        assert_eq!(with_number(&mut [0; 10], u32::MAX, str::to_owned), "4294967295");
        assert_eq!(with_number(&mut [0; 10], 7, str::to_owned), "7");
    }
}
