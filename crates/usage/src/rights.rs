//! Whose rights the process has.

#[cfg(target_os = "linux")]
use std::{fs, io};

/// Whether the rights of this process are more than, or others than, those of who started it: a program with setuid, setgid, or (Linux)
/// capabilities of its file. What the environment of such a program says, nobody with those rights has said.
pub(crate) fn are_others() -> bool {
    use nix::unistd::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid() || is_secure()
}

/// Whether the kernel says so (`AT_SECURE`, getauxval(3)), which knows of capabilities and of security modules too.
#[cfg(target_os = "linux")]
fn is_secure() -> bool {
    match fs::read("/proc/self/auxv") {
        Ok(vector) => flag(&vector).unwrap_or(false),
        // The kernel hides this from a process with more rights than its user, and with a file that its user cannot read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => true,
        // No `/proc`.
        Err(_) => false,
    }
}

#[cfg(not(target_os = "linux"))]
fn is_secure() -> bool {
    false
}

/// `AT_SECURE` of an auxiliary vector: pairs of machine words, key and value.
#[cfg(target_os = "linux")]
fn flag(vector: &[u8]) -> Option<bool> {
    /// Its key (`linux/auxvec.h`).
    const AT_SECURE: usize = 23;
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    let mut pairs = vector.chunks_exact(2 * WORD).map(|pair| pair.split_at(WORD));
    pairs.find_map(|(key, value)| (word(key)? == AT_SECURE).then(|| word(value).map(|value| value != 0))?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found() {
        let vector = |words: &[usize]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        for (words, expected) in [
            (&[][..], None),
            (&[6, 4096, 23, 0, 0, 0], Some(false)),
            (&[6, 4096, 23, 1, 0, 0], Some(true)),
            (&[6, 23, 16, 1, 0, 0], None),
            (&[6, 4096, 23], None),
        ] {
            assert_eq!(flag(&vector(words)), expected, "{words:?}");
        }
        assert_eq!(flag(&fs::read("/proc/self/auxv").unwrap()), Some(false), "a test has nobody's rights");
    }
}
