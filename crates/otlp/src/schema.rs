//! OTLP's messages as tables: what the check validates and what normalising merges.
//!
//! Field numbers are those of opentelemetry-proto v1.10, <https://github.com/open-telemetry/opentelemetry-proto>.

mod profiles;

pub(crate) use profiles::PROFILES;

/// What a field's declaration allows on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Not declared: skipped and kept.
    Unknown,
    /// `int32`, `int64`, `uint32`, `uint64`, `sint32`, `bool`, enumerations.
    Varint,
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64,
    /// `fixed32`.
    Fixed32,
    /// `string`: UTF-8.
    Text,
    /// `bytes` of any length.
    Bytes,
    /// `bytes` of this length or none.
    Id(u8),
    /// Varints, packed or one by one.
    Varints,
    /// Eight-byte numbers, packed or one by one.
    Fixed64s,
    /// A message.
    Message(&'static Shape),
}

/// A declared field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    /// What it may hold.
    pub(crate) kind: Kind,
    /// One bit per field that may occur once; members of a oneof share theirs; zero for repeated and unknown fields.
    pub(crate) once: u32,
}

/// One more than the highest field number that any message declares.
const NUMBERS: usize = 17;

/// A message.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its protobuf name.
    pub(crate) name: &'static str,
    fields: [Declared; NUMBERS],
}

const UNKNOWN: Declared = Declared { kind: Kind::Unknown, once: 0 };

impl Shape {
    #[inline]
    pub(crate) fn field(&self, number: u32) -> Declared {
        self.fields.get(number as usize).copied().unwrap_or(UNKNOWN)
    }

    const fn new(name: &'static str) -> Self {
        Self { name, fields: [UNKNOWN; NUMBERS] }
    }

    /// Declares a singular field.
    const fn one(mut self, number: usize, kind: Kind) -> Self {
        self.fields[number] = Declared { kind, once: 1 << number };
        self
    }

    /// Declares a repeated field.
    const fn many(mut self, number: usize, kind: Kind) -> Self {
        self.fields[number] = Declared { kind, once: 0 };
        self
    }

    /// Declares the members of a oneof; they share the bit of the first.
    const fn one_of<const N: usize>(mut self, members: [(usize, Kind); N]) -> Self {
        let mut i = 0;
        while i < N {
            self.fields[members[i].0] = Declared { kind: members[i].1, once: 1 << members[0].0 };
            i += 1;
        }
        self
    }
}

use Kind::{Bytes, Fixed32, Fixed64, Fixed64s, Id, Message, Text, Varint, Varints};

pub(crate) static ANY_VALUE: Shape = Shape::new("AnyValue").one_of([
    (1, Text),
    (2, Varint),
    (3, Varint),
    (4, Fixed64),
    (5, Message(&ARRAY_VALUE)),
    (6, Message(&KEY_VALUE_LIST)),
    (7, Bytes),
    (8, Varint),
]);
pub(crate) static ARRAY_VALUE: Shape = Shape::new("ArrayValue").many(1, Message(&ANY_VALUE));
pub(crate) static KEY_VALUE_LIST: Shape = Shape::new("KeyValueList").many(1, Message(&KEY_VALUE));
pub(crate) static KEY_VALUE: Shape =
    Shape::new("KeyValue").one(1, Text).one(2, Message(&ANY_VALUE)).one(3, Varint);
pub(crate) static SCOPE: Shape =
    Shape::new("InstrumentationScope").one(1, Text).one(2, Text).many(3, Message(&KEY_VALUE)).one(4, Varint);
static ENTITY_REF: Shape = Shape::new("EntityRef").one(1, Text).one(2, Text).many(3, Text).many(4, Text);
pub(crate) static RESOURCE: Shape =
    Shape::new("Resource").many(1, Message(&KEY_VALUE)).one(2, Varint).many(3, Message(&ENTITY_REF));

pub(crate) static SPAN: Shape = Shape::new("Span")
    .one(1, Id(16))
    .one(2, Id(8))
    .one(3, Text)
    .one(4, Id(8))
    .one(5, Text)
    .one(6, Varint)
    .one(7, Fixed64)
    .one(8, Fixed64)
    .many(9, Message(&KEY_VALUE))
    .one(10, Varint)
    .many(11, Message(&EVENT))
    .one(12, Varint)
    .many(13, Message(&LINK))
    .one(14, Varint)
    .one(15, Message(&STATUS))
    .one(16, Fixed32);
pub(crate) static EVENT: Shape =
    Shape::new("Event").one(1, Fixed64).one(2, Text).many(3, Message(&KEY_VALUE)).one(4, Varint);
pub(crate) static LINK: Shape = Shape::new("Link")
    .one(1, Id(16))
    .one(2, Id(8))
    .one(3, Text)
    .many(4, Message(&KEY_VALUE))
    .one(5, Varint)
    .one(6, Fixed32);
pub(crate) static STATUS: Shape = Shape::new("Status").one(2, Text).one(3, Varint);

pub(crate) static LOG_RECORD: Shape = Shape::new("LogRecord")
    .one(1, Fixed64)
    .one(2, Varint)
    .one(3, Text)
    .one(5, Message(&ANY_VALUE))
    .many(6, Message(&KEY_VALUE))
    .one(7, Varint)
    .one(8, Fixed32)
    .one(9, Id(16))
    .one(10, Id(8))
    .one(11, Fixed64)
    .one(12, Text);

