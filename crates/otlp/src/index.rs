//! What the one pass over a request remembers: plain columns of offsets, ids and times.

use crate::Signal;

/// A half-open range of byte offsets into the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range32 {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Range32 {
    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The same bytes after they moved `by` bytes (wrapping). What is not there (empty at zero: nothing inside a message begins
    /// there) stays so.
    #[inline]
    pub(crate) fn moved(self, by: u32) -> Self {
        if self.end == 0 {
            return self;
        }
        Range32 { start: self.start.wrapping_add(by), end: self.end.wrapping_add(by) }
    }

    /// As a slice index.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One `ResourceSpans` / `ResourceLogs` / `ResourceMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceEntry {
    /// Offset of the tag that opens it in the request.
    pub start: u32,
    /// Its body, behind tag and length.
    pub body: Range32,
    /// The body of its `Resource` message; empty where there is none.
    pub resource: Range32,
    /// Numbers of its scopes: `first_scope .. first_scope + scopes`.
    pub first_scope: u32,
    /// How many scopes it has.
    pub scopes: u32,
}

/// One `ScopeSpans` / `ScopeLogs` / `ScopeMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeEntry {
    /// The number of its resource.
    pub resource: u32,
    /// Offset of the tag that opens it.
    pub start: u32,
    /// Its body, behind tag and length.
    pub body: Range32,
    /// The body of its `InstrumentationScope` message; empty where there is none.
    pub scope: Range32,
    /// Numbers of its records: `first_record .. first_record + records`.
    pub first_record: u32,
    /// How many records it has.
    pub records: u32,
}

/// What a metric's points are. Numbers are the field numbers of `Metric.data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MetricKind {
    /// The metric has no data.
    #[default]
    None = 0,
    /// `Gauge` of `NumberDataPoint`.
    Gauge = 5,
    /// `Sum` of `NumberDataPoint`.
    Sum = 7,
    /// `Histogram` of `HistogramDataPoint`.
    Histogram = 9,
    /// `ExponentialHistogram` of `ExponentialHistogramDataPoint`.
    ExponentialHistogram = 10,
    /// `Summary` of `SummaryDataPoint`.
    Summary = 11,
}

/// One `Metric`: the level between scope and record that only metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricEntry {
    /// The number of its scope.
    pub scope: u32,
    /// Offset of the tag that opens it.
    pub start: u32,
    /// Its body, behind tag and length.
    pub body: Range32,
    /// What its points are.
    pub kind: MetricKind,
    /// Offset of the tag that opens its `Gauge`, `Sum`, …; the end of the body where there is none.
    pub data_start: u32,
    /// The body of its `Gauge`, `Sum`, …; empty where there is none.
    pub data: Range32,
    /// Numbers of its points: `first_record .. first_record + records`.
    pub first_record: u32,
    /// How many points it has.
    pub records: u32,
}

/// Where one record is. One row instead of three columns: they are always read together, and each column is an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordAt {
    /// Offset of the tag that opens the record.
    pub start: u32,
    /// The record's body, behind tag and length.
    pub body: Range32,
    /// The number of its scope.
    pub scope: u32,
}

/// Columns of records in wire order: all of the same length, but for those that a signal has not, which are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Where the record is.
    pub at: Vec<RecordAt>,
    /// Data points: the number of the metric. Empty for other signals.
    pub metric: Vec<u32>,
    /// Spans and logs: trace id; zero where there is none. Empty for other signals.
    pub trace_id: Vec<[u8; 16]>,
    /// Spans and logs: span id; zero where there is none. Empty for other signals.
    pub span_id: Vec<[u8; 8]>,
    /// Spans: start. Logs: `time_unix_nano`, else `observed_time_unix_nano`. Data points: `time_unix_nano`. Unix nanoseconds.
    pub time_ns: Vec<u64>,
    /// Spans: end, Unix nanoseconds. Empty for other signals.
    pub end_ns: Vec<u64>,
    /// Spans: kind. Logs: severity number. Values outside 0..=254 are stored as 255. Empty for other signals.
    pub kind: Vec<u8>,
    /// Spans: status code; values outside 0..=254 are stored as 255. Empty for other signals.
    pub status: Vec<u8>,
}

