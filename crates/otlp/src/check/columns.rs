//! The index while it grows: scratch that a checker keeps from request to request.

use crate::index::{AttributeAt, MetricEntry, RecordAt, Records, ResourceEntry, ScopeEntry, bytes};
use crate::limits::MAX_KEPT_SCRATCH_BYTES;
use crate::spare::{Room, SharedIndex};

/// Columns with room to grow. What is handed out is a copy: at most one allocation per column, none of them regrown.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) resources: Vec<ResourceEntry>,
    pub(super) scopes: Vec<ScopeEntry>,
    pub(super) metrics: Vec<MetricEntry>,
    pub(super) records: Records,
    pub(super) attribute_first: Vec<u32>,
    pub(super) attributes: Vec<AttributeAt>,
}

/// What the pass learns of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) time_ns: u64,
    pub(super) end_ns: u64,
    pub(super) kind: u64,
    pub(super) status: u64,
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.resources.clear();
        self.scopes.clear();
        self.metrics.clear();
        self.records.clear();
        self.attribute_first.clear();
        self.attributes.clear();
    }

    /// One huge request must not cost its memory for good.
    pub(super) fn release_if_large(&mut self) {
        if self.memory_bytes() > MAX_KEPT_SCRATCH_BYTES {
            *self = Self::default();
        }
    }

    /// Heap bytes, by capacity.
    pub(super) fn memory_bytes(&self) -> usize {
        bytes(&self.resources)
            + bytes(&self.scopes)
            + bytes(&self.metrics)
            + self.records.memory_bytes()
            + bytes(&self.attribute_first)
            + bytes(&self.attributes)
    }

    #[inline(always)]
    pub(super) fn push_span(&mut self, at: RecordAt, row: &Row) {
        self.push_log(at, row);
        self.records.end_ns.push(row.end_ns);
        self.records.status.push(narrow(row.status));
    }

    #[inline(always)]
    pub(super) fn push_log(&mut self, at: RecordAt, row: &Row) {
        let records = &mut self.records;
        records.at.push(at);
        records.trace_id.push(row.trace_id);
        records.span_id.push(row.span_id);
        records.time_ns.push(row.time_ns);
        records.kind.push(narrow(row.kind));
    }

    #[inline(always)]
    pub(super) fn push_point(&mut self, at: RecordAt, metric: u32, time_ns: u64) {
        let records = &mut self.records;
        records.at.push(at);
        records.metric.push(metric);
        records.time_ns.push(time_ns);
    }

    /// Copies the columns out: into spare ones, else at their exact size. Empty ones allocate nothing.
    pub(super) fn to_index(&self) -> SharedIndex {
        let mut shared = SharedIndex::with_room(&Room {
            resources: self.resources.len(),
            scopes: self.scopes.len(),
            metrics: self.metrics.len(),
            records: self.records.at.len(),
            trace_ids: self.records.trace_id.len(),
            ends: self.records.end_ns.len(),
            attributes: self.attributes.len(),
        });
        let (to, from) = (shared.make_mut(), &self.records);
        fill(&mut to.resources, &self.resources);
        fill(&mut to.scopes, &self.scopes);
        fill(&mut to.metrics, &self.metrics);
        fill(&mut to.records.at, &from.at);
        fill(&mut to.records.metric, &from.metric);
        fill(&mut to.records.trace_id, &from.trace_id);
        fill(&mut to.records.span_id, &from.span_id);
        fill(&mut to.records.time_ns, &from.time_ns);
        fill(&mut to.records.end_ns, &from.end_ns);
        fill(&mut to.records.kind, &from.kind);
        fill(&mut to.records.status, &from.status);
        fill(&mut to.attributes.first, &self.attribute_first);
        fill(&mut to.attributes.at, &self.attributes);
        shared
    }
}

fn fill<T: Copy>(to: &mut Vec<T>, from: &[T]) {
    to.reserve_exact(from.len());
    to.extend_from_slice(from);
}

/// An enumeration's value as a byte; 255 for those that do not fit, negative ones included.
#[inline]
fn narrow(value: u64) -> u8 {
    // An enumeration is an int32 on the wire: prost drops the upper half.
    u8::try_from(value as u32).unwrap_or(u8::MAX)
}
