use otlp::event::{LogRecord, RequestBuilder, Span};
use otlp::{AttributeValue, SpanStatus};

use super::*;
use crate::limits::{
    SUMMARY_FAULTS_MAX, SUMMARY_OPERATIONS_MAX, SUMMARY_QUIET_NS, SUMMARY_SERVICES_MAX, SUMMARY_SHOWN_NS,
    SUMMARY_TRACE_SPANS_MAX, SUMMARY_TRACES_MAX,
};

const SECOND: u64 = 1_000_000_000;
/// When everything begins.
const T: u64 = 1_000_000 * SECOND;

/// A span as `service name trace id parent start..end kind`, times in milliseconds.
fn span(text: &str) -> Span {
    let words: Vec<&str> = text.split(' ').collect();
    let hex = |word: &str, digits: usize| match word {
        "-" => String::new(),
        word => format!("{:0digits$x}", word.parse::<u64>().unwrap()),
    };
    let (start, end) = words[5].split_once("..").unwrap();
    let at = |ms: &str| T + ms.parse::<u64>().unwrap() * 1_000_000;
    let text = |key: &str, value: &str| (key.to_owned(), AttributeValue::String(value.to_owned()));
    Span {
        name: words[1].into(),
        trace_id: hex(words[2], 32),
        span_id: hex(words[3], 16),
        parent_span_id: Some(hex(words[4], 16)).filter(|parent| !parent.is_empty()),
        attributes: vec![
            text("service.name", words[0]),
            text("span.kind", words.get(6).copied().unwrap_or("internal")),
        ],
        start_time_ns: at(start),
        end_time_ns: at(end),
        status: if words[1].starts_with('!') { SpanStatus::Error } else { SpanStatus::Unset },
        ..Span::default()
    }
}

fn batch(spans: impl IntoIterator<Item = Span>) -> Batch {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
    for span in spans {
        builder.push_span(&span).unwrap();
    }
    builder.finish()
}

/// The tree as `name(parent's name)`, and milliseconds on the critical path, of these spans once they are complete.
fn tree(spans: &[&str]) -> String {
    let mut summary = Summary::default();
    for one in spans {
        summary.step(&batch([span(one)]), T);
    }
    let tree = summary.snapshot(T + SUMMARY_QUIET_NS).trace.unwrap();
    let told = |branch: &Branch| {
        let parent = branch.parent.map_or("", |parent| &*tree.branches[parent].name);
        let orphan = if branch.is_orphan { "?" } else { "" };
        format!("{}({parent}{orphan}) {}", branch.name, branch.critical_ns / 1_000_000)
    };
    tree.branches.iter().map(told).collect::<Vec<_>>().join(", ")
}

#[test]
fn trees_are_drawn_whatever_comes() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("a root alone", &["s r 1 1 - 0..9"], "r() 9"),
        (
            "children before parents",
            &["s b 1 3 2 2..4", "s a 1 2 1 1..5", "s r 1 1 - 0..9"],
            "r() 5, a(r) 2, b(a) 2",
        ),
        (
            "by their beginnings",
            &["s r 1 1 - 0..9", "s b 1 2 1 5..6", "s a 1 3 1 1..2"],
            "r() 7, a(r) 1, b(r) 1",
        ),
        ("a parent that does not come", &["s r 1 1 - 2..9", "s x 1 3 7 0..1"], "r() 7, x(?) 0"),
        ("one that came twice", &["s r 1 1 - 0..9", "s a 1 2 1 1..5", "s a 1 2 1 1..5"], "r() 5, a(r) 4"),
        ("one that is its own parent", &["s r 1 1 - 0..9", "s x 1 2 2 1..5"], "r() 9, x(?) 0"),
        ("a ring", &["s r 1 1 - 0..9", "s x 1 2 3 1..5", "s y 1 3 2 1..4"], "r() 9, x(?) 0, y(x) 0"),
        ("two roots", &["s r 1 1 - 0..9", "s q 1 2 - 1..4", "s a 1 3 2 2..3"], "r() 9, q() 0, a(q) 0"),
        ("a consumer is not waited for", &["s r 1 1 - 0..9", "s c 1 2 1 2..7 consumer"], "r() 9, c(r) 0"),
        ("an end before its beginning", &["s r 1 1 - 0..9", "s a 1 2 1 5..3"], "r() 9, a(r) 0"),
    ];
    for (intent, spans, expected) in cases {
        assert_eq!(tree(spans), *expected, "{intent}");
    }
}

