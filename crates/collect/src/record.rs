//! A record as bytes, as it waits in a buffer: little-endian numbers, lengths before what they measure.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | length of the whole record |
//! | 4..8 | lane |
//! | 8..16 | number in the lane, of its kind |
//! | 16..24 | time, Unix ns |
//! | 24 | 0 event, 1 metric; plus 128 if a listener or consumer recorded it |
//! | 25 | event type or kind of metric |
//! | 26..28 | number of fields |
//! | 28..32 | length of source or name |
//! | 32..36 | length of message or unit |
//! | 36..44 | a metric's value |
//! | | the two texts, then the fields: length of the key (2), tag (1), 0, length of the value (4), value, key |

use crate::{
    EventType, Fields, MetricKind, Name, Origin, TelemetryData, TelemetryEvent, TelemetryMetric, Value,
    ValueRef,
    limits::{MAX_FIELDS, MAX_KEY_BYTES, MAX_VALUE_DEPTH},
    name::NameCache,
};

const EVENT: u8 = 0;
const METRIC: u8 = 1;
const NESTED: u8 = 128;
const HEAD: usize = 44;

/// What only the lane knows of a record.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) time_ns: u64,
    pub(crate) origin: Origin,
    /// Recorded by a listener or a consumer of the same collector.
    pub(crate) is_nested: bool,
}

/// Events and metrics are numbered apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Event = EVENT as isize,
    Metric = METRIC as isize,
}

/// What is recorded, borrowed from its caller.
pub(crate) trait Body {
    const KIND: Kind;
    /// Bytes of the whole record. `None`: it has more fields, longer keys, or deeper values than a record may have.
    fn len(&self) -> Option<usize>;
    /// Writes exactly that many bytes.
    fn put(&self, stamp: Stamp, out: &mut [u8]);
}

pub(crate) struct EventBody<'a> {
    pub(crate) source: &'a str,
    pub(crate) message: &'a str,
    pub(crate) event_type: EventType,
    pub(crate) metadata: &'a [(&'a str, ValueRef<'a>)],
}

pub(crate) struct MetricBody<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) kind: MetricKind,
}

impl Body for EventBody<'_> {
    const KIND: Kind = Kind::Event;

    #[inline]
    fn len(&self) -> Option<usize> {
        let mut len = HEAD + self.source.len() + self.message.len();
        for (key, value) in self.metadata {
            if key.len() > MAX_KEY_BYTES {
                return None;
            }
            len += 8 + key.len() + value_len(value)?;
        }
        (self.metadata.len() <= MAX_FIELDS).then_some(len)
    }

    #[inline]
    fn put(&self, stamp: Stamp, out: &mut [u8]) {
        let texts = (self.source, self.message);
        let mut pen =
            Pen::start(out, &stamp, (EVENT, self.event_type as u8), self.metadata.len(), texts, 0.0);
        for (key, value) in self.metadata {
            pen.value(key, value);
            pen.bytes(key.as_bytes());
        }
    }
}

impl Body for MetricBody<'_> {
    const KIND: Kind = Kind::Metric;

    #[inline]
    fn len(&self) -> Option<usize> {
        let mut len = HEAD + self.name.len() + self.unit.len();
        for (key, value) in self.tags {
            if key.len() > MAX_KEY_BYTES {
                return None;
            }
            len += 8 + key.len() + value.len();
        }
        (self.tags.len() <= MAX_FIELDS).then_some(len)
    }

    #[inline]
    fn put(&self, stamp: Stamp, out: &mut [u8]) {
        let texts = (self.name, self.unit);
        let mut pen = Pen::start(out, &stamp, (METRIC, self.kind as u8), self.tags.len(), texts, self.value);
        for (key, value) in self.tags {
            pen.field(key, TAG_STRING, value.len());
            pen.bytes(value.as_bytes());
            pen.bytes(key.as_bytes());
        }
    }
}

