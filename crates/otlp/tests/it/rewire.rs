//! Other encodings of the same message: fields in another order, twice, among unknown ones, with padded varints.

use crate::entropy::Entropy;

/// A field, and the fields inside it where it is a message.
#[derive(Clone, Debug)]
struct Node {
    number: u32,
    payload: Payload,
}

#[derive(Clone, Debug)]
enum Payload {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Vec<u8>),
    Message(Vec<Node>),
    Group(Vec<Node>),
}

/// Where the fields that are messages lead; anything else of wire type 2 stays bytes. Written down once more, on purpose:
/// not the tables under test.
fn child(message: &str, number: u32) -> Option<&'static str> {
    Some(match (message, number) {
        ("traces", 1) => "resource of traces",
        ("logs", 1) => "resource of logs",
        ("metrics", 1) => "resource of metrics",
        ("profiles", 1) => "resource of profiles",
        ("profiles", 2) => "ProfilesDictionary",
        ("resource of traces" | "resource of logs" | "resource of metrics" | "resource of profiles", 1) => {
            "Resource"
        }
        ("resource of traces", 2) => "scope of traces",
        ("resource of logs", 2) => "scope of logs",
        ("resource of metrics", 2) => "scope of metrics",
        ("resource of profiles", 2) => "scope of profiles",
        ("scope of traces" | "scope of logs" | "scope of metrics" | "scope of profiles", 1) => {
            "InstrumentationScope"
        }
        ("scope of traces", 2) => "Span",
        ("scope of logs", 2) => "LogRecord",
        ("scope of metrics", 2) => "Metric",
        ("scope of profiles", 2) => "Profile",
        ("Profile", 1 | 5) => "ValueType",
        ("Profile", 2) => "Sample",
        ("ProfilesDictionary", 1) => "Mapping",
        ("ProfilesDictionary", 2) => "Location",
        ("ProfilesDictionary", 3) => "Function",
        ("ProfilesDictionary", 4) => "profiles Link",
        ("ProfilesDictionary", 6) => "KeyValueAndUnit",
        ("ProfilesDictionary", 7) => "Stack",
        ("Location", 3) => "Line",
        ("KeyValueAndUnit", 2) => "AnyValue",
        ("Resource", 1) | ("InstrumentationScope", 3) | ("KeyValueList", 1) => "KeyValue",
        ("Resource", 3) => "EntityRef",
        ("Span", 9) | ("Event", 3) | ("Link", 4) | ("LogRecord", 6) | ("Metric", 12) => "KeyValue",
        ("NumberDataPoint" | "SummaryDataPoint" | "Exemplar", 7) | ("HistogramDataPoint", 9) => "KeyValue",
        ("ExponentialHistogramDataPoint", 1) => "KeyValue",
        ("KeyValue", 2) | ("ArrayValue", 1) | ("LogRecord", 5) => "AnyValue",
        ("AnyValue", 5) => "ArrayValue",
        ("AnyValue", 6) => "KeyValueList",
        ("Span", 11) => "Event",
        ("Span", 13) => "Link",
        ("Span", 15) => "Status",
        ("Metric", 5) => "Gauge",
        ("Metric", 7) => "Gauge",
        ("Metric", 9) => "Histogram",
        ("Metric", 10) => "ExponentialHistogram",
        ("Metric", 11) => "Summary",
        ("Gauge", 1) => "NumberDataPoint",
        ("Histogram", 1) => "HistogramDataPoint",
        ("ExponentialHistogram", 1) => "ExponentialHistogramDataPoint",
        ("Summary", 1) => "SummaryDataPoint",
        ("NumberDataPoint", 5) | ("HistogramDataPoint", 8) | ("ExponentialHistogramDataPoint", 11) => {
            "Exemplar"
        }
        ("ExponentialHistogramDataPoint", 8 | 9) => "Buckets",
        ("SummaryDataPoint", 6) => "ValueAtQuantile",
        _ => return None,
    })
}

/// Encodes `request`, a message of prost's making, in another way. Only the order of fields, or anything.
pub(crate) fn descending(signal: &'static str, request: &[u8]) -> Vec<u8> {
    let mut tree = parse(signal, request);
    reverse(&mut tree);
    encode(&tree, &mut Entropy::new(&[]))
}

/// Encodes `request` with fields moved, repeated, merged from others of their kind, unknown ones between, varints padded.
pub(crate) fn scrambled(signal: &'static str, request: &[u8], entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut tree = parse(signal, request);
    scramble(&mut tree, entropy);
    encode(&tree, entropy)
}

