//! What is kept beside a configuration that cannot be replaced: another file is mounted there, or it may not be written.

use std::{fmt, io};

use crate::{
    limits::{REASON_CHARS_MAX, STATE_BYTES_MAX},
    storage::{MODE_OWN, Storage},
};

/// The file: a word and the system's reason.
pub(crate) const FILE: &str = "config.note";

/// What it says of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was written in place.
    InPlace,
    /// It could not be written when the user had been told what is counted: this stands for a yes of one who said nothing.
    Told,
    /// It could not be written when the user said no: this is the no, whatever stands there.
    No,
}

const KINDS: [(Kind, &str); 3] = [(Kind::InPlace, "in-place"), (Kind::Told, "told"), (Kind::No, "no")];

/// A note and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) kind: Kind,
    reason: String,
}

impl Note {
    /// The one that is there.
    pub(crate) fn stored(storage: &Storage) -> Option<Self> {
        let text = storage.read(FILE, STATE_BYTES_MAX).ok()??;
        let (word, reason) = text.trim_end().split_once(' ')?;
        let (kind, _) = KINDS.into_iter().find(|(_, known)| *known == word)?;
        Some(Self { kind, reason: reason.to_owned() })
    }

    /// Writes one; see [`Storage::write`].
    pub(crate) fn store(storage: &Storage, kind: Kind, reason: &str) -> io::Result<()> {
        let word = KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, word)| word);
        let reason: String =
            reason.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect();
        storage.write(FILE, &format!("{word} {reason}\n"), MODE_OWN, || Ok(())).map(drop)
    }

    /// Removes it, once the configuration itself says what was decided.
    pub(crate) fn remove(storage: &Storage) -> io::Result<()> {
        if storage.path(FILE).exists() { storage.remove(FILE) } else { Ok(()) }
    }
}

/// As `status` has it.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, reason } = self;
        match kind {
            Kind::InPlace => write!(f, "the configuration was written in place: {reason}"),
            Kind::Told => write!(f, "that the user has been told is kept in {FILE}: {reason}"),
            Kind::No => write!(f, "the user's no is kept in {FILE}: {reason}"),
        }
    }
}
