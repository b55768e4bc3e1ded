//! The contract, written once for whatever keeps the items.

use proptest::prelude::*;

use super::*;

/// What the contract says, stated over one plain list.
#[derive(Debug)]
struct Model {
    bounds: Bounds,
    policy: Policy,
    next: Sequence,
    /// (sequence, item's size, not before, attempts, first leased)
    waiting: Vec<Known>,
    leased: Vec<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    sequence: Sequence,
    size: Size,
    due_ns: u64,
    attempts: u32,
    first_ns: u64,
}

fn sum(of: &[Known]) -> Size {
    let mut total = Size::default();
    of.iter().for_each(|known| total.add(known.size));
    total
}

impl Model {
    fn fits(&self, beside: &[&[Known]], size: Size) -> bool {
        let mut there = Size::default();
        beside.iter().for_each(|list| there.add(sum(list)));
        let items = match self.bounds.sizer {
            Sizer::Requests => there.requests + 1,
            Sizer::Records => there.records + size.records,
        };
        beside.iter().all(|list| list.is_empty())
            || (items <= self.bounds.items && there.bytes + size.bytes <= self.bounds.bytes)
    }

    fn offer(&mut self, size: Size, evicted: &mut Vec<Sequence>) -> Result<Sequence, RefusalReason> {
        while !self.fits(&[&self.waiting, &self.leased], size) {
            match self.policy {
                Policy::Refuse => return Err(RefusalReason::Full),
                Policy::Block => return Err(RefusalReason::Wait),
                Policy::DropOldest if self.fits(&[&self.leased], size) => {
                    self.waiting.sort_by_key(|known| known.sequence);
                    evicted.push(self.waiting.remove(0).sequence);
                }
                _ => return Err(RefusalReason::Dropped),
            }
        }
        self.next += 1;
        let sequence = self.next - 1;
        self.waiting.push(Known { sequence, size, due_ns: u64::MAX, attempts: 0, first_ns: 0 });
        Ok(sequence)
    }

    fn lease(&mut self, now_ns: u64) -> Option<Known> {
        let due = |known: &&Known| known.attempts > 0 && known.due_ns <= now_ns;
        let back = self.waiting.iter().filter(due).min_by_key(|known| (known.due_ns, known.sequence));
        let fresh =
            || self.waiting.iter().filter(|known| known.attempts == 0).min_by_key(|known| known.sequence);
        let chosen = *back.or_else(fresh)?;
        self.waiting.retain(|known| known.sequence != chosen.sequence);
        let first_ns = if chosen.attempts == 0 { now_ns } else { chosen.first_ns };
        let chosen = Known { attempts: chosen.attempts + 1, first_ns, ..chosen };
        self.leased.push(chosen);
        Some(chosen)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer { records: u64, bytes: u64 },
    Lease,
    Ack(usize),
    Nack(usize, u64),
    Evict,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u64..8, 0u64..60).prop_map(|(records, bytes)| Step::Offer { records, bytes }),
        4 => Just(Step::Lease),
        2 => any::<usize>().prop_map(Step::Ack),
        3 => (any::<usize>(), 0u64..20).prop_map(|(which, after)| Step::Nack(which, after)),
        1 => Just(Step::Evict),
        2 => (0u64..10).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..80)
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Refuse), Just(Policy::DropOldest), Just(Policy::DropNewest), Just(Policy::Block),]
}

/// Items are their own sequence numbers, so that a mix-up shows.
fn contract(
    queue: &mut impl LeaseQueue<Sequence>,
    mut model: Model,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let mut now_ns = 0;
    let mut leases: Vec<(Lease, Sequence)> = Vec::new();
    for step in steps {
        match step {
            Step::Offer { records, bytes } => {
                let size = Size { requests: 1, records, bytes };
                let (mut evicted, mut expected) = (Vec::new(), Vec::new());
                let said =
                    queue.offer(model.next, size, now_ns, &mut evicted).map_err(|refusal| refusal.reason);
                prop_assert_eq!(said, model.offer(size, &mut expected));
                let evicted: Vec<Sequence> = evicted.into_iter().map(|(_, item)| item).collect();
                prop_assert_eq!(evicted, expected);
            }
            Step::Lease => match (queue.lease(now_ns), model.lease(now_ns)) {
                (Some((lease, item)), Some(known)) => {
                    prop_assert_eq!((lease.sequence, item), (known.sequence, known.sequence));
                    prop_assert_eq!((lease.attempt, lease.size), (known.attempts, known.size));
                    prop_assert_eq!(lease.first_leased_ns, known.first_ns);
                    leases.push((lease, item));
                }
                (lease, known) => prop_assert_eq!(lease.map(|_| ()), known.map(|_| ())),
            },
            Step::Ack(which) if !leases.is_empty() => {
                let (lease, _) = leases.swap_remove(which % leases.len());
                model.leased.retain(|known| known.sequence != lease.sequence);
                queue.ack(lease);
            }
            Step::Nack(which, after) if !leases.is_empty() => {
                let (lease, item) = leases.swap_remove(which % leases.len());
                let at = model.leased.iter().position(|known| known.sequence == lease.sequence).unwrap();
                let known = model.leased.remove(at);
                model.waiting.push(Known { due_ns: now_ns + after, ..known });
                queue.nack(lease, item, now_ns + after);
            }
            Step::Evict => {
                model.waiting.sort_by_key(|known| known.sequence);
                let expected = (!model.waiting.is_empty()).then(|| model.waiting.remove(0).sequence);
                prop_assert_eq!(queue.evict().map(|(_, item)| item), expected);
            }
            Step::Pass(ns) => now_ns += ns,
            Step::Ack(_) | Step::Nack(..) => {}
        }
        prop_assert_eq!(queue.waiting(), sum(&model.waiting));
        prop_assert_eq!(queue.leased(), sum(&model.leased));
        let due = model.waiting.iter().filter(|known| known.attempts > 0).map(|known| known.due_ns).min();
        prop_assert_eq!(queue.next_due_ns(), due);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn memory_keeps_the_contract(
        steps in steps(),
        policy in policy(),
        items in 1u64..20,
        by_records in any::<bool>(),
        bytes in 1u64..300,
    ) {
        let sizer = if by_records { Sizer::Records } else { Sizer::Requests };
        let bounds = Bounds { items, sizer, bytes };
        let model = Model { bounds, policy, next: 0, waiting: Vec::new(), leased: Vec::new() };
        contract(&mut MemoryQueue::new(bounds, policy), model, steps)?;
    }
}

#[test]
fn what_was_given_back_can_be_made_due_at_once() {
    let mut queue = MemoryQueue::new(Bounds { items: 4, sizer: Sizer::Requests, bytes: 100 }, Policy::Refuse);
    let size = Size { requests: 1, records: 1, bytes: 1 };
    queue.offer("a", size, 0, &mut Vec::new()).unwrap();
    let (lease, item) = queue.lease(1).unwrap();
    queue.nack(lease, item, 1_000);
    assert!(queue.lease(1).is_none());
    queue.all_due();
    assert_eq!(queue.lease(1).map(|(_, item)| item), Some("a"));
}
