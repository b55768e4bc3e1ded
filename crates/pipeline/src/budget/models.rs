//! Charges in every order.

use loom::thread;

use super::*;
use crate::sync::model::check;

/// Two requests of which one fits: never both at once, and the second has its turn after the first.
#[test]
fn no_more_is_in_use_than_there_is() {
    check(9, || {
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
