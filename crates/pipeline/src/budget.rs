//! Memory that may be in use at once.

use std::sync::{Arc, PoisonError, Weak};

use crate::sync::{
    Mutex, Notify,
    atomic::{AtomicUsize, Ordering},
};

/// A bound on bytes in use, shared by whoever clones it. One made [of several](Budget::of_all) bounds by each of them.
///
/// ```
/// use aldis_pipeline::Budget;
///
/// let (small, large) = (Budget::new(100), Budget::new(1000));
/// let both = Budget::of_all([small.clone(), large.clone()]).unwrap();
/// let charge = both.try_charge(80).unwrap();
/// assert_eq!((small.used(), large.used()), (80, 80));
/// assert!(both.try_charge(30).is_none() && large.try_charge(30).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    /// At least one, all different.
    parts: Arc<[Arc<Part>]>,
}

#[derive(Debug)]
struct Part {
    limit: usize,
    used: AtomicUsize,
    /// Of these, what is reserved ([`Budget::try_reserve`]): added after it was added to `used` and taken off before, so that
    /// it is never more than that.
    reserved: AtomicUsize,
    /// Bytes that have to be freed before what was refused would fit.
    wanted: AtomicUsize,
    /// Who could free some.
    holders: Mutex<Vec<Weak<Notify>>>,
}

/// Bytes taken from a [`Budget`]; given back when the last clone is dropped, so that copies of a batch that share its
/// bytes are charged once.
#[derive(Clone, Debug)]
pub struct Charge {
    taken: Arc<Taken>,
}

#[derive(Debug)]
struct Taken {
    parts: Arc<[Arc<Part>]>,
    bytes: usize,
    is_reserved: bool,
}

/// Bytes that somebody keeps from call to call, now more, now less. They are counted and never refused: they are there
/// already. What is too much is asked back ([`Budget::take_wanted`]).
#[derive(Debug)]
pub(crate) struct Holding {
    parts: Arc<[Arc<Part>]>,
    bytes: usize,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(limit: usize) -> Self {
        let part = Part {
            limit,
            used: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            holders: Mutex::new(Vec::new()),
        };
        Self { parts: Arc::new([Arc::new(part)]) }
    }

    /// One that charges each of these, once where one is named twice: for what several pipelines will hold together.
    /// `None` of none.
    pub fn of_all(budgets: impl IntoIterator<Item = Budget>) -> Option<Self> {
        let mut parts: Vec<Arc<Part>> = Vec::new();
        for part in budgets.into_iter().flat_map(|budget| budget.parts.to_vec()) {
            if !parts.iter().any(|known| Arc::ptr_eq(known, &part)) {
                parts.push(part);
            }
        }
        (!parts.is_empty()).then(|| Self { parts: parts.into() })
    }

