//! The files of one process, which may stay open: then they are that process's, whoever has its number later.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags, openat},
};

use super::listing;
use crate::{
    file::{FileError, KeptFile},
    limits::MAX_KEPT_FILES,
    parse::{self, ProcIo, ProcStat, ProcStatm},
};

/// How many files stay open, of those that may.
#[derive(Debug)]
pub(super) struct Room {
    kept: AtomicUsize,
    most: usize,
}

/// Of all readers of this program.
pub(super) static ROOM: Room = Room::of(MAX_KEPT_FILES);
/// Of a `/proc` that is no kernel's: files that are put there anew are other files.
pub(super) static NO_ROOM: Room = Room::of(0);

impl Room {
    /// `stat`, `statm` and `io` of a process, and one to spare for opening them.
    const FILES: usize = 4;

    const fn of(most: usize) -> Self {
        Self { kept: AtomicUsize::new(0), most }
    }

    fn share(&'static self) -> Option<Share> {
        let more = |kept: usize| kept.checked_add(Self::FILES).filter(|kept| *kept <= self.most);
        let taken = self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // Not made before it is known: one that is dropped gives back.
        taken.is_ok().then(|| Share(self))
    }
}

/// The part of one process.
#[derive(Debug)]
struct Share(&'static Room);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.kept.fetch_sub(Room::FILES, Ordering::Relaxed);
    }
}

/// The open files of a process.
#[derive(Debug)]
pub(super) struct ProcessFiles {
    pid: u32,
    stat: KeptFile,
    statm: Option<KeptFile>,
    io: Result<KeptFile, FileError>,
}

impl ProcessFiles {
    /// Opens them; `None` if there is no such process.
    pub(super) fn open(proc: &OwnedFd, pid: u32) -> Option<Self> {
        let mut name = [0; 10];
        let directory = listing::with_number(&mut name, pid, |name| {
            openat(proc, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        });
        let directory = directory.ok()?;
        let stat = KeptFile::open(&directory, "stat").ok()??;
        let statm = KeptFile::open(&directory, "statm").ok().flatten();
        let io = match KeptFile::open(&directory, "io") {
            Ok(file) => file.ok_or(FileError::Gone),
            Err(errno) => Err(errno.into()),
        };
        Some(Self { pid, stat, statm, io })
    }

    /// `None` if it has been waited for.
    pub(super) fn stat(&self, buffer: &mut [u8]) -> Option<ProcStat> {
        parse::proc_stat(self.stat.read(buffer).ok()?).ok()
    }

    pub(super) fn statm(&self, buffer: &mut [u8]) -> Option<ProcStatm> {
        parse::proc_statm(self.statm.as_ref()?.read(buffer).ok()?).ok()
    }

    /// `None` where it is there and says nothing that is understood.
    pub(super) fn io(&self, buffer: &mut [u8]) -> Result<Option<ProcIo>, FileError> {
        match &self.io {
            Ok(file) => Ok(parse::proc_io(file.read(buffer)?).ok()),
            Err(error) => Err(*error),
        }
    }
}

#[derive(Debug)]
struct Held {
    files: ProcessFiles,
    is_asked: bool,
    _share: Share,
}

/// Those that stay open, by number.
#[derive(Debug)]
pub(super) struct KeptFiles {
    held: Vec<Held>,
    room: &'static Room,
}

impl KeptFiles {
    pub(super) fn within(room: &'static Room) -> Self {
        Self { held: Vec::new(), room }
    }

    /// Reads what `stat` says of a process, and calls with its files: those that stayed open, or opened anew. Not at all if there is no such process.
    pub(super) fn read(
        &mut self,
        proc: &OwnedFd,
        pid: u32,
        buffer: &mut [u8],
        call: impl FnOnce(&ProcessFiles, ProcStat, &mut [u8]),
    ) {
        let at = self.held.partition_point(|held| held.files.pid < pid);
        if let Some(held) = self.held.get_mut(at).filter(|held| held.files.pid == pid) {
            if let Some(stat) = held.files.stat(buffer) {
                held.is_asked = true;
                return call(&held.files, stat, buffer);
            }
            self.held.remove(at);
        }
        let Some(files) = ProcessFiles::open(proc, pid) else { return };
        let Some(stat) = files.stat(buffer) else { return };
        call(&files, stat, buffer);
        // What may not be read today may be tomorrow: it is tried again.
        if files.io.is_ok()
            && let Some(share) = self.room.share()
        {
            self.held.insert(at, Held { files, is_asked: true, _share: share });
        }
    }

    /// Closes those that were not asked since the last time.
    pub(super) fn close_others(&mut self) {
        self.held.retain_mut(|held| std::mem::take(&mut held.is_asked));
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::file::Scratch;

    /// Ended also where the test fails.
    struct Asleep(Child);

    impl Asleep {
        fn new() -> Self {
            Self(Command::new("sleep").arg("1000").spawn().unwrap())
        }

        fn id(&self) -> u32 {
            self.0.id()
        }

        fn end(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Asleep {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn files_stay_open_while_there_is_room_and_as_long_as_the_process() {
        static FOR_ONE: Room = Room::of(Room::FILES);
        let proc = std::fs::File::open("/proc").unwrap().into();
        let (mut first, second) = (Asleep::new(), Asleep::new());
        let mut kept = KeptFiles::within(&FOR_ONE);
        let mut read = |pid: u32| {
            let mut said = None;
            kept.read(&proc, pid, Scratch::take().of_file(), |files, stat, buffer| {
                let pages = files.statm(buffer).map(|statm| statm.resident_pages);
                said = Some((stat.pid, pages > Some(0), files.io(buffer).is_ok()));
            });
            (said, kept.held.iter().map(|held| held.files.pid).collect::<Vec<_>>())
        };
        let whole = |child: &Asleep| Some((child.id(), true, true));
        for _ in 0..2 {
            assert_eq!(read(first.id()), (whole(&first), vec![first.id()]));
            assert_eq!(read(second.id()), (whole(&second), vec![first.id()]), "there is no room for it");
        }
        first.end();
        // Whoever waited has its end: the file that is open says so too.
        assert_eq!(read(first.id()), (None, vec![]));
        assert_eq!(read(second.id()), (whole(&second), vec![second.id()]), "its room is another's");
        kept.close_others();
        assert_eq!(kept.held.len(), 1, "it was asked");
        kept.close_others();
        assert_eq!((kept.held.len(), FOR_ONE.kept.load(Ordering::Relaxed)), (0, 0));
    }
}