/// The names of the roots that are shown, second by second, where each trace is one span.
fn shown(traces: &[(u64, &str)], seconds: u64) -> Vec<String> {
    let mut summary = Summary::default();
    let mut names: Vec<String> = Vec::new();
    for second in 0..seconds {
        for (_, one) in traces.iter().filter(|(at, _)| *at == second) {
            summary.step(&batch([span(one)]), T + second * SECOND);
        }
        let tree = summary.snapshot(T + second * SECOND).trace;
        let name = tree.map_or("-".to_owned(), |tree| tree.branches[0].name.to_string());
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

#[test]
fn a_failed_trace_is_shown_rather_than_a_slow_one_and_for_a_while() {
    assert_eq!(SUMMARY_SHOWN_NS / SECOND, 6);
    let begin = (0, "s fast 1 1 - 0..1");
    assert_eq!(
        shown(&[begin, (1, "s slow 2 1 - 0..9"), (1, "s !failed 3 1 - 0..2")], 12),
        ["-", "fast", "!failed"]
    );
    assert_eq!(
        shown(&[begin, (1, "s slow 2 1 - 0..9"), (2, "s slower 3 1 - 0..10")], 12),
        ["-", "fast", "slower"]
    );
    // One that is not whole only where there is no other.
    assert_eq!(
        shown(&[begin, (1, "s child 2 2 1 0..9"), (1, "s root 3 1 - 0..2")], 12),
        ["-", "fast", "root"]
    );
    assert_eq!(shown(&[begin, (1, "s child 2 2 1 0..9")], 12), ["-", "fast", "child"]);
    // Without another it stays.
    assert_eq!(shown(&[begin], 60), ["-", "fast"]);
}

#[test]
fn errors_are_told_once_with_what_they_say() {
    let mut summary = Summary::default();
    let error = |message: &str| {
        let exception = ("exception.message".to_owned(), AttributeValue::String(message.to_owned()));
        let mut failed = span("pay !charge 1 1 - 0..1");
        failed.attributes.push(("error.type".to_owned(), exception.1));
        failed
    };
    summary.step(&batch([error("refused"), error("timeout"), error("refused")]), T);
    let mut builder = RequestBuilder::new(Signal::Logs, Depth::Records);
    for (severity, body) in [(9, "fine"), (17, "disk full"), (21, "gone")] {
        let log = LogRecord {
            severity_number: severity,
            severity_text: "S".into(),
            body: Some(AttributeValue::String(body.into())),
            ..LogRecord::default()
        };
        builder.push_log(&log).unwrap();
    }
    summary.step(&builder.finish(), T + 5);
    let rows = summary.snapshot(T + 6).errors;
    let told: Vec<_> = rows.iter().map(|row| (&*row.text, row.source, row.count)).collect();
    let (span, log) = (ErrorSource::Span, ErrorSource::Log);
    assert_eq!(told, [("gone", log, 1), ("disk full", log, 1), ("refused", span, 2), ("timeout", span, 1)]);
}

#[test]
fn it_keeps_to_its_bounds_and_says_so() {
    let mut summary = Summary::default();
    let services = SUMMARY_SERVICES_MAX as u64 + 10;
    let one = |service: u64, name: u64, trace: u64, id: u64| {
        span(&format!("s{service} !o{name} {trace} {id} - 0..1"))
    };
    summary.step(&batch((0..services).map(|i| one(i, 0, i + 1, 1))), T);
    let operations = SUMMARY_OPERATIONS_MAX as u64 + 10;
    summary.step(&batch((0..operations).map(|i| one(0, i, 1, i + 2))), T);
    let traces = SUMMARY_TRACES_MAX as u64 + 10;
    summary.step(&batch((0..traces).map(|i| one(0, 0, 1_000_000 + i, 1))), T);

    let snapshot = summary.snapshot(T + SUMMARY_QUIET_NS);
    assert_eq!(snapshot.services.len(), SUMMARY_SERVICES_MAX + 1);
    assert_eq!(snapshot.operations.len(), SUMMARY_OPERATIONS_MAX + 1);
    assert_eq!(snapshot.errors.len(), SUMMARY_FAULTS_MAX);
    assert!(snapshot.trace.unwrap().branches.len() <= SUMMARY_TRACE_SPANS_MAX);
    let all = services + operations + traces;
    assert_eq!(snapshot.services.iter().map(|row| row.spans).sum::<u64>(), all);
    assert_eq!(snapshot.operations.iter().map(|row| row.spans).sum::<u64>(), all);
    let unseen = snapshot.unseen;
    assert_eq!(unseen.services, 10);
    // Those of services without a name of their own, and those beyond the bound, one of which the services used up each.
    assert_eq!(
        unseen.operations,
        10 + operations - (SUMMARY_OPERATIONS_MAX - SUMMARY_SERVICES_MAX) as u64 - 1
    );
    assert!(unseen.spans >= 10 + operations - SUMMARY_TRACE_SPANS_MAX as u64, "{unseen:?}");
}

#[test]
fn what_is_not_read_is_counted() {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Counts);
    builder.push_span(&span("s a 1 1 - 0..1")).unwrap();
    let mut summary = Summary::default();
    summary.step(&builder.finish(), T);
    let mut kept = batch([span("s a 1 1 - 0..1"), span("s b 1 2 - 0..1")]);
    kept.retain(|batch, i| batch.span(i).name() == "b");
    summary.step(&kept, T);
    let snapshot = summary.snapshot(T);
    assert_eq!((snapshot.signal(Signal::Traces).records, snapshot.unseen.unread), (2, 1));
    assert_eq!((snapshot.operations.len(), &*snapshot.operations[0].name), (1, "b"));
}
