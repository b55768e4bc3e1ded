//! The check accepts what prost accepts, where ids have their length, and reads it the same.

use aldis_otlp::{Batch, Check, Checker, Depth, Signal, WireError};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use proptest::prelude::*;
use prost::Message;

use crate::entropy::Entropy;
use crate::{compare, rewire};

/// A request of one signal, to prost.
trait Oracle: Message + Default {
    const SIGNAL: Signal;
    const NAME: &'static str;
    fn from_entropy(entropy: &mut Entropy<'_>) -> Self;
    /// Whether every id has its length or none: the one thing asked for that prost does not ask for.
    fn ids_have_their_length(&self) -> bool;
    fn compare(&self, batch: &Batch);
}

impl Oracle for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
    const NAME: &'static str = "traces";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.traces()
    }

    fn ids_have_their_length(&self) -> bool {
        let scopes = self.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).all(|span| {
            trace_id(&span.trace_id)
                && span_id(&span.span_id)
                && span_id(&span.parent_span_id)
                && span.links.iter().all(|link| trace_id(&link.trace_id) && span_id(&link.span_id))
        })
    }

    fn compare(&self, batch: &Batch) {
        compare::traces(batch, self);
    }
}

impl Oracle for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;
    const NAME: &'static str = "logs";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.logs()
    }

    fn ids_have_their_length(&self) -> bool {
        let scopes = self.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes
            .flat_map(|scope| &scope.log_records)
            .all(|log| trace_id(&log.trace_id) && span_id(&log.span_id))
    }

    fn compare(&self, batch: &Batch) {
        compare::logs(batch, self);
    }
}

impl Oracle for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;
    const NAME: &'static str = "metrics";

    fn from_entropy(entropy: &mut Entropy<'_>) -> Self {
        entropy.metrics()
    }

    fn ids_have_their_length(&self) -> bool {
        let scopes = self.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes
            .flat_map(|scope| &scope.metrics)
            .flat_map(exemplars)
            .all(|exemplar| trace_id(&exemplar.trace_id) && span_id(&exemplar.span_id))
    }

    fn compare(&self, batch: &Batch) {
        compare::metrics(batch, self);
    }
}

fn exemplars(metric: &Metric) -> Vec<&Exemplar> {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.iter().flat_map(|point| &point.exemplars).collect(),
        Some(Data::Sum(data)) => data.data_points.iter().flat_map(|point| &point.exemplars).collect(),
        Some(Data::Histogram(data)) => data.data_points.iter().flat_map(|point| &point.exemplars).collect(),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter().flat_map(|point| &point.exemplars).collect()
        }
        Some(Data::Summary(_)) | None => Vec::new(),
    }
}

fn trace_id(id: &[u8]) -> bool {
    matches!(id.len(), 0 | 16)
}

fn span_id(id: &[u8]) -> bool {
    matches!(id.len(), 0 | 8)
}

fn check(signal: Signal, check: Check, depth: Depth, bytes: &[u8]) -> Result<Batch, WireError> {
    Checker::new(signal, check, depth).check(Bytes::copy_from_slice(bytes))
}

/// Holds the check against prost on any bytes; whether both accept them.
fn agree<O: Oracle>(bytes: &[u8]) -> bool {
    let mut batches = Vec::new();
    let mut refused = None;
    for depth in [Depth::Counts, Depth::Records, Depth::Attributes] {
        match check(O::SIGNAL, Check::Full, depth, bytes) {
            Ok(batch) => batches.push(batch),
            Err(error) => {
                assert!(error.offset <= bytes.len(), "{error}");
                refused = Some(error);
            }
        }
    }
    match O::decode(bytes) {
        Err(error) => {
            assert!(batches.is_empty(), "prost refuses ({error}) what was accepted: {bytes:02x?}");
            false
        }
        Ok(request) => {
            if let Some(error) = refused {
                assert!(batches.is_empty(), "the depths disagree: {bytes:02x?}");
                // A last empty id hides the wrong one before it from prost: it keeps the last.
                let excused = error.kind == aldis_otlp::WireErrorKind::BadIdLength;
                assert!(excused, "prost accepts what was refused ({error}): {bytes:02x?}");
                return false;
            }
            assert!(request.ids_have_their_length());
            for batch in &batches {
                let held = O::decode(batch.raw().as_ref()).expect("what is held is valid");
                assert_eq!(
                    held.encode_to_vec(),
                    request.encode_to_vec(),
                    "a rewritten request says the same"
                );
                assert_eq!(batch.counts(), batches[0].counts());
                let framed =
                    check(O::SIGNAL, Check::Framing, Depth::Counts, batch.raw()).expect("frames are valid");
                assert_eq!(framed.counts(), batch.counts());
            }
            request.compare(&batches[1]);
            request.compare(&batches[2]);
            true
        }
    }
}

fn agree_on_encodings<O: Oracle>(chance: &[u8]) {
    let mut entropy = Entropy::new(chance);
    let request = O::from_entropy(&mut entropy);
    let plain = request.encode_to_vec();
    assert!(agree::<O>(&plain));
    assert!(agree::<O>(&rewire::descending(O::NAME, &plain)));
    // Fields that got another number may no longer be valid: then both refuse.
    agree::<O>(&rewire::scrambled(O::NAME, &plain, &mut entropy));
}

