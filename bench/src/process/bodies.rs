//! Fixed request bodies, as files in the framing of the shared data: zstd of `u32 big-endian length ‖ request`.
//!
//! Spans are the bytes of a real request, regrouped: whole resources where a request is large (so they are as their
//! sender wrote them), and re-encoded slices of one scope where it is small. Logs are generated, the same on every machine.

use super::row::Bodies;
use crate::framing;
use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use otlp::{Check, Checker, Depth, Signal};
use prost::Message;
use std::path::{Path, PathBuf};

/// Level of the files; they are read before anything is measured.
const FILE_LEVEL: i32 = 3;
/// Bytes of one generated log on the wire.
const LOG_BYTES: usize = 300;
/// Generated requests: enough that no cache holds one body only.
const GENERATED_REQUESTS: usize = 32;
/// When the first generated record happened, Unix ns.
const START_NS: u64 = 1_700_000_000_000_000_000;
/// 2^64 over the golden ratio: multiples of it look random and differ.
const MIX: u128 = 0x9E37_79B9_7F4A_7C15;
/// Requests of few spans: the first so many of the data.
const FEW_REQUESTS_MAX: usize = 2000;

/// A file of bodies, and how many records its requests have on average.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BodyFile {
    pub(crate) path: PathBuf,
    pub(crate) requests: usize,
    pub(crate) records_per_request: f64,
    /// Uncompressed bytes per record, framing of the request included.
    pub(crate) bytes_per_record: f64,
}

/// Writes the file of these bodies below `folder`.
pub(crate) fn write(bodies: Bodies, shared: &Path, folder: &Path) -> Result<BodyFile, String> {
    let (name, requests) = match bodies {
        Bodies::Spans(n) => (format!("spans-{n}"), by_resource(&real_request(shared)?, n)?),
        Bodies::FewSpans => ("spans-20".to_owned(), by_span(&real_request(shared)?, bodies.records())?),
        Bodies::Attributes(n) => (format!("attributes-{n}"), with_attributes(bodies.records(), n)),
        Bodies::Logs => ("logs-1000".to_owned(), logs(bodies.records())),
        Bodies::Metrics => ("metrics".to_owned(), real_metrics(shared)?),
    };
    let mut plain = Vec::new();
    for (_, body) in &requests {
        framing::append(&mut plain, body)?;
    }
    let path = folder.join(format!("{name}.zst"));
    let packed = zstd::encode_all(plain.as_slice(), FILE_LEVEL).map_err(|e| format!("zstd: {e}"))?;
    std::fs::write(&path, packed).map_err(|e| format!("{}: {e}", path.display()))?;
    let records: u64 = requests.iter().map(|(records, _)| records).sum();
    let bytes: usize = requests.iter().map(|(_, body)| body.len()).sum();
    Ok(BodyFile {
        path,
        requests: requests.len(),
        records_per_request: records as f64 / requests.len() as f64,
        bytes_per_record: bytes as f64 / records as f64,
    })
}

/// The only request of the real traces.
fn real_request(shared: &Path) -> Result<Vec<u8>, String> {
    let content = framing::unpacked(&shared.join("otlp/hipstershop-traces.zst"))?;
    let first = framing::requests(&content).first().map(|request| request.to_vec());
    first.ok_or_else(|| "there are no real traces".into())
}

/// The requests of the real metrics as they are: the host and the Collector that was asked, again and again.
fn real_metrics(shared: &Path) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let content = framing::unpacked(&shared.join("otlp/hostandcollector-metrics.zst"))?;
    let mut counter = Checker::new(Signal::Metrics, Check::Framing, Depth::Counts);
    let counted = |request: &[u8]| {
        let batch = counter.check(Bytes::copy_from_slice(request)).map_err(|error| error.to_string())?;
        Ok((batch.len() as u64, request.to_vec()))
    };
    framing::requests(&content).into_iter().map(counted).collect()
}

/// Whole resources joined until a request has at least so many spans.
fn by_resource(request: &[u8], records: u64) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let mut requests = Vec::new();
    let (mut count, mut body) = (0, Vec::new());
    for field in fields(request)? {
        let resource =
            ResourceSpans::decode(field.content).map_err(|e| format!("the data is not OTLP: {e}"))?;
        count += resource.scope_spans.iter().map(|scope| scope.spans.len() as u64).sum::<u64>();
        body.extend_from_slice(field.whole);
        if count >= records {
            requests.push((count, std::mem::take(&mut body)));
            count = 0;
        }
    }
    Ok(requests)
}

/// Requests of exactly so many spans of one scope.
fn by_span(request: &[u8], records: u64) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let size = usize::try_from(records).map_err(|e| e.to_string())?;
    let request =
        ExportTraceServiceRequest::decode(request).map_err(|e| format!("the data is not OTLP: {e}"))?;
    let mut requests = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            for spans in scope.spans.chunks_exact(size) {
                let mut few = resource.clone();
                few.scope_spans = vec![scope.clone()];
                few.scope_spans[0].spans = spans.to_vec();
                requests
                    .push((records, ExportTraceServiceRequest { resource_spans: vec![few] }.encode_to_vec()));
            }
        }
        if requests.len() >= FEW_REQUESTS_MAX {
            break;
        }
    }
    Ok(requests)
}

