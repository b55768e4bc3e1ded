//! A span to and from the wire.

use super::ids::{PARENT_SPAN_ID_TEXT, SPAN_ID_TEXT, TRACE_ID_TEXT, Texts, WireId, hex_text};
use super::value::{self, AttributeSink};
use super::{AttributeValue, SERVICE_NAME, SPAN_KIND, Span, SpanStatus};
use crate::put::{self, fixed64_tag, len_tag, varint_tag};
use crate::view::{ResourceView, SpanView, ValueView};

/// The field of a span that holds one attribute.
const ATTRIBUTES: u8 = len_tag(9);

/// `SPAN_KIND_INTERNAL`: OTLP asks writers never to leave the kind unspecified.
const INTERNAL: u8 = 1;

/// The words for kinds 1 to 5, as the attribute `span.kind` uses them.
const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];

/// Appends the body of the `Span` message that says `span`, and returns the service name, which is no part of it: it belongs to
/// the resource around the span. Makes no allocation besides the growth of `out`.
///
/// How ids, kind and times are read is told at [`Span`].
///
/// ```
/// use aldis_otlp::event::{Span, encode_span};
///
/// let span = Span { name: "GET /cart".into(), start_time_ns: 5, duration_ns: 2, ..Span::default() };
/// let mut body = Vec::new();
/// assert_eq!(encode_span(&span, &mut body), None);
/// assert!(body.windows(9).any(|bytes| bytes == b"GET /cart"));
/// ```
pub fn encode_span<'a>(span: &'a Span, out: &mut Vec<u8>) -> Option<&'a str> {
    let plan = SpanPlan::new(span, "");
    out.reserve(plan.len);
    plan.put(out, &mut ());
    plan.service
}

/// What has to be known of a span before its first byte is written.
pub(crate) struct SpanPlan<'a> {
    span: &'a Span,
    /// Bytes of the body.
    pub(crate) len: usize,
    /// What the attribute `service.name` says.
    pub(crate) service: Option<&'a str>,
    /// Numbers of the attributes that became something else: `service.name`, `span.kind`.
    skip: [usize; 2],
    pub(crate) kind: u8,
    pub(crate) trace_id: WireId<'a, 16>,
    pub(crate) span_id: WireId<'a, 8>,
    parent: WireId<'a, 8>,
    pub(crate) end_ns: u64,
    trace_state: &'a str,
}

impl<'a> SpanPlan<'a> {
    pub(crate) fn new(span: &'a Span, trace_state: &'a str) -> Self {
        let mut plan = SpanPlan {
            span,
            trace_state,
            len: 0,
            service: None,
            skip: [usize::MAX; 2],
            kind: INTERNAL,
            trace_id: WireId::of(&span.trace_id),
            span_id: WireId::of(&span.span_id),
            parent: WireId::of(span.parent_span_id.as_deref().unwrap_or_default()),
            end_ns: span.end_time_ns,
        };
        if plan.end_ns == 0 {
            plan.end_ns = span.start_time_ns.saturating_add(span.duration_ns);
        }
        plan.len = plan.fixed_len() + plan.read_attributes();
        plan
    }

    /// Bytes of everything but attributes.
    fn fixed_len(&self) -> usize {
        let mut len = 2 + 9 + 9;
        if !self.trace_id.is_zero() {
            len += 18;
        }
        if !self.span_id.is_zero() {
            len += 10;
        }
        if !self.parent.is_zero() {
            len += 10;
        }
        if !self.trace_state.is_empty() {
            len += put::len_field(self.trace_state.len());
        }
        if !self.span.name.is_empty() {
            len += put::len_field(self.span.name.len());
        }
        if self.span.status != SpanStatus::Unset {
            len += 4;
        }
        for (key, text) in self.texts() {
            if let Some(text) = text {
                len += value::text_attribute_len(key, text);
            }
        }
        len
    }

    /// Finds what attributes stand for fields; returns the bytes of the others.
    fn read_attributes(&mut self) -> usize {
        let mut len = 0;
        for (i, (key, value)) in self.span.attributes.iter().enumerate() {
            if let AttributeValue::String(text) = value {
                if key == SERVICE_NAME && self.skip[0] == usize::MAX {
                    self.skip[0] = i;
                    self.service = Some(text);
                    continue;
                }
                if key == SPAN_KIND
                    && self.skip[1] == usize::MAX
                    && let Some(kind) = KINDS.iter().position(|word| word.eq_ignore_ascii_case(text))
                {
                    self.skip[1] = i;
                    self.kind = kind as u8 + 1;
                    continue;
                }
            }
            len += value::attribute_len(key, value);
        }
        len
    }

