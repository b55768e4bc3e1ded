//! Which message the far side understands, as far as is known.

use std::sync::atomic::{AtomicU64, Ordering};

use super::RemoteWriteMessage;
use crate::limits::WRITE_PROBE_INTERVAL;

/// What is wanted, and until when something else is sent. It knows no clock: times are arguments.
#[derive(Debug)]
pub(super) struct Negotiation {
    wanted: RemoteWriteMessage,
    /// Unix nanoseconds; zero where 2.0 was never refused.
    fallen_back_until_ns: AtomicU64,
}

impl Negotiation {
    pub(super) fn new(wanted: RemoteWriteMessage) -> Self {
        Self { wanted, fallen_back_until_ns: AtomicU64::new(0) }
    }

    /// What to send now.
    pub(super) fn message(&self, now_ns: u64) -> RemoteWriteMessage {
        match self.wanted {
            RemoteWriteMessage::V2 if now_ns >= self.fallen_back_until_ns.load(Ordering::Relaxed) => {
                RemoteWriteMessage::V2
            }
            _ => RemoteWriteMessage::V1,
        }
    }

    /// The far side does not understand 2.0: it is asked again after [`WRITE_PROBE_INTERVAL`].
    pub(super) fn fall_back(&self, now_ns: u64) {
        let until_ns = now_ns.saturating_add(WRITE_PROBE_INTERVAL.as_nanos() as u64);
        self.fallen_back_until_ns.store(until_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_a_while() {
        let (v1, v2) = (RemoteWriteMessage::V1, RemoteWriteMessage::V2);
        let negotiation = Negotiation::new(v2);
        assert_eq!(negotiation.message(0), v2);
        negotiation.fall_back(5);
        let again = 5 + WRITE_PROBE_INTERVAL.as_nanos() as u64;
        assert_eq!((negotiation.message(again - 1), negotiation.message(again)), (v1, v2));
        assert_eq!(Negotiation::new(v1).message(again), v1);
    }
}
