//! How archives are sealed and opened.

use std::thread;

use crate::{
    error::Error,
    header::SALT_BYTES,
    key::PasswordCost,
    limits::{FRAME_LOG2_DEFAULT, FRAME_LOG2_MAX, FRAME_LOG2_MIN, LEVELS, MAX_CONTEXT_BYTES, MAX_WORKERS},
};

/// How an archive is sealed.
///
/// ```
/// use aldis_archive::SealOptions;
///
/// let options = SealOptions { level: 9, workers: 2, ..SealOptions::default() };
/// assert_eq!(options.frame_bytes, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// zstd's, 1 to 22.
    pub level: i32,
    /// Frames that are compressed at once: 1 uses the caller's thread, more a thread each, 0 one for each CPU that may be
    /// used. The archive is the same for any number.
    pub workers: usize,
    /// Plaintext bytes of a frame: a power of two from 4 KiB to 16 MiB.
    pub frame_bytes: usize,
    /// What the archive is bound to, for instance the name of its purpose: who opens it must say the same. It is not in the
    /// archive.
    pub context: Vec<u8>,
    /// For a password: what it costs to check.
    pub cost: PasswordCost,
    /// Random unless it is given, which is for tests: **two different streams under one key, context and salt reveal both**.
    pub salt: Option<[u8; SALT_BYTES]>,
}

impl Default for SealOptions {
    fn default() -> Self {
        Self {
            level: 3,
            workers: 0,
            frame_bytes: 1 << FRAME_LOG2_DEFAULT,
            context: Vec::new(),
            cost: PasswordCost::default(),
            salt: None,
        }
    }
}

impl SealOptions {
    /// log2 of the size of frames, if every setting is within its limits.
    pub(crate) fn checked(&self) -> Result<u8, Error> {
        let log2 = self.frame_bytes.trailing_zeros() as u8;
        if !self.frame_bytes.is_power_of_two() || !(FRAME_LOG2_MIN..=FRAME_LOG2_MAX).contains(&log2) {
            return Err(Error::Settings("frame_bytes is a power of two from 4 KiB to 16 MiB"));
        }
        if !LEVELS.contains(&self.level) {
            return Err(Error::Settings("level is 1 to 22"));
        }
        if self.context.len() > MAX_CONTEXT_BYTES {
            return Err(Error::Settings("context has at most 64 KiB"));
        }
        if !self.cost.is_granted() {
            return Err(Error::Settings("no reader grants this cost of a password"));
        }
        Ok(log2)
    }
}

/// How an archive is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Frames that are opened at once, as in [`SealOptions`].
    pub workers: usize,
    /// What the archive is bound to.
    pub context: Vec<u8>,
    /// Most bytes of plaintext: whoever has the key can seal terabytes of nothing in a small file.
    pub max_plaintext_bytes: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { workers: 0, context: Vec::new(), max_plaintext_bytes: u64::MAX }
    }
}

/// As many as asked for, or one for each CPU.
pub(crate) fn workers(asked: usize) -> Result<usize, Error> {
    match asked {
        0 => Ok(thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)),
        1..=MAX_WORKERS => Ok(asked),
        _ => Err(Error::Settings("workers are at most 256")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_of_their_limits_are_refused() {
        let is_refused = |change: fn(&mut SealOptions)| {
            let mut options = SealOptions::default();
            change(&mut options);
            matches!(options.checked(), Err(Error::Settings(_)))
        };
        assert!(!is_refused(|_| {}));
        assert!(!is_refused(|o| o.frame_bytes = 4096) && !is_refused(|o| o.frame_bytes = 16 << 20));
        assert!(is_refused(|o| o.frame_bytes = 2048) && is_refused(|o| o.frame_bytes = 32 << 20));
        assert!(is_refused(|o| o.frame_bytes = 5000) && is_refused(|o| o.frame_bytes = 0));
        assert!(is_refused(|o| o.level = 0) && is_refused(|o| o.level = 23));
        assert!(is_refused(|o| o.context = vec![0; MAX_CONTEXT_BYTES + 1]));
        assert!(is_refused(|o| o.cost.memory_kib = u32::MAX));
        assert!(workers(0).unwrap() >= 1 && workers(7).unwrap() == 7 && workers(MAX_WORKERS + 1).is_err());
    }
}
