//! What travels through a pipeline.

use std::sync::Arc;

use otlp::{Batch, Check, Codec, Signal};

use crate::{
    Charge, Outcome, Progress, Share, Traced,
    queue::Size,
    receipt::{fan_out, resolve_all, take_weight},
};

/// A batch and what must be known about it on its way.
#[derive(Debug)]
pub struct Item {
    /// The telemetry.
    pub batch: Batch,
    /// Where it came from and who waits for it.
    pub context: Context,
}

/// What is known about a batch besides its bytes. Batches whose tenant or headers differ are never merged.
#[derive(Debug, Default)]
pub struct Context {
    /// The receiver's configured name.
    pub source: Option<Arc<str>>,
    /// Who sent it, where receivers tell senders apart.
    pub tenant: Option<Arc<str>>,
    /// Request headers selected by configuration (`include_metadata`), sorted by name, lower case.
    pub headers: Option<Arc<[(String, String)]>>,
    /// When it was received, Unix nanoseconds.
    pub received_ns: u64,
    /// When its sender stops waiting, Unix nanoseconds.
    pub deadline_ns: Option<u64>,
    /// Whether an attempt to deliver it ended without telling whether it arrived.
    pub maybe_delivered: bool,
    /// Who waits for it, and with which weight.
    pub shares: Vec<Share>,
    /// The memory it is charged for; freed when the last part of it is gone.
    pub charges: Vec<Charge>,
    /// What earlier attempts of an exporter have settled.
    pub progress: Option<Box<Progress>>,
    /// Which of the requests in it are traced, and who is told what becomes of them.
    pub traced: Option<Box<Traced>>,
}

impl Item {
    /// An item that nobody waits for.
    pub fn new(batch: Batch) -> Self {
        Self { batch, context: Context::default() }
    }

    /// What it takes up in a queue.
    pub fn size(&self) -> Size {
        Size { requests: 1, records: self.batch.len() as u64, bytes: self.batch.memory_bytes() as u64 }
    }

    /// Gives its memory back, then tells everybody who waits for it.
    pub fn resolve(self, outcome: Outcome) {
        let Item { batch, context: Context { shares, charges, .. } } = self;
        drop((batch, charges));
        resolve_all(shares, outcome);
    }

    /// Tells everybody who waits for it that it was taken over, and keeps it.
    pub fn acknowledge(&mut self) {
        resolve_all(std::mem::take(&mut self.context.shares), Outcome::DELIVERED);
    }

    /// Forgets which parts of it were settled, for an exporter that numbers parts otherwise than the one before. What arrived
    /// there may arrive twice.
    pub(crate) fn begin_again(&mut self) {
        let progress = self.context.progress.take();
        self.context.maybe_delivered |= progress.is_some_and(|progress| progress.delivered() > 0);
    }

    /// Keeps only the form compressed with this codec, where there is one, and gives back the memory of the rest.
    pub(crate) fn pack(&mut self, codec: Codec) {
        if self.batch.packed().is_none() && self.batch.pack(codec) {
            Charge::replace(&mut self.context.charges, self.batch.memory_bytes());
        }
    }

    /// Whether it may be merged with others or split: profiles, framing-checked and packed batches pass whole.
    pub fn is_divisible(&self) -> bool {
        self.batch.packed().is_none()
            && self.batch.signal() != Signal::Profiles
            && self.batch.checked() == Check::Full
    }

    /// Items of one signal, tenant and set of headers as one, in order. Empty gives nothing.
    pub fn merge(items: Vec<Item>) -> Option<Item> {
        let mut items = items.into_iter();
        let mut first = items.next()?;
        if items.len() == 0 {
            return Some(first);
        }
        let mut batches = vec![first.batch];
        for item in items {
            first.context.absorb(item.context);
            batches.push(item.batch);
        }
        Some(Item { batch: otlp::merge(&batches), context: first.context })
    }

    /// At most `max_records` and `max_bytes` in each (zero means no bound), in order. Shares are divided with the records
    /// they stand for.
    pub fn split(self, max_records: usize, max_bytes: usize) -> Vec<Item> {
        let Item { batch, mut context } = self;
        let pieces = otlp::split(batch, max_records, max_bytes);
        let mut records_left: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut items = Vec::with_capacity(pieces.len());
        let count = pieces.len();
        for (i, batch) in pieces.into_iter().enumerate() {
            let records = batch.len() as u64;
            if i + 1 == count {
                items.push(Item { batch, context });
                break;
            }
            let part = context.cut(records, records_left);
            records_left -= records;
            items.push(Item { batch, context: part });
        }
        items
    }

    /// Copies for `n` destinations: the bytes are shared, and whoever waits is told by the rule of
    /// [`crate::receipt::fan_out`].
    pub fn fan_out(self, n: usize) -> Vec<Item> {
        let Item { batch, mut context } = self;
        let branches = fan_out(std::mem::take(&mut context.shares), n);
        let copy =
            |shares| Item { batch: batch.clone(), context: Context { shares, ..context.without_shares() } };
        branches.into_iter().map(copy).collect()
    }
}

impl Context {
    /// Of so many records in it, how many are handed back to their senders if it is given up: whoever sent them waits, is told so,
    /// and has them. Of copies only the senders' own count: another copy may be delivered, and they are told that.
    pub(crate) fn handed_back(&self, records: u64) -> u64 {
        let waiting = self.shares.iter().filter(|share| !share.is_branch()).map(Share::weight).sum();
        records.min(waiting)
    }

    /// Whether items may be merged: the same tenant and the same headers.
    pub fn is_mergeable_with(&self, other: &Context) -> bool {
        self.tenant == other.tenant && self.headers == other.headers
    }

    /// A copy that nobody waits for.
    pub fn without_shares(&self) -> Context {
        Context {
            source: self.source.clone(),
            tenant: self.tenant.clone(),
            headers: self.headers.clone(),
            received_ns: self.received_ns,
            deadline_ns: self.deadline_ns,
            maybe_delivered: self.maybe_delivered,
            shares: Vec::new(),
            charges: self.charges.clone(),
            progress: None,
            traced: self.traced.clone(),
        }
    }

    /// A copy for `records` of the `of` records it stands for, with that part of the shares.
    pub(crate) fn cut(&mut self, records: u64, of: u64) -> Context {
        let weight: u64 = self.shares.iter().map(Share::weight).sum();
        // Equal unless a stage made or removed records without saying for whom.
        let part = u128::from(weight) * u128::from(records) / u128::from(of.max(1));
        Context { shares: take_weight(&mut self.shares, part as u64), ..self.without_shares() }
    }

    /// Takes over what another item's context stands for: the earliest times, all shares, all charges.
    fn absorb(&mut self, other: Context) {
        if self.source != other.source {
            self.source = None;
        }
        self.received_ns = self.received_ns.min(other.received_ns);
        self.deadline_ns = match (self.deadline_ns, other.deadline_ns) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        match (&mut self.traced, other.traced) {
            (Some(one), Some(two)) => one.join(&two),
            (None, two) => self.traced = two,
            (Some(_), None) => {}
        }
        self.shares.extend(other.shares);
        self.charges.extend(other.charges);
    }
}