const TAG_NULL: u8 = 0;
const TAG_BOOL: u8 = 1;
const TAG_INT: u8 = 2;
const TAG_DOUBLE: u8 = 3;
const TAG_STRING: u8 = 4;
const TAG_LIST: u8 = 5;
const TAG_MAP: u8 = 6;

#[inline]
fn value_len(value: &ValueRef<'_>) -> Option<usize> {
    match value {
        ValueRef::Null => Some(0),
        ValueRef::Bool(_) => Some(1),
        ValueRef::Int(_) | ValueRef::Double(_) => Some(8),
        ValueRef::String(text) => Some(text.len()),
        ValueRef::Value(value) => deep_len(value, MAX_VALUE_DEPTH),
    }
}

/// Bytes of a value without tag and length. Inside of lists and maps each has both: 8 bytes.
fn deep_len(value: &Value, depth: usize) -> Option<usize> {
    match value {
        Value::List(list) => {
            let inner = depth.checked_sub(1)?;
            list.iter().try_fold(0, |sum, value| Some(sum + 8 + deep_len(value, inner)?))
        }
        Value::Map(fields) => {
            let inner = depth.checked_sub(1)?;
            let fits = |key: &Name| (key.len() <= MAX_KEY_BYTES).then_some(key.len());
            fields
                .iter()
                .try_fold(0, |sum, (key, value)| Some(sum + 8 + fits(key)? + deep_len(value, inner)?))
        }
        flat => value_len(&flat.into()),
    }
}

/// Writes into bytes that are known to be enough.
struct Pen<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Pen<'a> {
    #[inline]
    fn start(
        out: &'a mut [u8],
        stamp: &Stamp,
        (kind, level): (u8, u8),
        fields: usize,
        (first, second): (&str, &str),
        value: f64,
    ) -> Self {
        let mut head = [0; HEAD];
        head[0..4].copy_from_slice(&(out.len() as u32).to_le_bytes());
        head[4..8].copy_from_slice(&stamp.origin.lane.to_le_bytes());
        head[8..16].copy_from_slice(&stamp.origin.seq.to_le_bytes());
        head[16..24].copy_from_slice(&stamp.time_ns.to_le_bytes());
        head[24] = kind | if stamp.is_nested { NESTED } else { 0 };
        head[25] = level;
        head[26..28].copy_from_slice(&(fields as u16).to_le_bytes());
        head[28..32].copy_from_slice(&(first.len() as u32).to_le_bytes());
        head[32..36].copy_from_slice(&(second.len() as u32).to_le_bytes());
        head[36..44].copy_from_slice(&value.to_bits().to_le_bytes());
        out[..HEAD].copy_from_slice(&head);
        let mut pen = Pen { out, at: HEAD };
        pen.bytes(first.as_bytes());
        pen.bytes(second.as_bytes());
        pen
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let to = self.at + bytes.len();
        copy(&mut self.out[self.at..to], bytes);
        self.at = to;
    }

    /// What stands before a field's value.
    #[inline]
    fn field(&mut self, key: &str, tag: u8, len: usize) {
        let word = key.len() as u64 | u64::from(tag) << 16 | (len as u64) << 32;
        self.out[self.at..self.at + 8].copy_from_slice(&word.to_le_bytes());
        self.at += 8;
    }

    #[inline]
    fn value(&mut self, key: &str, value: &ValueRef<'_>) {
        match value {
            ValueRef::Null => self.field(key, TAG_NULL, 0),
            ValueRef::Bool(bool) => {
                self.field(key, TAG_BOOL, 1);
                self.bytes(&[u8::from(*bool)]);
            }
            ValueRef::Int(int) => {
                self.field(key, TAG_INT, 8);
                self.bytes(&int.to_le_bytes());
            }
            ValueRef::Double(double) => {
                self.field(key, TAG_DOUBLE, 8);
                self.bytes(&double.to_bits().to_le_bytes());
            }
            ValueRef::String(text) => {
                self.field(key, TAG_STRING, text.len());
                self.bytes(text.as_bytes());
            }
            ValueRef::Value(value) => self.deep(key, value),
        }
    }

    fn deep(&mut self, key: &str, value: &Value) {
        let len = deep_len(value, MAX_VALUE_DEPTH).unwrap_or_default();
        match value {
            Value::List(list) => {
                self.field(key, TAG_LIST, len);
                list.iter().for_each(|value| self.deep("", value));
            }
            Value::Map(fields) => {
                self.field(key, TAG_MAP, len);
                for (key, value) in fields {
                    self.deep(key, value);
                    self.bytes(key.as_bytes());
                }
            }
            flat => self.value(key, &flat.into()),
        }
    }
}

