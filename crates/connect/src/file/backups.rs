//! The names of files that were rotated away, and which of them go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Rotation;
use crate::calendar::Civil;

const MILLISECOND_NS: u64 = 1_000_000;

/// `data.json` rotated at a time is `data-2026-11-21T05-02-14.173.json`: as the Collector's `file` exporter names it, in UTC.
fn name(path: &Path, ns: u64) -> PathBuf {
    let at = Civil::of(ns);
    let (stem, extension) = parts(path);
    path.with_file_name(format!(
        "{stem}-{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:03}{extension}",
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.nanosecond / MILLISECOND_NS
    ))
}

/// A name for what is rotated now: behind all that there are, though several be rotated in a millisecond.
pub(super) fn next_name(path: &Path, now_ns: u64) -> PathBuf {
    let newest = of(path).ok().and_then(|mut all| all.pop()).map(|(stamp, _)| stamp);
    let mut ns = now_ns;
    let mut next = name(path, ns);
    // Names that a clock which was wrong has put into the future are left where they are.
    for _ in 0..MAX_STEPS {
        let is_behind = newest.is_none() || stamp_of(&next, path) > newest;
        if is_behind && fs::symlink_metadata(&next).is_err() {
            break;
        }
        ns += MILLISECOND_NS;
        next = name(path, ns);
    }
    while fs::symlink_metadata(&next).is_ok() {
        ns += MILLISECOND_NS;
        next = name(path, ns);
    }
    next
}

/// Milliseconds that a name may be ahead of its time.
const MAX_STEPS: usize = 10_000;

/// Removes what is too many or too old.
///
/// # Errors
/// The first that the system says; what could be removed is.
pub(super) fn prune(path: &Path, rotation: &Rotation, now_ns: u64) -> io::Result<()> {
    let oldest = rotation.max_age.map(|age| {
        let ns = now_ns.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        stamp_of(&name(path, ns), path).unwrap_or_default()
    });
    let mut failed = Ok(());
    for (i, (stamp, backup)) in of(path)?.into_iter().rev().enumerate() {
        let is_surplus = rotation.max_backups > 0 && i >= rotation.max_backups;
        let is_old = oldest.as_ref().is_some_and(|oldest| stamp < *oldest);
        if (is_surplus || is_old)
            && let Err(error) = fs::remove_file(&backup)
        {
            failed = failed.and(Err(error));
        }
    }
    failed
}

/// All that is rotated away, by time.
pub(super) fn of(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let backup = path.with_file_name(entry?.file_name());
        if let Some(stamp) = stamp_of(&backup, path) {
            all.push((stamp, backup));
        }
    }
    all.sort();
    Ok(all)
}

/// Whether a file is one that was rotated away from a path, by its name.
pub(super) fn is_of(backup: &Path, path: &Path) -> bool {
    stamp_of(backup, path).is_some()
}

/// The time in the name of what was rotated away from a path; later times are larger texts. The Collector puts a reason behind it
/// (`-size`).
fn stamp_of(backup: &Path, path: &Path) -> Option<String> {
    const SHAPE: &[u8] = b"0000-00-00T00-00-00.000";
    let (stem, extension) = parts(path);
    let name = backup.file_name()?.to_str()?;
    let middle = name.strip_prefix(&format!("{stem}-"))?.strip_suffix(&extension)?;
    let (stamp, reason) = middle.split_at_checked(SHAPE.len())?;
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    let is_stamp = stamp.bytes().zip(SHAPE).all(fits);
    (is_stamp && (reason.is_empty() || reason.starts_with('-'))).then(|| stamp.to_owned())
}

/// The name without its extension, and that with its dot.
fn parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    (stem, extension.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AT_NS: u64 = 1_795_237_334_173_000_000;

    #[test]
    fn backups_are_named_by_their_time_and_pruned_by_count_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        let names = ["data-2026-11-21T05-02-14.173.json", "data-2026-11-21T05-02-14.174.json"];
        for expected in names {
            let free = next_name(&path, AT_NS);
            assert_eq!(free.file_name().unwrap(), expected);
            fs::write(free, "").unwrap();
        }
        let day = 24 * 3600 * 1_000_000_000;
        fs::write(folder.path().join("data-2026-11-18T05-02-14.173-size.json"), "").unwrap();
        for other in ["data.json", "data-2026.json", "data-2026-11-18T05-02-14.173.txt", "database.json"] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let count = || of(&path).unwrap().len();
        assert_eq!(count(), 3);
        let mut rotation =
            Rotation { max_bytes: 1, max_age: Some(Duration::from_secs(4 * 86_400)), max_backups: 3 };
        prune(&path, &rotation, AT_NS).unwrap();
        assert_eq!(count(), 3);
        rotation.max_age = Some(Duration::from_secs(2 * 86_400));
        prune(&path, &rotation, AT_NS).unwrap();
        assert_eq!(count(), 2);
        rotation.max_backups = 1;
        prune(&path, &rotation, AT_NS + day).unwrap();
        assert_eq!(
            of(&path).unwrap(),
            [("2026-11-21T05-02-14.174".to_owned(), folder.path().join(names[1]))]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing else is touched");
    }
}
