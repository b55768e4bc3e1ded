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
    /// Of these, what stages let go of ([`Holding::let_go`]): it is on its way out, so nobody is asked for it again. Added
    /// and taken off as `reserved` is.
    leaving: AtomicUsize,
    /// Bytes of the largest request that was refused for want of room since stages were last asked for some.
    asked: AtomicUsize,
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
    kind: Kind,
}

/// Where bytes are counted besides [`Part::used`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Reserved,
    Leaving,
}

/// Bytes that somebody keeps from call to call, now more, now less. They are counted and never refused: they are there
/// already. What is too much is asked back ([`Budget::relieve`]).
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
            leaving: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
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
        self.take(bytes, Kind::Plain, |part| {
            let is_free = part.try_take(bytes, Some(0));
            if !is_free {
                part.ask(bytes);
            }
            is_free
        })
    }

    /// Takes bytes that stay taken whether or not they are filled, such as the window of a connection: if that many are
    /// free, and all reservations together stay within a `divisor`th of the limit.
    pub fn try_reserve(&self, bytes: usize, divisor: usize) -> Option<Charge> {
        self.take(bytes, Kind::Reserved, |part| part.try_reserve(bytes, divisor))
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

    /// Bytes that are free; of several budgets, in the fullest.
    pub fn free(&self) -> usize {
        let free = |part: &Arc<Part>| part.limit.saturating_sub(part.used.load(Ordering::Relaxed));
        self.parts.iter().map(free).min().unwrap_or(0)
    }

    /// Nothing held yet.
    pub(crate) fn holding(&self) -> Holding {
        Holding { parts: self.parts.clone(), bytes: 0 }
    }

    /// Has `notify` told whenever memory is wanted back.
    pub(crate) fn tell(&self, notify: &Arc<Notify>) {
        for part in self.parts.iter() {
            let mut holders = part.holders();
            // Those that are gone make room: graphs come and go while a budget stays.
            holders.retain(|holder| holder.strong_count() > 0);
            holders.push(Arc::downgrade(notify));
        }
    }

    /// Asks those who hold memory to free so many bytes.
    pub(crate) fn want(&self, bytes: usize) {
        self.parts.iter().for_each(|part| part.want(bytes));
    }

    /// Has `free` let go of bytes if some are wanted: what is used beyond the limit, or would be with what was refused since
    /// the last time. It says how many it could; others who hold memory are asked for the rest.
    pub(crate) fn relieve(&self, free: impl FnOnce(usize) -> usize) {
        // Most often there is enough, which needs no write.
        if self.parts.iter().all(|part| part.asked.load(Ordering::Relaxed) == 0 && part.over(0) == 0) {
            return;
        }
        let wanted: Vec<usize> = self.parts.iter().map(|part| part.take_wanted()).collect();
        let most = wanted.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return;
        }
        let freed = free(most);
        for (part, wanted) in self.parts.iter().zip(wanted) {
            // Whoever could free nothing asks nobody, itself included, lest they ask each other in a circle.
            if freed > 0 && freed < wanted {
                part.want(wanted - freed);
            }
        }
    }

    fn take(&self, bytes: usize, kind: Kind, try_part: impl Fn(&Part) -> bool) -> Option<Charge> {
        for (i, part) in self.parts.iter().enumerate() {
            if !try_part(part) {
                self.parts[..i].iter().for_each(|part| part.give_back(bytes, kind));
                return None;
            }
        }
        Some(Charge { taken: Arc::new(Taken { parts: self.parts.clone(), bytes, kind }) })
    }
}

impl Part {
    /// In use, and not on its way out.
    fn staying(&self) -> usize {
        let leaving = self.leaving.load(Ordering::Acquire);
        self.used.load(Ordering::Relaxed).saturating_sub(leaving)
    }

    /// By how much it would be beyond its limit with so many bytes more, once what is on its way out is gone.
    fn over(&self, bytes: usize) -> usize {
        self.staying().saturating_add(bytes).saturating_sub(self.limit)
    }

    /// Asks for so many bytes to be freed.
    fn want(&self, bytes: usize) {
        self.ask(self.limit.saturating_add(bytes).saturating_sub(self.staying()));
    }

    /// Asks for room for so many bytes.
    fn ask(&self, bytes: usize) {
        self.asked.fetch_max(bytes, Ordering::AcqRel);
        self.holders().retain(|holder| holder.upgrade().inspect(|holder| holder.notify_one()).is_some());
    }

    /// What is missing now, not when it was asked for: meanwhile there may be room.
    fn take_wanted(&self) -> usize {
        self.over(self.asked.swap(0, Ordering::AcqRel))
    }

