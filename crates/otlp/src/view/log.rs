//! Log records.

use super::{Attributes, ValueView, bytes, fixed32, fixed64, id, text, varint};
use crate::{SpanId, TraceId};

/// A log record, read in place.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    body: &'a [u8],
}

impl<'a> LogView<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// When the event happened, Unix nanoseconds; zero where that is not known.
    pub fn time_ns(&self) -> u64 {
        fixed64(self.body, 1)
    }

    /// When the record was collected, Unix nanoseconds.
    pub fn observed_time_ns(&self) -> u64 {
        fixed64(self.body, 11)
    }

    /// 1 to 24 as OTLP numbers severities; zero where nothing is said.
    pub fn severity_number(&self) -> i32 {
        varint(self.body, 2) as i32
    }

    /// The severity as its source names it.
    pub fn severity_text(&self) -> &'a str {
        text(self.body, 3)
    }

    /// The message.
    pub fn body_value(&self) -> ValueView<'a> {
        ValueView::of(bytes(self.body, 5))
    }

    /// The name of the event, where the record is one.
    pub fn event_name(&self) -> &'a str {
        text(self.body, 12)
    }

    /// The trace it belongs to.
    pub fn trace_id(&self) -> TraceId {
        TraceId(id(self.body, 9))
    }

    /// The span it belongs to.
    pub fn span_id(&self) -> SpanId {
        SpanId(id(self.body, 10))
    }

    /// W3C trace flags in the low eight bits.
    pub fn flags(&self) -> u32 {
        fixed32(self.body, 8)
    }

    /// What else describes it.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 6)
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 7) as u32
    }
}
