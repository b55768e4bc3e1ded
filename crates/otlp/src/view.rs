//! Typed, borrowed reads of checked bytes: infallible and without allocation.
//!
//! Every singular field occurs at most once in a checked batch, so a view walks to the field it is asked for and stops.

mod attributes;
mod exemplar;
mod log;
mod metric;
mod numbers;
mod point;
mod resource;
mod span;

pub use attributes::{Array, Attributes, ValueView};
pub use exemplar::{ExemplarView, Exemplars};
pub use log::LogView;
pub use metric::MetricView;
pub use numbers::{Doubles, Fixed64s, Varints};
pub use point::{BucketsView, NumberView, PointView, Quantiles};
pub use resource::{ResourceView, ScopeView};
pub use span::{EventView, Events, LinkView, Links, SpanView};

use crate::index::{Index, Range32};
use crate::wire::{self, Fields, Payload};
use crate::{Batch, Signal};

impl Batch {
    /// Record `i` of a traces batch.
    ///
    /// # Panics
    /// If the batch is not of traces, is indexed to counts only, or has no record `i`.
    pub fn span(&self, i: usize) -> SpanView<'_> {
        assert!(self.signal() == Signal::Traces, "a batch of {} has no spans", self.signal());
        SpanView::new(self.bytes_at(self.index().records.at[i].body), &self.index().records, i)
    }

    /// Record `i` of a logs batch. Panics as [`Batch::span`] does.
    pub fn log(&self, i: usize) -> LogView<'_> {
        assert!(self.signal() == Signal::Logs, "a batch of {} has no log records", self.signal());
        LogView::new(self.bytes_at(self.index().records.at[i].body))
    }

    /// The resource of record `i`.
    ///
    /// # Panics
    /// If the batch is indexed to counts only or has no record `i`.
    pub fn resource_of(&self, i: usize) -> ResourceView<'_> {
        let index = self.index();
        self.resource(index.scopes[index.records.at[i].scope as usize].resource as usize)
    }

    /// The instrumentation scope of record `i`. Panics as [`Batch::resource_of`] does.
    pub fn scope_of(&self, i: usize) -> ScopeView<'_> {
        self.scope(self.index().records.at[i].scope as usize)
    }

    /// Resource number `resource` of the index.
    ///
    /// # Panics
    /// If there is none.
    pub fn resource(&self, resource: usize) -> ResourceView<'_> {
        ResourceView::new(self.bytes_at(self.index().resources[resource].resource))
    }

    /// Scope number `scope` of the index.
    ///
    /// # Panics
    /// If there is none.
    pub fn scope(&self, scope: usize) -> ScopeView<'_> {
        ScopeView::new(self.bytes_at(self.index().scopes[scope].scope))
    }

    /// The attributes of record `i`, whatever the signal. Panics as [`Batch::resource_of`] does.
    pub fn attributes_of(&self, i: usize) -> Attributes<'_> {
        let index = self.index();
        Attributes::new(self.bytes_at(index.records.at[i].body), attributes_number(self.signal(), index, i))
    }

    /// The metric of data point `i`.
    ///
    /// # Panics
    /// If the batch is not of metrics, is indexed to counts only, or has no record `i`.
    pub fn metric_of(&self, i: usize) -> MetricView<'_> {
        assert!(self.signal() == Signal::Metrics, "a batch of {} has no metrics", self.signal());
        let index = self.index();
        let entry = &index.metrics[index.records.metric[i] as usize];
        MetricView::new(self.bytes_at(entry.body), entry.kind, self.bytes_at(entry.data))
    }

    /// Record `i` of a metrics batch. Panics as [`Batch::metric_of`] does.
    pub fn point(&self, i: usize) -> PointView<'_> {
        let kind = self.metric_of(i).kind();
        PointView::new(self.bytes_at(self.index().records.at[i].body), kind, self.attributes_of(i))
    }

    fn bytes_at(&self, range: Range32) -> &[u8] {
        &self.raw()[range.range()]
    }
}

/// The field number of a record's attributes.
fn attributes_number(signal: Signal, index: &Index, i: usize) -> u32 {
    use crate::index::MetricKind;
    match signal {
        Signal::Traces | Signal::Profiles => 9,
        Signal::Logs => 6,
        Signal::Metrics => match index.metrics[index.records.metric[i] as usize].kind {
            MetricKind::Histogram => 9,
            MetricKind::ExponentialHistogram => 1,
            MetricKind::None | MetricKind::Gauge | MetricKind::Sum | MetricKind::Summary => 7,
        },
    }
}

/// The payload of field `number`, where the message has it.
#[inline]
fn find(body: &[u8], number: u32) -> Option<Payload<'_>> {
    wire::fields(body).find(|field| field.number == number).map(|field| field.payload)
}

/// The next field `number` that is a message.
#[inline]
fn next_message<'a>(ahead: &mut Fields<'a>, number: u32) -> Option<&'a [u8]> {
    ahead.find_map(|field| match field.payload {
        Payload::Bytes(body) if field.number == number => Some(body),
        _ => None,
    })
}

#[inline]
fn bytes(body: &[u8], number: u32) -> &[u8] {
    match find(body, number) {
        Some(Payload::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

#[inline]
fn text(body: &[u8], number: u32) -> &str {
    as_text(bytes(body, number))
}

/// Checked bytes as text. The check made sure that they are UTF-8; looking again costs little and needs no `unsafe`.
#[inline]
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[inline]
fn id<const N: usize>(body: &[u8], number: u32) -> [u8; N] {
    bytes(body, number).try_into().unwrap_or([0; N])
}

#[inline]
fn varint(body: &[u8], number: u32) -> u64 {
    match find(body, number) {
        Some(Payload::Varint(value)) => value,
        _ => 0,
    }
}

#[inline]
fn fixed64(body: &[u8], number: u32) -> u64 {
    match find(body, number) {
        Some(Payload::Fixed64(value)) => value,
        _ => 0,
    }
}

#[inline]
fn fixed32(body: &[u8], number: u32) -> u32 {
    match find(body, number) {
        Some(Payload::Fixed32(value)) => value,
        _ => 0,
    }
}
