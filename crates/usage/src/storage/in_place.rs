//! Files that cannot be replaced by others, as a mount stands on them.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use nix::fcntl::OFlag;

/// Writes over what a file holds; where that fails it holds that again. Who reads meanwhile finds one of them, with
/// empty lines behind it maybe.
///
/// # Errors
/// It is not there, is no file, or cannot be written.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let file = options.open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut old = vec![0; usize::try_from(before.len()).map_err(io::Error::other)?];
    file.read_exact_at(&mut old, 0)?;
    let done = over(&file, old.len(), text);
    if done.is_err() {
        // There was room for it before.
        let _ = file.write_all_at(&old, 0).and_then(|()| file.set_len(before.len()));
    }
    done
}

fn over(file: &File, old_bytes: usize, text: &str) -> io::Result<()> {
    // Whichever text is longer: the other ends in empty lines meanwhile. A disk that is full says so before anything is changed.
    let missing = text.len().saturating_sub(old_bytes);
    file.write_all_at(&vec![b'\n'; missing], old_bytes as u64)?;
    let mut whole = text.as_bytes().to_vec();
    whole.resize(whole.len().max(old_bytes), b'\n');
    file.write_all_at(&whole, 0)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_what_was_written_and_stays_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert!(write(&path, "a").is_err() && !path.exists(), "nothing is made");
        fs::write(&path, "old").unwrap();
        let same = folder.path().join("b");
        fs::hard_link(&path, &same).unwrap();
        for text in ["", "longer than before", "short", "other"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&same).unwrap(), text);
        }
        let link = folder.path().join("c");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(write(&link, "a").is_err());
        assert!(write(folder.path(), "a").is_err());
    }

    /// A file that is open for reading only stands for one that takes no more.
    #[test]
    fn what_does_not_fit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        for text in ["longer than before", ""] {
            assert!(over(&File::open(&path).unwrap(), 3, text).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        }
    }
}
