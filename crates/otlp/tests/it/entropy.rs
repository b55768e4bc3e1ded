//! Requests made from bytes of chance: proptest shrinks the bytes, a request shrinks with them.

mod profiles;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// A source of choices. When it runs dry every choice is zero, so requests stay finite.
pub(crate) struct Entropy<'a> {
    bytes: &'a [u8],
}

impl<'a> Entropy<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&byte, rest)) => {
                self.bytes = rest;
                byte
            }
            None => 0,
        }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % bound
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn u64(&mut self) -> u64 {
        let shift = self.below(65) as u32;
        let bytes = std::array::from_fn(|_| self.byte());
        u64::from_le_bytes(bytes).checked_shr(shift).unwrap_or(0)
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn enumeration(&mut self) -> i32 {
        if self.one_in(4) { self.u64() as i32 } else { self.below(6) as i32 }
    }

    fn double(&mut self) -> f64 {
        f64::from_bits(self.u64())
    }

    fn list<T>(&mut self, max: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| item(self)).collect()
    }

    fn maybe<T>(&mut self, item: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.one_in(4)).then(|| item(self))
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 8] =
            ["", "a", "service.name", "http.request.method", "é", "日本語のテキスト", "🦀", "GET /cart"];
        match self.below(12) {
            10 => "x".repeat(self.below(300)),
            11 => "ü".repeat(self.below(80)),
            i => WORDS[i % 8].to_owned(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.list(40, Self::byte)
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        if self.one_in(5) { Vec::new() } else { (0..len).map(|_| self.byte()).collect() }
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let bound = if depth == 0 { 6 } else { 10 };
        let value = match self.below(bound) {
            0 | 1 => Value::StringValue(self.text()),
            2 => Value::IntValue(self.u64() as i64),
            3 => Value::BoolValue(self.one_in(2)),
            4 => Value::DoubleValue(self.double()),
            5 => return AnyValue { value: None },
            6 => Value::BytesValue(self.bytes()),
            7 => Value::StringValueStrindex(self.enumeration()),
            8 => Value::ArrayValue(ArrayValue { values: self.list(3, |e| e.value(depth - 1)) }),
            _ => Value::KvlistValue(KeyValueList { values: self.list(3, |e| e.key_value(depth - 1)) }),
        };
        AnyValue { value: Some(value) }
    }

    fn key_value(&mut self, depth: usize) -> KeyValue {
        KeyValue {
            key: self.text(),
            value: self.maybe(|e| e.value(depth)),
            key_strindex: if self.one_in(20) { self.enumeration() } else { 0 },
        }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.list(4, |e| e.key_value(3))
    }

    fn resource(&mut self) -> Option<Resource> {
        self.maybe(|e| Resource {
            attributes: e.attributes(),
            dropped_attributes_count: e.u32(),
            entity_refs: if e.one_in(4) { e.list(2, Self::entity) } else { Vec::new() },
        })
    }

    fn entity(&mut self) -> EntityRef {
        EntityRef {
            schema_url: self.text(),
            r#type: self.text(),
            id_keys: self.list(3, Self::text),
            description_keys: self.list(3, Self::text),
        }
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        self.maybe(|e| InstrumentationScope {
            name: e.text(),
            version: e.text(),
            attributes: e.attributes(),
            dropped_attributes_count: e.u32(),
        })
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.text(),
            kind: self.enumeration(),
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            events: self.list(2, |e| Event {
                time_unix_nano: e.u64(),
                name: e.text(),
                attributes: e.attributes(),
                dropped_attributes_count: e.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.list(2, |e| Link {
                trace_id: e.id(16),
                span_id: e.id(8),
                trace_state: e.text(),
                attributes: e.attributes(),
                dropped_attributes_count: e.u32(),
                flags: e.u32(),
            }),
            dropped_links_count: self.u32(),
            status: self.maybe(|e| Status { message: e.text(), code: e.enumeration() }),
        }
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: self.enumeration(),
            severity_text: self.text(),
            body: self.maybe(|e| e.value(3)),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    fn exemplars(&mut self) -> Vec<Exemplar> {
        self.list(2, |e| Exemplar {
            filtered_attributes: e.attributes(),
            time_unix_nano: e.u64(),
            span_id: e.id(8),
            trace_id: e.id(16),
            value: e.maybe(|e| match e.one_in(2) {
                true => exemplar::Value::AsInt(e.u64() as i64),
                false => exemplar::Value::AsDouble(e.double()),
            }),
        })
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.exemplars(),
            flags: self.u32(),
            value: self.maybe(|e| match e.one_in(2) {
                true => number_data_point::Value::AsInt(e.u64() as i64),
                false => number_data_point::Value::AsDouble(e.double()),
            }),
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::double),
            bucket_counts: self.list(5, Self::u64),
            explicit_bounds: self.list(5, Self::double),
            exemplars: self.exemplars(),
            flags: self.u32(),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
        }
    }

    fn buckets(&mut self) -> Buckets {
        Buckets { offset: self.u64() as i32, bucket_counts: self.list(5, Self::u64) }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::double),
            scale: self.u64() as i32,
            zero_count: self.u64(),
            positive: self.maybe(Self::buckets),
            negative: self.maybe(Self::buckets),
            flags: self.u32(),
            exemplars: self.exemplars(),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
            zero_threshold: self.double(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.double(),
            quantile_values: self.list(3, |e| ValueAtQuantile { quantile: e.double(), value: e.double() }),
            flags: self.u32(),
        }
    }

    fn metric(&mut self) -> Metric {
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(),
            data: self.maybe(|e| match e.below(5) {
                0 => metric::Data::Gauge(Gauge { data_points: e.list(3, Self::number_point) }),
                1 => metric::Data::Sum(Sum {
                    data_points: e.list(3, Self::number_point),
                    aggregation_temporality: e.enumeration(),
                    is_monotonic: e.one_in(2),
                }),
                2 => metric::Data::Histogram(Histogram {
                    data_points: e.list(3, Self::histogram_point),
                    aggregation_temporality: e.enumeration(),
                }),
                3 => metric::Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: e.list(3, Self::exponential_point),
                    aggregation_temporality: e.enumeration(),
                }),
                _ => metric::Data::Summary(Summary { data_points: e.list(3, Self::summary_point) }),
            }),
        }
    }

    pub(crate) fn traces(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: self.list(3, |e| ResourceSpans {
                resource: e.resource(),
                scope_spans: e.list(3, |e| ScopeSpans {
                    scope: e.scope(),
                    spans: e.list(3, Self::span),
                    schema_url: e.text(),
                }),
                schema_url: e.text(),
            }),
        }
    }

    pub(crate) fn logs(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: self.list(3, |e| ResourceLogs {
                resource: e.resource(),
                scope_logs: e.list(3, |e| ScopeLogs {
                    scope: e.scope(),
                    log_records: e.list(3, Self::log),
                    schema_url: e.text(),
                }),
                schema_url: e.text(),
            }),
        }
    }

    pub(crate) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest {
            resource_metrics: self.list(3, |e| ResourceMetrics {
                resource: e.resource(),
                scope_metrics: e.list(3, |e| ScopeMetrics {
                    scope: e.scope(),
                    metrics: e.list(3, Self::metric),
                    schema_url: e.text(),
                }),
                schema_url: e.text(),
            }),
        }
    }
}
