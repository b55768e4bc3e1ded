//! Spans.

use super::columns::Row;
use super::message::{Pass, Refused};
use super::value::BELOW_ATTRIBUTE;
use super::{ATTRIBUTES, COUNTS};
use crate::index::RecordAt;
use crate::schema::{self, SPAN};

/// Messages that may be nested into a span.
const BELOW_SPAN: u32 = BELOW_ATTRIBUTE + 1;

impl<'a, const DEPTH: u8> Pass<'a, '_, DEPTH> {
    /// Validates a span of scope number `scope` and remembers what is asked for.
    pub(super) fn span(&mut self, at: &'a [u8], body: &'a [u8], scope: u32) -> Result<(), Refused> {
        if DEPTH == ATTRIBUTES {
            self.columns.attribute_first.push(self.columns.attributes.len() as u32);
        }
        self.counts.records += 1;
        let mut row = Row::default();
        let mut ahead = body;
        let mut seen = 0;
        let mut repeats = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(&SPAN, ahead)?;
            // Repeated and unknown fields have no bit.
            let once = SPAN.field(key >> 3).once;
            repeats |= seen & once;
            seen |= once;
            ahead = match key {
                0x0a => {
                    let (id, rest) = self.id(&SPAN, rest)?;
                    row.trace_id = id;
                    rest
                }
                0x12 => {
                    let (id, rest) = self.id(&SPAN, rest)?;
                    row.span_id = id;
                    rest
                }
                0x22 => self.id::<8>(&SPAN, rest)?.1,
                0x1a | 0x2a => self.text(&SPAN, rest)?,
                0x30 => {
                    let (kind, rest) = self.varint(&SPAN, rest)?;
                    row.kind = kind;
                    rest
                }
                0x39 => {
                    let (time, rest) = self.fixed64(&SPAN, rest)?;
                    row.time_ns = time;
                    rest
                }
                0x41 => {
                    let (time, rest) = self.fixed64(&SPAN, rest)?;
                    row.end_ns = time;
                    rest
                }
                0x4a => {
                    let (body, rest) = self.delimited(&SPAN, rest)?;
                    self.attribute(ahead, body, BELOW_ATTRIBUTE)?;
                    rest
                }
                0x7a => {
                    let (body, rest) = self.delimited(&SPAN, rest)?;
                    self.message(&schema::STATUS, body, BELOW_SPAN - 1)?;
                    if DEPTH != COUNTS {
                        row.status = status_code(body);
                    }
                    rest
                }
                0x85 => self.fixed32(&SPAN, rest)?,
                _ => self.field(&SPAN, key, ahead, rest, BELOW_SPAN)?,
            };
        }
        self.repeats |= repeats;
        if DEPTH != COUNTS {
            let at = RecordAt { start: self.offset(at), body: self.range(body), scope };
            self.columns.push_span(at, &row);
        }
        Ok(())
    }
}

/// The code of a `Status` that was checked.
#[inline]
fn status_code(body: &[u8]) -> u64 {
    use crate::wire::{Payload, fields};
    match body {
        [] => 0,
        [0x18, code @ 0..=0x7f] => u64::from(*code),
        _ => fields(body)
            .filter_map(|field| match (field.number, field.payload) {
                (3, Payload::Varint(code)) => Some(code),
                _ => None,
            })
            .last()
            .unwrap_or(0),
    }
}
