//! Who waits for an item, and what they are told.

use crate::Outcome;

/// Waits for what becomes of an item. Await it: it resolves once every share of it is resolved, to the worst outcome
/// (rejected records add up).
#[derive(Debug)]
pub struct Receipt {}

/// The right and duty to resolve part of a receipt. Dropped unresolved it counts as a retryable failure and as a bug.
#[derive(Debug)]
pub struct Share {}

impl Receipt {
    /// A receipt and the one share that stands for all of it. `weight` is the item's number of records.
    pub fn new(_weight: u64) -> (Receipt, Share) {
        todo!("contract stub")
    }
}

impl Future for Receipt {
    type Output = Outcome;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Outcome> {
        todo!("contract stub")
    }
}

impl Share {
    /// Settles this share.
    pub fn resolve(self, _outcome: Outcome) {
        todo!("contract stub")
    }
    /// Cuts off a share of `weight`, leaving the rest.
    pub fn split_off(&mut self, _weight: u64) -> Share {
        todo!("contract stub")
    }
    /// How much of the receipt it stands for.
    pub fn weight(&self) -> u64 {
        todo!("contract stub")
    }
}
