//! `attributes` and `resource`: what each key of an action does, from the file to what arrives.

use otlp::{AttributeValue, LogRecord, Signal, Span, TelemetryEvent};
use pipeline::Outcome;

use crate::ends::{BOTH, Far, Near, answer, block_on, request};

type Attributes = Vec<(String, AttributeValue)>;

fn attributes(all: &[(&str, AttributeValue)]) -> Attributes {
    all.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.to_owned())
}

/// The attributes of a log record behind this action.
fn edited(action: &str, before: &[(&str, AttributeValue)]) -> Attributes {
    let far = Far::taking();
    let processor = format!("attributes: {{actions: [{{{action}}}]}}");
    let near = Near::processing(&processor, &far.exporter("otlp", "sending_queue: {enabled: false}"));
    let log = LogRecord { attributes: attributes(before), ..LogRecord::default() };
    // Over HTTP, where the receiver keeps headers.
    let sent = block_on(async { answer(near.send_as(request(&[log.into()]), &[("x-tenant", "t")])).await });
    assert_eq!(sent, Outcome::DELIVERED, "{action}");
    let batches = far.batches();
    LogRecord::from_view(batches[0].log(0), batches[0].resource_of(0)).attributes
}

#[test]
fn every_key_of_an_action_does_what_it_says() {
    let a = || ("a", text("1"));
    let rows = [
        ("action: insert, key: b, value: x", vec![a(), ("b", text("x"))]),
        ("action: insert, key: a, value: x", vec![a()]),
        ("action: update, key: a, value: x", vec![("a", text("x"))]),
        ("action: upsert, key: b, value: 7", vec![a(), ("b", AttributeValue::Int(7))]),
        ("action: insert, key: b, from_attribute: a", vec![a(), ("b", text("1"))]),
        ("action: insert, key: b, from_attribute: z", vec![a()]),
        ("action: insert, key: b, from_attribute: z, default_value: d", vec![a(), ("b", text("d"))]),
        ("action: insert, key: b, from_context: metadata.X-Tenant", vec![a(), ("b", text("t"))]),
        ("action: delete, key: a", vec![]),
        ("action: delete, pattern: '^[a-c]$'", vec![]),
        ("action: extract, key: a, pattern: '(?P<n>.)'", vec![a(), ("n", text("1"))]),
        ("action: convert, key: a, converted_type: int", vec![("a", AttributeValue::Int(1))]),
        ("action: rename, key: a, to: b", vec![("b", text("1"))]),
    ];
    for (action, after) in rows {
        assert_eq!(edited(action, &[a()]), attributes(&after), "{action}");
    }
    let hashed = edited("action: hash, key: a", &[a()]);
    assert!(hashed.len() == 1 && hashed[0].0 == "a" && hashed[0].1 != text("1"), "{hashed:?}");
}

/// The same keys, done to the attributes of the resource, which has `service.name` alone.
#[test]
fn every_key_of_an_action_on_a_resource_does_what_it_says() {
    let rows = [
        ("action: upsert, key: service.name, value: x", Some("x"), None),
        ("action: insert, key: zone, value: z", Some("a"), Some("z")),
        ("action: insert, key: zone, from_attribute: service.name", Some("a"), Some("a")),
        ("action: insert, key: zone, from_attribute: none, default_value: d", Some("a"), Some("d")),
        ("action: insert, key: zone, from_context: metadata.x-tenant", Some("a"), Some("t")),
        ("action: delete, pattern: service", None, None),
        ("action: extract, key: service.name, pattern: '(?P<zone>.)'", Some("a"), Some("a")),
        ("action: rename, key: service.name, to: zone", None, Some("a")),
        // No text is a number: it stays as it is.
        ("action: convert, key: service.name, converted_type: int", Some("a"), None),
    ];
    for (action, service, zone) in rows {
        let far = Far::taking();
        let processor = format!("resource: {{attributes: [{{{action}}}]}}");
        let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
        let near = Near::carrying(&[Signal::Traces], BOTH, &processor, &exporter);
        let span = Span { attributes: attributes(&[("service.name", text("a"))]), ..Span::default() };
        let span: TelemetryEvent = span.into();
        let sent = block_on(async { answer(near.send_as(request(&[span]), &[("x-tenant", "t")])).await });
        assert_eq!(sent, Outcome::DELIVERED, "{action}");
        let batches = far.batches();
        let of = |key| batches[0].resource_of(0).attributes().text(key);
        assert_eq!((of("service.name"), of("zone")), (service, zone), "{action}");
    }
}
