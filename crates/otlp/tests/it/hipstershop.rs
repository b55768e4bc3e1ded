//! A real request: 24 MB of spans from a microservice demo.

use std::path::PathBuf;

use aldis_otlp::edit::{Action, Inputs, Keys, Program, Rule, Source, Target};
use aldis_otlp::{AttributeValue, Check, Checker, Depth, Signal, merge, split};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

use crate::compare;

/// The requests of the file; `None`, loudly, where it is absent.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn requests() -> Option<Vec<Bytes>> {
    let shared = std::env::var_os("ALDIS_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = shared.join("otlp/hipstershop-traces.zst");
    let Ok(file) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let mut data = Bytes::from(zstd::decode_all(file.as_slice()).expect("a zstd file"));
    let mut requests = Vec::new();
    while let Some((len, _)) = data.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        requests.push(data.slice(4..4 + len));
        data = data.slice(4 + len..);
    }
    Some(requests)
}

#[test]
fn every_span_reads_as_prost_reads_it() {
    let Some(requests) = requests() else { return };
    let mut records = 0;
    let mut resources = 0;
    for request in requests {
        let expected = ExportTraceServiceRequest::decode(request.clone()).expect("prost reads it");
        for depth in [Depth::Records, Depth::Attributes] {
            let batch =
                Checker::new(Signal::Traces, Check::Full, depth).check(request.clone()).expect("valid");
            assert_eq!(batch.raw(), &request, "nothing had to be rewritten");
            compare::traces(&batch, &expected);
        }
        let framed = Checker::new(Signal::Traces, Check::Framing, Depth::Records)
            .check(request.clone())
            .expect("valid");
        let counted = Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(request).expect("valid");
        assert_eq!(framed.counts(), counted.counts());
        records += counted.counts().records;
        resources += counted.counts().resources;
    }
    assert_eq!((records, resources), (86_583, 1_699));
}

/// Real spans, cut and changed: prost finds in the result what it finds by changing its own tree.
#[test]
fn changes_of_real_spans_read_as_prost_changes_them() {
    let Some(requests) = requests() else { return };
    let insert = Action::Insert("env".to_owned(), Source::Value(AttributeValue::String("prod".to_owned())));
    let rules = vec![
        Rule::new(Target::Record, insert.clone()),
        Rule::new(Target::Resource, insert),
        Rule::new(Target::Record, Action::Delete(Keys::One("http.method".to_owned()))),
    ];
    let program = Program::new(rules);
    for request in requests {
        let mut expected = ExportTraceServiceRequest::decode(request.clone()).expect("prost reads it");
        let pair = || KeyValue {
            key: "env".to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue("prod".to_owned())) }),
            ..KeyValue::default()
        };
        let mut i = 0;
        for resource in &mut expected.resource_spans {
            resource.resource.get_or_insert_default().attributes.push(pair());
            for scope in &mut resource.scope_spans {
                scope.spans.retain(|_| {
                    i += 1;
                    (i - 1) % 3 != 0
                });
                for span in &mut scope.spans {
                    span.attributes.retain(|pair| pair.key != "http.method");
                    span.attributes.push(pair());
                }
            }
            resource.scope_spans.retain(|scope| !scope.spans.is_empty());
        }
        expected.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
        let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Attributes);
        let mut batch = checker.check(request).expect("valid");
        batch.retain(|_, i| i % 3 != 0);
        let edited = program.apply(&batch, Inputs::default()).expect("it can be edited");
        let parts = split(edited, 1000, 200_000);
        assert!(parts.iter().all(|part| part.len() <= 1000 && part.raw().len() <= 200_000));
        for part in &parts {
            crate::oracle::assert_index_is_fresh(part);
        }
        let merged = merge(&parts);
        crate::oracle::assert_index_is_fresh(&merged);
        let written =
            ExportTraceServiceRequest::decode(merged.raw().clone()).expect("prost reads what was written");
        // A split repeats a resource and a scope where it cuts: compared are the spans, each with its own.
        let flat = |request: &ExportTraceServiceRequest| {
            let mut spans = Vec::new();
            for resource in &request.resource_spans {
                for scope in &resource.scope_spans {
                    for span in &scope.spans {
                        let around =
                            (resource.resource.clone(), resource.schema_url.clone(), scope.scope.clone());
                        spans.push((around, scope.schema_url.clone(), span.clone()));
                    }
                }
            }
            spans
        };
        assert!(flat(&written) == flat(&expected), "spans differ");
    }
}
