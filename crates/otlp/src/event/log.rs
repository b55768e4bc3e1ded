//! A log record to and from the wire.

use super::ids::{SPAN_ID_TEXT, TRACE_ID_TEXT, Texts, WireId, hex_text};
use super::value::{self, AttributeSink};
use super::{AttributeValue, LogRecord, SAMPLING_THRESHOLD, SERVICE_NAME};
use crate::put::{self, fixed64_tag, len_tag, varint_tag};
use crate::view::{LogView, ResourceView, ValueView};

/// The field of a log record that holds one attribute.
const ATTRIBUTES: u8 = len_tag(6);

/// Appends the body of the `LogRecord` message that says `log`, and returns the service name, which is no part of it: it belongs
/// to the resource around the record. The time is also the time of observation, as OTLP asks of records made by an SDK.
///
/// ```
/// use aldis_otlp::event::{AttributeValue, LogRecord, encode_log};
///
/// let log = LogRecord { body: Some(AttributeValue::String("ready".into())), ..LogRecord::default() };
/// let mut body = Vec::new();
/// encode_log(&log, &mut body);
/// assert_eq!(body, b"\x2a\x07\x0a\x05ready");
/// ```
pub fn encode_log<'a>(log: &'a LogRecord, out: &mut Vec<u8>) -> Option<&'a str> {
    let plan = LogPlan::new(log);
    out.reserve(plan.len);
    plan.put(out, &mut ());
    plan.service
}

/// What has to be known of a log record before its first byte is written.
pub(crate) struct LogPlan<'a> {
    log: &'a LogRecord,
    /// Bytes of the body.
    pub(crate) len: usize,
    /// What the attribute `service.name` says.
    pub(crate) service: Option<&'a str>,
    /// The number of that attribute.
    skip: usize,
    pub(crate) trace_id: WireId<'a, 16>,
    pub(crate) span_id: WireId<'a, 8>,
    /// Bytes of the body's `AnyValue`.
    body_len: usize,
    /// What [`SAMPLING_THRESHOLD`] is to say instead of what it says.
    threshold: Option<&'a str>,
}

impl<'a> LogPlan<'a> {
    pub(crate) fn new(log: &'a LogRecord) -> Self {
        Self::of(log, None)
    }

    pub(crate) fn sampled(log: &'a LogRecord, threshold: &'a str) -> Self {
        Self::of(log, Some(threshold))
    }

    fn of(log: &'a LogRecord, threshold: Option<&'a str>) -> Self {
        let mut plan = LogPlan {
            log,
            threshold,
            len: 0,
            service: None,
            skip: usize::MAX,
            trace_id: WireId::of(log.trace_id.as_deref().unwrap_or_default()),
            span_id: WireId::of(log.span_id.as_deref().unwrap_or_default()),
            body_len: log.body.as_ref().map_or(0, |body| value::value_len(body, 0)),
        };
        plan.len = plan.fixed_len() + plan.read_attributes();
        plan
    }

    /// Bytes of everything but attributes.
    fn fixed_len(&self) -> usize {
        let log = self.log;
        let mut len = 0;
        if log.time_ns != 0 {
            len += 9 + 9;
        }
        if log.severity_number != 0 {
            len += 1 + put::varint_len(log.severity_number.into());
        }
        if !log.severity_text.is_empty() {
            len += put::len_field(log.severity_text.len());
        }
        if log.body.is_some() {
            len += put::len_field(self.body_len);
        }
        if !self.trace_id.is_zero() {
            len += 18;
        }
        if !self.span_id.is_zero() {
            len += 10;
        }
        for (key, text) in self.texts() {
            if let Some(text) = text {
                len += value::text_attribute_len(key, text);
            }
        }
        len
    }

    /// Finds the service name; returns the bytes of the other attributes.
    fn read_attributes(&mut self) -> usize {
        let mut len = 0;
        for (i, (key, value)) in self.log.attributes.iter().enumerate() {
            match value {
                AttributeValue::String(text) if key == SERVICE_NAME && self.skip == usize::MAX => {
                    self.skip = i;
                    self.service = Some(text);
                }
                _ if self.is_replaced(key) => {}
                _ => len += value::attribute_len(key, value),
            }
        }
        len
    }

    fn texts(&self) -> [(&'static str, Option<&'a str>); 3] {
        let threshold = self.threshold.filter(|digits| !digits.is_empty());
        [
            (TRACE_ID_TEXT, self.trace_id.text),
            (SPAN_ID_TEXT, self.span_id.text),
            (SAMPLING_THRESHOLD, threshold),
        ]
    }

    fn is_replaced(&self, key: &str) -> bool {
        self.threshold.is_some() && key == SAMPLING_THRESHOLD
    }

    /// Appends the body: exactly `len` bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>, sink: &mut impl AttributeSink) {
        let log = self.log;
        if log.time_ns != 0 {
            put::fixed64(fixed64_tag(1), log.time_ns, out);
        }
        if log.severity_number != 0 {
            out.push(varint_tag(2));
            put::varint(log.severity_number.into(), out);
        }
        if !log.severity_text.is_empty() {
            put::bytes(len_tag(3), log.severity_text.as_bytes(), out);
        }
        if let Some(body) = &log.body {
            put::open(len_tag(5), self.body_len, out);
            value::put_value(body, 0, out);
        }
        for (i, (key, value)) in log.attributes.iter().enumerate() {
            if i != self.skip && !self.is_replaced(key) {
                value::put_attribute(ATTRIBUTES, key, value, out, sink);
            }
        }
        for (key, text) in self.texts() {
            if let Some(text) = text {
                value::put_text_attribute(ATTRIBUTES, key, text, out, sink);
            }
        }
        if !self.trace_id.is_zero() {
            put::bytes(len_tag(9), &self.trace_id.bytes, out);
        }
        if !self.span_id.is_zero() {
            put::bytes(len_tag(10), &self.span_id.bytes, out);
        }
        if log.time_ns != 0 {
            put::fixed64(fixed64_tag(11), log.time_ns, out);
        }
    }
}

impl LogRecord {
    /// Reads a log record and the service name of its resource back into plain values. Where no time was stated, the time of
    /// observation takes its place; a severity outside 0..=24 becomes 0.
    pub fn from_view(log: LogView<'_>, resource: ResourceView<'_>) -> LogRecord {
        let (trace, span) = (log.trace_id(), log.span_id());
        let mut texts = Texts([(TRACE_ID_TEXT, None), (SPAN_ID_TEXT, None)]);
        let mut attributes = Vec::new();
        if let Some(ValueView::String(service)) = resource.attributes().get(SERVICE_NAME) {
            attributes.push((SERVICE_NAME.to_owned(), AttributeValue::String(service.to_owned())));
        }
        for (key, value) in log.attributes() {
            if !texts.take(key, value, &[&trace.0, &span.0]) {
                attributes.push((key.to_owned(), value.into()));
            }
        }
        let Texts([(_, trace_text), (_, span_text)]) = texts;
        LogRecord {
            time_ns: if log.time_ns() == 0 { log.observed_time_ns() } else { log.time_ns() },
            severity_number: u8::try_from(log.severity_number()).ok().filter(|n| *n <= 24).unwrap_or(0),
            severity_text: log.severity_text().to_owned(),
            body: match log.body_value() {
                ValueView::Empty => None,
                body => Some(body.into()),
            },
            attributes,
            trace_id: trace_text.or_else(|| hex_text(&trace.0)),
            span_id: span_text.or_else(|| hex_text(&span.0)),
        }
    }
}
