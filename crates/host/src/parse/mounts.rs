//! Where the hierarchy is mounted, and where in it a process is.

use super::{lines, split_at_byte, words};

/// A mount of the cgroup v2 file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The directory of the hierarchy that is seen at the mount point: `/`, or deeper in a container without a cgroup namespace.
    pub root: Vec<u8>,
    /// Where it is mounted.
    pub point: Vec<u8>,
    /// Nothing can be written there.
    pub read_only: bool,
}

/// The mounts of `cgroup2` in `/proc/self/mountinfo`, in its order. Lines of another shape are passed over.
pub fn cgroup2_mounts(bytes: &[u8]) -> impl Iterator<Item = Mount> {
    lines(bytes).filter_map(mount)
}

/// `42 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw`; blanks in paths are octal escapes.
fn mount(line: &[u8]) -> Option<Mount> {
    let dash = line.windows(3).position(|window| window == b" - ")?;
    let (before, after) = (line.get(..dash)?, line.get(dash + 3..)?);
    let mut after = words(after);
    if after.next()? != b"cgroup2" {
        return None;
    }
    let of_super = after.nth(1).unwrap_or_default();
    let mut columns = words(before).skip(3);
    let (root, point, options) = (columns.next()?, columns.next()?, columns.next()?);
    let says_ro = |options: &[u8]| options.split(|byte| *byte == b',').any(|option| option == b"ro");
    let read_only = says_ro(options) || says_ro(of_super);
    Some(Mount { root: unescaped(root), point: unescaped(point), read_only })
}

/// `\040` is a blank.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        let escape = if *first == b'\\' { behind.first_chunk::<3>().and_then(octal) } else { None };
        plain.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    plain
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    let value = digits.iter().try_fold(0_u32, |sum, digit| {
        (b'0'..=b'7').contains(digit).then(|| sum * 8 + u32::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

/// The line `0::/path` of `/proc/PID/cgroup`: where in the hierarchy of version 2 the process is. `None` where there is no such line, and
/// where the cgroup was removed meanwhile (` (deleted)`).
pub fn own_cgroup(bytes: &[u8]) -> Option<&[u8]> {
    let path = bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let gone = path.ends_with(b" (deleted)") || split_at_byte(path, b'/').is_none();
    (!gone).then_some(path)
}
