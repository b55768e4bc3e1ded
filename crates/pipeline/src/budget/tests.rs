use super::*;

#[test]
fn bytes_come_back_with_the_last_clone() {
    let budget = Budget::new(100);
    let charge = budget.try_charge(60).unwrap();
    assert!(budget.try_charge(41).is_none());
    let clone = charge.clone();
    drop(charge);
    assert_eq!(budget.used(), 60);
    drop(clone);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_held_counts_and_is_asked_back() {
    let (budget, large) = (Budget::new(100), Budget::new(1000));
    let told = Arc::new(Notify::new());
    let both = Budget::of_all([large.clone(), budget.clone()]).unwrap();
    both.tell(&told);
    let mut holding = both.holding();
    holding.set(70);
    assert_eq!((budget.used(), large.used(), wanted(&both, 0)), (70, 70, 0));
    assert!(budget.try_charge(50).is_none());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(told.notified()).poll(&mut context).is_ready());
    assert_eq!((wanted(&both, 20), wanted(&both, 20)), (20, 0));
    holding.set(130);
    assert_eq!(wanted(&both, 30), 30);
    holding.set(20);
    assert!(budget.try_charge(80).is_some());
    drop(holding);
    assert_eq!((budget.used(), large.used()), (0, 0));
}

/// How much it wants of somebody who then says it freed so much.
fn wanted(budget: &Budget, freed: usize) -> usize {
    let mut told = 0;
    budget.relieve(|wanted| {
        told = wanted;
        freed
    });
    told
}

#[test]
fn what_one_cannot_free_is_asked_of_others() {
    let budget = Budget::new(100);
    let mut holding = budget.holding();
    holding.set(90);
    assert!(budget.try_charge(40).is_none());
    // The first has five, which are on their way out from then on.
    let mut leaving = None;
    budget.relieve(|wanted| {
        assert_eq!(wanted, 30);
        holding.set(85);
        leaving = Some(holding.let_go(5));
        5
    });
    assert_eq!((budget.used(), wanted(&budget, 25)), (90, 25));
    assert_eq!(wanted(&budget, 0), 0);
    assert!(budget.try_charge(40).is_none());
    // Nobody has any: nobody is asked in vain again and again.
    assert_eq!((wanted(&budget, 0), wanted(&budget, 0)), (25, 0));
    drop(leaving);
    assert_eq!(budget.used(), 85);
}

#[test]
fn what_was_asked_long_ago_and_is_free_now_is_not_wanted() {
    let budget = Budget::new(100);
    let body = budget.try_charge(90).unwrap();
    assert!(budget.try_charge(40).is_none());
    drop(body);
    let mut holding = budget.holding();
    holding.set(1);
    assert_eq!(wanted(&budget, 0), 0);
    // Nor does it come back when memory is short again.
    holding.set(90);
    assert_eq!(wanted(&budget, 0), 0);
}

#[test]
fn what_is_on_its_way_out_counts_and_is_not_wanted() {
    let budget = Budget::new(100);
    let mut holding = budget.holding();
    holding.set(60);
    let mut leaving = holding.let_go(70);
    assert_eq!((budget.used(), wanted(&budget, 0)), (130, 0));
    assert!(budget.try_charge(1).is_none());
    leaving.settle(30);
    holding.set(101);
    assert_eq!((budget.used(), wanted(&budget, 2)), (131, 2));
    drop((leaving, holding));
    assert_eq!(budget.used(), 0);
    assert!(budget.try_charge(100).is_some());
}

#[test]
fn one_request_larger_than_the_budget_passes_alone() {
    let budget = Budget::new(100);
    let large = budget.try_charge(1000).unwrap();
    assert!(budget.try_charge(1).is_none());
    drop(large);
    assert!(budget.try_charge(1).is_some());
}

#[test]
fn several_budgets_are_charged_all_or_none() {
    let (one, two) = (Budget::new(100), Budget::new(50));
    let all = Budget::of_all([one.clone(), two.clone(), one.clone()]).unwrap();
    assert_eq!(all.limit(), 50);
    let charge = all.try_charge(40).unwrap();
    assert_eq!((one.used(), two.used(), all.used()), (40, 40, 40));
    assert!(all.try_charge(20).is_none());
    assert_eq!((one.used(), two.used()), (40, 40), "what the first gave is given back");
    let other = one.try_charge(60).unwrap();
    drop(charge);
    assert_eq!((one.used(), two.used()), (60, 0));
    assert!(all.try_charge(41).is_none(), "the larger one can be the fuller");
    drop(other);
    assert!(Budget::of_all([]).is_none());
}

#[test]
fn an_estimate_settles_in_both_directions() {
    let budget = Budget::new(100);
    let mut charge = budget.try_charge(60).unwrap();
    charge.settle(10);
    assert_eq!((budget.used(), charge.bytes()), (10, 10));
    charge.settle(130);
    assert_eq!(budget.used(), 130, "it is in use, whatever is free");
    let clone = charge.clone();
    charge.settle(1);
    assert_eq!(budget.used(), 130, "others rely on it");
    drop((charge, clone));
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_left_takes_the_place_of_all_charges() {
    let (one, two) = (Budget::new(100), Budget::new(100));
    let mut charges = vec![one.try_charge(60).unwrap()];
    Charge::replace(&mut charges, 7);
    assert_eq!(one.used(), 7);
    // Another copy has all of it still.
    let copy = charges.clone();
    Charge::replace(&mut charges, 3);
    assert_eq!(one.used(), 10);
    charges.extend([two.try_charge(50).unwrap(), one.try_charge(5).unwrap()]);
    Charge::replace(&mut charges, 4);
    assert_eq!((one.used(), two.used(), charges.len()), (11, 4, 1), "each stands for both");
    drop((charges, copy));
    assert_eq!((one.used(), two.used()), (0, 0));
    Charge::replace(&mut Vec::new(), 9);
}

#[test]
fn reservations_keep_to_their_part_and_let_one_large_request_pass() {
    let budget = Budget::new(100);
    let window = budget.try_reserve(25, 4).unwrap();
    assert!(budget.try_reserve(1, 4).is_none());
    let other = budget.try_reserve(20, 2).unwrap();
    assert_eq!((budget.used(), budget.reserved()), (45, 45));
    let body = budget.try_charge(1000).unwrap();
    assert!(budget.try_charge(1).is_none() && budget.try_reserve(1, 1).is_none());
    assert_eq!(budget.reserved(), 45, "a refused reservation leaves nothing behind");
    drop((window, other, body));
    assert_eq!((budget.used(), budget.reserved()), (0, 0));
}

#[test]
fn a_charge_grows_beyond_the_limit_only_alone() {
    let (one, two) = (Budget::new(100), Budget::new(200));
    let mut charge = Budget::of_all([two.clone(), one.clone()]).unwrap().try_charge(60).unwrap();
    let window = one.try_reserve(20, 2).unwrap();
    assert!(charge.try_grow(60), "the rest is reserved");
    assert_eq!((charge.bytes(), one.used(), two.used()), (120, 140, 120));
    charge.settle(60);
    let other = one.try_charge(1).unwrap();
    assert!(!charge.try_grow(20));
    assert_eq!((charge.bytes(), one.used(), two.used()), (60, 81, 60), "all or none");
    assert!(charge.try_grow(19));
    let clone = charge.clone();
    assert!(!charge.try_grow(0), "others rely on it");
    drop((charge, clone, other, window));
    assert_eq!((one.used(), two.used()), (0, 0));
}
