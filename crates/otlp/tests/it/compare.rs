//! Every accessor of a batch against prost's decoding of the same bytes.

use aldis_otlp::index::MetricKind;
use aldis_otlp::view::{Attributes, ValueView};
use aldis_otlp::{Batch, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::points;

pub(crate) fn traces(batch: &Batch, expected: &ExportTraceServiceRequest) {
    let mut seen = Seen::default();
    for resource in &expected.resource_spans {
        seen.resource();
        for scope in &resource.scope_spans {
            seen.scope();
            for span in &scope.spans {
                let i = seen.record();
                same_resource(batch, i, resource.resource.as_ref());
                same_scope(batch, i, scope.scope.as_ref());
                same_span(batch, i, span);
                seen.check_place(batch, i);
            }
        }
    }
    seen.check_totals(batch);
}

pub(crate) fn logs(batch: &Batch, expected: &ExportLogsServiceRequest) {
    let mut seen = Seen::default();
    for resource in &expected.resource_logs {
        seen.resource();
        for scope in &resource.scope_logs {
            seen.scope();
            for log in &scope.log_records {
                let i = seen.record();
                same_resource(batch, i, resource.resource.as_ref());
                same_scope(batch, i, scope.scope.as_ref());
                same_log(batch, i, log);
                seen.check_place(batch, i);
            }
        }
    }
    seen.check_totals(batch);
}

pub(crate) fn metrics(batch: &Batch, expected: &ExportMetricsServiceRequest) {
    let mut seen = Seen::default();
    let mut metrics = 0;
    for resource in &expected.resource_metrics {
        seen.resource();
        for scope in &resource.scope_metrics {
            seen.scope();
            for metric in &scope.metrics {
                let points = points::expected(metric);
                let entry = batch.index().metrics[metrics];
                assert_eq!(entry.kind, kind(metric));
                assert_eq!(entry.scope, seen.scopes - 1);
                assert_eq!((entry.first_record, entry.records), (seen.records, points.len() as u32));
                for point in points {
                    let i = seen.record();
                    same_resource(batch, i, resource.resource.as_ref());
                    same_scope(batch, i, scope.scope.as_ref());
                    same_metric(batch, i, metric);
                    same_point(batch, i, &point);
                    assert_eq!(batch.index().records.metric[i] as usize, metrics);
                    seen.check_place(batch, i);
                }
                metrics += 1;
            }
        }
    }
    assert_eq!(batch.index().metrics.len(), metrics);
    seen.check_totals(batch);
}

fn same_point(batch: &Batch, i: usize, (attributes, exemplars, point): &points::Expected<'_>) {
    let view = batch.point(i);
    same_attributes(view.attributes(), attributes);
    same_record_attributes(batch, i, attributes);
    assert_eq!(points::seen(view), *point);
    view.exemplars().zip(*exemplars).for_each(|(view, expected)| points::same_exemplar(view, expected));
    assert_eq!(batch.index().records.time_ns[i], point.time_ns);
}

fn same_metric(batch: &Batch, i: usize, expected: &Metric) {
    let view = batch.metric_of(i);
    assert_eq!((view.name(), view.unit()), (expected.name.as_str(), expected.unit.as_str()));
    assert_eq!((view.description(), view.kind()), (expected.description.as_str(), kind(expected)));
    same_attributes(view.metadata(), &expected.metadata);
    let (temporality, monotonic) = match &expected.data {
        Some(Data::Sum(data)) => (data.aggregation_temporality, data.is_monotonic),
        Some(Data::Histogram(data)) => (data.aggregation_temporality, false),
        Some(Data::ExponentialHistogram(data)) => (data.aggregation_temporality, false),
        Some(Data::Gauge(_) | Data::Summary(_)) | None => (0, false),
    };
    assert_eq!((view.temporality(), view.is_monotonic()), (temporality, monotonic));
}

fn kind(metric: &Metric) -> MetricKind {
    match &metric.data {
        None => MetricKind::None,
        Some(Data::Gauge(_)) => MetricKind::Gauge,
        Some(Data::Sum(_)) => MetricKind::Sum,
        Some(Data::Histogram(_)) => MetricKind::Histogram,
        Some(Data::ExponentialHistogram(_)) => MetricKind::ExponentialHistogram,
        Some(Data::Summary(_)) => MetricKind::Summary,
    }
}

/// How far the walk through prost's tree has come.
#[derive(Default)]
pub(crate) struct Seen {
    resources: u32,
    scopes: u32,
    records: u32,
}

impl Seen {
    pub(crate) fn resource(&mut self) {
        self.resources += 1;
    }

    pub(crate) fn scope(&mut self) {
        self.scopes += 1;
    }

    pub(crate) fn record(&mut self) -> usize {
        self.records += 1;
        self.records as usize - 1
    }

    /// The index places record `i` in the scope and resource the walk is in.
    pub(crate) fn check_place(&self, batch: &Batch, i: usize) {
        let index = batch.index();
        let at = index.records.at[i];
        assert_eq!(at.scope, self.scopes - 1);
        let scope = index.scopes[at.scope as usize];
        assert_eq!(scope.resource, self.resources - 1);
        assert!((scope.first_record..scope.first_record + scope.records).contains(&(i as u32)));
        let resource = index.resources[scope.resource as usize];
        assert!((resource.first_scope..resource.first_scope + resource.scopes).contains(&at.scope));
        assert!(resource.start < resource.body.start && resource.body.end as usize <= batch.raw().len());
        assert!(resource.body.start <= scope.start && scope.body.end <= resource.body.end);
        assert!(scope.body.start <= at.start && at.start < at.body.start && at.body.end <= scope.body.end);
    }

    pub(crate) fn check_totals(&self, batch: &Batch) {
        let counts = batch.counts();
        assert_eq!(
            (counts.resources, counts.scopes, counts.records),
            (self.resources, self.scopes, self.records)
        );
        assert_eq!(batch.len(), self.records as usize);
        let index = batch.index();
        assert_eq!(index.resources.len(), self.resources as usize);
        assert_eq!(index.scopes.len(), self.scopes as usize);
        assert_eq!(index.records.at.len(), self.records as usize);
        assert_eq!(index.records.time_ns.len(), self.records as usize);
    }
}

pub(crate) fn same_resource(batch: &Batch, i: usize, expected: Option<&Resource>) {
    let view = batch.resource_of(i);
    let expected = expected.cloned().unwrap_or_default();
    same_attributes(view.attributes(), &expected.attributes);
    assert_eq!(view.dropped_attributes_count(), expected.dropped_attributes_count);
    assert_eq!(view.service_name(), text_of(&expected.attributes, "service.name"));
}

pub(crate) fn same_scope(batch: &Batch, i: usize, expected: Option<&InstrumentationScope>) {
    let view = batch.scope_of(i);
    let expected = expected.cloned().unwrap_or_default();
    assert_eq!(view.name(), expected.name);
    assert_eq!(view.version(), expected.version);
    same_attributes(view.attributes(), &expected.attributes);
    assert_eq!(view.dropped_attributes_count(), expected.dropped_attributes_count);
}

fn same_span(batch: &Batch, i: usize, expected: &Span) {
    let view = batch.span(i);
    assert_eq!(view.trace_id(), trace_id(&expected.trace_id));
    assert_eq!(view.span_id(), span_id(&expected.span_id));
    assert_eq!(view.parent_span_id(), span_id(&expected.parent_span_id));
    assert_eq!(view.trace_state(), expected.trace_state);
    assert_eq!(view.flags(), expected.flags);
    assert_eq!(view.name(), expected.name);
    assert_eq!(view.kind(), expected.kind);
    assert_eq!(view.start_ns(), expected.start_time_unix_nano);
    assert_eq!(view.end_ns(), expected.end_time_unix_nano);
    same_attributes(view.attributes(), &expected.attributes);
    same_record_attributes(batch, i, &expected.attributes);
    assert_eq!(view.dropped_attributes_count(), expected.dropped_attributes_count);
    assert_eq!(view.dropped_events_count(), expected.dropped_events_count);
    assert_eq!(view.dropped_links_count(), expected.dropped_links_count);
    let status = expected.status.clone().unwrap_or_default();
    assert_eq!((view.status_code(), view.status_message()), (status.code, status.message.as_str()));
    assert_eq!(view.events_len(), expected.events.len());
    for (event, expected) in view.events().zip(&expected.events) {
        assert_eq!((event.time_ns(), event.name()), (expected.time_unix_nano, expected.name.as_str()));
        same_attributes(event.attributes(), &expected.attributes);
        assert_eq!(event.dropped_attributes_count(), expected.dropped_attributes_count);
    }
    assert_eq!(view.links_len(), expected.links.len());
    for (link, expected) in view.links().zip(&expected.links) {
        assert_eq!(link.trace_id(), trace_id(&expected.trace_id));
        assert_eq!(link.span_id(), span_id(&expected.span_id));
        assert_eq!((link.trace_state(), link.flags()), (expected.trace_state.as_str(), expected.flags));
        same_attributes(link.attributes(), &expected.attributes);
        assert_eq!(link.dropped_attributes_count(), expected.dropped_attributes_count);
    }
    let records = &batch.index().records;
    assert_eq!(records.kind[i], u8::try_from(expected.kind).unwrap_or(255));
    assert_eq!(records.status[i], u8::try_from(status.code).unwrap_or(255));
}

fn same_log(batch: &Batch, i: usize, expected: &LogRecord) {
    let view = batch.log(i);
    assert_eq!(view.time_ns(), expected.time_unix_nano);
    assert_eq!(view.observed_time_ns(), expected.observed_time_unix_nano);
    assert_eq!(view.severity_number(), expected.severity_number);
    assert_eq!(view.severity_text(), expected.severity_text);
    same_value(&view.body_value(), expected.body.as_ref());
    assert_eq!(view.event_name(), expected.event_name);
    assert_eq!(view.trace_id(), trace_id(&expected.trace_id));
    assert_eq!(view.span_id(), span_id(&expected.span_id));
    assert_eq!(view.flags(), expected.flags);
    same_attributes(view.attributes(), &expected.attributes);
    same_record_attributes(batch, i, &expected.attributes);
    assert_eq!(view.dropped_attributes_count(), expected.dropped_attributes_count);
    let records = &batch.index().records;
    let time_ns =
        if expected.time_unix_nano == 0 { expected.observed_time_unix_nano } else { expected.time_unix_nano };
    assert_eq!(records.time_ns[i], time_ns);
    assert_eq!(records.kind[i], u8::try_from(expected.severity_number).unwrap_or(255));
    assert_eq!((records.trace_id[i], records.span_id[i]), (view.trace_id().0, view.span_id().0));
}

/// The view of the record's attributes, and the index's columns of them.
pub(crate) fn same_record_attributes(batch: &Batch, i: usize, expected: &[KeyValue]) {
    same_attributes(batch.attributes_of(i), expected);
    let columns = &batch.index().attributes;
    if columns.first.is_empty() {
        return;
    }
    let mine = &columns.at[columns.first[i] as usize..columns.first[i + 1] as usize];
    assert_eq!(mine.len(), expected.len());
    for (at, expected) in mine.iter().zip(expected) {
        assert_eq!(&batch.raw()[at.key.range()], expected.key.as_bytes());
        same_value(&ValueView::of(&batch.raw()[at.value.range()]), expected.value.as_ref());
        assert!(at.field.start < at.field.end && at.key.end <= at.field.end && at.value.end <= at.field.end);
    }
}

pub(crate) fn same_attributes(view: Attributes<'_>, expected: &[KeyValue]) {
    assert_eq!(view.count(), expected.len());
    for ((key, value), expected) in view.zip(expected) {
        assert_eq!(key, expected.key);
        same_value(&value, expected.value.as_ref());
    }
    for key in expected {
        let found = view.get(&key.key).expect("the key is there");
        // Lists were compared above; again at every level would be exponential.
        if !matches!(found, ValueView::Array(_) | ValueView::Map(_)) {
            let first =
                expected.iter().find(|other| other.key == key.key).and_then(|first| first.value.as_ref());
            same_value(&found, first);
        }
    }
    assert!(view.get("no such key").is_none());
}

fn same_value(view: &ValueView<'_>, expected: Option<&AnyValue>) {
    let expected = expected.and_then(|value| value.value.as_ref());
    match (view, expected) {
        (ValueView::Empty, None | Some(Value::StringValueStrindex(_))) => {}
        (ValueView::String(text), Some(Value::StringValue(expected))) => assert_eq!(text, expected),
        (ValueView::Bool(value), Some(Value::BoolValue(expected))) => assert_eq!(value, expected),
        (ValueView::Int(value), Some(Value::IntValue(expected))) => assert_eq!(value, expected),
        (ValueView::Double(value), Some(Value::DoubleValue(expected))) => {
            assert_eq!(value.to_bits(), expected.to_bits());
        }
        (ValueView::Bytes(value), Some(Value::BytesValue(expected))) => assert_eq!(value, expected),
        (ValueView::Array(values), Some(Value::ArrayValue(expected))) => {
            assert_eq!(values.count(), expected.values.len());
            for (value, expected) in values.zip(&expected.values) {
                same_value(&value, Some(expected));
            }
        }
        (ValueView::Map(map), Some(Value::KvlistValue(expected))) => same_attributes(*map, &expected.values),
        (view, expected) => panic!("read {view:?}, expected {expected:?}"),
    }
}

fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let value =
        attributes.iter().find(|attribute| attribute.key == key).and_then(|first| first.value.as_ref());
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

fn trace_id(bytes: &[u8]) -> TraceId {
    if bytes.is_empty() { TraceId::default() } else { TraceId(bytes.try_into().expect("16 bytes")) }
}

fn span_id(bytes: &[u8]) -> SpanId {
    if bytes.is_empty() { SpanId::default() } else { SpanId(bytes.try_into().expect("8 bytes")) }
}
