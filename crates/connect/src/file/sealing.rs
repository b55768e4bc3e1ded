//! Files that were rotated away become sealed archives, on a thread of its own: no request waits for it.
//!
//! A file is what it was until its archive is whole and on the disk, and takes its name then in one step: whoever ends this process,
//! and whenever, each file is there once, as it was written or sealed. What fails, be it by a panic, is told, counted and tried again; it
//! keeps no other file from being sealed.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
};

use archive::{Error, Key, LineTimes, MAGIC, NewFile, SealOptions, seal, seal_lines};
use pipeline::{Health, clock::now_ns, health::Severity};

use super::{Form, Rotation, backups};
use crate::limits::{FILE_SEAL_ABORT, FILE_SEAL_GRACE, FILE_SEAL_PANICS, FILE_SEAL_RETRY};

/// What the keys of times end with in OTLP/JSON, and what `aldis cat --range` looks for.
const TIME_KEY: &str = "UnixNano";

/// What became of files that were rotated away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// Files that are sealed archives now.
    pub sealed: u64,
    /// Attempts that failed, one for each file; each is made again.
    pub failures: u64,
    /// Files that wait to be sealed.
    pub unsealed: u64,
}

/// The books of an exporter that has files sealed. Clones share.
#[derive(Clone, Default)]
pub struct Seals(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Whether no more is to be sealed: what has begun is left.
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    counts: SealCounts,
    /// Who is told, and by which name.
    health: Option<(Health, String)>,
    /// Why a file is not sealed.
    fault: Option<String>,
    /// How often in succession one of the files was not because of a panic.
    panics: u32,
    /// Files that were rotated away so far.
    rotations: u64,
}

/// Why a file is not sealed.
struct Fault {
    what: String,
    is_panic: bool,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seals").field(&self.counts()).finish()
    }
}

impl Seals {
    /// What was counted so far.
    pub fn counts(&self) -> SealCounts {
        self.state().counts
    }

    /// Tells from now on, as this component's problem, when a file cannot be sealed.
    pub fn tell(&self, health: Health, component: impl Into<String>) {
        let mut state = self.state();
        state.health = Some((health, component.into()));
        state.tell();
    }

    fn note(&self, fault: Option<Fault>) {
        let mut state = self.state();
        let panics = if fault.as_ref().is_some_and(|fault| fault.is_panic) { state.panics + 1 } else { 0 };
        let fault = fault.map(|fault| fault.what);
        if (&state.fault, state.panics) != (&fault, panics) {
            (state.fault, state.panics) = (fault, panics);
            state.tell();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&self) {
        let Some((health, component)) = &self.health else { return };
        match &self.fault {
            Some(fault) => {
                let is_dead = self.panics >= FILE_SEAL_PANICS;
                let severity = if is_dead { Severity::Dead } else { Severity::Degraded };
                health.report(component, severity, fault.clone(), now_ns());
                if self.panics == 0 {
                    // Nothing waits for it: no reason to send telemetry elsewhere.
                    health.rest(component, now_ns());
                }
            }
            None => health.resolve(component),
        }
    }
}

/// The way to the thread. When it is dropped the thread seals what waits, if that does not take long, and ends.
pub(super) struct Sealing {
    wake: Option<SyncSender<()>>,
    ended: Receiver<()>,
    seals: Seals,
}

impl Sealing {
    /// Starts the thread, which touches nothing before it is woken.
    pub(super) fn start(
        path: &Path,
        form: Form,
        rotation: Rotation,
        key: Key,
        name: &str,
    ) -> io::Result<Self> {
        let (wake, woken) = mpsc::sync_channel(1);
        let (tell, ended) = mpsc::sync_channel(1);
        let seals = Seals::default();
        let pack = packer(form, key)?;
        let mut thread = Thread { path: path.to_owned(), rotation, pack, seals: seals.clone() };
        let run = move || {
            thread.run(&woken);
            // Nobody listens any more if that took too long.
            let _ = tell.try_send(());
        };
        thread::Builder::new().name(format!("aldis-{name}")).spawn(run)?;
        Ok(Self { wake: Some(wake), ended, seals })
    }

