//! A record as a line of JSON, and back.
//!
//! ```text
//! {"time_ns":17,"type":"event","event_type":"INFO","source":"app","message":"started","metadata":{"pid":42},"lane":1,"seq":1}
//! {"time_ns":18,"type":"metric","name":"cpu","value":45.2,"unit":"percent","tags":{"core":"0"},"lane":1,"seq":1}
//! ```
//! A metric of kind delta has `"kind":"delta"` besides. Numbers that JSON has not are `"NaN"`, `"Infinity"` and `"-Infinity"`. Keys may
//! stand in any order and may be missing, but for `time_ns` and `type`; those that are unknown are passed over. The time stands first in
//! lines that are written here, so that a reader can pass over a line without reading it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::Record;
use crate::{
    EventType, Fields, MetricKind, Name, Origin, TelemetryEvent, TelemetryMetric, Value,
    limits::MAX_LINE_DEPTH, name::NameCache,
};

mod plain;

const TIME: &[u8] = b"{\"time_ns\":";

pub(crate) fn write_event(event: &TelemetryEvent, out: &mut Vec<u8>) {
    time(event.time_ns, out);
    out.extend_from_slice(b",\"type\":\"event\",\"event_type\":\"");
    out.extend_from_slice(event.event_type.as_str().as_bytes());
    out.extend_from_slice(b"\",\"source\":");
    text(&event.source, out);
    out.extend_from_slice(b",\"message\":");
    text(&event.message, out);
    out.extend_from_slice(b",\"metadata\":");
    map(&event.metadata, out);
    end(event.origin, out);
}

pub(crate) fn write_metric(metric: &TelemetryMetric, out: &mut Vec<u8>) {
    time(metric.time_ns, out);
    out.extend_from_slice(b",\"type\":\"metric\",\"name\":");
    text(&metric.name, out);
    out.extend_from_slice(b",\"value\":");
    double(metric.value, out);
    out.extend_from_slice(b",\"unit\":");
    text(&metric.unit, out);
    out.extend_from_slice(b",\"tags\":");
    tags(&metric.tags, out);
    if metric.kind == MetricKind::Delta {
        out.extend_from_slice(b",\"kind\":\"delta\"");
    }
    end(metric.origin, out);
}

/// Whether no value has more levels than a line may have.
pub(crate) fn is_shallow(fields: &Fields) -> bool {
    fields.iter().all(|(_, value)| is_within(value, MAX_LINE_DEPTH))
}

/// Why an event is refused that is not shallow.
pub(crate) fn too_deep() -> String {
    format!("has a value of more than {MAX_LINE_DEPTH} levels")
}

fn is_within(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::List(_) | Value::Map(_), None) => false,
        (Value::List(list), Some(levels)) => list.iter().all(|item| is_within(item, levels)),
        (Value::Map(fields), Some(levels)) => fields.iter().all(|(_, value)| is_within(value, levels)),
        _ => true,
    }
}

fn tags(tags: &[(Name, Name)], out: &mut Vec<u8>) {
    object(tags, |tag, out| text(tag, out), out);
}

pub(crate) fn fields_text(fields: &Fields) -> String {
    let mut out = Vec::new();
    map(fields, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(crate) fn value_text(of: &Value) -> String {
    let mut out = Vec::new();
    value(of, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(crate) fn tags_text(of: &[(Name, Name)]) -> String {
    let mut out = Vec::new();
    tags(of, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(crate) fn read_fields(text: &str) -> Option<Fields> {
    let pairs: Pairs<'_, Value> = serde_json::from_str(text).ok()?;
    Some(pairs.0.into_iter().map(|(key, value)| (key.as_ref().into(), value)).collect())
}

pub(crate) fn read_tags(text: &str) -> Option<Vec<(Name, Name)>> {
    let pairs: Pairs<'_, String> = serde_json::from_str(text).ok()?;
    Some(pairs.0.into_iter().map(|(key, value)| (key.as_ref().into(), value.into())).collect())
}

fn time(time_ns: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(TIME);
    integer(time_ns, out);
}

fn end(origin: Origin, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"lane\":");
    integer(origin.lane, out);
    out.extend_from_slice(b",\"seq\":");
    integer(origin.seq, out);
    out.extend_from_slice(b"}\n");
}

fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn double(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        // Into memory: nothing can fail.
        let _ = serde_json::to_writer(out, &number);
    } else {
        let name: &[u8] = if number.is_nan() {
            b"\"NaN\""
        } else if number > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(name);
    }
}

fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => integer(*number, out),
        Value::Double(number) => double(*number, out),
        Value::String(string) => text(string, out),
        Value::List(list) => {
            out.push(b'[');
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                self::value(item, out);
            }
            out.push(b']');
        }
        Value::Map(fields) => map(fields, out),
    }
}

fn map(fields: &Fields, out: &mut Vec<u8>) {
    object(fields, value, out);
}

fn object<T>(members: &[(Name, T)], write: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, member)) in members.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text(key, out);
        out.push(b':');
        write(member, out);
    }
    out.push(b'}');
}

