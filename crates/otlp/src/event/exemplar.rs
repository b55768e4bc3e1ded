//! An exemplar of a data point to the wire.

use super::ids::{SPAN_ID_TEXT, TRACE_ID_TEXT, WireId};
use super::metric::{Exemplar, Number};
use super::value;
use crate::put::{self, fixed64_tag, len_tag};

/// The field of an exemplar that holds one attribute.
const ATTRIBUTES: u8 = len_tag(7);

/// What has to be known of an exemplar before its first byte is written.
pub(super) struct ExemplarPlan<'a> {
    exemplar: &'a Exemplar,
    /// Bytes of the body.
    pub(super) len: usize,
    trace_id: WireId<'a, 16>,
    span_id: WireId<'a, 8>,
}

impl<'a> ExemplarPlan<'a> {
    pub(super) fn new(exemplar: &'a Exemplar) -> Self {
        let mut plan = ExemplarPlan {
            exemplar,
            len: 9 + 9,
            trace_id: WireId::of(exemplar.trace_id.as_deref().unwrap_or_default()),
            span_id: WireId::of(exemplar.span_id.as_deref().unwrap_or_default()),
        };
        if !plan.span_id.is_zero() {
            plan.len += 10;
        }
        if !plan.trace_id.is_zero() {
            plan.len += 18;
        }
        plan.len +=
            exemplar.attributes.iter().map(|(key, value)| value::attribute_len(key, value)).sum::<usize>();
        for (key, text) in plan.texts() {
            plan.len += text.map_or(0, |text| value::text_attribute_len(key, text));
        }
        plan
    }

    fn texts(&self) -> [(&'static str, Option<&'a str>); 2] {
        [(TRACE_ID_TEXT, self.trace_id.text), (SPAN_ID_TEXT, self.span_id.text)]
    }

    /// Appends the body: exactly `len` bytes.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put::fixed64(fixed64_tag(2), self.exemplar.time_ns, out);
        match self.exemplar.value {
            Number::Double(number) => put::fixed64(fixed64_tag(3), number.to_bits(), out),
            Number::Int(number) => put::fixed64(fixed64_tag(6), number as u64, out),
        }
        if !self.span_id.is_zero() {
            put::bytes(len_tag(4), &self.span_id.bytes, out);
        }
        if !self.trace_id.is_zero() {
            put::bytes(len_tag(5), &self.trace_id.bytes, out);
        }
        // The index has columns for attributes of records, not of what records hold.
        for (key, value) in &self.exemplar.attributes {
            value::put_attribute(ATTRIBUTES, key, value, out, &mut ());
        }
        for (key, text) in self.texts() {
            if let Some(text) = text {
                value::put_text_attribute(ATTRIBUTES, key, text, out, &mut ());
            }
        }
    }
}
