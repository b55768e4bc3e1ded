//! Typed, borrowed reads of checked bytes: infallible and without allocation.

use crate::{Batch, SpanId, TraceId};

impl Batch {
    /// Record `i` of a traces batch.
    ///
    /// # Panics
    /// If the batch is not of traces, is indexed to counts only, or has no record `i`.
    pub fn span(&self, _i: usize) -> SpanView<'_> {
        todo!("contract stub")
    }
    /// Record `i` of a logs batch. Panics as [`Batch::span`] does.
    pub fn log(&self, _i: usize) -> LogView<'_> {
        todo!("contract stub")
    }
    /// The resource of record `i`.
    pub fn resource_of(&self, _i: usize) -> ResourceView<'_> {
        todo!("contract stub")
    }
    /// The instrumentation scope of record `i`.
    pub fn scope_of(&self, _i: usize) -> ScopeView<'_> {
        todo!("contract stub")
    }
    /// The attributes of record `i`, whatever the signal.
    pub fn attributes_of(&self, _i: usize) -> Attributes<'_> {
        todo!("contract stub")
    }
}

/// A span, read in place.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    body: &'a [u8],
}

/// A log record, read in place.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    body: &'a [u8],
}

/// A resource, read in place.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    body: &'a [u8],
}

/// An instrumentation scope, read in place.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    body: &'a [u8],
}

/// A list of key-values, read in place. Iterates over `(key, value)`.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    body: &'a [u8],
}

/// A value, read in place.
#[derive(Clone, Copy, Debug)]
pub enum ValueView<'a> {
    /// No value is set.
    Empty,
    /// Text.
    String(&'a str),
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Opaque bytes.
    Bytes(&'a [u8]),
    /// A list of values.
    Array(Array<'a>),
    /// A list of key-values.
    Map(Attributes<'a>),
}

/// A list of values, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    body: &'a [u8],
}

macro_rules! stub { ($($t:ident { $($f:ident -> $r:ty),* $(,)? })*) => { $(impl<'a> $t<'a> { $(#[doc = "The field of this name."] pub fn $f(&self) -> $r { let _ = self.body; todo!("contract stub") })* })* } }
stub! {
    SpanView { trace_id -> TraceId, span_id -> SpanId, parent_span_id -> SpanId, name -> &'a str, kind -> i32, flags -> u32,
        trace_state -> &'a str, start_ns -> u64, end_ns -> u64, status_code -> i32, status_message -> &'a str,
        attributes -> Attributes<'a>, dropped_attributes_count -> u32, events_len -> usize, links_len -> usize }
    LogView { time_ns -> u64, observed_time_ns -> u64, severity_number -> i32, severity_text -> &'a str, body_value -> ValueView<'a>,
        event_name -> &'a str, trace_id -> TraceId, span_id -> SpanId, flags -> u32, attributes -> Attributes<'a>, dropped_attributes_count -> u32 }
    ResourceView { attributes -> Attributes<'a>, service_name -> &'a str, dropped_attributes_count -> u32 }
    ScopeView { name -> &'a str, version -> &'a str, attributes -> Attributes<'a> }
}

impl<'a> Attributes<'a> {
    /// The first value under this key.
    pub fn get(&self, _key: &str) -> Option<ValueView<'a>> {
        todo!("contract stub")
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, ValueView<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        let _ = self.body;
        todo!("contract stub")
    }
}

impl<'a> Iterator for Array<'a> {
    type Item = ValueView<'a>;
    fn next(&mut self) -> Option<Self::Item> {
        let _ = self.body;
        todo!("contract stub")
    }
}
