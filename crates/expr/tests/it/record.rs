//! Requests of one record, written down field by field.

use aldis_expr::{Environment, Expression, List, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use otlp::{Batch, Check, Checker, Depth, Signal};
use prost::Message;

use crate::point::Point;

/// A record with its resource and scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    signal: Option<Signal>,
    resource: Vec<KeyValue>,
    scope: InstrumentationScope,
    span: Span,
    log: LogRecord,
    point: Point,
}

impl Given {
    /// A record without any field: `span`, `log`, or the type of a metric.
    pub(crate) fn new(kind: &str) -> Self {
        let signal = match kind {
            "span" => Signal::Traces,
            "log" => Signal::Logs,
            _ => Signal::Metrics,
        };
        Self { signal: Some(signal), point: Point::of(kind), ..Self::default() }
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal.unwrap_or(Signal::Traces)
    }

    /// Sets what `path` names: a field, or an element of a map as `attributes["key"]["key"]`.
    pub(crate) fn set(&mut self, path: &str, value: &str) {
        let value = constant(value);
        let (head, keys) = path.split_once('[').unwrap_or((path, ""));
        let keys: Vec<String> = keys
            .trim_end_matches(']')
            .split("][")
            .filter(|key| !key.is_empty())
            .map(|key| key.trim_matches('"').to_owned())
            .collect();
        let logs = self.signal() == Signal::Logs;
        let points = self.signal() == Signal::Metrics;
        match head {
            "resource" => insert(&mut self.resource, &keys, value),
            "scope.attributes" => insert(&mut self.scope.attributes, &keys, value),
            "scope.name" => self.scope.name = text(&value),
            "scope.version" => self.scope.version = text(&value),
            "attributes" if points => insert(&mut self.point.attributes, &keys, value),
            "attributes" if logs => insert(&mut self.log.attributes, &keys, value),
            "attributes" => insert(&mut self.span.attributes, &keys, value),
            "body" if !keys.is_empty() => {
                let mut entries = match self.log.body.take().and_then(|body| body.value) {
                    Some(any_value::Value::KvlistValue(list)) => list.values,
                    _ => Vec::new(),
                };
                insert(&mut entries, &keys, value);
                self.log.body = Some(map(entries));
            }
            _ if points => self.point.set(head, &value),
            _ if logs => self.set_log(head, value),
            _ => self.set_span(head, value),
        }
    }

    fn set_span(&mut self, name: &str, value: AnyValue) {
        let span = &mut self.span;
        let status = span.status.get_or_insert_default();
        match name {
            "name" => span.name = text(&value),
            "kind" => span.kind = number(&value) as i32,
            "start_ns" => span.start_time_unix_nano = number(&value) as u64,
            "end_ns" => span.end_time_unix_nano = number(&value) as u64,
            "status_code" => status.code = number(&value) as i32,
            "status_message" => status.message = text(&value),
            "trace_id" => span.trace_id = hex(&value),
            "span_id" => span.span_id = hex(&value),
            "parent_span_id" => span.parent_span_id = hex(&value),
            "trace_state" => span.trace_state = text(&value),
            "flags" => span.flags = number(&value) as u32,
            "events_count" => span.events = vec![span::Event::default(); number(&value) as usize],
            "links_count" => span.links = vec![span::Link::default(); number(&value) as usize],
            "dropped_attributes_count" => span.dropped_attributes_count = number(&value) as u32,
            _ => panic!("a span has no field {name:?}"),
        }
    }

    fn set_log(&mut self, name: &str, value: AnyValue) {
        let log = &mut self.log;
        match name {
            "time_ns" => log.time_unix_nano = number(&value) as u64,
            "observed_time_ns" => log.observed_time_unix_nano = number(&value) as u64,
            "severity_number" => log.severity_number = number(&value) as i32,
            "severity_text" => log.severity_text = text(&value),
            "body" => log.body = Some(value),
            "event_name" => log.event_name = text(&value),
            "trace_id" => log.trace_id = hex(&value),
            "span_id" => log.span_id = hex(&value),
            "flags" => log.flags = number(&value) as u32,
            "dropped_attributes_count" => log.dropped_attributes_count = number(&value) as u32,
            _ => panic!("a log record has no field {name:?}"),
        }
    }