/// Generated spans with so many attributes of about 30 bytes.
fn with_attributes(records: u64, attributes: usize) -> Vec<(u64, Vec<u8>)> {
    let span = |number: u64| Span {
        trace_id: trace_id(number),
        span_id: span_id(number),
        name: "GET /api/orders/{id}".into(),
        kind: 2,
        start_time_unix_nano: START_NS + number * 1_000,
        end_time_unix_nano: START_NS + number * 1_000 + 1_500_000,
        attributes: (0..attributes)
            .map(|n| text(&format!("attribute.{n:02}"), &format!("{number:014}")))
            .collect(),
        ..Default::default()
    };
    let request = |number: usize| {
        let spans = (0..records).map(|record| span(number as u64 * records + record)).collect();
        let scope =
            InstrumentationScope { name: "bench".into(), version: "1.0.0".into(), ..Default::default() };
        let resource = Resource { attributes: vec![text("service.name", "checkout")], ..Default::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
        let resource_spans =
            vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
        (records, ExportTraceServiceRequest { resource_spans }.encode_to_vec())
    };
    (0..GENERATED_REQUESTS).map(request).collect()
}

/// Generated logs of [`LOG_BYTES`] each.
fn logs(records: u64) -> Vec<(u64, Vec<u8>)> {
    let request = |number: usize| {
        let log_records = (0..records).map(|record| log(number as u64 * records + record)).collect();
        let scope =
            InstrumentationScope { name: "bench".into(), version: "1.0.0".into(), ..Default::default() };
        let resource = Resource { attributes: vec![text("service.name", "checkout")], ..Default::default() };
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..Default::default() }];
        let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, ..Default::default() }];
        (records, ExportLogsServiceRequest { resource_logs }.encode_to_vec())
    };
    (0..GENERATED_REQUESTS).map(request).collect()
}

fn log(number: u64) -> LogRecord {
    let mut record = LogRecord {
        time_unix_nano: START_NS + number * 1_000,
        observed_time_unix_nano: START_NS + number * 1_000 + 17,
        severity_number: 9,
        severity_text: "INFO".into(),
        attributes: vec![text("http.route", "/api/orders/{id}"), text("order.id", &format!("{number:010}"))],
        trace_id: trace_id(number),
        span_id: span_id(number),
        body: Some(AnyValue { value: Some(Value::StringValue(String::new())) }),
        ..Default::default()
    };
    // The body takes what is left. Three bytes frame the record in its scope; the lengths of the body and of its text, one
    // byte each while it is empty, take two each once it is longer than 127 bytes.
    let left = LOG_BYTES.saturating_sub(record.encoded_len() + 3 + 2);
    let line = format!("order {number} accepted by warehouse {}, {} items; ", number % 17, number % 5 + 1);
    let line: String = line.chars().cycle().take(left).collect();
    record.body = Some(AnyValue { value: Some(Value::StringValue(line)) });
    record
}

fn trace_id(number: u64) -> Vec<u8> {
    (u128::from(number) * MIX + 1).to_be_bytes().to_vec()
}

fn span_id(number: u64) -> Vec<u8> {
    ((u128::from(number) * MIX) as u64 | 1).to_be_bytes().to_vec()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// One field of a request: all of it, and what is inside.
struct Field<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// The `resource_spans` of a request. Its encoder wrote nothing else.
fn fields(request: &[u8]) -> Result<Vec<Field<'_>>, String> {
    let broken = || "the data is not a request of resources".to_owned();
    let mut fields = Vec::new();
    let mut rest = request;
    while !rest.is_empty() {
        let whole = rest;
        let (tag, mut after) = rest.split_first().ok_or_else(broken)?;
        if *tag != 0x0a {
            return Err(broken());
        }
        let length = prost::decode_length_delimiter(&mut after).map_err(|_| broken())?;
        let content = after.get(..length).ok_or_else(broken)?;
        rest = &after[length..];
        fields.push(Field { whole: &whole[..whole.len() - rest.len()], content });
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_its_size_and_differs_from_the_next() {
        for number in [0, 1, 999, 31_999] {
            assert_eq!(log(number).encoded_len() + 3, LOG_BYTES, "{number}");
        }
        assert_ne!(log(1), log(2));
    }

    #[test]
    fn resources_are_regrouped_byte_by_byte() {
        let resource = |spans: usize| ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![Default::default(); spans], ..Default::default() }],
            ..Default::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![resource(3), resource(4), resource(5), resource(1)],
        };
        let bytes = request.encode_to_vec();
        let grouped = by_resource(&bytes, 5).unwrap();
        assert_eq!(grouped.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [7, 5]);
        let joined: Vec<u8> = grouped.iter().flat_map(|(_, body)| body.clone()).collect();
        assert!(bytes.starts_with(&joined) && joined.len() < bytes.len());
        assert_eq!(by_span(&bytes, 2).unwrap().len(), 1 + 2 + 2);
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(fields(&[0x12, 0]).is_err());
        assert!(fields(&[0x0a, 5, 1]).is_err());
    }
}