    pub(super) fn seals(&self) -> &Seals {
        &self.seals
    }

    /// A file was rotated away.
    pub(super) fn rotated(&self) {
        // It may be listed already: then it is one too many until the thread looks again, which it will.
        let mut state = self.seals.state();
        state.counts.unsealed += 1;
        state.rotations += 1;
        drop(state);
        self.wake();
    }

    /// There may be something to be sealed, or to be removed.
    pub(super) fn wake(&self) {
        // Who has been woken already, and not begun, will see it.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        self.wake = None;
        if self.ended.recv_timeout(FILE_SEAL_GRACE).is_err() {
            self.seals.0.stop.store(true, Relaxed);
            let _ = self.ended.recv_timeout(FILE_SEAL_ABORT);
        }
    }
}

/// Makes an archive of a file.
fn packer(
    form: Form,
    key: Key,
) -> io::Result<impl Fn(&mut Stoppable<'_>, &mut NewFile) -> Result<(), Error>> {
    let times = LineTimes::new([TIME_KEY])?;
    // One thread, this one: the others carry telemetry.
    let options = SealOptions { workers: 1, ..SealOptions::default() };
    Ok(move |file: &mut Stoppable<'_>, new: &mut NewFile| {
        match form {
            Form::Lines => seal_lines(file, new, &key, &options, &times)?,
            Form::Frames => seal(file, new, &key, &options)?,
        };
        Ok(())
    })
}

struct Thread<P> {
    path: PathBuf,
    rotation: Rotation,
    pack: P,
    seals: Seals,
}