/// `copy_from_slice`, without a call for the short texts that records are made of.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let is_done = match from.len() {
        0 => true,
        1..4 => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            true
        }
        4..8 => copy_ends::<4>(to, from),
        8..16 => copy_ends::<8>(to, from),
        16..=32 => copy_ends::<16>(to, from),
        _ => false,
    };
    if !is_done {
        to.copy_from_slice(from);
    }
}

/// Copies the first and the last `N` bytes, which overlap where there are fewer than two times `N`.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        let (first, last) = (*first, *last);
        if let Some(to) = to.first_chunk_mut() {
            *to = first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = last;
        }
        return to.len() == from.len();
    }
    false
}

/// The length of the record that these bytes begin with.
pub(crate) fn len_of(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize).filter(|len| (HEAD..=bytes.len()).contains(len))
}

/// Whether the record that these bytes begin with was recorded by a listener or consumer.
pub(crate) fn is_nested(bytes: &[u8]) -> bool {
    bytes.get(24).is_some_and(|kind| kind & NESTED != 0)
}

/// Reads a record back. `None` would mean that these bytes were not written here.
pub(crate) fn decode(bytes: &[u8], names: &mut NameCache, out: &mut TelemetryData) -> Option<()> {
    let mut reader = Reader { bytes };
    let _len = reader.u32()?;
    let origin = Origin { lane: reader.u32()?, seq: reader.u64()? };
    let time_ns = reader.u64()?;
    let [kind, level, fields_low, fields_high] = reader.u32()?.to_le_bytes();
    let fields = usize::from(u16::from_le_bytes([fields_low, fields_high]));
    let (first, second) = (reader.u32()? as usize, reader.u32()? as usize);
    let value = f64::from_bits(reader.u64()?);
    let (first, second) = (names.get(reader.text(first)?), reader.text(second)?);
    if kind & !NESTED == EVENT {
        out.events.push(TelemetryEvent {
            time_ns,
            source: first,
            message: second.to_owned(),
            event_type: *EventType::ALL.get(usize::from(level))?,
            metadata: reader.fields(fields, names)?,
            origin,
        });
    } else {
        let second = names.get(second);
        let mut tags = Vec::with_capacity(fields);
        for _ in 0..fields {
            let (key_len, _, len) = reader.field()?;
            let value = names.get(reader.text(len)?);
            tags.push((names.get(reader.text(key_len)?), value));
        }
        let kind = if level == MetricKind::Delta as u8 { MetricKind::Delta } else { MetricKind::Gauge };
        out.metrics.push(TelemetryMetric { time_ns, name: first, value, unit: second, tags, kind, origin });
    }
    reader.bytes.is_empty().then_some(())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u32::from_le_bytes(*taken))
    }

    fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*taken))
    }

    fn text(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// The length of the key, the tag, and the length of the value.
    fn field(&mut self) -> Option<(usize, u8, usize)> {
        let word = self.u64()?;
        Some((word as usize & 0xffff, (word >> 16) as u8, (word >> 32) as usize))
    }

    fn fields(&mut self, count: usize, names: &mut NameCache) -> Option<Fields> {
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            let (key_len, tag, len) = self.field()?;
            let value = self.value(tag, len, names)?;
            fields.push((names.get(self.text(key_len)?), value));
        }
        Some(fields)
    }

    fn value(&mut self, tag: u8, len: usize, names: &mut NameCache) -> Option<Value> {
        let mut inner = Reader { bytes: self.take(len)? };
        Some(match tag {
            TAG_NULL => Value::Null,
            TAG_BOOL => Value::Bool(inner.bytes == [1]),
            TAG_INT => Value::Int(inner.u64()? as i64),
            TAG_DOUBLE => Value::Double(f64::from_bits(inner.u64()?)),
            TAG_STRING => Value::String(inner.text(len)?.to_owned()),
            TAG_LIST => {
                let mut list = Vec::new();
                while !inner.bytes.is_empty() {
                    let (_, tag, len) = inner.field()?;
                    list.push(inner.value(tag, len, names)?);
                }
                Value::List(list)
            }
            TAG_MAP => {
                let mut fields = Vec::new();
                while !inner.bytes.is_empty() {
                    fields.append(&mut inner.fields(1, names)?);
                }
                Value::Map(fields)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let flat = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("NaN is no equal", |double| !double.is_nan()).prop_map(Value::Double),
            ".{0,40}".prop_map(Value::String),
        ];
        flat.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec((".{0,9}".prop_map(Name::from), inner), 0..4).prop_map(Value::Map),
            ]
        })
    }

    fn written<B: Body>(body: &B, stamp: Stamp) -> Vec<u8> {
        let mut bytes = vec![0xaa; body.len().unwrap()];
        body.put(stamp, &mut bytes);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_written_is_read(
            source in ".{0,70}", message in ".{0,70}", level in 0..4_usize, time_ns: u64, seq: u64, lane: u32,
            fields in prop::collection::vec((".{0,20}", any_value()), 0..5), is_nested: bool,
        ) {
            let origin = Origin { lane, seq };
            let stamp = Stamp { time_ns, origin, is_nested };
            let metadata: Vec<(&str, ValueRef<'_>)> =
                fields.iter().map(|(key, value)| (key.as_str(), value.into())).collect();
            let event_type = EventType::ALL[level];
            let body = EventBody { source: &source, message: &message, event_type, metadata: &metadata };
            let bytes = written(&body, stamp);
            prop_assert_eq!(len_of(&bytes), Some(bytes.len()));
            prop_assert_eq!(super::is_nested(&bytes), is_nested);
            let (mut names, mut data) = (NameCache::new(), TelemetryData::default());
            prop_assert_eq!(decode(&bytes, &mut names, &mut data), Some(()));
            let expected = TelemetryEvent {
                time_ns,
                source: source.as_str().into(),
                message: message.clone(),
                event_type,
                metadata: fields.iter().map(|(key, value)| (key.as_str().into(), value.clone())).collect(),
                origin,
            };
            prop_assert_eq!(&data.events, &[expected]);

            let tags: Vec<(&str, &str)> = fields.iter().map(|(key, _)| (key.as_str(), source.as_str())).collect();
            let body =
                MetricBody { name: &source, value: 1.5, unit: &message, tags: &tags, kind: MetricKind::Delta };
            prop_assert_eq!(decode(&written(&body, stamp), &mut names, &mut data), Some(()));
            let metric = data.metrics.pop().unwrap();
            prop_assert_eq!((&*metric.name, &*metric.unit, metric.value), (&*source, &*message, 1.5));
            prop_assert_eq!(metric.tags.len(), fields.len());
            prop_assert!(metric.tags.iter().zip(&tags).all(|(got, tag)| (&*got.0, &*got.1) == *tag));
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_no_record() {
        let mut deep = Value::Null;
        for _ in 0..MAX_VALUE_DEPTH {
            deep = Value::List(vec![deep]);
        }
        let len = |key: &str, value: &Value| {
            EventBody {
                source: "",
                message: "",
                event_type: EventType::Info,
                metadata: &[(key, value.into())],
            }
            .len()
        };
        assert!(len("k", &deep).is_some());
        assert_eq!(len("k", &Value::List(vec![deep])), None);
        assert!(len(&"k".repeat(MAX_KEY_BYTES), &Value::Null).is_some());
        assert_eq!(len(&"k".repeat(MAX_KEY_BYTES + 1), &Value::Null), None);
    }
}
