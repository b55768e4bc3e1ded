//! One pass that validates a request and builds its index.

use bytes::Bytes;

use crate::{Batch, Signal, WireError};

/// How much of a request is validated when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Check {
    /// Every nested message, string and id. What passes can be read without errors, and merged.
    #[default]
    Full,
    /// Only the frames of resources, scopes and records, which is what counting needs. Such a batch is passed on whole:
    /// it is never read, edited, split or merged with others.
    Framing,
}

/// How much of a request is remembered. Each level includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Depth {
    /// Numbers only.
    #[default]
    Counts,
    /// Offsets, ids, times of every record.
    Records,
    /// Keys and values of every record's attributes too.
    Attributes,
}

/// Validates requests of one signal, reusing its scratch memory from one to the next.
#[derive(Debug)]
pub struct Checker {
    signal: Signal,
    check: Check,
    depth: Depth,
}

impl Checker {
    /// A checker for requests of `signal`. With [`Check::Framing`] the depth is always [`Depth::Counts`].
    pub fn new(signal: Signal, check: Check, depth: Depth) -> Self {
        Self { signal, check, depth }
    }

    /// Validates one export request.
    ///
    /// # Errors
    /// The first fault in the bytes, with its offset.
    pub fn check(&mut self, _body: Bytes) -> Result<Batch, WireError> {
        let _ = (self.signal, self.check, self.depth);
        todo!("contract stub")
    }
}
