//! Log records.

use super::columns::Row;
use super::message::{Pass, Refused};
use super::value::BELOW_ATTRIBUTE;
use super::{ATTRIBUTES, COUNTS};
use crate::index::RecordAt;
use crate::schema::LOG_RECORD;

/// Messages that may be nested into a log record.
const BELOW_LOG: u32 = BELOW_ATTRIBUTE + 1;

impl<'a, const DEPTH: u8> Pass<'a, '_, DEPTH> {
    /// Validates a log record of scope number `scope` and remembers what is asked for.
    pub(super) fn log(&mut self, at: &'a [u8], body: &'a [u8], scope: u32) -> Result<(), Refused> {
        if DEPTH == ATTRIBUTES {
            self.columns.attribute_first.push(self.columns.attributes.len() as u32);
        }
        self.counts.records += 1;
        let mut row = Row::default();
        let mut observed = 0;
        let mut ahead = body;
        let mut seen = 0;
        let mut repeats = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(&LOG_RECORD, ahead)?;
            let once = LOG_RECORD.field(key >> 3).once;
            repeats |= seen & once;
            seen |= once;
            ahead = match key {
                0x09 => {
                    let (time, rest) = self.fixed64(&LOG_RECORD, rest)?;
                    row.time_ns = time;
                    rest
                }
                0x59 => {
                    let (time, rest) = self.fixed64(&LOG_RECORD, rest)?;
                    observed = time;
                    rest
                }
                0x10 => {
                    let (severity, rest) = self.varint(&LOG_RECORD, rest)?;
                    row.kind = severity;
                    rest
                }
                0x1a | 0x62 => self.text(&LOG_RECORD, rest)?,
                0x32 => {
                    let (body, rest) = self.delimited(&LOG_RECORD, rest)?;
                    self.attribute(ahead, body, BELOW_ATTRIBUTE)?;
                    rest
                }
                0x4a => {
                    let (id, rest) = self.id(&LOG_RECORD, rest)?;
                    row.trace_id = id;
                    rest
                }
                0x52 => {
                    let (id, rest) = self.id(&LOG_RECORD, rest)?;
                    row.span_id = id;
                    rest
                }
                _ => self.field(&LOG_RECORD, key, ahead, rest, BELOW_LOG)?,
            };
        }
        self.repeats |= repeats;
        if DEPTH != COUNTS {
            if row.time_ns == 0 {
                row.time_ns = observed;
            }
            let at = RecordAt { start: self.offset(at), body: self.range(body), scope };
            self.columns.push_log(at, &row);
        }
        Ok(())
    }
}
