//! Which invocations are of one installation: a number that stands for it, and tells nothing of it.

use std::{
    fmt, io,
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use crate::{
    limits::STATE_BYTES_MAX,
    storage::{MODE_OWN, Storage},
};

/// The file: the digits and the end of a line.
pub(crate) const FILE: &str = "fingerprint";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// Bytes of randomness that only the moment of making knows.
const SALT_BYTES: usize = 32;

/// SHA-256 of 256 random bits, the host's name, the operating system and the architecture, in hexadecimal.
///
/// The random bits are forgotten, so that nobody who knows a host can tell whether a fingerprint is of it, nor the reverse. It is a
/// pseudonym: it stays the same until `reset` or `disable`, or until its file is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// A new one, stored nowhere.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        let host = nix::unistd::gethostname().unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(salt);
        hash.update(host.as_encoded_bytes());
        hash.update(std::env::consts::OS);
        hash.update("/");
        hash.update(std::env::consts::ARCH);
        Ok(Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The one that is stored; `None` if there is none that can be read.
    pub(crate) fn stored(storage: &Storage) -> Option<Self> {
        let text = storage.read(FILE, STATE_BYTES_MAX).ok()??;
        let digits = text.trim_end();
        let whole =
            digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        whole.then(|| Self(digits.to_owned()))
    }

    /// The one that is stored, or a new one, stored if that can be done. Of several processes that find none all get the same.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn load_or_create(storage: &Storage) -> io::Result<Self> {
        if let Some(stored) = Self::stored(storage) {
            keep_private(storage);
            return Ok(stored);
        }
        let made = Self::generate()?;
        let line = format!("{made}\n");
        match storage.create(FILE, &line, MODE_OWN) {
            Ok(true) | Err(_) => Ok(made),
            // Somebody else was first, unless what is there is no fingerprint.
            Ok(false) => Ok(Self::stored(storage).unwrap_or_else(|| {
                // Where it cannot be written either it is as good as a new one each time.
                let _written = storage.write(FILE, &line, MODE_OWN, || Ok(()));
                made
            })),
        }
    }

    /// How long ago the stored one was made.
    pub(crate) fn age(storage: &Storage) -> Option<Duration> {
        let written = std::fs::metadata(storage.path(FILE)).ok()?.modified().ok()?;
        Some(SystemTime::now().duration_since(written).unwrap_or_default())
    }

    /// Forgets the stored one.
    ///
    /// # Errors
    /// Its file cannot be removed.
    pub(crate) fn forget(storage: &Storage) -> io::Result<()> {
        storage.remove(FILE)
    }
}

/// Takes from others what a copy or a backup may have given them.
fn keep_private(storage: &Storage) {
    let path = storage.path(FILE);
    if storage.is_ours().is_ok()
        && std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
    {
        // Whoever may not change it is not its owner.
        let _ = std::fs::set_permissions(&path, PermissionsExt::from_mode(MODE_OWN));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, thread};

    fn storage() -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().join("a/b"));
        storage.make().unwrap();
        (folder, storage)
    }

    #[test]
    fn it_stays_and_is_its_owners() {
        let (_folder, storage) = storage();
        assert_eq!(Fingerprint::stored(&storage), None);
        let first = Fingerprint::load_or_create(&storage).unwrap();
        assert_eq!(Fingerprint::load_or_create(&storage).unwrap(), first);
        assert_eq!(Fingerprint::stored(&storage).unwrap(), first);
        let mode = || fs::metadata(storage.path(FILE)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), MODE_OWN);
        fs::set_permissions(storage.path(FILE), PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(Fingerprint::load_or_create(&storage).unwrap(), first);
        assert_eq!(mode(), MODE_OWN);
        Fingerprint::forget(&storage).unwrap();
        assert_ne!(Fingerprint::load_or_create(&storage).unwrap(), first);
    }

    #[test]
    fn what_is_no_fingerprint_is_replaced() {
        let (_folder, storage) = storage();
        Fingerprint::load_or_create(&storage).unwrap();
        for text in ["", "abc\n", &"g".repeat(64), &"0".repeat(2000)] {
            fs::write(storage.path(FILE), text).unwrap();
            let made = Fingerprint::load_or_create(&storage).unwrap();
            assert_eq!(Fingerprint::stored(&storage), Some(made), "{text}");
        }
        fs::remove_file(storage.path(FILE)).unwrap();
        fs::create_dir(storage.path(FILE)).unwrap();
        let one = Fingerprint::load_or_create(&storage).unwrap();
        assert_ne!(one, Fingerprint::load_or_create(&storage).unwrap(), "it cannot be stored");
    }

    #[test]
    fn all_who_come_first_get_the_same() {
        let (_folder, storage) = storage();
        let all: BTreeSet<String> = thread::scope(|scope| {
            let one = || Fingerprint::load_or_create(&storage).unwrap().to_string();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(fs::read_dir(storage.path("")).unwrap().count(), 1, "nothing else is left behind");
    }

    /// Without the random bits anybody could try all names of hosts.
    #[test]
    fn the_same_host_has_any_number_of_them() {
        let all: BTreeSet<String> = (0..100).map(|_| Fingerprint::generate().unwrap().to_string()).collect();
        assert_eq!(all.len(), 100);
        assert!(all.iter().all(|digits| digits.len() == DIGITS));
    }
}