pub(crate) static METRIC: Shape =
    Shape::new("Metric").one(1, Text).one(2, Text).one(3, Text).many(12, Message(&KEY_VALUE)).one_of([
        (5, Message(&GAUGE)),
        (7, Message(&SUM)),
        (9, Message(&HISTOGRAM)),
        (10, Message(&EXPONENTIAL_HISTOGRAM)),
        (11, Message(&SUMMARY)),
    ]);
pub(crate) static GAUGE: Shape = Shape::new("Gauge").many(1, Message(&NUMBER_POINT));
pub(crate) static SUM: Shape =
    Shape::new("Sum").many(1, Message(&NUMBER_POINT)).one(2, Varint).one(3, Varint);
pub(crate) static HISTOGRAM: Shape =
    Shape::new("Histogram").many(1, Message(&HISTOGRAM_POINT)).one(2, Varint);
pub(crate) static EXPONENTIAL_HISTOGRAM: Shape =
    Shape::new("ExponentialHistogram").many(1, Message(&EXPONENTIAL_HISTOGRAM_POINT)).one(2, Varint);
pub(crate) static SUMMARY: Shape = Shape::new("Summary").many(1, Message(&SUMMARY_POINT));
pub(crate) static NUMBER_POINT: Shape = Shape::new("NumberDataPoint")
    .one(2, Fixed64)
    .one(3, Fixed64)
    .many(5, Message(&EXEMPLAR))
    .many(7, Message(&KEY_VALUE))
    .one(8, Varint)
    .one_of([(4, Fixed64), (6, Fixed64)]);
pub(crate) static HISTOGRAM_POINT: Shape = Shape::new("HistogramDataPoint")
    .one(2, Fixed64)
    .one(3, Fixed64)
    .one(4, Fixed64)
    .one(5, Fixed64)
    .many(6, Fixed64s)
    .many(7, Fixed64s)
    .many(8, Message(&EXEMPLAR))
    .many(9, Message(&KEY_VALUE))
    .one(10, Varint)
    .one(11, Fixed64)
    .one(12, Fixed64);
pub(crate) static EXPONENTIAL_HISTOGRAM_POINT: Shape = Shape::new("ExponentialHistogramDataPoint")
    .many(1, Message(&KEY_VALUE))
    .one(2, Fixed64)
    .one(3, Fixed64)
    .one(4, Fixed64)
    .one(5, Fixed64)
    .one(6, Varint)
    .one(7, Fixed64)
    .one(8, Message(&BUCKETS))
    .one(9, Message(&BUCKETS))
    .one(10, Varint)
    .many(11, Message(&EXEMPLAR))
    .one(12, Fixed64)
    .one(13, Fixed64)
    .one(14, Fixed64);
static BUCKETS: Shape = Shape::new("Buckets").one(1, Varint).many(2, Varints);
pub(crate) static SUMMARY_POINT: Shape = Shape::new("SummaryDataPoint")
    .one(2, Fixed64)
    .one(3, Fixed64)
    .one(4, Fixed64)
    .one(5, Fixed64)
    .many(6, Message(&VALUE_AT_QUANTILE))
    .many(7, Message(&KEY_VALUE))
    .one(8, Varint);
static VALUE_AT_QUANTILE: Shape = Shape::new("ValueAtQuantile").one(1, Fixed64).one(2, Fixed64);
pub(crate) static EXEMPLAR: Shape = Shape::new("Exemplar")
    .one(2, Fixed64)
    .one(4, Id(8))
    .one(5, Id(16))
    .many(7, Message(&KEY_VALUE))
    .one_of([(3, Fixed64), (6, Fixed64)]);

/// The three outer levels of a signal.
#[derive(Debug)]
pub(crate) struct Levels {
    pub(crate) request: Shape,
    pub(crate) resource: Shape,
    pub(crate) scope: Shape,
}

pub(crate) static TRACES: Levels = Levels {
    request: Shape::new("ExportTraceServiceRequest").many(1, Message(&TRACES.resource)),
    resource: Shape::new("ResourceSpans")
        .one(1, Message(&RESOURCE))
        .many(2, Message(&TRACES.scope))
        .one(3, Text),
    scope: Shape::new("ScopeSpans").one(1, Message(&SCOPE)).many(2, Message(&SPAN)).one(3, Text),
};
pub(crate) static LOGS: Levels = Levels {
    request: Shape::new("ExportLogsServiceRequest").many(1, Message(&LOGS.resource)),
    resource: Shape::new("ResourceLogs")
        .one(1, Message(&RESOURCE))
        .many(2, Message(&LOGS.scope))
        .one(3, Text),
    scope: Shape::new("ScopeLogs").one(1, Message(&SCOPE)).many(2, Message(&LOG_RECORD)).one(3, Text),
};
pub(crate) static METRICS: Levels = Levels {
    request: Shape::new("ExportMetricsServiceRequest").many(1, Message(&METRICS.resource)),
    resource: Shape::new("ResourceMetrics")
        .one(1, Message(&RESOURCE))
        .many(2, Message(&METRICS.scope))
        .one(3, Text),
    scope: Shape::new("ScopeMetrics").one(1, Message(&SCOPE)).many(2, Message(&METRIC)).one(3, Text),
};
