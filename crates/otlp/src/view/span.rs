//! Spans, their events and links.

use super::{Attributes, bytes, fixed32, fixed64, id, next_message, text, varint};
use crate::index::Records;
use crate::wire::{self, Fields};
use crate::{SpanId, TraceId};

/// A span, read in place. Ids, times and kind come from the index.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    body: &'a [u8],
    records: &'a Records,
    i: usize,
}

impl<'a> SpanView<'a> {
    pub(super) fn new(body: &'a [u8], records: &'a Records, i: usize) -> Self {
        Self { body, records, i }
    }

    /// The trace it belongs to.
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.records.trace_id[self.i])
    }

    /// Its id.
    pub fn span_id(&self) -> SpanId {
        SpanId(self.records.span_id[self.i])
    }

    /// The span that caused it; zero for a root.
    pub fn parent_span_id(&self) -> SpanId {
        SpanId(id(self.body, 4))
    }

    /// The operation.
    pub fn name(&self) -> &'a str {
        text(self.body, 5)
    }

    /// `SpanKind` as OTLP numbers it: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub fn kind(&self) -> i32 {
        match self.records.kind[self.i] {
            u8::MAX => varint(self.body, 6) as i32,
            kind => i32::from(kind),
        }
    }

    /// W3C trace flags in the low eight bits; bits 8 and 9 say whether the parent is remote.
    pub fn flags(&self) -> u32 {
        fixed32(self.body, 16)
    }

    /// The W3C `tracestate`.
    pub fn trace_state(&self) -> &'a str {
        text(self.body, 3)
    }

    /// When it began, Unix nanoseconds.
    pub fn start_ns(&self) -> u64 {
        self.records.time_ns[self.i]
    }

    /// When it ended, Unix nanoseconds.
    pub fn end_ns(&self) -> u64 {
        self.records.end_ns[self.i]
    }

    /// 0 unset, 1 ok, 2 error.
    pub fn status_code(&self) -> i32 {
        match self.records.status[self.i] {
            u8::MAX => varint(bytes(self.body, 15), 3) as i32,
            code => i32::from(code),
        }
    }

    /// What the status says beside its code.
    pub fn status_message(&self) -> &'a str {
        text(bytes(self.body, 15), 2)
    }

    /// What describes it.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 9)
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 10) as u32
    }

    /// What happened during it.
    pub fn events(&self) -> Events<'a> {
        Events { ahead: wire::fields(self.body) }
    }

    /// How many events it has.
    pub fn events_len(&self) -> usize {
        self.events().count()
    }

    /// How many events the sender left out.
    pub fn dropped_events_count(&self) -> u32 {
        varint(self.body, 12) as u32
    }

    /// Spans of this or other traces that it refers to.
    pub fn links(&self) -> Links<'a> {
        Links { ahead: wire::fields(self.body) }
    }

    /// How many links it has.
    pub fn links_len(&self) -> usize {
        self.links().count()
    }

    /// How many links the sender left out.
    pub fn dropped_links_count(&self) -> u32 {
        varint(self.body, 14) as u32
    }
}

/// The events of a span.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    ahead: Fields<'a>,
}

impl<'a> Iterator for Events<'a> {
    type Item = EventView<'a>;

    fn next(&mut self) -> Option<EventView<'a>> {
        next_message(&mut self.ahead, 11).map(|body| EventView { body })
    }
}

/// Something that happened during a span, read in place.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    body: &'a [u8],
}

impl<'a> EventView<'a> {
    /// When, Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        fixed64(self.body, 1)
    }

    /// What.
    pub fn name(&self) -> &'a str {
        text(self.body, 2)
    }

    /// What describes it.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 3)
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 4) as u32
    }
}

/// The links of a span.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a> {
    ahead: Fields<'a>,
}

impl<'a> Iterator for Links<'a> {
    type Item = LinkView<'a>;

    fn next(&mut self) -> Option<LinkView<'a>> {
        next_message(&mut self.ahead, 13).map(|body| LinkView { body })
    }
}

/// A reference to another span, read in place.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'a> {
    body: &'a [u8],
}

impl<'a> LinkView<'a> {
    /// The other span's trace.
    pub fn trace_id(&self) -> TraceId {
        TraceId(id(self.body, 1))
    }

    /// The other span.
    pub fn span_id(&self) -> SpanId {
        SpanId(id(self.body, 2))
    }

    /// The W3C `tracestate` of the link.
    pub fn trace_state(&self) -> &'a str {
        text(self.body, 3)
    }

    /// What describes it.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 4)
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 5) as u32
    }

    /// W3C trace flags in the low eight bits; bits 8 and 9 say whether the other span is remote.
    pub fn flags(&self) -> u32 {
        fixed32(self.body, 6)
    }
}
