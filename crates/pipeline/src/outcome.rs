//! What became of an item.

use std::time::Duration;

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
        /// The reason, for people: a status code or an I/O error.
        reason: String,
    },
    /// It was not delivered and never will be.
    Permanent {
        /// The reason, for people.
        reason: String,
    },
}

impl Outcome {
    /// Delivered in full.
    pub const DELIVERED: Outcome = Outcome::Delivered { rejected: 0 };
}
