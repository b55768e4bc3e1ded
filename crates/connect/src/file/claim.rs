//! Which files this process writes, so that nothing in it writes one of them twice.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Files are the system's, and so is what is known of them: of the whole process, however many engines run in it.
static CLAIMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file that nobody else in this process writes as long as this lives.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
}

impl Claim {
    /// Claims the file at a path, which need not be there. Devices and pipes are not claimed.
    ///
    /// # Errors
    /// Somebody has it, or the path says nothing.
    pub(super) fn take(path: &Path) -> io::Result<Option<Claim>> {
        let Some(path) = written_file(path)? else { return Ok(None) };
        match claimed().insert(path.clone()) {
            true => Ok(Some(Claim { path })),
            false => {
                let message = format!("{} is being written already by this process", path.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
            }
        }
    }
}

/// The one path of the file that is written by this name, whatever links lead to it. Nothing for what several may write: devices and
/// pipes.
///
/// # Errors
/// The path says nothing.
pub fn written_file(path: &Path) -> io::Result<Option<PathBuf>> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Ok(None);
    }
    resolved(path).map(Some)
}

impl Drop for Claim {
    fn drop(&mut self) {
        claimed().remove(&self.path);
    }
}

fn claimed() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One path for each file, whatever links lead to its folder, or to it.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let path = std::path::absolute(path)?;
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    Ok(match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_claimed_once_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
        let claim = Claim::take(&path).unwrap();
        assert!(claim.is_some());
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &other).unwrap();
        for name in [&path, &other, &folder.path().join("./a.jsonl")] {
            let error = Claim::take(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{}", name.display());
        }
        drop(claim);
        assert!(Claim::take(&other).unwrap().is_some());
        assert!(Claim::take(Path::new("/dev/null")).unwrap().is_none());
    }
}
