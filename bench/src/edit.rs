//! What it costs to change a checked request, per span, beside decode, change and encode with prost; and to build one.
//!
//! Input: the microservice demo's spans, in requests of twenty resources (about a thousand spans each).

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use otlp::edit::{Action, Inputs, Keys, Program, Rule, Source, Target};
use otlp::event::RequestBuilder;
use otlp::{AttributeValue, Batch, Check, Checker, Depth, Signal, Span, SpanStatus, merge, split};
use prost::Message;

use crate::check::{report, requests};

const SPLIT_RECORDS: usize = 100;
const MERGED: usize = 10;

/// Runs all measurements on the traces below `shared_data` and prints nanoseconds per span: the best and the median round.
pub(crate) fn command(shared_data: &Path) -> Result<(), String> {
    let requests = requests(shared_data)?;
    let batches = |depth| -> Result<Vec<Batch>, String> {
        let mut checker = Checker::new(Signal::Traces, Check::Full, depth);
        let checked = requests.iter().map(|request| checker.check(request.clone()));
        checked.collect::<Result<_, _>>().map_err(|error| error.to_string())
    };
    let (records, attributes) = (batches(Depth::Records)?, batches(Depth::Attributes)?);
    let spans: usize = records.iter().map(Batch::len).sum();
    let mut copy = Vec::new();
    let mut memcpy = |request: &Bytes| {
        copy.clear();
        copy.extend_from_slice(black_box(request));
        black_box(&copy);
    };
    report("memcpy", spans, &requests, &mut memcpy);
    report("memcpy again (A against A)", spans, &requests, &mut memcpy);
    for (depth, batches) in [("records", &records), ("attributes", &attributes)] {
        println!("indexed to {depth}:");
        cuts(spans, batches);
        edits(spans, batches);
    }
    println!("the same by decoding and encoding:");
    slowly(spans, &requests);
    println!("building:");
    build();
    Ok(())
}

fn cuts(spans: usize, batches: &[Batch]) {
    let mut half = batches.to_vec();
    for batch in &mut half {
        batch.retain(|_, i| i % 2 == 0);
    }
    report("filter half, to wire", spans, &half, &mut |batch| {
        black_box(batch.to_wire());
    });
    report("split by 100", spans, batches, &mut |batch| {
        black_box(split(batch.clone(), SPLIT_RECORDS, 0));
    });
    let tens: Vec<Vec<Batch>> = batches.chunks(MERGED).map(<[Batch]>::to_vec).collect();
    report("merge of 10", spans, &tens, &mut |batches| {
        black_box(merge(batches));
    });
}

fn insert(key: &str) -> Rule {
    let value = Source::Value(AttributeValue::String("production".to_owned()));
    Rule::new(Target::Record, Action::Insert(key.to_owned(), value))
}

fn four() -> Vec<Rule> {
    vec![
        insert("deployment.environment"),
        insert("deployment.region"),
        Rule::new(Target::Record, Action::Delete(Keys::One("http.user_agent".to_owned()))),
        Rule::new(Target::Record, Action::Rename("http.method".to_owned(), "http.request.method".to_owned())),
    ]
}

fn edits(spans: usize, batches: &[Batch]) {
    let resource = Rule { target: Target::Resource, ..insert("deployment.environment") };
    let rename =
        Rule::new(Target::Record, Action::Rename("net.peer.ip".into(), "network.peer.address".into()));
    let missing = Rule::new(Target::Record, Action::Delete(Keys::One("not.there".into())));
    let programs = [
        ("insert 1", vec![insert("deployment.environment")]),
        ("insert 1 again (A against A)", vec![insert("deployment.environment")]),
        ("insert 1 on the resource", vec![resource]),
        ("delete what is not there", vec![missing]),
        ("rename", vec![rename]),
        ("4 rules fused", four()),
    ];
    for (name, rules) in programs {
        let program = Program::new(rules);
        report(name, spans, batches, &mut |batch| {
            black_box(program.apply(batch, Inputs::default()).is_ok());
        });
    }
    let programs: Vec<Program> = four().into_iter().map(|rule| Program::new(vec![rule])).collect();
    report("4 rules, one after another", spans, batches, &mut |batch| {
        let mut batch = batch.clone();
        for program in &programs {
            if let Ok(edited) = program.apply(&batch, Inputs::default()) {
                batch = edited;
            }
        }
        black_box(batch);
    });
}

fn slowly(spans: usize, requests: &[Bytes]) {
    report("prost: decode, insert 1, encode", spans, requests, &mut |request| {
        let Ok(mut tree) = ExportTraceServiceRequest::decode(request.clone()) else { return };
        for span in
            tree.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|scope| &mut scope.spans)
        {
            if !span.attributes.iter().any(|pair| pair.key == "deployment.environment") {
                let value = Some(any_value::Value::StringValue("production".to_owned()));
                span.attributes.push(KeyValue {
                    key: "deployment.environment".to_owned(),
                    value: Some(AnyValue { value }),
                    ..KeyValue::default()
                });
            }
        }
        black_box(tree.encode_to_vec());
    });
}

/// Requests of a thousand spans with two attributes and hexadecimal ids.
fn build() {
    let span = |i: usize| Span {
        name: "GET /cart".to_owned(),
        trace_id: format!("{i:032x}"),
        span_id: format!("{i:016x}"),
        parent_span_id: Some(format!("{:016x}", i + 1)),
        attributes: vec![
            ("service.name".to_owned(), AttributeValue::String("cart".to_owned())),
            ("http.request.method".to_owned(), AttributeValue::String("GET".to_owned())),
            ("http.response.status_code".to_owned(), AttributeValue::Int(200)),
        ],
        start_time_ns: 1_700_000_000_000_000_000,
        duration_ns: 1_500_000,
        status: SpanStatus::Ok,
        ..Span::default()
    };
    let spans: Vec<Span> = (1..=1000).map(span).collect();
    let groups = [spans];
    let mut body = Vec::new();
    report("encode_span", 1000, &groups, &mut |spans| {
        for span in spans {
            body.clear();
            black_box(otlp::event::encode_span(span, &mut body));
        }
    });
    for depth in [Depth::Counts, Depth::Records, Depth::Attributes] {
        let mut builder = RequestBuilder::new(Signal::Traces, depth);
        report(&format!("builder, {depth:?}"), 1000, &groups, &mut |spans| {
            for span in spans {
                black_box(builder.push_span(span).is_ok());
            }
            black_box(builder.finish());
        });
    }
}
