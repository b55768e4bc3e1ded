//! Which file it is, whatever it is called.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::decode::packed_with;

/// What a file begins with: it stays the same while the file grows, and when it is moved or copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<u8>);

impl Fingerprint {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Of a file, of at most so many bytes.
    pub(super) fn of(file: &File, most: usize) -> io::Result<Self> {
        let mut bytes = vec![0; most];
        let mut length = 0;
        while length < most {
            match file.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        bytes.truncate(length);
        Ok(Self(bytes))
    }

    /// Whether a file that began like this may begin like `now`: it may have grown since.
    pub(super) fn became(&self, now: &Fingerprint) -> bool {
        !self.0.is_empty() && now.0.starts_with(&self.0)
    }

    /// Whether the file is compressed.
    pub(super) fn is_packed(&self) -> bool {
        packed_with(&self.0).is_some()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
