//! Locks on files.

/// Of `/proc/locks`, the process that has a lock of `flock(2)` on a file: device (major, minor) and inode. Those that wait for one (`->`) have
/// none, and one of another namespace has no number.
///
/// ```
/// use aldis_host::parse::flock_owner;
///
/// let locks = b"1: FLOCK  ADVISORY  WRITE 708 00:1b:3512 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 709 00:1b:3512 0 EOF\n";
/// assert_eq!(flock_owner(locks, (0, 0x1b), 3512), Some(708));
/// assert_eq!(flock_owner(locks, (0, 0x1b), 3513), None);
/// ```
#[must_use]
pub fn flock_owner(bytes: &[u8], device: (u32, u32), inode: u64) -> Option<u32> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = text(line)?.split_ascii_whitespace().skip(1);
        if words.next()? != "FLOCK" {
            return None;
        }
        let (pid, file) = (words.nth(2)?, words.next()?);
        let mut parts = file.split(':');
        let device_of = |part: &str| u32::from_str_radix(part, 16).ok();
        let found = (device_of(parts.next()?)?, device_of(parts.next()?)?);
        let is_it = found == device && parts.next()?.parse() == Ok(inode);
        is_it.then(|| pid.parse().ok().filter(|pid| *pid > 0)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_one_of_that_file_and_kind() {
        let locks = b"1: POSIX  ADVISORY  WRITE 5 fe:00:77 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 0 fe:01:77 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 6 fe:00:77 0 EOF\n\
            4: FLOCK  ADVISORY  READ 7 fe:00:78 0 EOF\n\
            5: FLOCK  ADVISORY  WRITE 8 fe:00:77 0 EOF\n\
            6: FLOCK  nonsense\n7:\n\xff\n";
        for (device, inode, owner) in [
            ((0xfe, 0), 77, Some(8)),
            ((0xfe, 0), 78, Some(7)),
            ((0xfe, 1), 77, None),
            ((0xfe, 0), 79, None),
            ((0xfd, 0), 77, None),
        ] {
            assert_eq!(flock_owner(locks, device, inode), owner, "{device:?} {inode}");
        }
    }
}