/// Where one attribute is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeAt {
    /// The whole field, from the tag that opens the `KeyValue` to its end.
    pub field: Range32,
    /// The key's bytes; empty where there is none.
    pub key: Range32,
    /// The body of the `AnyValue`; empty where there is none.
    pub value: Range32,
}

impl AttributeAt {
    /// The same attribute after it moved `by` bytes (wrapping).
    #[inline]
    pub(crate) fn moved(self, by: u32) -> Self {
        AttributeAt { field: self.field.moved(by), key: self.key.moved(by), value: self.value.moved(by) }
    }
}

/// Where the attributes of records are. Record `i` owns the entries `first[i] .. first[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeColumns {
    /// One more entry than there are records.
    pub first: Vec<u32>,
    /// The attributes, record by record in wire order.
    pub at: Vec<AttributeAt>,
}

/// What was remembered of a request. How much is there depends on the [`crate::Depth`] that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Resources in wire order. From [`crate::Depth::Records`].
    pub resources: Vec<ResourceEntry>,
    /// Scopes in wire order. From [`crate::Depth::Records`].
    pub scopes: Vec<ScopeEntry>,
    /// Metrics in wire order; none for other signals. From [`crate::Depth::Records`].
    pub metrics: Vec<MetricEntry>,
    /// Records in wire order. From [`crate::Depth::Records`].
    pub records: Records,
    /// Attributes of records. At [`crate::Depth::Attributes`].
    pub attributes: AttributeColumns,
}

impl Records {
    /// Empties its columns and keeps their memory.
    pub(crate) fn clear(&mut self) {
        let Records { at, metric, trace_id, span_id, time_ns, end_ns, kind, status } = self;
        at.clear();
        metric.clear();
        trace_id.clear();
        span_id.clear();
        time_ns.clear();
        end_ns.clear();
        kind.clear();
        status.clear();
    }
}

impl Index {
    /// Empties its columns and keeps their memory.
    pub(crate) fn clear(&mut self) {
        let Index { resources, scopes, metrics, records, attributes } = self;
        resources.clear();
        scopes.clear();
        metrics.clear();
        records.clear();
        attributes.first.clear();
        attributes.at.clear();
    }

    /// Heap bytes of its columns, by capacity.
    pub fn memory_bytes(&self) -> usize {
        bytes(&self.resources)
            + bytes(&self.scopes)
            + bytes(&self.metrics)
            + self.records.memory_bytes()
            + bytes(&self.attributes.first)
            + bytes(&self.attributes.at)
    }
}

impl Records {
    /// Heap bytes, by capacity.
    pub(crate) fn memory_bytes(&self) -> usize {
        bytes(&self.at)
            + bytes(&self.metric)
            + bytes(&self.trace_id)
            + bytes(&self.span_id)
            + bytes(&self.time_ns)
            + bytes(&self.end_ns)
            + bytes(&self.kind)
            + bytes(&self.status)
    }

    /// Bytes of the row of one record of a signal.
    pub(crate) const fn row_bytes(signal: Signal) -> usize {
        let (ids, time) = (size_of::<[u8; 16]>() + size_of::<[u8; 8]>(), size_of::<u64>());
        size_of::<RecordAt>()
            + match signal {
                Signal::Traces => ids + 2 * time + 2,
                Signal::Logs => ids + time + 1,
                Signal::Metrics => size_of::<u32>() + time,
                Signal::Profiles => 0,
            }
    }
}

/// Heap bytes of a column, by capacity.
pub(crate) fn bytes<T>(column: &Vec<T>) -> usize {
    column.capacity() * size_of::<T>()
}
