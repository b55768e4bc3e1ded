//! A command that is in its cgroup before it executes.
//!
//! The kernel makes the process in its cgroup ([`Placement::start`]; Linux 5.7). Where it does not, or where a command is to have other streams
//! than this process ([`Placement::command`]), the program starts *itself*, as an entry that writes itself into `cgroup.procs` and then
//! becomes the command: its process is the command's process, nothing of the command runs outside, and what the entry uses before it is
//! inside, about a millisecond, is charged to whoever started it. Moving a child by its number after it was started would be worse: what it
//! used until then, and whom it started, would be lost.

mod made;
mod started;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
};

use crate::{
    cgroup::{EpisodeScope, lives_in},
    limits::{ENTRY_POLL, MAX_CGROUP_PATH_LEN},
};
use made::Unmade;
pub use started::Started;

/// The name by which a program knows that it is to enter a cgroup.
const ENTRY: &str = "aldis-host-entry";

/// Exit code of an entry that could not enter its cgroup: nothing ran. That of `env`, `nice` and `timeout` where they themselves fail.
pub const EXIT_NOT_PLACED: i32 = 125;

/// Exit code where the command is there and cannot be executed, as of any shell.
pub const EXIT_NOT_EXECUTABLE: i32 = 126;

/// Exit code where there is no such command, as of any shell.
pub const EXIT_NOT_FOUND: i32 = 127;

static PREPARED: AtomicBool = AtomicBool::new(false);

/// The first statement of `main` in a program that places commands ([`Placement::of`]): where the program was started as an entry, it enters
/// the cgroup, becomes the command, and does not return. Otherwise it returns at once.
pub fn enter_if_asked() {
    let mut args = std::env::args_os();
    if args.next().as_deref() == Some(OsStr::new(ENTRY)) {
        let (message, code) = entered(args);
        // The entry's standard error is the command's: whoever reads it finds there why nothing ran.
        let _ = io::Write::write_all(&mut io::stderr(), message.as_bytes());
        std::process::exit(code);
    }
    PREPARED.store(true, Ordering::Relaxed);
}

/// Enters and executes. Returns what failed.
fn entered(mut args: impl Iterator<Item = OsString>) -> (String, i32) {
    let (Some(procs), Some(program)) = (args.next(), args.next()) else {
        return (format!("{ENTRY}: a cgroup and a command are missing\n"), EXIT_NOT_PLACED);
    };
    let procs = Path::new(&procs);
    let allowed = procs.file_name() == Some(OsStr::new("cgroup.procs"))
        && procs.as_os_str().len() <= MAX_CGROUP_PATH_LEN + 16;
    let into_it = if allowed { enter(procs) } else { Err(io::ErrorKind::InvalidInput.into()) };
    if let Err(error) = into_it {
        return (format!("{}: not entered: {error}\n", procs.display()), EXIT_NOT_PLACED);
    }
    let error = Command::new(&program).args(args).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    (format!("{}: {error}\n", Path::new(&program).display()), code)
}

/// Waits until a process is not the entry any more, but the command; or until its end, and whether it has come.
fn until_executed(started: &Started) -> io::Result<bool> {
    let words = PathBuf::from(format!("/proc/{}/cmdline", started.id()));
    let poll_time = Timespec::try_from(ENTRY_POLL).ok();
    loop {
        // Of one that has ended there are no words.
        let is_entry = match std::fs::read(&words) {
            Ok(words) => words.is_empty() || words.split(|byte| *byte == 0).next() == Some(ENTRY.as_bytes()),
            // Without `/proc` it is not known: who asks how it ended finds out.
            Err(_) => return Ok(false),
        };
        if !is_entry {
            return Ok(false);
        }
        match poll(&mut [PollFd::new(started, PollFlags::IN)], poll_time.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// `0` stands for whoever writes it.
fn enter(procs: &Path) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(procs)?;
    io::Write::write_all(&mut file, b"0")
}

/// Why nothing can be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementError {
    /// The program's `main` does not call [`enter_if_asked`] first: started as an entry it would do whatever it does.
    NotPrepared,
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrepared => {
                write!(
                    f,
                    "this program cannot place commands: its `main` is to call `aldis_host::enter_if_asked()` first"
                )
            }
        }
    }
}

impl std::error::Error for PlacementError {}

/// Why a command was not started.
#[derive(Debug)]
pub enum StartError {
    /// It may not run in this scope, as where only a part of a hierarchy is this user's: run it without, or elsewhere.
    Unplaced(io::Error),
    /// There is no such program, it cannot be executed, or there is no room for a process.
    Unexecuted(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplaced(error) => write!(f, "nothing can be started in the cgroup: {error}"),
            Self::Unexecuted(error) => write!(f, "it cannot be executed: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let (Self::Unplaced(error) | Self::Unexecuted(error)) = self;
        Some(error)
    }
}

/// Starts a program as [`Placement::start`] does, in the cgroup of this process.
///
/// # Errors
/// There is no such program, it cannot be executed, or there is no room for a process.
pub fn start_here<W: AsRef<OsStr>>(words: &[W], changes: &[(&str, Option<String>)]) -> io::Result<Started> {
    let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
    let variables = variables(changes);
    match made::make(None, &words, &listed(&variables)) {
        Ok((pid, descriptor)) => Ok(Started::new(pid, descriptor)),
        Err(Unmade::Unplaced(error) | Unmade::Unexecuted(error)) => Err(error),
        Err(Unmade::Unsupported) => {
            let mut command = Command::new(words.first().copied().unwrap_or_default());
            command.args(words.iter().skip(1)).env_clear().envs(&variables).spawn()?.try_into()
        }
    }
}

/// The variables of this process, with these changes.
fn variables(changes: &[(&str, Option<String>)]) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in changes {
        match value {
            Some(value) => variables.insert(name.into(), value.into()),
            None => variables.remove(OsStr::new(name)),
        };
    }
    variables
}

