//! The command's processes: started, waited for, ended.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use host::{
    EpisodeId, EpisodeScope, OsResourceLimits, Placement, ProcReader, ScopeSubject, Slice, StartError,
    Started, TreeSubject, Watch, create_episode_scope,
    placement::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, start_here},
    remove_episode_scope,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    io::Errno,
    process::{
        Signal, WaitId, WaitIdOptions, getpid, kill_process, pidfd_send_signal, set_child_subreaper, waitid,
    },
};

use super::courier::Courier;

/// How often samples are taken over from where they wait to be overwritten: long before that, even if there are a thousand a second.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often it is looked whether something lives still.
const LINGER_POLL: Duration = Duration::from_millis(5);

/// How the command stands while it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// It may go on.
    Goes,
    /// It has used up a budget.
    Stopped,
}

/// Why nothing runs.
pub(super) enum Refused {
    /// The command is none, with the exit code that says so.
    Command(u8, String),
    /// Something else.
    Other(String),
}

pub(super) struct Job {
    child: Started,
    scope: Option<Arc<EpisodeScope>>,
    /// Why there is no cgroup.
    pub(super) no_cgroup: Option<String>,
    /// What was asked for and is not so.
    pub(super) warnings: Vec<String>,
}

impl Job {
    /// Starts the command, in a cgroup of its own where one can be made. What comes for this process is the command's from now on.
    pub(super) fn start(
        command: &[OsString],
        id: EpisodeId,
        limits: &OsResourceLimits,
        no_cgroup: bool,
        variables: &[(&str, Option<String>)],
        courier: &Courier,
    ) -> Result<Self, Refused> {
        let scope = match scope(id, limits, no_cgroup) {
            Ok(scope) => Ok(Arc::new(scope)),
            // A limit that makes no sense anywhere.
            Err(error @ host::CgroupError::InvalidLimit { .. }) => {
                return Err(Refused::Other(error.to_string()));
            }
            Err(host::CgroupError::Unavailable) if no_cgroup => Err("--no-cgroup".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let mut warnings = Vec::new();
        let mut scope = scope;
        let started = match &scope {
            Ok(within) => {
                warnings.extend(
                    within.unset_limits().iter().map(|unset| format!("a limit is not held: {unset}")),
                );
                let placement = Placement::of(within).map_err(|error| Refused::Other(error.to_string()))?;
                match placement.start(command, variables) {
                    Ok(started) => Ok(started),
                    Err(error) => {
                        // Nothing lives in it.
                        let _ = remove_episode_scope(within);
                        match error {
                            StartError::Unexecuted(error) => Err(error),
                            StartError::Unplaced(_) => {
                                scope = Err(error.to_string());
                                outside(command, variables)
                            }
                        }
                    }
                }
            }
            Err(_) => outside(command, variables),
        };
        let child = started.map_err(|error| refused(&command[0], &error))?;
        // Before anything else: it has keys from now on that come to this process too.
        courier.serve(child.as_fd().try_clone_to_owned().map_err(|error| Refused::Other(error.to_string()))?);
        if let Err(why) = &scope
            && *limits != OsResourceLimits::default()
        {
            warnings.push(format!("no limit is held, as there is no cgroup: {why}"));
        }
        let no_cgroup = scope.as_ref().err().cloned();
        Ok(Self { child, scope: scope.ok(), no_cgroup, warnings })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it began as a copy of this process.
    pub(super) fn is_copy(&self) -> bool {
        self.child.is_copy()
    }

    /// How it is to be watched.
    pub(super) fn watch(&mut self, id: EpisodeId) -> Result<Watch, String> {
        let pid = self.pid();
        let watch = match &self.scope {
            Some(scope) => ScopeSubject::new(Arc::clone(scope))
                .map(|subject| Watch::new(id, pid, subject))
                .map_err(|error| error.to_string()),
            None => ProcReader::of_tree(pid)
                .and_then(ProcReader::adopting_orphans)
                .map(|reader| Watch::new(id, pid, TreeSubject::new(reader)))
                .map_err(|error| error.to_string()),
        };
        watch.inspect_err(|_| self.abandon())
    }

    /// Ends a command that nobody would look at: that is not what was asked for.
    pub(super) fn abandon(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.end();
    }

    /// Waits until the command has ended, and calls `meanwhile` many times a second.
    pub(super) fn wait(
        &mut self,
        courier: &Courier,
        mut meanwhile: impl FnMut() -> Meanwhile,
    ) -> Result<ExitStatus, String> {
        let failed = |error: io::Error| format!("the command cannot be waited for: {error}");
        let ended = self.child.as_fd().try_clone_to_owned().map_err(failed)?;
        let patience = Timespec::try_from(PATIENCE).map_err(|error| error.to_string())?;
        let mut standstill = Standstill::default();
        loop {
            match poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&patience)) {
                Ok(0) | Err(Errno::INTR) => {
                    if meanwhile() == Meanwhile::Stopped {
                        // It may have left its cgroup, which others can give it leave to.
                        let _ = self.child.kill();
                    }
                    if standstill.lasts(is_stopped(&ended), Instant::now()) {
                        stop_too(&ended);
                    }
                }
                Ok(_) => {
                    courier.stop();
                    return self.child.wait().map_err(failed);
                }
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }

    /// Waits for what the command has started and not waited for, as long as this, or until a signal comes; calls `meanwhile` many times a
    /// second.
    pub(super) fn linger(&self, grace: Duration, courier: &Courier, mut meanwhile: impl FnMut()) {
        let Some(scope) = &self.scope else { return };
        let until = Instant::now() + grace;
        let mut looked = Instant::now();
        while Instant::now() < until && scope.is_populated().unwrap_or(false) && !courier.is_called_back() {
            thread::sleep(LINGER_POLL);
            if looked.elapsed() >= PATIENCE {
                meanwhile();
                looked = Instant::now();
            }
        }
    }

    /// Ends what the command has left behind, and removes its cgroup. What could not be ended.
    pub(super) fn end(&mut self) -> LeftOver {
        let Some(scope) = &self.scope else { return LeftOver::default() };
        LeftOver {
            ended: scope.is_populated().unwrap_or(false),
            stays: remove_episode_scope(scope).err().map(|error| error.to_string()),
        }
    }
}

/// What was there when the command had ended.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    /// Processes lived on, and were ended.
    pub(super) ended: bool,
    /// Why the cgroup is still there.
    pub(super) stays: Option<String>,
}

fn scope(
    id: EpisodeId,
    limits: &OsResourceLimits,
    no_cgroup: bool,
) -> Result<EpisodeScope, host::CgroupError> {
    if no_cgroup {
        return Err(host::CgroupError::Unavailable);
    }
    let slice = Slice::beside_this_process()?;
    // Of one that was killed before it could end its command. What cannot be removed is in nobody's way.
    for leftover in slice.leftovers().unwrap_or_default() {
        let _ = leftover.remove();
    }
    create_episode_scope(&slice, id, limits)
}

/// Since when the command stands still while this process does not.
#[derive(Debug, Default)]
struct Standstill {
    since: Option<Instant>,
    looked: Option<Instant>,
}

impl Standstill {
    /// Whether it has done so for a while. One that is stopped together with this process, as by a key of the terminal, goes on with it, if
    /// not in the same instant: so a look after a long pause counts as the first.
    fn lasts(&mut self, is_stopped: bool, now: Instant) -> bool {
        let paused = self.looked.replace(now).is_none_or(|looked| now.duration_since(looked) > 5 * PATIENCE);
        if !is_stopped || paused {
            self.since = None;
        }
        let lasts = is_stopped && now.duration_since(*self.since.get_or_insert(now)) >= PATIENCE;
        if lasts {
            *self = Self::default();
        }
        lasts
    }
}

/// Whether the command waits for a signal to go on, as after Ctrl-Z.
fn is_stopped(command: &OwnedFd) -> bool {
    let asked = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::PidFd(command.as_fd()), asked), Ok(Some(status)) if status.stopped())
}

