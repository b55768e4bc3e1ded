//! Charges in every order.

use loom::thread;

use super::*;
use crate::sync::model::check;

/// Two requests of which one fits: never both at once, and the second has its turn after the first.
#[test]
fn no_more_is_in_use_than_there_is() {
    check(4, || {
        let budget = Budget::new(10);
        let taking = |budget: Budget| {
            move || {
                let charge = budget.try_charge(6);
                let used = budget.used();
                assert!(used <= 10, "{used} bytes in use");
                let copy = charge.clone();
                drop(charge);
                copy.is_some()
            }
        };
        let other = thread::spawn(taking(budget.clone()));
        let one = taking(budget.clone())();
        assert!(other.join().unwrap() || one, "one of them has to fit");
        assert_eq!(budget.used(), 0);
        assert!(budget.try_charge(10).is_some());
    });
}

/// A request passes alone only if nothing but reservations is in use, whatever is being reserved or given back meanwhile:
/// one that fails, and one that comes and goes.
#[test]
fn a_reservation_on_its_way_lets_nobody_pass() {
    for (limit, reservation) in [(10, 6), (20, 6)] {
        check(4, move || {
            let budget = Budget::new(limit);
            let charge = budget.try_charge(6).unwrap();
            let reserving = budget.clone();
            let other = thread::spawn(move || drop(reserving.try_reserve(reservation, 1)));
            assert!(budget.try_charge(limit - 5).is_none());
            other.join().unwrap();
            drop(charge);
            assert_eq!((budget.used(), budget.reserved()), (0, 0));
        });
    }
}

/// Beside reservations one request passes, however large, and only one.
#[test]
fn one_request_passes_beside_reservations() {
    check(3, || {
        let budget = Budget::new(10);
        let reserved = budget.try_reserve(9, 1).unwrap();
        let taking = |budget: Budget| move || budget.try_charge(20);
        let other = thread::spawn(taking(budget.clone()));
        let one = taking(budget.clone())();
        let other = other.join().unwrap();
        assert!(one.is_some() != other.is_some(), "{one:?} {other:?}");
        drop((one, other, reserved));
        assert_eq!((budget.used(), budget.reserved()), (0, 0));
    });
}