fn listed(variables: &BTreeMap<OsString, OsString>) -> Vec<(&OsStr, &OsStr)> {
    variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect()
}

/// Starts commands in a scope.
///
/// ```no_run
/// use aldis_host::{EpisodeId, OsResourceLimits, Placement, Slice, create_episode_scope, remove_episode_scope};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     aldis_host::enter_if_asked();
///     let slice = Slice::of_this_process()?;
///     let scope = create_episode_scope(&slice, EpisodeId::random()?, &OsResourceLimits::default())?;
///     let ended = Placement::of(&scope)?.command("sh").args(["-c", "exit 3"]).status()?;
///     println!("{ended}, and used\n{}", scope.reader()?.read()?);
///     Ok(remove_episode_scope(&scope)?)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    entry: PathBuf,
    cgroup: PathBuf,
}

impl Placement {
    /// Places commands in a scope by way of this very program.
    ///
    /// # Errors
    /// [`PlacementError::NotPrepared`].
    pub fn of(scope: &EpisodeScope) -> Result<Self, PlacementError> {
        if !PREPARED.load(Ordering::Relaxed) {
            return Err(PlacementError::NotPrepared);
        }
        // What this process runs, also where its file was replaced or removed meanwhile.
        Ok(Self::through(Path::new("/proc/self/exe"), scope))
    }

    /// Places commands by way of another program, whose `main` calls [`enter_if_asked`] first: where this one has no `main` of its own, as
    /// a library in somebody else's process.
    #[must_use]
    pub fn through(program: &Path, scope: &EpisodeScope) -> Self {
        Self { entry: program.into(), cgroup: scope.path().into() }
    }

    /// Starts a program, the first of these words, in the scope, with the standard streams and the directory of this process, and with its
    /// variables but for those that are given another value, or none.
    ///
    /// The kernel makes it there; where it cannot (before Linux 5.7, or behind a filter of system calls), it is started
    /// [through the entry](Self::start_through_entry).
    ///
    /// # Errors
    /// It is not to be had in this scope, or not at all.
    pub fn start<W: AsRef<OsStr>>(
        &self,
        words: &[W],
        changes: &[(&str, Option<String>)],
    ) -> Result<Started, StartError> {
        let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let cgroup = openat(CWD, &self.cgroup, flags, Mode::empty())
            .map_err(|errno| StartError::Unplaced(errno.into()))?;
        let variables = variables(changes);
        match made::make(Some(cgroup.as_fd()), &words, &listed(&variables)) {
            Ok((pid, descriptor)) => Ok(Started::new(pid, descriptor)),
            Err(Unmade::Unplaced(error)) => Err(StartError::Unplaced(error)),
            Err(Unmade::Unexecuted(error)) => Err(StartError::Unexecuted(error)),
            Err(Unmade::Unsupported) => self.enter(&words, &variables),
        }
    }

    /// The same by way of the entry, as [`Self::command`] would start it, whatever the kernel can. Returns once it is in its cgroup. That it cannot
    /// be executed is told by its exit code.
    ///
    /// # Errors
    /// [`StartError::Unplaced`] if it was not let in, which its standard error tells as well: nothing of the command has run.
    pub fn start_through_entry<W: AsRef<OsStr>>(
        &self,
        words: &[W],
        changes: &[(&str, Option<String>)],
    ) -> Result<Started, StartError> {
        let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
        self.enter(&words, &variables(changes))
    }

    fn enter(
        &self,
        words: &[&OsStr],
        variables: &BTreeMap<OsString, OsString>,
    ) -> Result<Started, StartError> {
        let program = words.first().copied().unwrap_or_default();
        let mut command = self.command(program);
        command.args(words.iter().skip(1)).env_clear().envs(variables);
        let started = command.spawn().and_then(Started::try_from);
        let mut started = started.map_err(StartError::Unexecuted)?;
        let has_ended = until_executed(&started).map_err(StartError::Unexecuted)?;
        // One that has ended is in its last cgroup until it is waited for.
        if !has_ended || lives_in(started.id(), &self.cgroup) {
            return Ok(started);
        }
        let ended = started.wait().map_err(StartError::Unexecuted)?;
        if ended.code() == Some(EXIT_NOT_PLACED) {
            let why = format!("{}: not entered", self.cgroup.display());
            return Err(StartError::Unplaced(io::Error::other(why)));
        }
        Ok(started)
    }

    /// A command that runs in the scope. Arguments, variables, directory and standard streams are given as to any other.
    ///
    /// That it cannot be executed is told by its exit code ([`EXIT_NOT_FOUND`], [`EXIT_NOT_EXECUTABLE`], [`EXIT_NOT_PLACED`]) and a line on
    /// its standard error.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.entry);
        command.arg0(ENTRY).arg(self.cgroup.join("cgroup.procs")).arg(program);
        command
    }
}
