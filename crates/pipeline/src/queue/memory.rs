//! The queue in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Bounds, Lease, LeaseQueue, Policy, Refusal, RefusalReason, Sequence, Size};

/// A [`LeaseQueue`] in memory. Constant time per item, except for those given back: logarithmic in how many wait for
/// another attempt.
#[derive(Debug)]
pub struct MemoryQueue<T> {
    bounds: Bounds,
    policy: Policy,
    in_order: bool,
    next: Sequence,
    /// Never leased. All of them are younger than any in `back`, because leases go in order.
    fresh: VecDeque<Entry<T>>,
    /// Given back.
    back: BTreeMap<Sequence, Back<T>>,
    /// The same, by when they are due.
    due: BTreeSet<(u64, Sequence)>,
    waiting: Size,
    leased: Size,
}

#[derive(Debug)]
struct Entry<T> {
    sequence: Sequence,
    offered_ns: u64,
    size: Size,
    item: T,
}

#[derive(Debug)]
struct Back<T> {
    lease: Lease,
    item: T,
    not_before_ns: u64,
}

impl<T> MemoryQueue<T> {
    /// An empty queue.
    pub fn new(bounds: Bounds, policy: Policy) -> Self {
        Self {
            bounds,
            policy,
            in_order: false,
            next: 0,
            fresh: VecDeque::new(),
            back: BTreeMap::new(),
            due: BTreeSet::new(),
            waiting: Size::default(),
            leased: Size::default(),
        }
    }

    /// The same where items must leave in their order: one is leased at a time, and none while an earlier one was given back and
    /// is not due.
    #[must_use]
    pub fn in_order(mut self, in_order: bool) -> Self {
        self.in_order = in_order;
        self
    }

    /// Makes everything that was given back due at once.
    pub fn all_due(&mut self) {
        self.due = self.back.keys().map(|sequence| (0, *sequence)).collect();
        for back in self.back.values_mut() {
            back.not_before_ns = 0;
        }
    }

    /// From now on these bounds hold. What is there stays, even where it is more than they allow.
    pub fn rebound(&mut self, bounds: Bounds, policy: Policy, in_order: bool) {
        (self.bounds, self.policy, self.in_order) = (bounds, policy, in_order);
    }

    /// The time of attempts begins anew for what waits for another.
    pub fn start_over(&mut self) {
        self.back.values_mut().for_each(|back| back.lease.start_over());
    }

    /// What waits for another attempt.
    pub fn given_back(&mut self) -> impl Iterator<Item = &mut T> {
        self.back.values_mut().map(|back| &mut back.item)
    }

    fn there(&self) -> Size {
        let mut there = self.waiting;
        there.add(self.leased);
        there
    }

    /// Whether an item would fit now, without any other making room.
    pub fn admits(&self, size: Size) -> bool {
        self.bounds.admit(self.there(), size)
    }
}

impl<T> LeaseQueue<T> for MemoryQueue<T> {
    fn offer(
        &mut self,
        item: T,
        size: Size,
        now_ns: u64,
        evicted: &mut Vec<(Size, T)>,
    ) -> Result<Sequence, Refusal<T>> {
        if !self.admits(size) {
            let reason = match self.policy {
                Policy::Refuse => RefusalReason::Full,
                Policy::Block => RefusalReason::Wait,
                Policy::DropNewest => RefusalReason::Dropped,
                Policy::DropOldest if !self.bounds.admit(self.leased, size) => RefusalReason::Dropped,
                Policy::DropOldest => {
                    while !self.admits(size) {
                        evicted.extend(self.evict());
                    }
                    return Ok(self.push(item, size, now_ns));
                }
            };
            return Err(Refusal { item, reason });
        }
        Ok(self.push(item, size, now_ns))
    }

    fn lease(&mut self, now_ns: u64) -> Option<(Lease, T)> {
        if self.in_order && !self.leased.is_zero() {
            return None;
        }
        let (lease, item) = match self.due.first().copied() {
            Some((due_ns, sequence)) if due_ns <= now_ns => {
                self.due.remove(&(due_ns, sequence));
                let Back { mut lease, item, .. } = self.back.remove(&sequence)?;
                lease.attempt += 1;
                lease.first_leased_ns = lease.first_leased_ns.min(now_ns);
                (lease, item)
            }
            Some(_) if self.in_order => return None,
            _ => {
                let Entry { sequence, offered_ns, size, item } = self.fresh.pop_front()?;
                (Lease { sequence, attempt: 1, first_leased_ns: now_ns, offered_ns, size }, item)
            }
        };
        self.waiting.sub(lease.size);
        self.leased.add(lease.size);
        Some((lease, item))
    }

    fn ack(&mut self, lease: Lease) {
        self.leased.sub(lease.size);
    }

    fn nack(&mut self, lease: Lease, item: T, not_before_ns: u64) {
        self.leased.sub(lease.size);
        self.waiting.add(lease.size);
        self.due.insert((not_before_ns, lease.sequence));
        self.back.insert(lease.sequence, Back { lease, item, not_before_ns });
    }

    fn next_due_ns(&self) -> Option<u64> {
        self.due.first().map(|(due_ns, _)| *due_ns)
    }

    fn evict(&mut self) -> Option<(Size, T)> {
        let (size, item) = match self.back.pop_first() {
            Some((sequence, back)) => {
                self.due.remove(&(back.not_before_ns, sequence));
                (back.lease.size, back.item)
            }
            None => self.fresh.pop_front().map(|entry| (entry.size, entry.item))?,
        };
        self.waiting.sub(size);
        Some((size, item))
    }

    fn waiting(&self) -> Size {
        self.waiting
    }

    fn leased(&self) -> Size {
        self.leased
    }
}

impl<T> MemoryQueue<T> {
    fn push(&mut self, item: T, size: Size, now_ns: u64) -> Sequence {
        let sequence = self.next;
        self.next += 1;
        self.waiting.add(size);
        self.fresh.push_back(Entry { sequence, offered_ns: now_ns, size, item });
        sequence
    }
}
