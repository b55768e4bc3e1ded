//! The messages of OTLP as tables: JSON name, field number, kind. Source: opentelemetry-proto v1.10.

mod answers;
mod profiles;

pub(super) use answers::{STATUS, response};

use crate::Signal;

/// A message type.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a message, in the order of numbers.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// How a field is written on the wire and in JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    String,
    Bytes,
    /// Bytes written as hexadecimal digits; none or exactly this many.
    Id(usize),
    Bool,
    Uint32,
    Sint32,
    Fixed32,
    Int32,
    Int64,
    Uint64,
    Fixed64,
    Sfixed64,
    Double,
    /// The names of its values, from 0, for reading.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

impl Message {
    /// The field with that number.
    #[inline]
    pub(super) fn numbered(&self, number: u32) -> Option<&'static Field> {
        // Numbers ascend from 1 with few gaps, so the place is at the number or just before it.
        let until = self.fields.len().min(number as usize);
        self.fields[..until]
            .iter()
            .rev()
            .find(|field| field.number <= number)
            .filter(|field| field.number == number)
    }

    /// The field that a JSON key names, in lowerCamelCase or snake_case.
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == key).or_else(|| {
            let snake = |field: &&Field| key.contains('_') && camel_equals_snake(field.name, key);
            self.fields.iter().find(snake)
        })
    }
}

fn camel_equals_snake(camel: &str, snake: &str) -> bool {
    let mut rest = snake.bytes();
    camel.bytes().all(|c| match c {
        b'A'..=b'Z' => rest.next() == Some(b'_') && rest.next() == Some(c.to_ascii_lowercase()),
        _ => rest.next() == Some(c),
    }) && rest.next().is_none()
}

/// The request message of a signal.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
        Signal::Profiles => &profiles::PROFILES,
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true }
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Message as Msg, Sfixed64, Sint32, String,
    Uint32, Uint64,
};

const TRACE_ID: Kind = Id(16);
const SPAN_ID: Kind = Id(8);

static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        one(1, "stringValue", String),
        one(2, "boolValue", Bool),
        one(3, "intValue", Int64),
        one(4, "doubleValue", Double),
        one(5, "arrayValue", Msg(&ARRAY_VALUE)),
        one(6, "kvlistValue", Msg(&KEY_VALUE_LIST)),
        one(7, "bytesValue", Bytes),
        // An index into the string table of a profiles request, as `keyStrindex` is; other signals' senders leave both out.
        one(8, "stringValueStrindex", Int32),
    ],
};
static ARRAY_VALUE: Message = Message { name: "ArrayValue", fields: &[many(1, "values", Msg(&ANY_VALUE))] };
static KEY_VALUE_LIST: Message =
    Message { name: "KeyValueList", fields: &[many(1, "values", Msg(&KEY_VALUE))] };
static KEY_VALUE: Message = Message {
    name: "KeyValue",
    fields: &[one(1, "key", String), one(2, "value", Msg(&ANY_VALUE)), one(3, "keyStrindex", Int32)],
};
static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        one(1, "name", String),
        one(2, "version", String),
        many(3, "attributes", Msg(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};
static ENTITY_REF: Message = Message {
    name: "EntityRef",
    fields: &[
        one(1, "schemaUrl", String),
        one(2, "type", String),
        many(3, "idKeys", String),
        many(4, "descriptionKeys", String),
    ],
};
static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        many(1, "attributes", Msg(&KEY_VALUE)),
        one(2, "droppedAttributesCount", Uint32),
        many(3, "entityRefs", Msg(&ENTITY_REF)),
    ],
};

static TRACES: Message =
    Message { name: "ExportTraceServiceRequest", fields: &[many(1, "resourceSpans", Msg(&RESOURCE_SPANS))] };
static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[
        one(1, "resource", Msg(&RESOURCE)),
        many(2, "scopeSpans", Msg(&SCOPE_SPANS)),
        one(3, "schemaUrl", String),
    ],
};
static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[one(1, "scope", Msg(&SCOPE)), many(2, "spans", Msg(&SPAN)), one(3, "schemaUrl", String)],
};
static SPAN: Message = Message {
    name: "Span",
    fields: &[
        one(1, "traceId", TRACE_ID),
        one(2, "spanId", SPAN_ID),
        one(3, "traceState", String),
        one(4, "parentSpanId", SPAN_ID),
        one(5, "name", String),
        one(6, "kind", Enum(&SPAN_KINDS)),
        one(7, "startTimeUnixNano", Fixed64),
        one(8, "endTimeUnixNano", Fixed64),
        many(9, "attributes", Msg(&KEY_VALUE)),
        one(10, "droppedAttributesCount", Uint32),
        many(11, "events", Msg(&EVENT)),
        one(12, "droppedEventsCount", Uint32),
        many(13, "links", Msg(&LINK)),
        one(14, "droppedLinksCount", Uint32),
        one(15, "status", Msg(&SPAN_STATUS)),
        one(16, "flags", Fixed32),
    ],
};
static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static EVENT: Message = Message {
    name: "Event",
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "name", String),
        many(3, "attributes", Msg(&KEY_VALUE)),
        one(4, "droppedAttributesCount", Uint32),
    ],
};
static LINK: Message = Message {
    name: "Link",
    fields: &[
        one(1, "traceId", TRACE_ID),
        one(2, "spanId", SPAN_ID),
        one(3, "traceState", String),
        many(4, "attributes", Msg(&KEY_VALUE)),
        one(5, "droppedAttributesCount", Uint32),
        one(6, "flags", Fixed32),
    ],
};
static SPAN_STATUS: Message =
    Message { name: "Status", fields: &[one(2, "message", String), one(3, "code", Enum(&STATUS_CODES))] };
