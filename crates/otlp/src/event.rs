//! Telemetry as plain Rust values, and how it becomes OTLP.

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

/// A span as a program states it. `service.name` and `span.kind` are taken from the attributes.
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
}
