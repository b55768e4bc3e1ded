//! Where the sockets of running engines are: in a folder that is this user's alone, one file for each process.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, geteuid, test_kill_process},
};

use super::is_answered;

/// Where an engine with this number listens, if it was not told otherwise. The folder is made if it is not there.
///
/// # Errors
/// There is no folder that only this user can write to.
pub(crate) fn of(pid: u32) -> io::Result<PathBuf> {
    let (folder, prefix) = match runtime_folder() {
        Some(folder) => (folder, SHARED),
        None => {
            let folder = temporary_folder();
            make(&folder)?;
            (folder, OWN)
        }
    };
    sweep(&folder, prefix);
    Ok(folder.join(format!("{prefix}{pid}.sock")))
}

/// What names begin with in a folder that other programs put theirs into.
const SHARED: &str = "aldis-";
/// What they begin with in one that is for nothing else.
const OWN: &str = "";

/// Removes what processes left that were killed.
fn sweep(folder: &Path, prefix: &str) {
    for (number, path) in listed(folder, prefix) {
        let process = i32::try_from(number).ok().and_then(Pid::from_raw);
        if process.is_none_or(|process| test_kill_process(process) == Err(Errno::SRCH)) && !is_answered(&path)
        {
            // If it cannot be removed it is in nobody's way.
            let _ = fs::remove_file(path);
        }
    }
}

/// The engines of this user that answer, by their numbers.
pub(crate) fn all() -> Vec<(u32, PathBuf)> {
    let in_temporary = Some(temporary_folder()).filter(|folder| is_ours(folder).unwrap_or(false));
    let folders = [(runtime_folder(), SHARED), (in_temporary, OWN)];
    let listed = folders.into_iter().filter_map(|(folder, prefix)| Some(listed(&folder?, prefix)));
    let mut found: Vec<(u32, PathBuf)> = listed.flatten().collect();
    found.retain(|(_, path)| is_answered(path));
    found.sort();
    found
}

/// Sockets of this user whose names are those of engines. Whatever else is there is somebody else's.
fn listed(folder: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_prefix(prefix)?.strip_suffix(".sock")?;
        let number = number.parse().ok()?;
        let found = fs::symlink_metadata(&path).ok()?;
        let is_ours = found.file_type().is_socket() && found.uid() == geteuid().as_raw();
        is_ours.then_some((number, path))
    };
    entries.filter_map(|entry| number(entry.path())).collect()
}

/// `$XDG_RUNTIME_DIR`, where it is what it has to be.
fn runtime_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    Some(folder).filter(|folder| folder.is_absolute() && is_ours(folder).unwrap_or(false))
}

fn temporary_folder() -> PathBuf {
    PathBuf::from(format!("/tmp/aldis-{}", geteuid().as_raw()))
}

/// Makes a folder that only this user can look into. Where there is something else of that name, put there by somebody else
/// perhaps, it is not used.
fn make(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_ours(folder)? {
        return Ok(());
    }
    let what = format!("{} is not a folder of this user's alone", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Whether it is a folder, no link to one, that only this user can use.
fn is_ours(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    };

    use super::*;

    #[test]
    fn only_a_folder_of_ones_own_is_used() {
        let place = tempfile::TempDir::new().unwrap();
        let folder = place.path().join("mine");
        make(&folder).unwrap();
        make(&folder).unwrap();
        assert!(is_ours(&folder).unwrap());
        let link = place.path().join("link");
        symlink(&folder, &link).unwrap();
        assert!(make(&link).is_err(), "a link could lead anywhere");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make(&folder).is_err(), "others can write to it");
        fs::write(place.path().join("file"), "").unwrap();
        assert!(make(&place.path().join("file")).is_err());
    }

    #[test]
    fn engines_are_known_by_the_names_of_their_sockets() {
        let place = tempfile::TempDir::new().unwrap();
        let (own, gone) = (std::process::id(), i32::MAX as u32);
        let ours = [format!("aldis-{own}.sock"), format!("aldis-{gone}.sock")];
        let foreign = [format!("{gone}.sock"), "other.sock".into(), "aldis-56".into()];
        for name in ours.iter().chain(&foreign) {
            drop(UnixListener::bind(place.path().join(name)).unwrap());
        }
        fs::write(place.path().join("aldis-2147483646.sock"), "no socket").unwrap();
        symlink(place.path().join("other.sock"), place.path().join("aldis-2147483645.sock")).unwrap();
        let numbers = || {
            let found = listed(place.path(), SHARED);
            let mut numbers: Vec<u32> = found.into_iter().map(|(number, _)| number).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers(), [own, gone]);
        sweep(place.path(), SHARED);
        assert_eq!(numbers(), [own], "what a process left that is gone");
        let left = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 1 + foreign.len() + 2, "what is not ours stays");
        sweep(place.path(), OWN);
        assert!(!place.path().join(&foreign[0]).exists(), "in a folder for nothing else it is ours");
        assert!(place.path().join("other.sock").exists());
    }
}