static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

static LOGS: Message =
    Message { name: "ExportLogsServiceRequest", fields: &[many(1, "resourceLogs", Msg(&RESOURCE_LOGS))] };
static RESOURCE_LOGS: Message = Message {
    name: "ResourceLogs",
    fields: &[
        one(1, "resource", Msg(&RESOURCE)),
        many(2, "scopeLogs", Msg(&SCOPE_LOGS)),
        one(3, "schemaUrl", String),
    ],
};
static SCOPE_LOGS: Message = Message {
    name: "ScopeLogs",
    fields: &[
        one(1, "scope", Msg(&SCOPE)),
        many(2, "logRecords", Msg(&LOG_RECORD)),
        one(3, "schemaUrl", String),
    ],
};
static LOG_RECORD: Message = Message {
    name: "LogRecord",
    fields: &[
        one(1, "timeUnixNano", Fixed64),
        one(2, "severityNumber", Enum(&SEVERITIES)),
        one(3, "severityText", String),
        one(5, "body", Msg(&ANY_VALUE)),
        many(6, "attributes", Msg(&KEY_VALUE)),
        one(7, "droppedAttributesCount", Uint32),
        one(8, "flags", Fixed32),
        one(9, "traceId", TRACE_ID),
        one(10, "spanId", SPAN_ID),
        one(11, "observedTimeUnixNano", Fixed64),
        one(12, "eventName", String),
    ],
};
static SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

static METRICS: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[many(1, "resourceMetrics", Msg(&RESOURCE_METRICS))],
};
static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one(1, "resource", Msg(&RESOURCE)),
        many(2, "scopeMetrics", Msg(&SCOPE_METRICS)),
        one(3, "schemaUrl", String),
    ],
};
static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[one(1, "scope", Msg(&SCOPE)), many(2, "metrics", Msg(&METRIC)), one(3, "schemaUrl", String)],
};
static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        one(1, "name", String),
        one(2, "description", String),
        one(3, "unit", String),
        one(5, "gauge", Msg(&GAUGE)),
        one(7, "sum", Msg(&SUM)),
        one(9, "histogram", Msg(&HISTOGRAM)),
        one(10, "exponentialHistogram", Msg(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", Msg(&SUMMARY)),
        many(12, "metadata", Msg(&KEY_VALUE)),
    ],
};
static TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
static GAUGE: Message = Message { name: "Gauge", fields: &[many(1, "dataPoints", Msg(&NUMBER_POINT))] };
static SUM: Message = Message {
    name: "Sum",
    fields: &[
        many(1, "dataPoints", Msg(&NUMBER_POINT)),
        one(2, "aggregationTemporality", Enum(&TEMPORALITIES)),
        one(3, "isMonotonic", Bool),
    ],
};
static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        many(1, "dataPoints", Msg(&HISTOGRAM_POINT)),
        one(2, "aggregationTemporality", Enum(&TEMPORALITIES)),
    ],
};
static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        many(1, "dataPoints", Msg(&EXPONENTIAL_POINT)),
        one(2, "aggregationTemporality", Enum(&TEMPORALITIES)),
    ],
};
static SUMMARY: Message = Message { name: "Summary", fields: &[many(1, "dataPoints", Msg(&SUMMARY_POINT))] };
static NUMBER_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "asDouble", Double),
        many(5, "exemplars", Msg(&EXEMPLAR)),
        one(6, "asInt", Sfixed64),
        many(7, "attributes", Msg(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "bucketCounts", Fixed64),
        many(7, "explicitBounds", Double),
        many(8, "exemplars", Msg(&EXEMPLAR)),
        many(9, "attributes", Msg(&KEY_VALUE)),
        one(10, "flags", Uint32),
        one(11, "min", Double),
        one(12, "max", Double),
    ],
};
static EXPONENTIAL_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        many(1, "attributes", Msg(&KEY_VALUE)),
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zeroCount", Fixed64),
        one(8, "positive", Msg(&BUCKETS)),
        one(9, "negative", Msg(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Msg(&EXEMPLAR)),
        one(12, "min", Double),
        one(13, "max", Double),
        one(14, "zeroThreshold", Double),
    ],
};
static BUCKETS: Message =
    Message { name: "Buckets", fields: &[one(1, "offset", Sint32), many(2, "bucketCounts", Uint64)] };
static SUMMARY_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        one(2, "startTimeUnixNano", Fixed64),
        one(3, "timeUnixNano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantileValues", Msg(&QUANTILE)),
        many(7, "attributes", Msg(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
};
static QUANTILE: Message =
    Message { name: "ValueAtQuantile", fields: &[one(1, "quantile", Double), one(2, "value", Double)] };
static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        one(2, "timeUnixNano", Fixed64),
        one(3, "asDouble", Double),
        one(4, "spanId", SPAN_ID),
        one(5, "traceId", TRACE_ID),
        one(6, "asInt", Sfixed64),
        many(7, "filteredAttributes", Msg(&KEY_VALUE)),
    ],
};