    /// The record alone in a request.
    pub(crate) fn batch(&self) -> Batch {
        batch(std::slice::from_ref(self))
    }

    fn resource(&self) -> Option<Resource> {
        Some(Resource { attributes: self.resource.clone(), ..Resource::default() })
    }
}

/// A request with each record in a resource of its own; all of one signal.
pub(crate) fn batch(given: &[Given]) -> Batch {
    let signal = given.first().map_or(Signal::Traces, Given::signal);
    let body = match signal {
        Signal::Logs => ExportLogsServiceRequest {
            resource_logs: given
                .iter()
                .map(|one| ResourceLogs {
                    resource: one.resource(),
                    scope_logs: vec![ScopeLogs {
                        scope: Some(one.scope.clone()),
                        log_records: vec![one.log.clone()],
                        ..ScopeLogs::default()
                    }],
                    ..ResourceLogs::default()
                })
                .collect(),
        }
        .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest {
            resource_metrics: given
                .iter()
                .map(|one| ResourceMetrics {
                    resource: one.resource(),
                    scope_metrics: vec![ScopeMetrics {
                        scope: Some(one.scope.clone()),
                        metrics: vec![one.point.metric()],
                        ..ScopeMetrics::default()
                    }],
                    ..ResourceMetrics::default()
                })
                .collect(),
        }
        .encode_to_vec(),
        _ => ExportTraceServiceRequest {
            resource_spans: given
                .iter()
                .map(|one| ResourceSpans {
                    resource: one.resource(),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(one.scope.clone()),
                        spans: vec![one.span.clone()],
                        ..ScopeSpans::default()
                    }],
                    ..ResourceSpans::default()
                })
                .collect(),
        }
        .encode_to_vec(),
    };
    Checker::new(signal, Check::Full, Depth::Attributes)
        .check(body.into())
        .expect("prost writes valid requests")
}

fn constant(source: &str) -> AnyValue {
    let expression = Expression::compile(source, &Environment::of(Signal::Traces))
        .unwrap_or_else(|errors| panic!("{source:?}: {}", errors[0]));
    any(expression.constant().unwrap_or_else(|| panic!("{source:?} is no constant")))
}

fn any(value: &Value<'_>) -> AnyValue {
    let value = match value {
        Value::Null | Value::Map(_) | Value::List(List::Wire(_)) => None,
        Value::Bool(value) => Some(any_value::Value::BoolValue(*value)),
        Value::Int(value) => Some(any_value::Value::IntValue(*value)),
        Value::Double(value) => Some(any_value::Value::DoubleValue(*value)),
        Value::String(text) => Some(any_value::Value::StringValue(text.to_string())),
        Value::Bytes(bytes) => Some(any_value::Value::BytesValue(bytes.to_vec())),
        Value::List(list) => {
            Some(any_value::Value::ArrayValue(ArrayValue { values: list.iter().map(|v| any(&v)).collect() }))
        }
    };
    AnyValue { value }
}

fn map(values: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(any_value::Value::KvlistValue(KeyValueList { values })) }
}

fn insert(entries: &mut Vec<KeyValue>, keys: &[String], value: AnyValue) {
    let [key, rest @ ..] = keys else { panic!("a key is missing") };
    if rest.is_empty() {
        entries.push(KeyValue { key: key.clone(), value: Some(value), ..KeyValue::default() });
        return;
    }
    if !entries.iter().any(|entry| entry.key == *key) {
        entries.push(KeyValue { key: key.clone(), value: Some(map(Vec::new())), ..KeyValue::default() });
    }
    let entry = entries.iter_mut().find(|entry| entry.key == *key).unwrap();
    match entry.value.as_mut().and_then(|value| value.value.as_mut()) {
        Some(any_value::Value::KvlistValue(list)) => insert(&mut list.values, rest, value),
        _ => panic!("{key:?} is no map"),
    }
}

pub(crate) fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("a text was expected, not {other:?}"),
    }
}

pub(crate) fn number(value: &AnyValue) -> i64 {
    match &value.value {
        Some(any_value::Value::IntValue(number)) => *number,
        other => panic!("an integer was expected, not {other:?}"),
    }
}

fn hex(value: &AnyValue) -> Vec<u8> {
    let digits = text(value);
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}
