//! Telemetry as plain Rust values, and how it becomes OTLP.
//!
//! A [`TelemetryEvent`] is what a program states; [`RequestBuilder`] turns many of them into one checked and indexed
//! [`crate::Batch`] without reading back what it wrote; `from_view` reads one back.
//!
//! ```
//! use aldis_otlp::event::{RequestBuilder, Span};
//! use aldis_otlp::{AttributeValue, Depth, Signal};
//!
//! let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
//! builder.push_span(&Span {
//!     name: "GET /cart".into(),
//!     trace_id: "trace-123".into(),
//!     attributes: vec![("service.name".into(), AttributeValue::String("shop".into()))],
//!     start_time_ns: 1_000,
//!     duration_ns: 250,
//!     ..Span::default()
//! })?;
//! let batch = builder.finish();
//! assert_eq!(batch.len(), 1);
//! assert_eq!(batch.index().records.end_ns, [1_250]);
//! # Ok::<(), aldis_otlp::event::PushError>(())
//! ```

mod builder;
mod exemplar;
mod framed;
mod ids;
mod log;
mod metric;
mod point;
mod span;
mod value;

pub use builder::{PushError, RequestBuilder};
pub use ids::{PARENT_SPAN_ID_TEXT, SPAN_ID_TEXT, TRACE_ID_TEXT};
pub use log::encode_log;
pub use metric::{
    Buckets, Exemplar, ExponentialHistogramData, HistogramData, Metric, MetricData, Number, SummaryData,
    Temporality,
};
pub use span::encode_span;
pub use value::encode_value;

/// The attribute that names the service. It describes the resource, so it is moved there; the first one counts if it is text.
pub const SERVICE_NAME: &str = "service.name";

/// The attribute that becomes a span's kind: `internal`, `server`, `client`, `producer` or `consumer`, in any case. Other
/// values stay an attribute, and the kind is then `internal`, the default.
pub const SPAN_KIND: &str = "span.kind";

/// The attribute of a log record that says by which threshold it was sampled, as `th` does in a span's trace state: log records
/// have none. The Collector's probabilistic sampler uses the same name.
pub const SAMPLING_THRESHOLD: &str = "sampling.threshold";

use crate::Signal;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Text.
    String(String),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Opaque bytes.
    Bytes(Vec<u8>),
    /// A list of values.
    Array(Vec<AttributeValue>),
    /// A list of key-values.
    Map(Vec<(String, AttributeValue)>),
}

/// Whether the work of a span went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpanStatus {
    /// Nothing was said.
    #[default]
    Unset,
    /// It was said to be a success.
    Ok,
    /// It failed.
    Error,
}

/// A span as a program states it.
///
/// - Ids: hexadecimal digits of the full length are taken as they are. Any other text is hashed ([`crate::TraceId::from_text`])
///   and kept as attribute ([`TRACE_ID_TEXT`], …). An empty text, like all zeros, is no id.
/// - The attributes [`SERVICE_NAME`] and [`SPAN_KIND`] become the resource's and the span's own fields.
/// - Start and end go on the wire. Where the end is zero it is the start plus `duration_ns`; otherwise the duration is not used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The operation.
    pub name: String,
    /// 32 hexadecimal digits, or any other text, which is hashed into an id.
    pub trace_id: String,
    /// 16 hexadecimal digits, or any other text, which is hashed into an id.
    pub span_id: String,
    /// The parent's span id.
    pub parent_span_id: Option<String>,
    /// Key-values.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Nanoseconds; fills `end_time_ns` where that is zero.
    pub duration_ns: u64,
    /// How it went.
    pub status: SpanStatus,
    /// Unix nanoseconds.
    pub start_time_ns: u64,
    /// Unix nanoseconds.
    pub end_time_ns: u64,
}

/// A log record as a program states it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRecord {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// 1 to 24 as OTLP numbers severities; 0 where nothing is said.
    pub severity_number: u8,
    /// The severity as its source names it.
    pub severity_text: String,
    /// The message.
    pub body: Option<AttributeValue>,
    /// Key-values.
    pub attributes: Vec<(String, AttributeValue)>,
    /// The trace it belongs to, read as [`Span::trace_id`] is.
    pub trace_id: Option<String>,
    /// The span it belongs to, read as [`Span::span_id`] is.
    pub span_id: Option<String>,
}

/// One thing recorded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TelemetryEvent {
    /// A span.
    Span(Span),
    /// A log record.
    Log(LogRecord),
    /// One data point of a metric.
    Metric(Metric),
}

impl TelemetryEvent {
    /// The signal that carries it.
    pub fn signal(&self) -> Signal {
        match self {
            TelemetryEvent::Span(_) => Signal::Traces,
            TelemetryEvent::Log(_) => Signal::Logs,
            TelemetryEvent::Metric(_) => Signal::Metrics,
        }
    }
}

impl From<Span> for TelemetryEvent {
    fn from(span: Span) -> Self {
        TelemetryEvent::Span(span)
    }
}

impl From<LogRecord> for TelemetryEvent {
    fn from(log: LogRecord) -> Self {
        TelemetryEvent::Log(log)
    }
}

impl From<Metric> for TelemetryEvent {
    fn from(metric: Metric) -> Self {
        TelemetryEvent::Metric(metric)
    }
}

#[cfg(test)]
mod tests;
