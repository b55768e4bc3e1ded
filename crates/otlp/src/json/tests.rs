use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use proptest::prelude::*;
use prost::Message as _;

use super::{most_wire_bytes, read, schema, schema::Kind, to_wire, write};
use crate::Signal;

fn text_of(signal: Signal, wire: &[u8]) -> String {
    let mut text = Vec::new();
    write::request(schema::request(signal), wire, &mut text);
    String::from_utf8(text).unwrap()
}

fn traces(text: &str) -> ExportTraceServiceRequest {
    let wire = to_wire(Signal::Traces, text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    ExportTraceServiceRequest::decode(&*wire).unwrap()
}

fn attribute(value: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{value}}}]}}}}]}}"#)
}

/// Every message and field in one text per signal, as a sender writes it.
const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a\u00e9\ud83d\ude00\n"}},{"key":"all","value":{"arrayValue":{"values":[{"boolValue":true},{"intValue":"-9223372036854775808"},{"doubleValue":1.5},{"bytesValue":"AP8="},{},{"kvlistValue":{"values":[{"key":"in","value":{"doubleValue":"NaN"}}]}}]}}}],"droppedAttributesCount":3},"scopeSpans":[{"scope":{"name":"s","version":"1","attributes":[],"droppedAttributesCount":1},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","traceState":"a=b","parentSpanId":"","name":"GET","kind":2,"startTimeUnixNano":"18446744073709551615","endTimeUnixNano":7,"attributes":[{"key":"k"}],"droppedAttributesCount":1,"events":[{"timeUnixNano":"1","name":"e","droppedAttributesCount":2}],"droppedEventsCount":1,"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":257}],"droppedLinksCount":1,"status":{"message":"no","code":2},"flags":256}],"schemaUrl":"u"}],"schemaUrl":"v"}]}"#;
const LOGS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"b"},"attributes":[{"key":"k","value":{"intValue":"7"}}],"droppedAttributesCount":1,"flags":1,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","observedTimeUnixNano":"2","eventName":"n"}]}]}]}"#;
const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","description":"d","unit":"1","gauge":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","asDouble":-0.0,"flags":1}]},"metadata":[{"key":"m"}]},{"name":"s","sum":{"dataPoints":[{"asInt":"-5","exemplars":[{"timeUnixNano":"3","asInt":"4","spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60c","filteredAttributes":[{"key":"f"}]},{"asDouble":1e300}]}],"aggregationTemporality":2,"isMonotonic":true}},{"name":"h","histogram":{"dataPoints":[{"count":"3","sum":1.0,"bucketCounts":["1","2"],"explicitBounds":[0.5],"min":0.1,"max":"Infinity"}],"aggregationTemporality":1}},{"name":"e","exponentialHistogram":{"dataPoints":[{"count":"3","scale":-2,"zeroCount":"1","positive":{"offset":-3,"bucketCounts":["1","1"]},"negative":{},"zeroThreshold":0.001}]}},{"name":"q","summary":{"dataPoints":[{"count":"2","sum":3.0,"quantileValues":[{"quantile":0.5,"value":1.5}]}]}}]}]}]}"#;

/// Text → wire → text is the identity on what we write ourselves, so no field is lost in either direction.
#[test]
fn what_is_written_reads_back_to_the_same_text() {
    for (signal, text) in [(Signal::Traces, TRACES), (Signal::Logs, LOGS), (Signal::Metrics, METRICS)] {
        let once = text_of(signal, &to_wire(signal, text.as_bytes()).unwrap());
        let twice = text_of(signal, &to_wire(signal, once.as_bytes()).unwrap());
        assert_eq!(once, twice, "{signal}");
        let fields = |text: &str| text.matches("\":").count();
        assert_eq!(fields(&once), fields(text) - text.matches(":[]").count(), "{signal}: {once}");
    }
}