    fn holders(&self) -> crate::sync::MutexGuard<'_, Vec<Weak<Notify>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `own` are the bytes, of those in use, beside which more may pass if the rest is reserved; `None` if they must fit.
    fn try_take(&self, bytes: usize, own: Option<usize>) -> bool {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let after = used.saturating_add(bytes);
            let fits = after <= self.limit;
            let others = own.map(|own| used.saturating_sub(own));
            let may_pass = others.is_some_and(|others| others <= self.reserved.load(Ordering::Relaxed));
            if !fits && !may_pass {
                return false;
            }
            match self.used.compare_exchange_weak(used, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if fits => return true,
                Ok(_) => return self.is_alone(others.unwrap_or(used), bytes),
                Err(now) => used = now,
            }
        }
    }

    /// Whether all that others had in use `before` too much was taken is reserved, looked at once more: the first look may have
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
        if within(self.reserved.load(Ordering::Relaxed)).is_none() || !self.try_take(bytes, None) {
            return false;
        }
        let is_within = self.reserved.fetch_update(Ordering::AcqRel, Ordering::Relaxed, within).is_ok();
        if !is_within {
            self.used.fetch_sub(bytes, Ordering::AcqRel);
        }
        is_within
    }

    fn take_anyway(&self, bytes: usize, kind: Kind) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        if let Some(count) = self.count_of(kind) {
            count.fetch_add(bytes, Ordering::AcqRel);
        }
    }

    fn give_back(&self, bytes: usize, kind: Kind) {
        if let Some(count) = self.count_of(kind) {
            count.fetch_sub(bytes, Ordering::AcqRel);
        }
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn count_of(&self, kind: Kind) -> Option<&AtomicUsize> {
        match kind {
            Kind::Plain => None,
            Kind::Reserved => Some(&self.reserved),
            Kind::Leaving => Some(&self.leaving),
        }
    }
}

impl Charge {
    /// Takes so many bytes more if they are free. What it is for already is no other's: where nothing else but reservations is in
    /// use, more may always pass, as in [`Budget::try_charge`]. A charge that has clones does not grow.
    ///
    /// ```
    /// use aldis_pipeline::Budget;
    ///
    /// let budget = Budget::new(100);
    /// let mut charge = budget.try_charge(60).unwrap();
    /// assert!(charge.try_grow(40) && budget.try_charge(1).is_none());
    /// ```
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let Some(taken) = Arc::get_mut(&mut self.taken) else { return false };
        debug_assert!(taken.kind == Kind::Plain, "only requests grow");
        for (i, part) in taken.parts.iter().enumerate() {
            if !part.try_take(bytes, Some(taken.bytes)) {
                part.ask(bytes);
                taken.parts[..i].iter().for_each(|part| part.give_back(bytes, Kind::Plain));
                return false;
            }
        }
        taken.bytes += bytes;
        true
    }

    /// Makes an estimate exact: from now on it is for that many bytes. More are taken even where they are not free, since
    /// they are in use already. A charge that has clones stays as it is.
    pub fn settle(&mut self, bytes: usize) {
        let Some(taken) = Arc::get_mut(&mut self.taken) else { return };
        debug_assert!(taken.kind != Kind::Reserved, "reservations are not estimates");
        for part in taken.parts.iter() {
            match bytes.checked_sub(taken.bytes) {
                Some(more) => part.take_anyway(more, taken.kind),
                None => part.give_back(taken.bytes - bytes, taken.kind),
            }
        }
        taken.bytes = bytes;
    }

    /// As many bytes more, of what this one is charged to, for as long as they are needed beside it: another form of the same
    /// telemetry on its way out. They are taken even where they are not free: sending is what frees memory.
    pub fn beside(&self, bytes: usize) -> Charge {
        let parts = self.taken.parts.clone();
        parts.iter().for_each(|part| part.take_anyway(bytes, Kind::Plain));
        Charge { taken: Arc::new(Taken { parts, bytes, kind: Kind::Plain }) }
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
        charges.push(Charge { taken: Arc::new(Taken { parts, bytes, kind: Kind::Plain }) });
    }

    /// Whether it has no clones.
    pub(crate) fn is_sole(&self) -> bool {
        Arc::strong_count(&self.taken) == 1
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

    /// A charge for bytes that are passed on and were not charged otherwise.
    pub(crate) fn let_go(&self, bytes: usize) -> Charge {
        self.parts.iter().for_each(|part| part.take_anyway(bytes, Kind::Leaving));
        Charge { taken: Arc::new(Taken { parts: self.parts.clone(), bytes, kind: Kind::Leaving }) }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.parts.iter().for_each(|part| part.give_back(self.bytes, self.kind));
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, aldis_models))]
mod models;
