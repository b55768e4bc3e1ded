use std::{
    sync::atomic::AtomicBool,
    task::{Wake, Waker},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

fn poll(receipt: &mut Receipt) -> Option<Outcome> {
    match Pin::new(receipt).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn retry(seconds: u64) -> Outcome {
    let after = Some(Duration::from_secs(seconds));
    Outcome::Retry { after, maybe_delivered: false, overloaded: false, reason: "busy".to_owned() }
}

fn permanent() -> Outcome {
    Outcome::Permanent { code: "INTERNAL".into(), reason: "bad".to_owned() }
}

#[test]
fn it_waits_for_the_last_share_and_wakes_then() {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let (mut receipt, mut share) = Receipt::new(5);
    let other = share.split_off(2);
    assert_eq!((share.weight(), other.weight()), (3, 2));
    assert!(Pin::new(&mut receipt).poll(&mut Context::from_waker(&waker)).is_pending());
    share.resolve(Outcome::DELIVERED);
    assert!(!flag.0.load(Ordering::Relaxed));
    other.resolve(Outcome::Delivered { rejected: 2 });
    assert!(flag.0.load(Ordering::Relaxed));
    assert_eq!(poll(&mut receipt), Some(Outcome::Delivered { rejected: 2 }));
}

#[test]
fn a_dropped_share_is_a_retry_and_a_counted_bug() {
    let before = dropped_unresolved();
    let (mut receipt, share) = Receipt::new(1);
    drop(share);
    assert!(matches!(poll(&mut receipt), Some(Outcome::Retry { maybe_delivered: true, .. })));
    assert!(dropped_unresolved() > before);
}

#[test]
fn no_more_is_rejected_than_was_sent() {
    for said in [4, 1 << 62, u64::MAX] {
        let (mut receipt, mut share) = Receipt::new(6);
        share.split_off(3).resolve(Outcome::Delivered { rejected: said });
        share.resolve(Outcome::Delivered { rejected: said });
        assert_eq!(poll(&mut receipt), Some(Outcome::Delivered { rejected: 6 }), "a far side says {said}");
        let (mut receipts, shares): (Vec<_>, Vec<_>) = [2, 0, 1].map(Receipt::new).into_iter().unzip();
        fan_out(shares, 2)
            .into_iter()
            .for_each(|branch| resolve_all(branch, Outcome::Delivered { rejected: said }));
        let told: Vec<_> = receipts.iter_mut().map(|receipt| poll(receipt).unwrap()).collect();
        assert_eq!(told, [2, 0, 1].map(|rejected| Outcome::Delivered { rejected }), "a far side says {said}");
    }
}

#[test]
fn what_was_removed_is_a_success_of_its_own() {
    let (mut receipt, share) = Receipt::new(1);
    share.resolve(Outcome::Removed);
    assert_eq!(poll(&mut receipt), Some(Outcome::Removed));
}

#[test]
fn a_retry_of_a_whole_that_was_partly_delivered_says_so() {
    let (mut receipt, mut share) = Receipt::new(2);
    share.split_off(1).resolve(Outcome::DELIVERED);
    share.resolve(retry(1));
    assert!(matches!(poll(&mut receipt), Some(Outcome::Retry { maybe_delivered: true, .. })));
}

#[test]
fn a_fan_out_fails_only_if_no_branch_delivered() {
    let cases = [
        (vec![Outcome::DELIVERED, retry(1)], Outcome::DELIVERED),
        (vec![permanent(), Outcome::Delivered { rejected: 1 }, retry(1)], Outcome::Delivered { rejected: 1 }),
        (
            vec![Outcome::Delivered { rejected: 4 }, Outcome::Delivered { rejected: 1 }],
            Outcome::Delivered { rejected: 4 },
        ),
        (vec![permanent(), retry(2), retry(9)], retry(9)),
        (vec![permanent(), permanent()], permanent()),
        (vec![Outcome::Removed, Outcome::Removed], Outcome::Removed),
        (vec![Outcome::Removed, retry(2)], retry(2)),
    ];
    for (told, expected) in cases {
        let (mut one, a) = Receipt::new(6);
        let (mut two, b) = Receipt::new(4);
        let branches = fan_out(vec![a, b], told.len());
        for (i, (branch, outcome)) in branches.into_iter().zip(told).enumerate() {
            assert_eq!(poll(&mut one), None, "before branch {i}");
            assert_eq!(branch.iter().map(Share::weight).sum::<u64>(), 10);
            resolve_all(branch, outcome);
        }
        let (one, two) = (poll(&mut one).unwrap(), poll(&mut two).unwrap());
        match (&one, &two, &expected) {
            (
                Outcome::Delivered { rejected: a },
                Outcome::Delivered { rejected: b },
                Outcome::Delivered { rejected },
            ) => assert_eq!(a + b, *rejected),
            _ => assert_eq!((&one, &two), (&expected, &expected)),
        }
    }
}

#[derive(Clone, Debug)]
enum Part {
    Delivered(u64),
    Removed,
    Retry(u64),
    Permanent,
    Dropped,
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => (0u64..3).prop_map(Part::Delivered),
        2 => Just(Part::Removed),
        1 => (0u64..5).prop_map(Part::Retry),
        1 => Just(Part::Permanent),
        1 => Just(Part::Dropped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Against the rule stated naively over the whole list.
    #[test]
    fn outcomes_combine_as_stated(parts in prop::collection::vec((part(), 0u64..4), 1..12)) {
        let total: u64 = parts.iter().map(|(_, weight)| weight).sum();
        let (mut receipt, mut whole) = Receipt::new(total);
        let mut shares: Vec<Share> = parts[1..].iter().map(|(_, weight)| whole.split_off(*weight)).collect();
        prop_assert_eq!(whole.weight(), parts[0].1);
        shares.insert(0, whole);
        for (share, (part, weight)) in shares.into_iter().zip(&parts) {
            prop_assert_eq!(share.weight(), *weight);
            prop_assert_eq!(poll(&mut receipt), None);
            match part {
                Part::Delivered(rejected) => share.resolve(Outcome::Delivered { rejected: *rejected }),
                Part::Removed => share.resolve(Outcome::Removed),
                Part::Retry(seconds) => share.resolve(retry(*seconds)),
                Part::Permanent => share.resolve(permanent()),
                Part::Dropped => drop(share),
            }
        }
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(|(part, _)| wanted(part));
        let delivered = has(|part| matches!(part, Part::Delivered(_)));
        let outcome = poll(&mut receipt).unwrap();
        if has(|part| matches!(part, Part::Permanent)) {
            prop_assert_eq!(outcome, permanent());
        } else if has(|part| matches!(part, Part::Retry(_) | Part::Dropped)) {
            let latest = parts.iter().filter_map(|(part, _)| match part {
                Part::Retry(seconds) => Some(Duration::from_secs(*seconds)),
                _ => None,
            }).max();
            let dropped = has(|part| matches!(part, Part::Dropped));
            let Outcome::Retry { after, maybe_delivered, .. } = outcome else { panic!("{outcome:?}") };
            prop_assert_eq!(after, latest);
            prop_assert_eq!(maybe_delivered, delivered || dropped);
        } else if delivered {
            let rejected = parts.iter().map(|(part, weight)| match part {
                Part::Delivered(rejected) => *rejected.min(weight),
                _ => 0,
            }).sum();
            prop_assert_eq!(outcome, Outcome::Delivered { rejected });
        } else {
            prop_assert_eq!(outcome, Outcome::Removed);
        }
    }

    #[test]
    fn rejections_are_dealt_out_exactly(weights in prop::collection::vec(0u64..50, 1..8), part in 0u64..=100) {
        let total: u64 = weights.iter().sum();
        let rejected = total * part / 100;
        let (mut receipts, shares): (Vec<_>, Vec<_>) = weights.iter().map(|weight| Receipt::new(*weight)).unzip();
        resolve_all(shares, Outcome::Delivered { rejected });
        let mut sum = 0;
        for (receipt, weight) in receipts.iter_mut().zip(&weights) {
            let Some(Outcome::Delivered { rejected }) = poll(receipt) else { panic!("not delivered") };
            prop_assert!(rejected <= *weight);
            sum += rejected;
        }
        prop_assert_eq!(sum, rejected);
    }

    #[test]
    fn taking_weight_divides_exactly(weights in prop::collection::vec(0u64..9, 0..6), take in 0u64..40) {
        let total: u64 = weights.iter().sum();
        let (mut receipts, mut shares): (Vec<_>, Vec<_>) = weights.iter().map(|weight| Receipt::new(*weight)).unzip();
        let taken = take_weight(&mut shares, take);
        let sum = |shares: &[Share]| shares.iter().map(Share::weight).sum::<u64>();
        prop_assert_eq!(sum(&taken), take.min(total));
        prop_assert_eq!(sum(&taken) + sum(&shares), total);
        resolve_all(taken, Outcome::DELIVERED);
        resolve_all(shares, Outcome::DELIVERED);
        for receipt in &mut receipts {
            prop_assert_eq!(poll(receipt), Some(Outcome::DELIVERED));
        }
    }
}