fn agree_on_damage<O: Oracle>(chance: &[u8], damage: &[(u16, u8, u8)]) {
    let mut bytes = O::from_entropy(&mut Entropy::new(chance)).encode_to_vec();
    for &(at, how, byte) in damage {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(at) % bytes.len();
        match how % 5 {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }
    agree::<O>(&bytes);
}

fn chance() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..3000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn on_traces_however_they_are_encoded(chance in chance()) {
        agree_on_encodings::<ExportTraceServiceRequest>(&chance);
    }

    #[test]
    fn on_logs_however_they_are_encoded(chance in chance()) {
        agree_on_encodings::<ExportLogsServiceRequest>(&chance);
    }

    #[test]
    fn on_metrics_however_they_are_encoded(chance in chance()) {
        agree_on_encodings::<ExportMetricsServiceRequest>(&chance);
    }

    #[test]
    fn on_damaged_traces(chance in chance(), damage in prop::collection::vec(any::<(u16, u8, u8)>(), 1..4)) {
        agree_on_damage::<ExportTraceServiceRequest>(&chance, &damage);
    }

    #[test]
    fn on_damaged_logs(chance in chance(), damage in prop::collection::vec(any::<(u16, u8, u8)>(), 1..4)) {
        agree_on_damage::<ExportLogsServiceRequest>(&chance, &damage);
    }

    #[test]
    fn on_damaged_metrics(chance in chance(), damage in prop::collection::vec(any::<(u16, u8, u8)>(), 1..4)) {
        agree_on_damage::<ExportMetricsServiceRequest>(&chance, &damage);
    }

    #[test]
    fn on_noise(noise in prop::collection::vec(prop_oneof![0u8..32, any::<u8>()], 0..60)) {
        agree::<ExportTraceServiceRequest>(&noise);
        agree::<ExportLogsServiceRequest>(&noise);
        agree::<ExportMetricsServiceRequest>(&noise);
    }
}

/// A field with this key and content inside messages nested by these field numbers.
fn inside(path: &[u32], field: &[u8]) -> Vec<u8> {
    path.iter().rev().fold(field.to_vec(), |body, number| {
        let mut out = Vec::new();
        prost::encoding::encode_key(*number, prost::encoding::WireType::LengthDelimited, &mut out);
        prost::encoding::encode_varint(body.len() as u64, &mut out);
        out.extend_from_slice(&body);
        out
    })
}

/// Every number up to 20 with every wire type and several contents, once, twice, in every message of `paths`.
fn agree_on_every_field<O: Oracle>(paths: &[&[u32]]) {
    let contents: [&[u8]; 9] = [
        b"",
        b"\x00",
        b"\x01",
        b"\x08\x01",
        b"12345678",
        b"1234567890123456",
        b"\xff\xff",
        b"\x0a\x00",
        b"abcde\xc3\xa9",
    ];
    for path in paths {
        for key in 0..(20 << 3) {
            let mut key_bytes = Vec::new();
            prost::encoding::encode_varint(key, &mut key_bytes);
            for content in contents {
                let mut field = key_bytes.clone();
                if key & 7 == 2 {
                    field.push(content.len() as u8);
                }
                field.extend_from_slice(content);
                agree::<O>(&inside(path, &field));
                agree::<O>(&inside(path, &[field.as_slice(), &field].concat()));
            }
        }
    }
}

#[test]
fn on_every_field_of_every_message_of_traces() {
    agree_on_every_field::<ExportTraceServiceRequest>(&[
        &[],
        &[1],
        &[1, 1],
        &[1, 1, 3],
        &[1, 2],
        &[1, 2, 1],
        &[1, 2, 2],
        &[1, 2, 2, 9],
        &[1, 2, 2, 9, 2],
        &[1, 2, 2, 9, 2, 5],
        &[1, 2, 2, 9, 2, 6],
        &[1, 2, 2, 11],
        &[1, 2, 2, 13],
        &[1, 2, 2, 15],
    ]);
}

#[test]
fn on_every_field_of_every_message_of_logs() {
    agree_on_every_field::<ExportLogsServiceRequest>(&[&[], &[1], &[1, 2], &[1, 2, 2], &[1, 2, 2, 5]]);
}

#[test]
fn on_every_field_of_every_message_of_metrics() {
    agree_on_every_field::<ExportMetricsServiceRequest>(&[
        &[],
        &[1],
        &[1, 2],
        &[1, 2, 2],
        &[1, 2, 2, 5],
        &[1, 2, 2, 5, 1],
        &[1, 2, 2, 5, 1, 5],
        &[1, 2, 2, 7],
        &[1, 2, 2, 7, 1],
        &[1, 2, 2, 9],
        &[1, 2, 2, 9, 1],
        &[1, 2, 2, 10],
        &[1, 2, 2, 10, 1],
        &[1, 2, 2, 10, 1, 8],
        &[1, 2, 2, 11],
        &[1, 2, 2, 11, 1],
        &[1, 2, 2, 11, 1, 6],
    ]);
}

/// prost stops at a hundred levels, and so does the check: at the same message, by whichever way it gets there.
#[test]
fn on_how_deep_is_too_deep() {
    let mut accepted = 0;
    for levels in 20..40 {
        let lists: Vec<u32> = [1, 2, 2, 9, 2].into_iter().chain([6, 1, 2].repeat(levels)).collect();
        accepted += usize::from(agree::<ExportTraceServiceRequest>(&inside(&lists, b"\x0a\x00")));
        agree::<ExportTraceServiceRequest>(&inside(&lists, b"\xa8\x1f\x00"));
        agree::<ExportTraceServiceRequest>(&inside(&lists, b"\x32\x05\x0a\x03\x12\x01\x00"));
    }
    assert_eq!(accepted, 12, "values fit 31 deep");
    accepted = 0;
    for levels in 90..110 {
        for path in [&[1][..], &[1, 2, 2], &[1, 2, 2, 9, 2]] {
            let groups = [b"\x9b\x01".repeat(levels), b"\x9c\x01".repeat(levels)].concat();
            accepted += usize::from(agree::<ExportTraceServiceRequest>(&inside(path, &groups)));
        }
    }
    assert!(accepted > 0);
}
