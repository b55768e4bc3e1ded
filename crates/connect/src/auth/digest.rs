//! Digests under a key that only this process knows.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::AuthError;

/// One for the process: a sender has the same name at every listener, and keeps it when a listener is made anew.
static KEY: OnceLock<[u8; 32]> = OnceLock::new();

/// Digests of texts, which can be compared and looked up without telling anything about the texts.
pub(super) struct Digests {
    key: [u8; 32],
}

/// A text's digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digests {
    pub(super) fn new() -> Result<Self, AuthError> {
        let mut key = [0; 32];
        if KEY.get().is_none() {
            getrandom::fill(&mut key)
                .map_err(|error| AuthError(format!("the system gives no random numbers: {error}")))?;
        }
        // Of two that come at once one is first, for both.
        Ok(Self { key: *KEY.get_or_init(|| key) })
    }

    /// Of several texts, each with its length, so that moving a byte from one to the next makes another digest.
    pub(super) fn of(&self, texts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new_with_prefix(self.key);
        for text in texts {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        Digest(hasher.finalize().into())
    }
}

impl Digest {
    pub(super) fn same(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// Its first 64 bits as 16 hexadecimal digits: a name that no two texts of a list share, and that says nothing about them
    /// without the key.
    pub(super) fn short(&self) -> String {
        self.0[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digests")
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}