/// A JSON string: what must be escaped is, and nothing else.
fn text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// The time of a line that was written here, without reading the rest. `None`: read it to know.
pub(crate) fn time_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(TIME)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    if !matches!(rest[digits], b',' | b'}') || !line.ends_with(b"}") {
        return None;
    }
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// Reads a line. `None`: it is none of ours.
pub(crate) fn read(line: &[u8], names: &mut NameCache) -> Option<Record> {
    plain::read(line, names).or_else(|| read_any(line, names))
}

/// Reads a line whatever its order.
fn read_any(line: &[u8], names: &mut NameCache) -> Option<Record> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let origin = Origin { lane: line.lane, seq: line.seq };
    let named = |(key, value): (Cow<'_, str>, Value)| (names.get(&key), value);
    Some(match line.kind_of_record {
        Kind::Event => Record::Event(TelemetryEvent {
            time_ns: line.time_ns,
            message: line.message.into_owned(),
            event_type: match &line.event_type {
                None => EventType::default(),
                Some(text) => EventType::from_text(text)?,
            },
            metadata: line.metadata.0.into_iter().map(named).collect(),
            source: names.get(&line.source),
            origin,
        }),
        Kind::Metric => Record::Metric(TelemetryMetric {
            time_ns: line.time_ns,
            name: names.get(&line.name),
            value: line.value?.0,
            unit: names.get(&line.unit),
            tags: line.tags.0.into_iter().map(|(key, value)| (names.get(&key), names.get(&value))).collect(),
            kind: match line.kind.as_deref() {
                None | Some("gauge") => MetricKind::Gauge,
                Some("delta") => MetricKind::Delta,
                Some(_) => return None,
            },
            origin,
        }),
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    time_ns: u64,
    #[serde(rename = "type")]
    kind_of_record: Kind,
    event_type: Option<String>,
    #[serde(borrow, default)]
    source: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Pairs<'a, Value>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    value: Option<Number>,
    #[serde(borrow, default)]
    unit: Cow<'a, str>,
    #[serde(borrow, default)]
    tags: Pairs<'a, String>,
    kind: Option<String>,
    #[serde(default)]
    lane: u32,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Event,
    Metric,
}

/// The entries of an object in their order.
struct Pairs<'a, V>(Vec<(Cow<'a, str>, V)>);

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<'a, V>(std::marker::PhantomData<(&'a (), V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Entries<'a, V> {
            type Value = Pairs<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A number, or the name of one that JSON has not.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Int(number) => Ok(Self(number as f64)),
            Value::Double(number) => Ok(Self(number)),
            Value::String(name) => match name.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "Infinity" => Ok(Self(f64::INFINITY)),
                "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
                _ => Err(D::Error::custom("no number")),
            },
            _ => Err(D::Error::custom("no number")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
                Ok(Value::Bool(bool))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Int(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(i64::try_from(number).map_or(Value::Double(number as f64), Value::Int))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Double(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::String(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut fields = Fields::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key.as_ref().into(), value));
                }
                Ok(Value::Map(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(record: &Record) -> Vec<u8> {
        let mut line = Vec::new();
        match record {
            Record::Event(event) => write_event(event, &mut line),
            Record::Metric(metric) => write_metric(metric, &mut line),
        }
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'));
        line
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let flat = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("JSON has it not", |double| double.is_finite()).prop_map(Value::Double),
            any::<String>().prop_map(Value::String),
        ];
        flat.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec((any::<String>().prop_map(Into::into), inner), 0..4)
                    .prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_written_is_read_and_is_json_to_others(
            time_ns: u64, seq: u64, lane: u32, level in 0..4_usize, source: String, message: String,
            fields in prop::collection::vec((any::<String>(), any_value()), 0..5), number: f64, is_delta: bool,
        ) {
            let mut names = NameCache::new();
            let event = Record::Event(TelemetryEvent {
                time_ns,
                source: source.as_str().into(),
                message: message.clone(),
                event_type: EventType::ALL[level],
                metadata: fields.iter().map(|(key, value)| (key.as_str().into(), value.clone())).collect(),
                origin: Origin { lane, seq },
            });
            let line = written(&event);
            prop_assert_eq!(time_of(&line), Some(time_ns));
            let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(json["message"].as_str(), Some(message.as_str()));
            prop_assert_eq!(read(&line, &mut names), Some(event));

            let metric = TelemetryMetric {
                time_ns,
                name: source.as_str().into(),
                value: number,
                unit: message.as_str().into(),
                tags: fields.iter().map(|(key, _)| (key.as_str().into(), source.as_str().into())).collect(),
                kind: if is_delta { MetricKind::Delta } else { MetricKind::Gauge },
                origin: Origin { lane, seq },
            };
            let Some(Record::Metric(mut again)) = read(&written(&Record::Metric(metric.clone())), &mut names) else {
                panic!("no metric");
            };
            prop_assert!(again.value == number || number.is_nan() && again.value.is_nan());
            again.value = number;
            prop_assert_eq!(format!("{again:?}"), format!("{metric:?}"));
        }

        /// Whatever is changed in a plain line: what is read without looking says what the reader of JSON says.
        #[test]
        fn a_plain_line_is_read_as_any_other(
            text in "[a-zA-Z0-9 é\"\n]{0,9}", number: i64, double: f64, is_metric: bool, time_ns in prop_oneof![0..11_u64, any::<u64>()],
            at in 0..300_usize, cut in 0..3_usize, put in r#"[-+.0-9eE"\\{}\[\],: \x00-\x1f~truefalsn]{0,2}"#,
        ) {
            let mut names = NameCache::new();
            let origin = Origin { lane: 1, seq: time_ns };
            let fields = [Value::Null, Value::Bool(number > 0), number.into(), double.into(), text.as_str().into()];
            let keyed = fields.into_iter().map(|value| (text.as_str().into(), value)).collect();
            let mut line = written(&if is_metric {
                let kind = if number > 0 { MetricKind::Delta } else { MetricKind::Gauge };
                let tags = vec![(text.as_str().into(), text.as_str().into()); at % 3];
                Record::Metric(TelemetryMetric { time_ns, name: text.as_str().into(), value: double, unit: "s".into(), tags, kind, origin })
            } else {
                let event_type = EventType::ALL[at % 4];
                Record::Event(TelemetryEvent { time_ns, source: text.as_str().into(), message: text.clone(), event_type, metadata: keyed, origin })
            });
            let whole = plain::read(&line, &mut names);
            prop_assert!(whole.is_none() || whole == read_any(&line, &mut names));
            let is_double_plain = (1e-5..1e15).contains(&double.abs());
            let is_text_plain = text.chars().all(|char| char != '"' && char != '\n');
            prop_assert!(whole.is_some() || !is_double_plain || !is_text_plain);

            let from = at.min(line.len());
            let to = (from + cut).min(line.len());
            line.splice(from..to, put.bytes());
            let changed = plain::read(&line, &mut names);
            prop_assert!(changed.is_none() || changed == read_any(&line, &mut names), "{}", String::from_utf8_lossy(&line));
        }

        #[test]
        fn no_line_panics(line: Vec<u8>, cut in 0..200_usize) {
            let mut names = NameCache::new();
            let _ = (time_of(&line), read(&line, &mut names));
            prop_assert_eq!(plain::read(&line, &mut names), None);
            let mut ours = written(&Record::Metric(TelemetryMetric::default()));
            ours.truncate(cut);
            let _ = (time_of(&ours), read(&ours, &mut names));
        }
    }

    #[test]
    fn lines_that_others_wrote_are_read_by_their_keys() {
        let mut names = NameCache::new();
        let mut read = |line: &str| super::read(line.as_bytes(), &mut names);
        let by_hand = r#" { "type" : "event", "message": "a\u0041", "colour": [1, {}], "time_ns": 5 } "#;
        let Some(Record::Event(event)) = read(by_hand) else { panic!("no event") };
        assert_eq!((event.time_ns, &*event.message, event.event_type), (5, "aA", EventType::Info));
        for bad in [
            "",
            "{}",
            "null",
            r#"{"type":"event"}"#,
            r#"{"type":"span","time_ns":1}"#,
            r#"{"type":"event","time_ns":-1}"#,
            r#"{"type":"event","time_ns":1,"event_type":"LOUD"}"#,
            r#"{"type":"metric","time_ns":1}"#,
            r#"{"type":"metric","time_ns":1,"value":"much"}"#,
            r#"{"type":"metric","time_ns":1,"value":1,"kind":"sum"}"#,
            r#"{"type":"event","time_ns":1} {"#,
            // More than a number can be, where everything else is as it is written here.
            &format!(
                r#"{{"time_ns":1,"type":"metric","name":"","value":{}.0,"unit":"","tags":{{}},"lane":1,"seq":1}}"#,
                "9".repeat(400)
            ),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_format_is_as_it_is_written_down() {
        let event = TelemetryEvent {
            time_ns: 17,
            source: "app".into(),
            message: "started".into(),
            metadata: vec![("pid".into(), 42.into())],
            origin: Origin { lane: 1, seq: 1 },
            ..TelemetryEvent::default()
        };
        let metric = TelemetryMetric {
            time_ns: 18,
            name: "cpu".into(),
            value: 45.2,
            unit: "percent".into(),
            tags: vec![("core".into(), "0".into())],
            origin: Origin { lane: 1, seq: 1 },
            ..TelemetryMetric::default()
        };
        let documented = include_str!("line.rs").lines().filter_map(|line| line.strip_prefix("//! {"));
        let page = include_str!("../../../../docs/formats/collect.md")
            .lines()
            .filter_map(|line| line.strip_prefix("{\"time"));
        let lines = [written(&Record::Event(event)), written(&Record::Metric(metric))];
        let lines = lines.map(|line| String::from_utf8(line).unwrap());
        assert_eq!(documented.map(|line| format!("{{{line}")).collect::<Vec<_>>(), lines);
        assert_eq!(page.map(|line| format!("{{\"time{line}")).collect::<Vec<_>>(), lines);
    }
}
