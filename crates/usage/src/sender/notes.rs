//! What is told of earlier invocations: how the last one ended, and how many were not sent.

use std::{
    fs,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    client::SendError,
    limits::{SKIPPED_MAX, STATE_BYTES_MAX},
    storage::Storage,
};

/// The time of the last sending and what came of it.
pub(crate) const LAST_RESULT: &str = "last-result";
/// A byte for each invocation that was not sent because too many were under way, or nothing could be started.
const SKIPPED: &str = "skipped";
/// What is told of an invocation that arrived.
const DELIVERED: &str = "delivered";

/// The last sending that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastResult {
    /// When, Unix seconds.
    pub unix_seconds: u64,
    /// `delivered`, or why not: one of the texts of [`SendError`].
    pub text: String,
}

/// Keeps what came of an invocation. Whoever calls this has a share of the directory, as with all that writes there.
pub(super) fn note_result(storage: &Storage, sent: Result<(), SendError>) {
    let text = sent.map_or_else(|error| error.to_string(), |()| DELIVERED.to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Where nothing can be stored `status` has nothing to tell.
    let _ = storage.note(LAST_RESULT, &format!("{now} {text}\n"));
}

/// Counts an invocation that is not sent.
pub(crate) fn note_skipped(storage: &Storage) {
    // Where nothing can be stored nothing can be counted.
    if let Ok(mut file) = storage.open_to_append(SKIPPED)
        && file.metadata().is_ok_and(|found| found.len() < SKIPPED_MAX)
    {
        let _ = file.write_all(b".");
    }
}

/// How many invocations were not sent.
pub(crate) fn skipped(storage: &Storage) -> u64 {
    fs::metadata(storage.path(SKIPPED)).map_or(0, |found| found.len())
}

/// What came of the last one that was.
pub(crate) fn last_result(storage: &Storage) -> Option<LastResult> {
    let text = storage.read(LAST_RESULT, STATE_BYTES_MAX).ok()??;
    let (time, text) = text.trim_end().split_once(' ')?;
    Some(LastResult { unix_seconds: time.parse().ok()?, text: text.to_owned() })
}

/// Removes what this module has stored.
pub(super) fn forget(storage: &Storage) -> io::Result<()> {
    storage.remove(LAST_RESULT)?;
    storage.remove(SKIPPED)
}
