//! What is watched: a scope, or a tree of processes.

use std::sync::Arc;

use crate::{
    cgroup::{CgroupError, CgroupReader, EpisodeScope},
    collector::TelemetryError,
    episode::Sample,
    proc_fallback::ProcReader,
    stats::PressureStats,
    urgency::visit_cpus,
};

/// Something that can be looked at, and ended when a budget is used up.
pub trait Subject: Send {
    /// Looks at it, and at what it waits for if that is asked: three files more.
    ///
    /// # Errors
    /// It is not there any more, or cannot be read any more: the episode ends ([`EndReason::Lost`](crate::EndReason::Lost)).
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError>;

    /// Has the kernel's account brought up to date before a sample that a budget depends upon. Nothing need be done where it never lags behind.
    fn settle(&mut self) {}

    /// Has it stand still, so that it uses nothing while the last sample is taken.
    ///
    /// # Errors
    /// It cannot be stopped. It is killed all the same.
    fn freeze(&mut self) -> Result<(), TelemetryError>;

    /// Ends all of it.
    ///
    /// # Errors
    /// It lives on: the snapshot says so.
    fn kill(&mut self) -> Result<(), TelemetryError>;
}

/// An episode in a scope of its own. What its controllers do not tell is read from the processes that live in it.
#[derive(Debug)]
pub struct ScopeSubject {
    scope: Arc<EpisodeScope>,
    cgroup: CgroupReader,
    members: ProcReader,
}

impl ScopeSubject {
    /// Opens the files of a scope.
    ///
    /// # Errors
    /// The scope is gone, or `/proc` is not mounted.
    pub fn new(scope: Arc<EpisodeScope>) -> Result<Self, TelemetryError> {
        let (cgroup, members) = (scope.reader()?, ProcReader::of_scope(scope.path())?);
        Ok(Self { scope, cgroup, members })
    }
}

impl Subject for ScopeSubject {
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        let mut stats = self.cgroup.read()?;
        let pressure = if with_pressure { self.cgroup.pressure()? } else { PressureStats::default() };
        if !stats.is_complete() {
            stats = stats.or(self.members.read()?);
        }
        Ok(Sample { stats, pressure })
    }

    fn settle(&mut self) {
        visit_cpus();
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        // Half a second has to do: what does not stand still by then is killed as it is.
        Ok(self.scope.freeze().map(|_| ())?)
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        match self.scope.kill() {
            // Gone: there is nothing to end.
            Err(CgroupError::Gone { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// A process and its descendants, where there is no scope.
#[derive(Debug)]
pub struct TreeSubject {
    reader: ProcReader,
}

impl TreeSubject {
    /// What this reader reads.
    #[must_use]
    pub fn new(reader: ProcReader) -> Self {
        Self { reader }
    }
}

impl Subject for TreeSubject {
    fn sample(&mut self, _with_pressure: bool) -> Result<Sample, TelemetryError> {
        // Of a tree of processes the kernel tells no pressure.
        Ok(Sample { stats: self.reader.read()?, ..Sample::default() })
    }

    fn settle(&mut self) {
        visit_cpus();
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        Ok(self.reader.signal_all(rustix::process::Signal::STOP)?)
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        Ok(self.reader.signal_all(rustix::process::Signal::KILL)?)
    }
}