/// The independent oracle: opentelemetry-proto's own serde mapping of the same messages.
#[test]
fn agrees_with_another_implementation() {
    // serde_json has no text for what is not a finite number.
    let finite = |text: &str| text.replace("\"NaN\"", "2.5").replace("\"Infinity\"", "9.5");
    let wire = to_wire(Signal::Traces, finite(TRACES).as_bytes()).unwrap();
    let decoded = ExportTraceServiceRequest::decode(&*wire).unwrap();
    let theirs: serde_json::Value = serde_json::to_value(&decoded).unwrap();
    let back = to_wire(Signal::Traces, theirs.to_string().as_bytes()).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(&*back).unwrap().encode_to_vec(), decoded.encode_to_vec());

    let wire = to_wire(Signal::Logs, LOGS.as_bytes()).unwrap();
    let decoded = ExportLogsServiceRequest::decode(&*wire).unwrap();
    let theirs: ExportLogsServiceRequest = serde_json::from_str(&text_of(Signal::Logs, &wire)).unwrap();
    assert_eq!(theirs, decoded);

    let wire = to_wire(Signal::Metrics, finite(METRICS).as_bytes()).unwrap();
    let decoded = ExportMetricsServiceRequest::decode(&*wire).unwrap();
    let theirs = serde_json::to_string(&decoded).unwrap();
    let back = to_wire(Signal::Metrics, theirs.as_bytes()).unwrap();
    assert_eq!(ExportMetricsServiceRequest::decode(&*back).unwrap(), decoded);
}

