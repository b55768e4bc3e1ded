//! Receipts in every order.

use std::{pin::pin, sync::Arc};

use super::*;
use crate::sync::model::{block_on, check};
use loom::thread;

fn retry(maybe_delivered: bool) -> Outcome {
    Outcome::Retry { after: None, maybe_delivered, overloaded: false, reason: "503".to_owned() }
}

fn permanent() -> Outcome {
    Outcome::Permanent { code: "400".into(), reason: "bad".to_owned() }
}

/// Rejected records, a failure and a split on three threads while the receipt is awaited: it resolves, once, to the
/// worst of them, and to the sum where nothing failed.
#[test]
fn a_receipt_hears_the_worst_of_all_its_shares() {
    let cases = [
        (
            Outcome::Delivered { rejected: 2 },
            Outcome::Delivered { rejected: 3 },
            Outcome::Delivered { rejected: 5 },
        ),
        (Outcome::Removed, Outcome::DELIVERED, Outcome::DELIVERED),
        (Outcome::DELIVERED, retry(false), retry(true)),
        (permanent(), retry(false), permanent()),
    ];
    for (one, two, whole) in cases {
        check(3, move || {
            let (receipt, mut share) = Receipt::new(10);
            let mut other = share.split_off(6);
            let (one, two) = (one.clone(), two.clone());
            let first = thread::spawn(move || {
                let rest = other.split_off(2);
                other.resolve(one);
                rest.resolve(Outcome::Removed);
            });
            let second = thread::spawn(move || share.resolve(two));
            assert_eq!(block_on(receipt), whole);
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

/// The waker that is told is the one given last, even if the last share is resolved in between.
#[test]
fn a_receipt_that_moves_between_tasks_is_not_forgotten() {
    check(4, || {
        let (receipt, share) = Receipt::new(1);
        let resolving = thread::spawn(move || share.resolve(Outcome::DELIVERED));
        let mut receipt = pin!(receipt);
        let polled = receipt.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let outcome = match polled {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => block_on(receipt),
        };
        assert_eq!(outcome, Outcome::DELIVERED);
        resolving.join().unwrap();
    });
}

/// A share that is dropped tells that it was.
#[test]
fn a_dropped_share_is_a_failure_and_not_silence() {
    check(3, || {
        let (receipt, mut share) = Receipt::new(2);
        let dropped = share.split_off(1);
        let dropping = thread::spawn(move || drop(dropped));
        let resolving = thread::spawn(move || share.resolve(Outcome::DELIVERED));
        let outcome = block_on(receipt);
        assert!(matches!(outcome, Outcome::Retry { maybe_delivered: true, .. }), "{outcome:?}");
        dropping.join().unwrap();
        resolving.join().unwrap();
    });
}

/// Branches of a fan-out end on different threads: the whole is told once, and hears the best.
#[test]
fn a_fan_out_hears_the_best_of_its_branches_once() {
    let cases = [
        (retry(false), Outcome::Delivered { rejected: 1 }, Outcome::Delivered { rejected: 1 }),
        (permanent(), retry(false), retry(false)),
    ];
    for (one, two, whole) in cases {
        check(3, move || {
            let told = Arc::new(Mutex::new(Vec::new()));
            let listener = told.clone();
            let share = Share::listened(4, Arc::new(move |outcome| listener.lock().unwrap().push(outcome)));
            let (receipt, counted) = Receipt::new(4);
            let branches = fan_out(vec![share, counted], 2);
            let threads: Vec<_> = branches
                .into_iter()
                .zip([one.clone(), two.clone()])
                .map(|(mut branch, outcome)| {
                    thread::spawn(move || {
                        let part = take_weight(&mut branch, 3);
                        resolve_all(part, Outcome::Removed);
                        resolve_all(branch, outcome);
                    })
                })
                .collect();
            let outcome = block_on(receipt);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let told = std::mem::take(&mut *told.lock().unwrap());
            assert_eq!(told.len(), 1, "{told:?}");
            match (&whole, outcome) {
                // The whole was dealt out between two that wait.
                (Outcome::Delivered { rejected }, Outcome::Delivered { rejected: part }) => {
                    let Outcome::Delivered { rejected: other } = told[0] else { panic!("{told:?}") };
                    assert_eq!(part + other, *rejected);
                }
                (whole, outcome) => assert_eq!((&outcome, &told[0]), (whole, whole)),
            }
        });
    }
}
