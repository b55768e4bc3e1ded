//! Makes few large batches of many small ones.

mod tally;

use std::{sync::Arc, time::Duration};

pub use tally::{BatcherCounters, BatcherStats, SIZE_BOUNDS, SIZES, Trigger};

use crate::{Item, limits::MAX_BATCHER_GROUPS, queue::Size, retry::nanoseconds};

/// What a batch should be like. Zero means no such bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatcherSettings {
    /// A batch of this many records leaves at once (`send_batch_size`).
    pub min_records: usize,
    /// No batch has more records than this, unless it cannot be divided (`send_batch_max_size`).
    pub max_records: usize,
    /// A batch of this many bytes leaves at once.
    pub min_bytes: usize,
    /// No batch has more bytes than this, unless it cannot be divided.
    pub max_bytes: usize,
    /// No record waits longer than this (`timeout`); zero means that nothing waits.
    pub flush_interval: Duration,
    /// Whether a batch leaves at once, however small, while an exporter has nothing to do.
    pub eager: bool,
    /// Groups (tenants, sets of headers) kept apart at once (`metadata_cardinality_limit`); one more sends the oldest on.
    pub max_groups: usize,
}

impl Default for BatcherSettings {
    /// The Collector's `batch` processor, and eager.
    fn default() -> Self {
        Self {
            min_records: 8192,
            max_records: 0,
            min_bytes: 0,
            max_bytes: 0,
            flush_interval: Duration::from_millis(200),
            eager: true,
            max_groups: MAX_BATCHER_GROUPS,
        }
    }
}

/// Collects items and lets them go as larger ones. Pure: time, and how many exporters are idle, are arguments.
///
/// Items of different tenants or headers are never merged; those that cannot be divided (profiles, framing-checked) pass
/// at once, alone. What would be larger together than a request may be ([`otlp::limits::MAX_REQUEST_BYTES`]) is not merged
/// either. Shares and charges go with the records they stand for.
#[derive(Debug)]
pub struct Batcher {
    settings: BatcherSettings,
    /// No group holds more bytes than this, whatever the settings: it has to fit into one request.
    most_bytes: u64,
    /// Oldest first. Few: most pipelines have one.
    groups: Vec<Group>,
    counters: Option<Arc<BatcherCounters>>,
}

#[derive(Debug)]
struct Group {
    items: Vec<Item>,
    size: Size,
    first_ns: u64,
}

impl Batcher {
    /// An empty one.
    pub fn new(settings: BatcherSettings) -> Self {
        let most_bytes = otlp::limits::MAX_REQUEST_BYTES as u64;
        Self { settings, most_bytes, groups: Vec::new(), counters: None }
    }

    /// An empty one that counts what it lets go of.
    pub fn counted(settings: BatcherSettings, counters: Arc<BatcherCounters>) -> Self {
        Self { counters: Some(counters), ..Self::new(settings) }
    }

    /// Takes an item; what is full is put into `out`. Call [`Batcher::tick`] afterwards.
    pub fn push(&mut self, item: Item, now_ns: u64, out: &mut Vec<Item>) {
        if !item.is_divisible() {
            return self.let_go([item], Trigger::Size, out);
        }
        let size = item.size();
        let like = |group: &Group| {
            group.items.first().is_some_and(|first| {
                first.batch.signal() == item.batch.signal() && first.context.is_mergeable_with(&item.context)
            })
        };
        let mut group = self.groups.iter().position(like);
        if let Some(at) = group
            && self.groups[at].size.bytes.saturating_add(size.bytes) > self.most_bytes
        {
            let whole = self.groups.remove(at);
            self.send(whole, Trigger::Size, out);
            group = None;
        }
        if group.is_none()
            && self.is_full(size)
            && self.settings.max_records == 0
            && self.settings.max_bytes == 0
        {
            // Large enough by itself, and none before it waits.
            return self.let_go([item], Trigger::Size, out);
        }
        let at = group.unwrap_or_else(|| {
            if self.groups.len() >= self.settings.max_groups.max(1) {
                let oldest = self.groups.remove(0);
                self.send(oldest, Trigger::Size, out);
            }
            self.groups.push(Group { items: Vec::new(), size: Size::default(), first_ns: now_ns });
            self.groups.len() - 1
        });
        self.groups[at].items.push(item);
        self.groups[at].size.add(size);
        if self.is_full(self.groups[at].size) {
            let group = self.groups.remove(at);
            self.send_full(group, out);
        }
        self.note_groups();
    }

