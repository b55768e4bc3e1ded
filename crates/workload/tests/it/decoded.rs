//! Requests as prost reads them.

use std::collections::BTreeMap;

use aldis_workload::{Request, Settings, Totals, TraceTruth, Workload};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::{logs::v1::LogRecord, metrics::v1::Metric, trace::v1::Span};
use otlp::Signal;
use prost::Message;

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A whole run.
pub(crate) struct Ran {
    pub(crate) requests: Vec<Request>,
    pub(crate) traces: Vec<TraceTruth>,
    pub(crate) totals: Totals,
    pub(crate) settings: Settings,
}

/// Runs for so many milliseconds, in steps of a quarter of a second, and to the end.
pub(crate) fn run(settings: Settings, ms: u64) -> Ran {
    let start = settings.start_ns;
    let mut workload = Workload::new(settings.clone()).unwrap();
    let mut requests = Vec::new();
    let mut traces = Vec::new();
    for step in 1..=ms.div_ceil(250) {
        workload.advance(start + (step * 250).min(ms) * 1_000_000, &mut requests);
        traces.extend(workload.drain_traces());
    }
    workload.finish(&mut requests);
    traces.extend(workload.drain_traces());
    Ran { requests, traces, totals: workload.totals(), settings }
}

/// A run in which nothing happens besides the usual.
pub(crate) fn quiet() -> Settings {
    Settings { incidents: Vec::new(), traces_per_second: 60, ..Settings::default() }
}

pub(crate) type Attributes = BTreeMap<String, Value>;

pub(crate) fn attributes(pairs: &[KeyValue]) -> Attributes {
    let map: Attributes = pairs
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone().and_then(|value| value.value).expect("a value")))
        .collect();
    assert_eq!(map.len(), pairs.len(), "no key twice");
    map
}

pub(crate) fn text<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a str> {
    match attributes.get(key) {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// A record with what stands around it.
pub(crate) struct Placed<T> {
    pub(crate) service: String,
    pub(crate) resource: Attributes,
    pub(crate) scope: String,
    pub(crate) at_ns: u64,
    pub(crate) record: T,
}

pub(crate) fn spans(requests: &[Request]) -> Vec<Placed<Span>> {
    let mut all = Vec::new();
    for request in requests.iter().filter(|request| request.signal == Signal::Traces) {
        let decoded = ExportTraceServiceRequest::decode(&request.body[..]).unwrap();
        for of in decoded.resource_spans {
            let resource = attributes(&of.resource.unwrap().attributes);
            for scope in of.scope_spans {
                let name = scope.scope.unwrap().name;
                all.extend(scope.spans.into_iter().map(|span| placed(request, &resource, &name, span)));
            }
        }
    }
    all
}

pub(crate) fn logs(requests: &[Request]) -> Vec<Placed<LogRecord>> {
    let mut all = Vec::new();
    for request in requests.iter().filter(|request| request.signal == Signal::Logs) {
        let decoded = ExportLogsServiceRequest::decode(&request.body[..]).unwrap();
        for of in decoded.resource_logs {
            let resource = attributes(&of.resource.unwrap().attributes);
            for scope in of.scope_logs {
                let name = scope.scope.unwrap().name;
                all.extend(scope.log_records.into_iter().map(|log| placed(request, &resource, &name, log)));
            }
        }
    }
    all
}

pub(crate) fn metrics(requests: &[Request]) -> Vec<Placed<Metric>> {
    let mut all = Vec::new();
    for request in requests.iter().filter(|request| request.signal == Signal::Metrics) {
        let decoded = ExportMetricsServiceRequest::decode(&request.body[..]).unwrap();
        for of in decoded.resource_metrics {
            let resource = attributes(&of.resource.unwrap().attributes);
            for scope in of.scope_metrics {
                let name = scope.scope.unwrap().name;
                all.extend(scope.metrics.into_iter().map(|metric| placed(request, &resource, &name, metric)));
            }
        }
    }
    all
}

fn placed<T>(request: &Request, resource: &Attributes, scope: &str, record: T) -> Placed<T> {
    let service = text(resource, "service.name").unwrap().to_owned();
    assert_eq!(service, request.service);
    Placed { service, resource: resource.clone(), scope: scope.to_owned(), at_ns: request.at_ns, record }
}
