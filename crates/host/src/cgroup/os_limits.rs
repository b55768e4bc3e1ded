//! Limits that the kernel holds an episode to.

use std::{fmt, path::Path};

use rustix::fd::OwnedFd;

use super::{CgroupError, writing::write};

/// Microseconds in which a quota of CPU time is given anew, the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// The least share that the kernel takes: a millisecond in each period.
const CPU_MILLIS_MIN: u32 = 10;

/// Limits that are written when the scope of an episode is made. None limits nothing.
///
/// They are rates and levels, which the kernel holds at every moment; a total, such as CPU time, is a budget's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OsResourceLimits {
    /// Bytes of memory, page cache included (`memory.max`). Beyond it the kernel takes cache away, then kills.
    pub memory_max_bytes: Option<u64>,
    /// Thousandths of a CPU (`cpu.max`): 1500 is one and a half. At least 10.
    pub cpu_millis: Option<u32>,
    /// Tasks, threads included (`pids.max`). At least 1.
    pub pids_max: Option<u64>,
}

/// A limit that is not held.
#[derive(Debug)]
pub struct UnsetLimit {
    /// Its file.
    pub file: &'static str,
    /// Why it could not be written: [`CgroupError::Gone`] where the scope has no such file, as the controller is not enabled above it.
    pub error: CgroupError,
}

impl fmt::Display for UnsetLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            CgroupError::Gone { .. } => {
                write!(f, "{} is not there: its controller is not enabled", self.file)
            }
            other => write!(f, "{}: {other}", self.file),
        }
    }
}

impl OsResourceLimits {
    pub(super) fn check(&self) -> Result<(), CgroupError> {
        if self.memory_max_bytes == Some(0) {
            return Err(CgroupError::InvalidLimit { why: "a memory limit of nothing runs nothing" });
        }
        if self.cpu_millis.is_some_and(|millis| millis < CPU_MILLIS_MIN) {
            return Err(CgroupError::InvalidLimit { why: "the least CPU limit is 10 thousandths" });
        }
        if self.pids_max == Some(0) {
            return Err(CgroupError::InvalidLimit { why: "a limit of no tasks runs nothing" });
        }
        Ok(())
    }

    /// What is to be written where.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let quota_us = |millis: u32| u64::from(millis) * CPU_PERIOD_US / 1000;
        let memory = self.memory_max_bytes.map(|bytes| ("memory.max", bytes.to_string()));
        let cpu = self.cpu_millis.map(|millis| ("cpu.max", format!("{} {CPU_PERIOD_US}", quota_us(millis))));
        let pids = self.pids_max.map(|tasks| ("pids.max", tasks.to_string()));
        [memory, cpu, pids].into_iter().flatten()
    }

    /// Writes each; those that could not be written come back.
    pub(super) fn apply(&self, scope: &OwnedFd, path: &Path) -> Vec<UnsetLimit> {
        let unset = |(file, value): (&'static str, String)| {
            let error = write(scope, file, value.as_bytes()).err()?;
            Some(UnsetLimit { file, error: CgroupError::io(&path.join(file), error) })
        };
        self.files().filter_map(unset).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_what_the_kernel_reads() {
        let limits =
            OsResourceLimits { memory_max_bytes: Some(1 << 30), cpu_millis: Some(1500), pids_max: Some(64) };
        let expected = [("memory.max", "1073741824"), ("cpu.max", "150000 100000"), ("pids.max", "64")];
        let files: Vec<_> = limits.files().collect();
        assert_eq!(files, expected.map(|(file, text)| (file, text.to_owned())));
        assert_eq!(OsResourceLimits::default().files().count(), 0);
    }

    #[test]
    fn limits_that_let_nothing_run_are_refused() {
        let none = OsResourceLimits::default();
        for wrong in [
            OsResourceLimits { memory_max_bytes: Some(0), ..none },
            OsResourceLimits { cpu_millis: Some(9), ..none },
            OsResourceLimits { pids_max: Some(0), ..none },
        ] {
            assert!(matches!(wrong.check(), Err(CgroupError::InvalidLimit { .. })), "{wrong:?}");
        }
        none.check().unwrap();
        OsResourceLimits { memory_max_bytes: Some(1), cpu_millis: Some(10), pids_max: Some(1) }
            .check()
            .unwrap();
    }
}
