//! Cgroups of a test's own, which do not outlive it.
#![expect(clippy::print_stderr, reason = "what is skipped or left over is said")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use aldis_host::Hierarchy;

/// A cgroup, ended and removed whatever becomes of the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the root of the hierarchy, or says why the test is skipped.
    pub(crate) fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let skipped = |why: &str| {
            skipped(test, why);
            None
        };
        let Ok(hierarchy) = Hierarchy::find() else { return skipped("no cgroup v2 hierarchy is mounted") };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("aldis-host-test-{}-{number}", std::process::id());
        let path = hierarchy.mount().join(name);
        match fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => skipped(&format!("no cgroup can be made at {}: {error}", path.display())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves a process into it.
    pub(crate) fn take(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

/// Says that a test does not run here, and why.
pub(crate) fn skipped(test: &str, why: &str) {
    eprintln!("skipped: {test}: {why}");
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..3000 {
            if remove(&self.0) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        eprintln!("{} is left over", self.0.display());
    }
}

/// Removes a cgroup with those below it; whether it is gone.
fn remove(path: &Path) -> bool {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    fs::remove_dir(path).is_ok() || !path.exists()
}