    /// Takes bytes if that many are free. One request may always pass when nothing else but reservations is in use, however
    /// large it is: its own size limit bounds it.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        self.take(bytes, false, |part| {
            let is_free = part.try_take(bytes, true);
            if !is_free {
                part.want(part.over(bytes));
            }
            is_free
        })
    }

    /// Takes bytes that stay taken whether or not they are filled, such as the window of a connection: if that many are
    /// free, and all reservations together stay within a `divisor`th of the limit.
    pub fn try_reserve(&self, bytes: usize, divisor: usize) -> Option<Charge> {
        self.take(bytes, true, |part| part.try_reserve(bytes, divisor))
    }

    /// Bytes in use; of several budgets, in the fullest.
    pub fn used(&self) -> usize {
        self.parts.iter().map(|part| part.used.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// Bytes reserved; of several budgets, in the fullest.
    pub fn reserved(&self) -> usize {
        self.parts.iter().map(|part| part.reserved.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// The bound, in bytes; of several budgets, the smallest.
    pub fn limit(&self) -> usize {
        self.parts.iter().map(|part| part.limit).min().unwrap_or(0)
    }

    /// Nothing held yet.
    pub(crate) fn holding(&self) -> Holding {
        Holding { parts: self.parts.clone(), bytes: 0 }
    }

    /// Has `notify` told whenever memory is wanted back.
    pub(crate) fn tell(&self, notify: &Arc<Notify>) {
        self.parts.iter().for_each(|part| part.holders().push(Arc::downgrade(notify)));
    }

    /// Asks those who hold memory to free so many bytes.
    pub(crate) fn want(&self, bytes: usize) {
        self.parts.iter().for_each(|part| part.want(bytes));
    }

    /// Bytes that should be freed now, by whoever asks: what was wanted since the last time, and what is used beyond the
    /// limit.
    pub(crate) fn take_wanted(&self) -> usize {
        self.parts.iter().map(|part| part.take_wanted()).max().unwrap_or(0)
    }

    fn take(&self, bytes: usize, is_reserved: bool, try_part: impl Fn(&Part) -> bool) -> Option<Charge> {
        for (i, part) in self.parts.iter().enumerate() {
            if !try_part(part) {
                self.parts[..i].iter().for_each(|part| part.give_back(bytes, is_reserved));
                return None;
            }
        }
        Some(Charge { taken: Arc::new(Taken { parts: self.parts.clone(), bytes, is_reserved }) })
    }
}

impl Part {
    /// By how much it would be beyond its limit with so many bytes more.
    fn over(&self, bytes: usize) -> usize {
        self.used.load(Ordering::Relaxed).saturating_add(bytes).saturating_sub(self.limit)
    }

    fn want(&self, bytes: usize) {
        self.wanted.fetch_max(bytes, Ordering::AcqRel);
        self.holders().retain(|holder| holder.upgrade().inspect(|holder| holder.notify_one()).is_some());
    }

    fn take_wanted(&self) -> usize {
        // Most often there is nothing, which needs no write.
        let nothing = self.wanted.load(Ordering::Relaxed) == 0;
        let wanted = if nothing { 0 } else { self.wanted.swap(0, Ordering::AcqRel) };
        wanted.max(self.over(0))
    }

    fn holders(&self) -> crate::sync::MutexGuard<'_, Vec<Weak<Notify>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(&self, bytes: usize, may_pass_alone: bool) -> bool {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let after = used.saturating_add(bytes);
            let fits = after <= self.limit;
            let may_pass = may_pass_alone && used <= self.reserved.load(Ordering::Relaxed);
            if !fits && !may_pass {
                return false;
            }
            match self.used.compare_exchange_weak(used, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if fits => return true,
                Ok(_) => return self.is_alone(used, bytes),
                Err(now) => used = now,
            }
        }
    }

    /// Whether all that was in use `before` too much was taken is reserved, looked at once more: the first look may have
    /// seen a reservation that was given back until then. While too much is taken nothing is reserved anew. What must not
    /// pass is given back.
    fn is_alone(&self, before: usize, bytes: usize) -> bool {
        let is_alone = before <= self.reserved.load(Ordering::Acquire);
        if !is_alone {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
        }
        is_alone
    }

    fn try_reserve(&self, bytes: usize, divisor: usize) -> bool {
        let within = |reserved: usize| {
            reserved.checked_add(bytes).filter(|reserved| *reserved <= self.limit / divisor.max(1))
        };
        // A look beforehand, lest what cannot be reserved is taken from others for a moment.
        if within(self.reserved.load(Ordering::Relaxed)).is_none() || !self.try_take(bytes, false) {
            return false;
        }
        let is_within = self.reserved.fetch_update(Ordering::AcqRel, Ordering::Relaxed, within).is_ok();
        if !is_within {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
        }
        is_within
    }

    fn give_back(&self, bytes: usize, is_reserved: bool) {
        if is_reserved {
            self.reserved.fetch_sub(bytes, Ordering::AcqRel);
        }
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Charge {
    /// Makes an estimate exact: from now on it is for that many bytes. More are taken even where they are not free, since
    /// they are in use already. A charge that has clones stays as it is.
    pub fn settle(&mut self, bytes: usize) {
        let Some(taken) = Arc::get_mut(&mut self.taken) else { return };
        debug_assert!(!taken.is_reserved, "reservations are not estimates");
        for part in taken.parts.iter() {
            match bytes.checked_sub(taken.bytes) {
                Some(more) => part.used.fetch_add(more, Ordering::AcqRel),
                None => part.used.fetch_sub(taken.bytes - bytes, Ordering::AcqRel),
            };
        }
        taken.bytes = bytes;
    }

    /// Puts one charge of `bytes` in the place of all of these, of what they are charged to: what is left of all they stand
    /// for. Nothing becomes nothing.
    pub(crate) fn replace(charges: &mut Vec<Charge>, bytes: usize) {
        let Some((first, rest)) = charges.split_first_mut() else { return };
        if rest.is_empty() && Arc::get_mut(&mut first.taken).is_some() {
            return first.settle(bytes);
        }
        let parts = if rest.iter().all(|other| Arc::ptr_eq(&other.taken.parts, &first.taken.parts)) {
            first.taken.parts.clone()
        } else {
            let of = |charge: &Charge| Budget { parts: charge.taken.parts.clone() };
            let Some(all) = Budget::of_all(charges.iter().map(of)) else { return };
            all.parts
        };
        // In use already, whatever is free.
        for part in parts.iter() {
            part.used.fetch_add(bytes, Ordering::AcqRel);
        }
        charges.clear();
        charges.push(Charge { taken: Arc::new(Taken { parts, bytes, is_reserved: false }) });
    }

    /// The bytes it is for.
    pub fn bytes(&self) -> usize {
        self.taken.bytes
    }
}

impl Holding {
    /// From now on this many.
    pub(crate) fn set(&mut self, bytes: usize) {
        for part in self.parts.iter() {
            match bytes.checked_sub(self.bytes) {
                Some(more) => part.used.fetch_add(more, Ordering::AcqRel),
                None => part.used.fetch_sub(self.bytes - bytes, Ordering::AcqRel),
            };
        }
        self.bytes = bytes;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.parts.iter().for_each(|part| part.give_back(self.bytes, self.is_reserved));
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!((budget.used(), large.used(), both.take_wanted()), (70, 70, 0));
        assert!(budget.try_charge(50).is_none());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(told.notified()).poll(&mut context).is_ready());
        assert_eq!((both.take_wanted(), both.take_wanted()), (20, 0));
        holding.set(130);
        assert_eq!(both.take_wanted(), 30);
        holding.set(20);
        assert!(budget.try_charge(80).is_some());
        drop(holding);
        assert_eq!((budget.used(), large.used()), (0, 0));
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
}

#[cfg(all(test, aldis_models))]
mod models;