    fn texts(&self) -> [(&'static str, Option<&'a str>); 3] {
        [
            (TRACE_ID_TEXT, self.trace_id.text),
            (SPAN_ID_TEXT, self.span_id.text),
            (PARENT_SPAN_ID_TEXT, self.parent.text),
        ]
    }

    /// Appends the body: exactly `len` bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>, sink: &mut impl AttributeSink) {
        let span = self.span;
        if !self.trace_id.is_zero() {
            put::bytes(len_tag(1), &self.trace_id.bytes, out);
        }
        if !self.span_id.is_zero() {
            put::bytes(len_tag(2), &self.span_id.bytes, out);
        }
        if !self.trace_state.is_empty() {
            put::bytes(len_tag(3), self.trace_state.as_bytes(), out);
        }
        if !self.parent.is_zero() {
            put::bytes(len_tag(4), &self.parent.bytes, out);
        }
        if !span.name.is_empty() {
            put::bytes(len_tag(5), span.name.as_bytes(), out);
        }
        out.extend_from_slice(&[varint_tag(6), self.kind]);
        put::fixed64(fixed64_tag(7), span.start_time_ns, out);
        put::fixed64(fixed64_tag(8), self.end_ns, out);
        for (i, (key, value)) in span.attributes.iter().enumerate() {
            if i != self.skip[0] && i != self.skip[1] {
                value::put_attribute(ATTRIBUTES, key, value, out, sink);
            }
        }
        for (key, text) in self.texts() {
            if let Some(text) = text {
                value::put_text_attribute(ATTRIBUTES, key, text, out, sink);
            }
        }
        if span.status != SpanStatus::Unset {
            out.extend_from_slice(&[len_tag(15), 2, varint_tag(3), self.status()]);
        }
    }

    /// The status code.
    pub(crate) fn status(&self) -> u8 {
        match self.span.status {
            SpanStatus::Unset => 0,
            SpanStatus::Ok => 1,
            SpanStatus::Error => 2,
        }
    }
}

impl Span {
    /// Reads a span and the service name of its resource back into plain values: what [`encode_span`] turned into ids, kind
    /// and resource is text and attributes again. Kind "internal" is the default and adds no attribute; links, events, state
    /// and flags have no place here and stay behind.
    pub fn from_view(span: SpanView<'_>, resource: ResourceView<'_>) -> Span {
        let (trace, id, parent) = (span.trace_id(), span.span_id(), span.parent_span_id());
        let mut texts = Texts([(TRACE_ID_TEXT, None), (SPAN_ID_TEXT, None), (PARENT_SPAN_ID_TEXT, None)]);
        let mut attributes = Vec::new();
        if let Some(ValueView::String(service)) = resource.attributes().get(SERVICE_NAME) {
            attributes.push((SERVICE_NAME.to_owned(), AttributeValue::String(service.to_owned())));
        }
        if let 2..=5 = span.kind() {
            let kind = KINDS[span.kind() as usize - 1].to_owned();
            attributes.push((SPAN_KIND.to_owned(), AttributeValue::String(kind)));
        }
        for (key, value) in span.attributes() {
            if !texts.take(key, value, &[&trace.0, &id.0, &parent.0]) {
                attributes.push((key.to_owned(), value.into()));
            }
        }
        let Texts([(_, trace_text), (_, id_text), (_, parent_text)]) = texts;
        Span {
            name: span.name().to_owned(),
            trace_id: trace_text.or_else(|| hex_text(&trace.0)).unwrap_or_default(),
            span_id: id_text.or_else(|| hex_text(&id.0)).unwrap_or_default(),
            parent_span_id: parent_text.or_else(|| hex_text(&parent.0)),
            attributes,
            duration_ns: span.end_ns().saturating_sub(span.start_ns()),
            status: match span.status_code() {
                1 => SpanStatus::Ok,
                2 => SpanStatus::Error,
                _ => SpanStatus::Unset,
            },
            start_time_ns: span.start_ns(),
            end_time_ns: span.end_ns(),
        }
    }
}