fn parse(message: &'static str, bytes: &[u8]) -> Vec<Node> {
    aldis_otlp::wire::fields(bytes)
        .map(|field| {
            use aldis_otlp::wire::Payload as Wire;
            let payload = match field.payload {
                Wire::Varint(value) => Payload::Varint(value),
                Wire::Fixed64(value) => Payload::Fixed64(value.to_le_bytes()),
                Wire::Fixed32(value) => Payload::Fixed32(value.to_le_bytes()),
                Wire::Bytes(bytes) => match child(message, field.number) {
                    Some(child) => Payload::Message(parse(child, bytes)),
                    None => Payload::Bytes(bytes.to_vec()),
                },
                Wire::Group(_) => unreachable!("prost writes no groups here"),
            };
            Node { number: field.number, payload }
        })
        .collect()
}

fn reverse(tree: &mut [Node]) {
    // Stable: repeated fields keep their order.
    tree.sort_by_key(|node| std::cmp::Reverse(node.number));
    for node in tree {
        if let Payload::Message(inner) = &mut node.payload {
            reverse(inner);
        }
    }
}

fn scramble(tree: &mut Vec<Node>, entropy: &mut Entropy<'_>) {
    for node in tree.iter_mut() {
        if let Payload::Message(inner) = &mut node.payload {
            scramble(inner, entropy);
        }
    }
    for _ in 0..entropy.below(3) {
        if tree.is_empty() {
            break;
        }
        let (from, to) = (entropy.below(tree.len()), entropy.below(tree.len()));
        match entropy.below(4) {
            0 => tree.swap(from, to),
            1 => {
                let twin = tree[from].clone();
                tree.insert(to, twin);
            }
            2 => split_message(tree, from, entropy),
            // Another member of a oneof, or another field of the same type: whatever prost makes of it.
            _ => {
                let mut other = tree[from].clone();
                other.number = 1 + entropy.below(16) as u32;
                tree.insert(to, other);
            }
        }
    }
    if entropy.one_in(6) {
        let to = entropy.below(tree.len() + 1);
        tree.insert(to, unknown(entropy, 3));
    }
}

/// A message in two halves is the same message where it is singular, and two where it is repeated.
fn split_message(tree: &mut Vec<Node>, at: usize, entropy: &mut Entropy<'_>) {
    let number = tree[at].number;
    if let Payload::Message(inner) = &mut tree[at].payload {
        let rest = inner.split_off(entropy.below(inner.len() + 1));
        tree.push(Node { number, payload: Payload::Message(rest) });
    }
}

fn unknown(entropy: &mut Entropy<'_>, depth: usize) -> Node {
    const NUMBERS: [u32; 6] = [17, 18, 31, 32, 1000, (1 << 29) - 1];
    let payload = match entropy.below(if depth == 0 { 4 } else { 5 }) {
        0 => Payload::Varint(entropy.u64()),
        1 => Payload::Fixed64(entropy.u64().to_le_bytes()),
        2 => Payload::Fixed32((entropy.u64() as u32).to_le_bytes()),
        3 => Payload::Bytes((0..entropy.below(20)).map(|_| entropy.byte()).collect()),
        _ => Payload::Group((0..entropy.below(3)).map(|_| unknown(entropy, depth - 1)).collect()),
    };
    Node { number: NUMBERS[entropy.below(6)], payload }
}

fn encode(tree: &[Node], entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for node in tree {
        let key = |wire_type: u32, out: &mut Vec<u8>, entropy: &mut Entropy<'_>| {
            varint(u64::from(node.number << 3 | wire_type), out, entropy);
        };
        match &node.payload {
            Payload::Varint(value) => {
                key(0, &mut out, entropy);
                varint(*value, &mut out, entropy);
            }
            Payload::Fixed64(bytes) => {
                key(1, &mut out, entropy);
                out.extend_from_slice(bytes);
            }
            Payload::Fixed32(bytes) => {
                key(5, &mut out, entropy);
                out.extend_from_slice(bytes);
            }
            Payload::Bytes(bytes) => {
                key(2, &mut out, entropy);
                varint(bytes.len() as u64, &mut out, entropy);
                out.extend_from_slice(bytes);
            }
            Payload::Message(inner) => {
                let inner = encode(inner, entropy);
                key(2, &mut out, entropy);
                varint(inner.len() as u64, &mut out, entropy);
                out.extend_from_slice(&inner);
            }
            Payload::Group(inner) => {
                key(3, &mut out, entropy);
                out.extend_from_slice(&encode(inner, entropy));
                key(4, &mut out, entropy);
            }
        }
    }
    out
}

/// A varint, now and then longer than it has to be.
fn varint(mut value: u64, out: &mut Vec<u8>, entropy: &mut Entropy<'_>) {
    let mut length = 1;
    let pad = if entropy.one_in(40) { entropy.below(10) } else { 0 };
    while value >= 0x80 || length <= pad {
        out.push(value as u8 | 0x80);
        value >>= 7;
        length += 1;
    }
    out.push(value as u8);
}