/// Stops this process as its command is: so whoever started it knows, as a shell that takes the terminal back. When it is told to go on the
/// command is.
fn stop_too(command: &OwnedFd) {
    let _ = kill_process(getpid(), Signal::STOP);
    let _ = pidfd_send_signal(command, Signal::CONT);
}

/// Starts a command where there is no cgroup for it. Those of its processes that lose their parents become this one's children, to be found.
fn outside(command: &[OsString], variables: &[(&str, Option<String>)]) -> io::Result<Started> {
    set_child_subreaper(Some(getpid()))?;
    start_here(command, variables)
}

fn refused(command: &OsString, error: &io::Error) -> Refused {
    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    Refused::Command(code as u8, format!("{}: {error}", command.display()))
}

/// The exit code of a shell for a command that ended so.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_still_alone_does_so_for_a_while() {
        let begun = Instant::now();
        let mut standstill = Standstill::default();
        let mut look = |is_stopped, ms| standstill.lasts(is_stopped, begun + Duration::from_millis(ms));
        assert_eq!([0, 1, 50, 99].map(|ms| look(true, ms)), [false; 4], "signals may have it look early");
        assert!(look(true, 100));
        assert!(!look(true, 101), "it is told once");
        assert_eq!([look(false, 150), look(true, 160), look(true, 259)], [false; 3]);
        assert_eq!([look(true, 1000), look(true, 1099)], [false; 2], "this process stood still, too");
        assert!(look(true, 1100));
    }
}