impl<P: Fn(&mut Stoppable<'_>, &mut NewFile) -> Result<(), Error>> Thread<P> {
    fn run(&mut self, woken: &Receiver<()>) {
        let mut is_first = true;
        let mut failed = false;
        loop {
            let came = match failed {
                true => woken.recv_timeout(FILE_SEAL_RETRY),
                false => woken.recv().map_err(RecvTimeoutError::from),
            };
            if came == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            if std::mem::take(&mut is_first) {
                self.remove_remains();
            }
            // Whatever happened: nothing is half done that the next round does not look at anew.
            failed = contain(|| self.round(woken)).unwrap_or_else(|message| {
                let mut fault = None;
                self.failed(&mut fault, format!("the sealing of files panicked: {message}"), true);
                self.seals.note(fault);
                true
            });
        }
        // Nobody will mend what is told of this one.
        if let Some((health, component)) = self.seals.state().health.take() {
            health.forget(&component);
        }
    }

    /// Removes what is too many, and seals what is not. Whether something could not be sealed.
    fn round(&self, woken: &Receiver<()>) -> bool {
        let mut fault = None;
        loop {
            self.prune();
            let rotations = self.seals.state().rotations;
            let waiting = self.waiting().unwrap_or_else(|error| {
                let what = format!("files that were rotated away cannot be listed: {error}");
                self.failed(&mut fault, what, false);
                Vec::new()
            });
            {
                let mut state = self.seals.state();
                // What was rotated away while they were listed waits too, listed or not.
                state.counts.unsealed = waiting.len() as u64 + (state.rotations - rotations);
            }
            let mut is_more = false;
            for backup in waiting {
                let sealed = contain(|| self.seal(&backup));
                if self.is_stopped() {
                    return false;
                }
                let name = backup.display();
                match sealed {
                    Ok(Ok(is_sealed)) => {
                        let counts = &mut self.seals.state().counts;
                        counts.sealed += u64::from(is_sealed);
                        counts.unsealed -= 1;
                    }
                    Ok(Err(error)) => {
                        self.failed(&mut fault, format!("{name} cannot be sealed: {error}"), false);
                    }
                    Err(message) => {
                        let what = format!("{name} cannot be sealed: that panicked: {message}");
                        self.failed(&mut fault, what, true);
                    }
                }
                // Another was rotated away meanwhile.
                if woken.try_recv().is_ok() {
                    self.prune();
                    is_more = true;
                }
            }
            if !is_more {
                break;
            }
        }
        let failed = fault.is_some();
        self.seals.note(fault);
        failed
    }

    /// Counts what failed, and keeps it to be told: a panic rather than anything else.
    fn failed(&self, fault: &mut Option<Fault>, what: String, is_panic: bool) {
        self.seals.state().counts.failures += 1;
        if is_panic || fault.as_ref().is_none_or(|fault| !fault.is_panic) {
            *fault = Some(Fault { what, is_panic });
        }
    }

    /// What cannot be removed now may be the next time.
    fn prune(&self) {
        let _ = backups::prune(&self.path, &self.rotation, now_ns());
    }

    /// Files that are not sealed, by time.
    fn waiting(&self) -> io::Result<Vec<PathBuf>> {
        let all = backups::of(&self.path)?.into_iter().map(|(_, backup)| backup);
        // What cannot be read is told when it is to be sealed.
        Ok(all.filter(|backup| !is_sealed(backup).unwrap_or(false)).collect())
    }

    /// Seals a file in its place; `false` if it is gone meanwhile, or sealed.
    fn seal(&self, backup: &Path) -> Result<bool, Error> {
        let mut file = match File::open(backup) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        // Others may have sealed it since it was listed: from here on it is this file, whatever becomes of the name.
        if begins_sealed(&mut file)? {
            return Ok(false);
        }
        let permissions = file.metadata()?.permissions();
        let mut new = NewFile::create(backup)?;
        // Who could read it may have the archive.
        if let Some(beside) = new.beside() {
            fs::set_permissions(beside, permissions)?;
        }
        let mut input = Stoppable { file, read: 0, stop: &self.seals.0.stop };
        (self.pack)(&mut input, &mut new)?;
        replace(backup, &input, new)
    }

    /// Removes parts of archives that an earlier process was killed over.
    fn remove_remains(&self) {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        for entry in fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten().flatten() {
            if is_remains(&entry.file_name(), &self.path) {
                // What cannot be removed is a hidden file that says what it is.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.seals.0.stop.load(Relaxed)
    }
}

/// Puts an archive in the place of the file that it was made of; `false` if that is gone, or another archive stands there.
fn replace(backup: &Path, input: &Stoppable<'_>, new: NewFile) -> Result<bool, Error> {
    let there = match fs::metadata(backup) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let read = input.file.metadata()?;
    if (there.dev(), there.ino()) != (read.dev(), read.ino()) {
        let is_sealed = is_sealed(backup)?;
        return if is_sealed { Ok(false) } else { Err(changed("another was put in its place")) };
    }
    if read.len() != input.read {
        return Err(changed("it was written to meanwhile"));
    }
    new.commit()?;
    Ok(true)
}

fn changed(what: &str) -> Error {
    io::Error::other(what).into()
}

fn is_sealed(path: &Path) -> io::Result<bool> {
    begins_sealed(&mut File::open(path)?)
}

/// Whether a file is an archive; it is left at its beginning.
fn begins_sealed(file: &mut File) -> io::Result<bool> {
    let mut first = Vec::with_capacity(MAGIC.len());
    Read::by_ref(file).take(MAGIC.len() as u64).read_to_end(&mut first)?;
    file.rewind()?;
    Ok(first == MAGIC)
}

/// Runs a function; a panic in it becomes its message.
fn contain<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

/// Whether a name is that of a part of an archive of a file that was rotated away, as [`NewFile`] gives them.
fn is_remains(name: &OsStr, path: &Path) -> bool {
    let part = || name.to_str()?.strip_prefix('.')?.strip_suffix(".part")?.rsplit_once('.');
    part().is_some_and(|(backup, _)| backups::is_of(&path.with_file_name(backup), path))
}

/// A file that ends in an error once nobody waits for it.
struct Stoppable<'a> {
    file: File,
    /// Bytes that were read.
    read: u64,
    stop: &'a AtomicBool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Relaxed) {
            return Err(io::Error::other("the exporter ends"));
        }
        let read = self.file.read(into)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
