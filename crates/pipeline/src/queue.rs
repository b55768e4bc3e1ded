//! A bounded queue whose items are leased: they stay accounted for until somebody says what became of them.
//!
//! Pure: time is an argument, nothing waits. `ExporterQueue` wraps it with a lock and wake-ups.

mod memory;

pub use memory::MemoryQueue;

/// The number of an item in its queue: 0, 1, 2, … in the order of offering.
pub type Sequence = u64;

/// What one item, or all items of a queue, take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Requests.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of memory.
    pub bytes: u64,
}

/// What the bound on items counts (`sizer` of the Collector's `sending_queue`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sizer {
    /// Requests, however large.
    #[default]
    Requests,
    /// Records.
    Records,
}

/// How much a queue may hold, leased items included. An item larger than the bounds passes when nothing else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many items.
    pub items: u64,
    /// What an item is.
    pub sizer: Sizer,
    /// At most so many bytes.
    pub bytes: u64,
}

/// What happens to an item that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is handed back, to be tried again by its sender.
    #[default]
    Refuse,
    /// The oldest items that nobody has leased make room; if that is not enough, the new one is lost.
    DropOldest,
    /// The new one is lost.
    DropNewest,
    /// Whoever offers it waits.
    Block,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The queue is full and refuses ([`Policy::Refuse`]).
    Full,
    /// The queue is full and drops what is new.
    Dropped,
    /// The queue is full; offer it again when there is room ([`Policy::Block`]).
    Wait,
}

/// An item that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal<T> {
    /// The item.
    pub item: T,
    /// Why.
    pub reason: RefusalReason,
}

/// The right to work on one item, and the duty to say what became of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a leased item takes up room until it is acknowledged or given back"]
pub struct Lease {
    /// The item's number.
    pub sequence: Sequence,
    /// How often it was leased, this time included.
    pub attempt: u32,
    /// When it was leased for the first time, Unix nanoseconds.
    pub first_leased_ns: u64,
    /// When it was offered, Unix nanoseconds.
    pub offered_ns: u64,
    /// What it takes up.
    pub size: Size,
}

/// The contract, the same whether items are kept in memory or on disk.
///
/// ```
/// use aldis_pipeline::queue::{Bounds, LeaseQueue, MemoryQueue, Policy, Size, Sizer};
///
/// let bounds = Bounds { items: 2, sizer: Sizer::Requests, bytes: 1 << 20 };
/// let mut queue = MemoryQueue::new(bounds, Policy::Refuse);
/// let size = Size { requests: 1, records: 10, bytes: 2750 };
/// let mut evicted = Vec::new();
/// assert_eq!(queue.offer("a", size, 0, &mut evicted), Ok(0));
/// assert_eq!(queue.offer("b", size, 0, &mut evicted), Ok(1));
/// assert!(queue.offer("c", size, 0, &mut evicted).is_err());
///
/// let (lease, item) = queue.lease(5).expect("one waits");
/// queue.nack(lease, item, 100);
/// let (lease, item) = queue.lease(5).expect("another waits");
/// assert_eq!(item, "b");
/// queue.ack(lease);
/// assert!(queue.lease(99).is_none());
/// assert_eq!(queue.lease(100).map(|(lease, item)| (lease.attempt, item)), Some((2, "a")));
/// ```
pub trait LeaseQueue<T> {
    /// Takes an item in, or says why not. Items that had to make room are put into `evicted`, with what they take up.
    ///
    /// # Errors
    /// The item, when it does not fit; what then happens to it is the caller's to do and to count.
    fn offer(
        &mut self,
        item: T,
        size: Size,
        now_ns: u64,
        evicted: &mut Vec<(Size, T)>,
    ) -> Result<Sequence, Refusal<T>>;

    /// Hands out the item that is due: one that was given back and whose time has come, else the oldest.
    fn lease(&mut self, now_ns: u64) -> Option<(Lease, T)>;

    /// Forgets a leased item.
    fn ack(&mut self, lease: Lease);

    /// Puts a leased item back, not to be leased before `not_before_ns`.
    fn nack(&mut self, lease: Lease, item: T, not_before_ns: u64);

    /// When the next item that was given back is due, Unix nanoseconds.
    fn next_due_ns(&self) -> Option<u64>;

    /// Takes out the oldest item that is not leased, due or not.
    fn evict(&mut self) -> Option<(Size, T)>;

    /// What is neither leased nor gone.
    fn waiting(&self) -> Size;

    /// What is leased.
    fn leased(&self) -> Size;
}

impl Lease {
    /// The time of its attempts begins anew, with the next one.
    pub(crate) fn start_over(&mut self) {
        self.first_leased_ns = u64::MAX;
    }
}

impl Size {
    /// As much more.
    pub fn add(&mut self, other: Size) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
    }

    pub(crate) fn sub(&mut self, other: Size) {
        self.requests -= other.requests;
        self.records -= other.records;
        self.bytes -= other.bytes;
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Size::default()
    }
}

impl Bounds {
    /// How many items this is, as these bounds count them.
    pub fn items_of(&self, size: Size) -> u64 {
        match self.sizer {
            Sizer::Requests => size.requests,
            Sizer::Records => size.records,
        }
    }

    /// Whether an item fits beside what is there.
    pub fn admit(&self, there: Size, new: Size) -> bool {
        let items = self.items_of(there).saturating_add(self.items_of(new)) <= self.items;
        let bytes = there.bytes.saturating_add(new.bytes) <= self.bytes;
        (items && bytes) || there.is_zero()
    }
}

#[cfg(test)]
mod tests;
