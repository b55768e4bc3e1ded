//! Files on their way to becoming others.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::limits::SWEPT_MAX;

/// What its name ends with.
const SUFFIX: &str = ".tmp";
/// Random bytes in its name, so that nobody can have made what stands there.
const NAME_BYTES: usize = 8;

/// A file beside another, gone when dropped.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Temporary {
    /// Makes a new one: what is there is not touched, and no link is followed.
    pub(super) fn write(beside: &Path, text: &str, mode: u32) -> io::Result<Self> {
        let mut random = [0; NAME_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut name = beside.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}{SUFFIX}", u64::from_ne_bytes(random)));
        let path = beside.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let mut temporary = Self { path, file };
        // The umask has taken from the mode of a new file.
        temporary.file.set_permissions(Permissions::from_mode(mode))?;
        temporary.file.write_all(text.as_bytes())?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes those that were left beside this file by processes that ended while they wrote.
pub(super) fn sweep(beside: &Path) {
    let (Some(folder), Some(name)) = (beside.parent(), beside.file_name()) else { return };
    let Ok(listed) = fs::read_dir(folder) else { return };
    for entry in listed.take(SWEPT_MAX).flatten() {
        if is_of(&entry.file_name(), name) {
            // Who cannot remove it may be another user.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether this is the name of one beside a file of that name.
fn is_of(name: &OsStr, beside: &OsStr) -> bool {
    let digits = name
        .to_str()
        .and_then(|name| name.strip_prefix(beside.to_str()?)?.strip_prefix('.')?.strip_suffix(SUFFIX));
    digits.is_some_and(|digits| {
        digits.len() == 2 * NAME_BYTES && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_this_file_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("config.toml");
        let left = Temporary::write(&beside, "half", 0o600).unwrap();
        let path = left.path.clone();
        std::mem::forget(left);
        let others =
            ["config.toml", "config.toml.tmp", "config.toml.1.0.tmp", "other.0123456789abcdef.tmp", ".tmp"];
        for name in others {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(&beside);
        assert!(!path.exists());
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
    }

    /// Whoever can write there cannot have a file of the user's written over by a link in its place.
    #[test]
    fn names_are_not_foreseen() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("a");
        let [one, other] = [(); 2].map(|()| Temporary::write(&beside, "", 0o600).unwrap());
        assert_ne!(one.path, other.path);
        assert!(is_of(one.path.file_name().unwrap(), OsStr::new("a")));
    }
}