    /// Lets go what has waited long enough, and as many groups as there are sends that could begin now (`free_slots`;
    /// what is in `out` already takes some of them).
    pub fn tick(&mut self, now_ns: u64, free_slots: usize, out: &mut Vec<Item>) {
        let mut idle = if self.settings.eager { free_slots.saturating_sub(out.len()) } else { 0 };
        while let Some(first) = self.groups.first() {
            let due_ns = first.first_ns.saturating_add(nanoseconds(self.settings.flush_interval));
            if due_ns > now_ns && idle == 0 {
                break;
            }
            idle = idle.saturating_sub(1);
            let trigger = if due_ns > now_ns { Trigger::Idle } else { Trigger::Timeout };
            let group = self.groups.remove(0);
            self.send(group, trigger, out);
        }
        self.note_groups();
    }

    /// Lets everything go.
    pub fn flush(&mut self, out: &mut Vec<Item>) {
        for group in std::mem::take(&mut self.groups) {
            self.send(group, Trigger::Flush, out);
        }
        self.note_groups();
    }

    /// What the next batch would take up in a queue, if it left now.
    pub(crate) fn next_size(&self) -> Option<Size> {
        self.groups.first().map(|group| Size { requests: 1, ..group.size })
    }

    /// When [`Batcher::tick`] is due whether or not an exporter is idle, Unix nanoseconds.
    pub fn due_ns(&self) -> Option<u64> {
        let first = self.groups.first()?;
        Some(first.first_ns.saturating_add(nanoseconds(self.settings.flush_interval)))
    }

    /// Whether it lets go as soon as an exporter has nothing to do.
    pub fn is_eager(&self) -> bool {
        self.settings.eager
    }

    /// What it holds.
    pub fn held(&self) -> Size {
        let mut total = Size::default();
        self.groups.iter().for_each(|group| total.add(group.size));
        total
    }

    fn is_full(&self, size: Size) -> bool {
        let reached = |min: usize, max: usize, there: u64| {
            let bound = if min == 0 { max } else { min };
            bound > 0 && there >= bound as u64
        };
        let Self { settings, .. } = self;
        reached(settings.min_records, settings.max_records, size.records)
            || reached(settings.min_bytes, settings.max_bytes, size.bytes)
    }

    /// Sends all of a group, in pieces within the maximum.
    fn send(&self, group: Group, trigger: Trigger, out: &mut Vec<Item>) {
        self.let_go(self.pieces(group.items), trigger, out);
    }

    /// The only way out.
    fn let_go(&self, items: impl IntoIterator<Item = Item>, trigger: Trigger, out: &mut Vec<Item>) {
        let count = |item: &Item| {
            if let Some(counters) = &self.counters {
                counters.count(trigger, item.batch.len() as u64);
            }
        };
        out.extend(items.into_iter().inspect(count));
    }

    fn note_groups(&self) {
        if let Some(counters) = &self.counters {
            counters.groups.set(self.groups.len() as u64);
        }
    }

    /// Sends the full batches of a group; a rest that is not full goes on waiting, as long as it would have.
    fn send_full(&mut self, group: Group, out: &mut Vec<Item>) {
        let mut pieces = self.pieces(group.items);
        if pieces.len() > 1
            && let Some(rest) = pieces.pop_if(|last| !self.is_full(last.size()))
        {
            let size = rest.size();
            let at = self.groups.partition_point(|other| other.first_ns <= group.first_ns);
            self.groups.insert(at, Group { items: vec![rest], size, first_ns: group.first_ns });
        }
        self.let_go(pieces, Trigger::Size, out);
    }

    fn pieces(&self, items: Vec<Item>) -> Vec<Item> {
        let Self { settings, .. } = self;
        match Item::merge(items) {
            Some(whole) if settings.max_records == 0 && settings.max_bytes == 0 => vec![whole],
            Some(whole) => whole.split(settings.max_records, settings.max_bytes),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
