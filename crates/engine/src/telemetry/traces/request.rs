//! Own spans as an OTLP request. The builder of events groups by service; here there is one resource, with all it has.

use connect::otlp::tracing::OWN_SCOPE;
use otlp::{
    AttributeValue, Batch, Check, Checker, Depth, Signal, WireError,
    event::{self, SPAN_KIND, encode_span, encode_value},
};
use pipeline::tracer::{Span, SpanKind};

// Fields of `opentelemetry.proto.trace.v1`, of `common.v1` and of the request.
const RESOURCE_SPANS: u8 = 1;
const RESOURCE: u8 = 1;
const SCOPE_SPANS: u8 = 2;
const SCOPE: u8 = 1;
const SPANS: u8 = 2;
const NAME: u8 = 1;
const VERSION: u8 = 2;
const ATTRIBUTES: u8 = 1;
const KEY: u8 = 1;
const VALUE: u8 = 2;
const LINKS: u8 = 13;
const DROPPED_LINKS: u8 = 14;
const STATUS: u8 = 15;
const TRACE_ID: u8 = 1;
const SPAN_ID: u8 = 2;
const MESSAGE: u8 = 2;
const CODE: u8 = 3;
const ERROR: u64 = 2;

/// A request of these spans.
///
/// # Errors
/// None: what is written here is well formed.
pub(super) fn of(resource: &[(String, String)], spans: &[Span]) -> Result<Batch, WireError> {
    let mut described = Vec::new();
    for (key, value) in resource {
        let mut pair = Vec::new();
        put(KEY, key.as_bytes(), &mut pair);
        let mut text = Vec::new();
        encode_value(&AttributeValue::String(value.clone()), &mut text);
        put(VALUE, &text, &mut pair);
        put(ATTRIBUTES, &pair, &mut described);
    }
    let mut scope = Vec::new();
    put(NAME, OWN_SCOPE.as_bytes(), &mut scope);
    put(VERSION, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
    let mut scoped = Vec::new();
    put(SCOPE, &scope, &mut scoped);
    for span in spans {
        put(SPANS, &body(span), &mut scoped);
    }
    let mut whole = Vec::new();
    put(RESOURCE, &described, &mut whole);
    put(SCOPE_SPANS, &scoped, &mut whole);
    let mut request = Vec::new();
    put(RESOURCE_SPANS, &whole, &mut request);
    Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(request.into())
}

fn body(span: &Span) -> Vec<u8> {
    let kind = match span.kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
    };
    let mut attributes = vec![(SPAN_KIND.to_owned(), AttributeValue::String(kind.to_owned()))];
    attributes.extend(span.attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let plain = event::Span {
        name: span.name.clone(),
        trace_id: span.context.trace_id.to_string(),
        span_id: span.context.span_id.to_string(),
        parent_span_id: span.parent.map(|parent| parent.to_string()),
        attributes,
        start_time_ns: span.started_ns,
        // Clocks of threads may differ by a little.
        end_time_ns: span.ended_ns.max(span.started_ns),
        ..event::Span::default()
    };
    let mut out = Vec::new();
    encode_span(&plain, &mut out);
    for link in &span.links {
        let mut linked = Vec::new();
        put(TRACE_ID, &link.trace_id.0, &mut linked);
        put(SPAN_ID, &link.span_id.0, &mut linked);
        put(LINKS, &linked, &mut out);
    }
    if span.dropped_links > 0 {
        put_number(DROPPED_LINKS, span.dropped_links.into(), &mut out);
    }
    if let Some(error) = &span.error {
        let mut status = Vec::new();
        put(MESSAGE, error.as_bytes(), &mut status);
        put_number(CODE, ERROR, &mut status);
        put(STATUS, &status, &mut out);
    }
    out
}

/// A field that has a length.
fn put(field: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn put_number(field: u8, number: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    put_varint(number, out);
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use otlp::{SpanId, TraceId, json};
    use pipeline::tracer::SpanContext;

    use super::*;

    #[test]
    fn a_request_says_everything_that_is_known_of_a_span() {
        let context = |n: u8| SpanContext { trace_id: TraceId([n; 16]), span_id: SpanId([n; 8]) };
        let span = Span {
            context: context(1),
            parent: Some(SpanId([2; 8])),
            links: vec![context(3), context(4)],
            dropped_links: 300,
            name: "exporter/otlp/traces".to_owned(),
            kind: SpanKind::Client,
            started_ns: 1_700_000_000_000_000_000,
            ended_ns: 1_700_000_000_000_000_007,
            attributes: vec![("items.sent", AttributeValue::Int(0))],
            error: Some("nobody there".to_owned()),
        };
        let resource = [("service.name".to_owned(), "aldis".to_owned())];
        let batch = of(&resource, &[span.clone(), Span { error: None, links: Vec::new(), ..span }]).unwrap();
        let mut text = Vec::new();
        json::append(&batch, &mut text).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let whole = &said["resourceSpans"][0];
        assert_eq!(whole["resource"]["attributes"][0]["value"]["stringValue"], "aldis");
        let scoped = &whole["scopeSpans"][0];
        assert_eq!(scoped["scope"]["name"], OWN_SCOPE);
        let span = &scoped["spans"][0];
        assert_eq!(span["kind"], 3);
        assert_eq!(span["traceId"], "01".repeat(16));
        assert_eq!(span["parentSpanId"], "02".repeat(8));
        assert_eq!(span["links"][1]["spanId"], "04".repeat(8));
        assert_eq!(span["droppedLinksCount"], 300);
        assert_eq!(span["status"], serde_json::json!({"message": "nobody there", "code": 2}));
        assert_eq!(span["attributes"][0]["key"], "items.sent");
        assert_eq!(scoped["spans"][1]["status"], serde_json::Value::Null);
    }
}
