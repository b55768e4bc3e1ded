//! What a request of a thousand spans allocates: its index, column by column, and nothing else.
//!
//! A binary of its own, because it counts every allocation of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use aldis_otlp::edit::{Action, Inputs, Program, Rule, Source, Target};
use aldis_otlp::{AttributeValue, Check, Checker, Depth, Signal, json, merge, split};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `layout` are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System.alloc` with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn during<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let value = work();
    (ALLOCATIONS.get() - before, value)
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// 20 resources of 50 spans.
fn thousand_spans() -> Bytes {
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "GET /cart".to_owned(),
        attributes: vec![attribute("http.request.method", "GET"), attribute("user", "é")],
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span; 50], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    Bytes::from(ExportTraceServiceRequest { resource_spans: vec![resource; 20] }.encode_to_vec())
}

#[test]
fn a_request_allocates_its_columns_and_nothing_else() {
    let request = thousand_spans();
    // Index, resources, scopes; of records place, trace, span, time, end, kind, status. Attributes: first and place.
    let budgets = [
        (Check::Framing, Depth::Counts, 0),
        (Check::Full, Depth::Counts, 0),
        (Check::Full, Depth::Records, 10),
        (Check::Full, Depth::Attributes, 12),
    ];
    for (check, depth, budget) in budgets {
        let mut checker = Checker::new(Signal::Traces, check, depth);
        // The first request grows the checker's scratch, and takes what others have left behind.
        let first = checker.check(request.clone());
        let (allocations, second) = during(|| checker.check(request.clone()));
        assert_eq!(second.as_ref().map(|batch| batch.len()), Ok(1000));
        assert_eq!(allocations, budget, "{check:?} {depth:?}");
        let same = second.map(|batch| batch.index().clone());
        // Where batches go before others come, nothing is allocated at all.
        drop(first);
        let (allocations, third) = during(|| checker.check(request.clone()));
        assert_eq!(third.map(|batch| batch.index().clone()), same);
        assert_eq!(allocations, 0, "{check:?} {depth:?} again");
    }
}

#[test]
fn reading_allocates_nothing() {
    let batch =
        Checker::new(Signal::Traces, Check::Full, Depth::Records).check(thousand_spans()).expect("valid");
    let (allocations, length) = during(|| {
        let mut length = 0;
        for i in 0..batch.len() {
            let span = batch.span(i);
            length += span.name().len() + batch.resource_of(i).service_name().len();
            length += span.attributes().map(|(key, _)| key.len()).sum::<usize>();
        }
        length
    });
    assert_eq!(length, 1000 * ("GET /cart".len() + "http.request.method".len() + "user".len()));
    assert_eq!(allocations, 0);
}

/// However many records there are: one buffer, which may have to grow where they are mostly names.
#[test]
fn json_is_written_into_one_buffer() {
    let batch =
        Checker::new(Signal::Traces, Check::Full, Depth::Records).check(thousand_spans()).expect("valid");
    let (allocations, text) = during(|| {
        let mut text = Vec::new();
        json::append(&batch, &mut text).map(|()| text)
    });
    assert!(text.expect("valid").len() > batch.raw().len());
    assert!(allocations <= 3, "{allocations}");
}

#[test]
fn a_refused_request_allocates_nothing_for_what_it_announces() {
    // A resource that says it is 256 MiB long.
    let request = Bytes::from_static(&[0x0a, 0x80, 0x80, 0x80, 0x80, 0x01, 0x12]);
    let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Attributes);
    let (allocations, refused) = during(|| checker.check(request).is_err());
    assert!(refused);
    assert_eq!(allocations, 0);
}

#[test]
fn filtering_allocates_only_when_something_goes() {
    let mut batch =
        Checker::new(Signal::Traces, Check::Full, Depth::Records).check(thousand_spans()).expect("valid");
    assert_eq!(during(|| batch.retain(|_, _| true)), (0, 0));
    let (allocations, removed) = during(|| batch.retain(|_, i| i % 2 == 0));
    assert_eq!((allocations, removed, batch.len()), (2, 500, 500));
}

#[test]
fn changes_allocate_columns_and_not_records() {
    let insert = Action::Insert("env".to_owned(), Source::Value(AttributeValue::String("prod".to_owned())));
    let programs = [Target::Resource, Target::Record]
        .map(|target| Program::new(vec![Rule::new(target, insert.clone())]));
    for depth in [Depth::Records, Depth::Attributes] {
        let batch = Checker::new(Signal::Traces, Check::Full, depth).check(thousand_spans()).expect("valid");
        let ten = vec![batch.clone(); 10];
        let (allocations, merged) = during(|| merge(&ten));
        assert!(allocations <= 16 && merged.len() == 10_000, "merge: {allocations}");
        let (allocations, parts) = during(|| split(batch.clone(), 100, 0));
        assert!(allocations <= 18 * parts.len() && parts.len() == 10, "split in ten: {allocations}");
        for program in &programs {
            let (allocations, edited) = during(|| program.apply(&batch, Inputs::default()));
            assert_eq!(edited.map(|batch| batch.len()), Ok(1000));
            assert!(allocations <= 24, "edit: {allocations}");
        }
        let mut half = batch.clone();
        half.retain(|_, i| i % 2 == 0);
        let (allocations, wire) = during(|| half.to_wire());
        assert!(allocations <= 8 && wire.len() < batch.raw().len(), "filter: {allocations}");
    }
}
