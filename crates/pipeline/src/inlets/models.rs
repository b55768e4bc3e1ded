//! Receivers that offer while what they lead to is replaced and closed, in every order.

use loom::thread;
use otlp::Signal;

use super::*;
use crate::{
    Item, Ledger, Outcome, Receipt,
    batcher::tests::batch,
    chain::models::chain,
    clock,
    sync::model::{block_on, check},
};

/// What is offered while the way leads elsewhere and the old chain closes is with one of the two: refused by neither.
#[test]
fn nobody_is_refused_while_a_chain_takes_the_place_of_another() {
    check(3, || {
        let ledger = Ledger::new();
        let ((old, old_end), (new, new_end)) = (chain(&ledger), chain(&ledger));
        let inlets = Inlets::new().with(Signal::Traces, old.clone());
        let offers = inlets.clone();
        let receiver = thread::spawn(move || {
            let (receipt, share) = Receipt::new(1);
            let mut item = Item::new(batch(0..1));
            item.context.shares.push(share);
            offers.through(Signal::Traces, |inlet| inlet.unwrap().offer(item, clock::now_ns()));
            receipt
        });
        inlets.lead_as(&Inlets::new().with(Signal::Traces, new.clone()));
        assert_eq!(old.close(clock::now_ns()), 0);
        let receipt = receiver.join().unwrap();
        assert_eq!(new.close(clock::now_ns()), 0);
        assert_eq!(block_on(receipt), Outcome::DELIVERED);
        assert_eq!(old_end.records() + new_end.records(), 1);
        ledger.stats().check().unwrap();
    });
}
