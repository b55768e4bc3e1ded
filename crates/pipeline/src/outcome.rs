//! What became of an item.

use std::{borrow::Cow, time::Duration};

use crate::limits;

/// What became of an item, or of a share of it. Ordered by how bad it is: a receipt reports the worst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was delivered, except for `rejected` records that the far side refused for good (OTLP partial success).
    Delivered {
        /// Records refused by the far side.
        rejected: u64,
    },
    /// A rule of the configuration removed it: a success for whoever waits.
    Removed,
    /// It was not delivered and trying again may help.
    Retry {
        /// Not before this long from now, where the far side said so.
        after: Option<Duration>,
        /// Whether the far side may have taken it all the same (the connection broke before its answer).
        maybe_delivered: bool,
        /// Whether nothing is broken but room: a queue is full, or memory is short. Receivers put it into their
        /// protocol's words for "slow down" instead of "unavailable".
        overloaded: bool,
        /// The reason, for people: a status code or an I/O error.
        reason: String,
    },
    /// It was not delivered and never will be.
    Permanent {
        /// What it is counted under: the name of a gRPC code, an HTTP status, or what of this program said so. One of few;
        /// [`UNSENDABLE`] where the far side was not asked.
        code: Cow<'static, str>,
        /// The reason, for people.
        reason: String,
    },
}

/// The code of what was not sent at all, because it or what it should be sent by is wrong.
pub const UNSENDABLE: &str = "unsendable";

impl Outcome {
    /// Delivered in full.
    pub const DELIVERED: Outcome = Outcome::Delivered { rejected: 0 };

    /// Not taken for want of room; there may be some in a moment.
    pub fn overloaded(reason: impl Into<String>) -> Self {
        let after = Some(limits::REFUSED_RETRY_AFTER);
        Outcome::Retry { after, maybe_delivered: false, overloaded: true, reason: reason.into() }
    }

    /// Not taken, and not for want of room: a part of this program is ending or dead.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        let after = Some(limits::REFUSED_RETRY_AFTER);
        Outcome::Retry { after, maybe_delivered: false, overloaded: false, reason: reason.into() }
    }
}
