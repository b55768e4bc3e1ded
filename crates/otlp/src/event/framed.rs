//! Records behind one another, with tags and lengths, and their part of an index.

use super::LogRecord;
use super::log::LogPlan;
use super::point::PointPlan;
use super::span::SpanPlan;

use crate::index::{AttributeColumns, Range32, RecordAt, Records};
use crate::put::{self, len_tag};
use crate::{Depth, Index, Signal};

/// Records as they stand in a scope (or, points, in a metric's data). Offsets count from the first of them.
#[derive(Debug, Default)]
pub(crate) struct Framed {
    bytes: Vec<u8>,
    records: Records,
    attributes: AttributeColumns,
}

impl Framed {
    /// Room for what is expected.
    pub(crate) fn with_capacity(bytes: usize, records: usize, signal: Signal, depth: Depth) -> Self {
        let mut framed = Framed { bytes: Vec::with_capacity(bytes), ..Framed::default() };
        if depth >= Depth::Records && signal != Signal::Metrics {
            let columns = &mut framed.records;
            columns.at.reserve(records);
            columns.trace_id.reserve(records);
            columns.span_id.reserve(records);
            columns.time_ns.reserve(records);
            columns.kind.reserve(records);
            if signal == Signal::Traces {
                columns.end_ns.reserve(records);
                columns.status.reserve(records);
            }
        }
        framed
    }

    /// Bytes and records that it came to hold.
    pub(crate) fn expected(&self) -> (usize, usize) {
        (self.bytes.len(), self.records.at.len())
    }

    /// Bytes of all records, tags and lengths included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn push_span(&mut self, plan: &SpanPlan<'_>, start_ns: u64, depth: Depth) {
        self.push(len_tag(2), plan.len, depth, |out, attributes| match attributes {
            Some(attributes) => plan.put(out, attributes),
            None => plan.put(out, &mut ()),
        });
        if depth >= Depth::Records {
            let records = &mut self.records;
            records.trace_id.push(plan.trace_id.bytes);
            records.span_id.push(plan.span_id.bytes);
            records.time_ns.push(start_ns);
            records.end_ns.push(plan.end_ns);
            records.kind.push(plan.kind);
            records.status.push(plan.status());
        }
    }

    pub(crate) fn push_log(&mut self, plan: &LogPlan<'_>, log: &LogRecord, depth: Depth) {
        self.push(len_tag(2), plan.len, depth, |out, attributes| match attributes {
            Some(attributes) => plan.put(out, attributes),
            None => plan.put(out, &mut ()),
        });
        if depth >= Depth::Records {
            let records = &mut self.records;
            records.trace_id.push(plan.trace_id.bytes);
            records.span_id.push(plan.span_id.bytes);
            records.time_ns.push(log.time_ns);
            records.kind.push(log.severity_number);
        }
    }

    pub(crate) fn push_point(&mut self, plan: &PointPlan<'_>, time_ns: u64, depth: Depth) {
        self.push(len_tag(1), plan.len, depth, |out, attributes| match attributes {
            Some(attributes) => plan.put(out, attributes),
            None => plan.put(out, &mut ()),
        });
        if depth >= Depth::Records {
            self.records.time_ns.push(time_ns);
        }
    }

    /// Appends one record with a body of `len` bytes; `put` writes the body.
    #[inline]
    fn push(
        &mut self,
        tag: u8,
        len: usize,
        depth: Depth,
        put: impl FnOnce(&mut Vec<u8>, Option<&mut AttributeColumns>),
    ) {
        let start = self.bytes.len() as u32;
        self.bytes.reserve(put::len_field(len));
        put::open(tag, len, &mut self.bytes);
        let body = self.bytes.len();
        if depth == Depth::Attributes {
            self.attributes.first.push(self.attributes.at.len() as u32);
            put(&mut self.bytes, Some(&mut self.attributes));
        } else {
            put(&mut self.bytes, None);
        }
        debug_assert_eq!(self.bytes.len() - body, len);
        if depth >= Depth::Records {
            let body = Range32 { start: body as u32, end: self.bytes.len() as u32 };
            self.records.at.push(RecordAt { start, body, scope: 0 });
        }
    }

    /// Moves everything behind what `out` and `index` hold, as records of this scope and metric.
    pub(crate) fn put(
        self,
        depth: Depth,
        scope: u32,
        metric: Option<u32>,
        out: &mut Vec<u8>,
        index: &mut Index,
    ) {
        let by = out.len() as u32;
        out.extend_from_slice(&self.bytes);
        if depth == Depth::Counts {
            return;
        }
        let count = self.records.at.len();
        let to = &mut index.records;
        append(&mut to.at, self.records.at, |at| {
            at.start += by;
            at.body = at.body.moved(by);
            at.scope = scope;
        });
        if let Some(metric) = metric {
            to.metric.resize(to.metric.len() + count, metric);
        }
        append(&mut to.trace_id, self.records.trace_id, |_| ());
        append(&mut to.span_id, self.records.span_id, |_| ());
        append(&mut to.time_ns, self.records.time_ns, |_| ());
        append(&mut to.end_ns, self.records.end_ns, |_| ());
        append(&mut to.kind, self.records.kind, |_| ());
        append(&mut to.status, self.records.status, |_| ());
        let to = &mut index.attributes;
        let entries = to.at.len() as u32;
        append(&mut to.first, self.attributes.first, |first| *first += entries);
        append(&mut to.at, self.attributes.at, |at| {
            at.field = at.field.moved(by);
            at.key = at.key.moved(by);
            at.value = at.value.moved(by);
        });
    }
}

/// Moves a column behind another. The only service of a request (the usual case inside a process) moves without a copy.
fn append<T: Copy>(to: &mut Vec<T>, mut from: Vec<T>, change: impl FnMut(&mut T)) {
    from.iter_mut().for_each(change);
    if to.is_empty() {
        *to = from;
    } else {
        to.extend_from_slice(&from);
    }
}
