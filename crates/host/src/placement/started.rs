//! A command that was started.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid},
};

/// A child of this process, however it was made. It goes on if this is dropped.
#[derive(Debug)]
pub struct Started {
    pid: Pid,
    descriptor: OwnedFd,
    ended: Option<ExitStatus>,
    is_copy: bool,
}

impl Started {
    pub(super) fn new(pid: Pid, descriptor: OwnedFd) -> Self {
        Self { pid, descriptor, ended: None, is_copy: true }
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Whether it began as a copy of this process that executed its program at once. Then the kernel's peak of its memory has no more of this
    /// process in it than what is of no file: else all of it, or of the program that led it into its cgroup.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Kills it, if it has not ended.
    ///
    /// # Errors
    /// It may not be killed: it has become another user.
    pub fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for its end, and says how it ended; again, if it is asked again.
    ///
    /// # Errors
    /// Somebody else has waited for it, or has the kernel forget children that end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(ended) = self.ended {
                return Ok(ended);
            }
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => self.ended = Some(ExitStatus::from_raw(status.as_raw())),
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// It is readable when the process has ended.
impl AsFd for Started {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// One that nobody has waited for.
impl TryFrom<Child> for Started {
    type Error = io::Error;

    fn try_from(child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { is_copy: false, ..Self::new(pid, descriptor) })
    }
}