/// Each row says the same as its neighbour in another spelling that proto3 JSON and the OTLP specification allow.
#[test]
fn reads_every_allowed_spelling() {
    let same = [
        (r#"{"intValue":7}"#, r#"{"intValue":"7"}"#),
        (r#"{"intValue":7.0}"#, r#"{"intValue":"7"}"#),
        (r#"{"intValue":7e2}"#, r#"{"intValue":"700"}"#),
        (r#"{"int_value":7}"#, r#"{"intValue":"7"}"#),
        (r#"{"doubleValue":"1.5"}"#, r#"{"doubleValue":1.5}"#),
        (r#"{"doubleValue":15}"#, r#"{"doubleValue":15.0}"#),
        (r#"{"bytesValue":"_-8"}"#, r#"{"bytesValue":"/+8="}"#),
        (r#"{"stringValue":"\u0041\/"}"#, r#"{"stringValue":"A/"}"#),
        (r#"{"stringValue":null}"#, "{}"),
        (r#"{"unheard":[{"of":1},"x",true,null,-1.5e3]}"#, "{}"),
        (r#"{"stringValue":"a","stringValue":"b"}"#, r#"{"stringValue":"b"}"#),
    ];
    for (one, other) in same {
        assert_eq!(traces(&attribute(one)), traces(&attribute(other)), "{one} and {other}");
    }
    let by_name = traces(r#"{"resource_spans":[{"scope_spans":[{"spans":[{"kind":"SPAN_KIND_CLIENT"}]}]}]}"#);
    assert_eq!(by_name.resource_spans[0].scope_spans[0].spans[0].kind, 3);
}

/// Each text is refused, at the byte that is marked.
#[test]
fn refuses_with_the_place() {
    let refused = [
        ("", 0),
        ("[]", 0),
        ("{} x", 3),
        ("{", 1),
        (r#"{"resourceSpans":{}}"#, 17),
        (r#"{"resourceSpans":[null]}"#, 18),
        (r#"{"resourceSpans":[{},]}"#, 21),
        (r#"{"resourceSpans" []}"#, 17),
        (r#"{"x":01}"#, 5),
        (r#"{"x":"\q"}"#, 6),
        (r#"{"x":"\ud800"}"#, 12),
        ("{\"x\":\"\u{1}\"}", 6),
        (r#"{"x":"#, 5),
        (r#"{"x":tru}"#, 5),
    ];
    for (text, offset) in refused {
        let fault = to_wire(Signal::Traces, text.as_bytes()).expect_err(text);
        assert_eq!(fault.offset, offset, "{text}: {fault}");
    }
    for value in [
        r#"{"intValue":1.5}"#,
        r#"{"intValue":9223372036854775808}"#,
        r#"{"intValue":true}"#,
        r#"{"doubleValue":"inf"}"#,
        r#"{"bytesValue":"A"}"#,
        r#"{"bytesValue":"A*=="}"#,
        r#"{"boolValue":"true"}"#,
        r#"{"stringValue":1}"#,
    ] {
        assert!(to_wire(Signal::Traces, attribute(value).as_bytes()).is_err(), "{value}");
    }
    let span =
        |id: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":{id}}}]}}]}}]}}"#);
    assert!(to_wire(Signal::Traces, span(r#""5b8efff7""#).as_bytes()).is_err(), "a short id");
    assert!(
        to_wire(Signal::Traces, span(r#""W47/95gDgQPSabYzgT/GDAW47/95gDgQ""#).as_bytes()).is_err(),
        "base64"
    );
    assert!(to_wire(Signal::Traces, &[b'{', b'"', 0xff, b'"', b':', b'1', b'}']).is_err(), "not UTF-8");
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| {
        attribute(&(r#"{"arrayValue":{"values":["#.repeat(levels) + "{}" + &"]}}".repeat(levels)))
    };
    assert!(to_wire(Signal::Traces, deep(20).as_bytes()).is_ok());
    assert!(to_wire(Signal::Traces, deep(10_000).as_bytes()).is_err());
    assert!(to_wire(Signal::Traces, "[".repeat(1 << 20).as_bytes()).is_err());
    assert!(to_wire(Signal::Traces, (r#"{"x":"#.to_owned() + &"[".repeat(1 << 20)).as_bytes()).is_err());
}

/// The two tables of OTLP's messages, one for the wire and one for JSON, declare the same fields.
#[test]
fn the_json_schema_matches_the_wire_schema() {
    use crate::schema as wire;
    use schema::{Kind, Message};
    fn compare(json: &'static Message, shape: &wire::Shape, depth: usize) {
        assert_eq!(json.name, shape.name);
        let mut numbers = json.fields.iter().map(|field| field.number);
        assert!(numbers.clone().is_sorted() && numbers.all(|n| n < 17), "{}", json.name);
        for number in 0..17 {
            let declared = shape.field(number);
            let Some(field) = json.numbered(number) else {
                assert!(matches!(declared.kind, wire::Kind::Unknown), "{}.{number}", json.name);
                continue;
            };
            assert_eq!(field.repeated, declared.once == 0, "{}.{}", json.name, field.name);
            match (field.kind, declared.kind) {
                (Kind::Message(json), wire::Kind::Message(shape)) if depth > 0 => {
                    compare(json, shape, depth - 1);
                }
                (Kind::Message(_), wire::Kind::Message(_))
                | (Kind::String, wire::Kind::Text)
                | (Kind::Bytes, wire::Kind::Bytes)
                | (Kind::Fixed32, wire::Kind::Fixed32)
                | (
                    Kind::Fixed64 | Kind::Sfixed64 | Kind::Double,
                    wire::Kind::Fixed64 | wire::Kind::Fixed64s,
                )
                | (Kind::Uint64 | Kind::Int64 | Kind::Int32, wire::Kind::Varints) => {}
                (Kind::Id(bytes), wire::Kind::Id(declared)) => assert_eq!(bytes, declared as usize),
                (
                    Kind::Bool
                    | Kind::Uint32
                    | Kind::Sint32
                    | Kind::Int32
                    | Kind::Int64
                    | Kind::Uint64
                    | Kind::Enum(_),
                    wire::Kind::Varint,
                ) => {}
                (json_kind, wire_kind) => {
                    panic!("{}.{}: {json_kind:?} against {wire_kind:?}", json.name, field.name)
                }
            }
        }
    }
    compare(schema::request(Signal::Traces), &wire::TRACES.request, 8);
    compare(schema::request(Signal::Logs), &wire::LOGS.request, 8);
    compare(schema::request(Signal::Metrics), &wire::METRICS.request, 9);
    compare(schema::request(Signal::Profiles), &wire::PROFILES.request, 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Cut and changed texts are refused or read, never a panic, and what is read is a message prost reads.
    #[test]
    fn survives_any_text(at in 0usize..1800, byte in any::<u8>(), cut in any::<bool>()) {
        for (signal, text) in [(Signal::Traces, TRACES), (Signal::Logs, LOGS), (Signal::Metrics, METRICS)] {
            let mut text = text.as_bytes().to_vec();
            let at = at % text.len();
            if cut { text.truncate(at) } else { text[at] = byte }
            if let Ok(wire) = to_wire(signal, &text) {
                let read = match signal {
                    Signal::Traces => ExportTraceServiceRequest::decode(&*wire).map(drop),
                    Signal::Logs => ExportLogsServiceRequest::decode(&*wire).map(drop),
                    _ => ExportMetricsServiceRequest::decode(&*wire).map(drop),
                };
                prop_assert!(read.is_ok());
            }
        }
    }

    #[test]
    fn base64_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let (mut text, mut back) = (Vec::new(), Vec::new());
        super::base64::encode(&bytes, &mut text);
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(text.len() % 4, 0);
        prop_assert!(super::base64::decode(&text, &mut back).is_some());
        prop_assert_eq!(&back, &bytes);
    }

    #[test]
    fn doubles_and_strings_round_trip(bits in any::<u64>(), text in any::<String>()) {
        let number = f64::from_bits(bits);
        let text = serde_json::Value::String(text).to_string();
        let value = if number.is_finite() { format!(r#"{{"doubleValue":{number:e}}}"#) } else { r#"{"doubleValue":"NaN"}"#.into() };
        for value in [value, format!(r#"{{"stringValue":{text}}}"#)] {
            let wire = to_wire(Signal::Traces, attribute(&value).as_bytes()).unwrap();
            let again = text_of(Signal::Traces, &wire);
            prop_assert_eq!(to_wire(Signal::Traces, again.as_bytes()).unwrap(), wire);
        }
    }
}

/// The shortest text of every field that there is, and the most that it becomes: the bound holds for each, in lists too.
#[test]
fn no_field_grows_by_more_than_is_said() {
    fn check(message: &'static schema::Message, seen: &mut Vec<&'static str>) {
        if seen.contains(&message.name) {
            return;
        }
        seen.push(message.name);
        for field in message.fields {
            let value = match field.kind {
                Kind::Message(inner) => {
                    check(inner, seen);
                    "{}"
                }
                Kind::String | Kind::Bytes | Kind::Id(_) => "\"\"",
                Kind::Bool => "true",
                Kind::Fixed32 | Kind::Uint32 | Kind::Fixed64 | Kind::Double => "0",
                // As a varint a negative number has ten bytes.
                Kind::Sint32 | Kind::Int32 | Kind::Int64 | Kind::Sfixed64 | Kind::Enum(_) => "-1",
                Kind::Uint64 => "18446744073709551615",
            };
            let texts = match field.repeated {
                true => vec![
                    format!("[{value}]"),
                    format!("[{}]", [value; 1000].join(",")),
                    format!("[ {value}\n, {value}]"),
                ],
                false => vec![value.to_owned()],
            };
            for value in texts {
                let text = format!("{{\"{}\":{value}}}", field.name);
                let wire =
                    read::request(message, text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}"));
                let most = most_wire_bytes(text.as_bytes());
                assert!(wire.len() <= most, "{}.{}: {} > {most}", message.name, field.name, wire.len());
            }
        }
    }
    let mut seen = Vec::new();
    Signal::ALL.into_iter().for_each(|signal| check(schema::request(signal), &mut seen));
    assert!(seen.len() > 30, "{seen:?}");
    let dense = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"summary":{"dataPoints":[{"sum":1},{"sum":2}]}}]}]}]}"#;
    assert_eq!(most_wire_bytes(dense), 2 * dense.len(), "not in lists they are few");
}
