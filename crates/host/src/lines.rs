//! Lines of JSON that are no frames.

use std::fmt::Write as _;

use crate::{episode::EndReason, id::EpisodeId};

/// How an episode ended, of which there were so many frames.
pub(crate) fn end(into: &mut String, id: EpisodeId, reason: EndReason, frames: u64) {
    let word = reason.as_str();
    // Writing to a string does not fail.
    let _ = write!(into, r#"{{"record":"end","episode_id":"{id}","reason":"{word}","frames":{frames}"#);
    if let EndReason::BudgetExhausted(exhausted) = reason {
        let (kind, limit, used) = (exhausted.kind, exhausted.limit, exhausted.used);
        let over = exhausted.overshoot();
        let _ = write!(into, r#","budget":"{kind}","limit":{limit},"used":{used},"overshoot":{over}"#);
    }
    let _ = writeln!(into, "}}");
}

/// So many frames were overwritten before they could be told.
pub(crate) fn missed(into: &mut String, id: EpisodeId, frames: u64) {
    let _ = writeln!(into, r#"{{"record":"missed","episode_id":"{id}","frames":{frames}}}"#);
}

/// There are so many readers, and no place for another.
pub(crate) fn refused(into: &mut String, readers: usize) {
    let _ = writeln!(into, r#"{{"record":"refused","readers":{readers}}}"#);
}
