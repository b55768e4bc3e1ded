//! A request that says something twice, rewritten to say it once.
//!
//! Protobuf lets a singular field occur more than once: of scalars and oneofs the last counts, messages are merged, which is
//! the same as reading their bytes one behind the other
//! (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>). No real sender does this, so it may be slow; doing it
//! here keeps every reader simple.

use crate::schema::{self, Kind, Shape};
use crate::wire::{self, Field, Payload};
use crate::{Signal, put};

/// Rewrites a request that was found valid. Unknown fields are kept.
///
/// Memory stays in proportion to the request however deep it nests: merged messages are lists of parts, not copies, and all
/// is written into one buffer.
pub(crate) fn normalise(signal: Signal, request: &[u8]) -> Vec<u8> {
    let shape = match signal {
        Signal::Traces => &schema::TRACES.request,
        Signal::Logs => &schema::LOGS.request,
        Signal::Metrics => &schema::METRICS.request,
        Signal::Profiles => &schema::PROFILES.request,
    };
    let mut out = Vec::with_capacity(request.len());
    message(shape, &[request], &mut out);
    out
}

/// The occurrences of one singular field or oneof that count.
#[derive(Clone, Copy, Default)]
struct Run {
    /// Field number of the last member seen.
    number: u32,
    /// Position among the message's fields from which on occurrences of `number` are merged.
    first: usize,
    /// Position of the last occurrence.
    last: usize,
}

/// Appends the message whose body came in `parts`, with every singular field once, at the place of its last occurrence.
fn message(shape: &'static Shape, parts: &[&[u8]], out: &mut Vec<u8>) {
    let runs = runs(shape, parts);
    for (position, field) in fields(parts).enumerate() {
        let declared = shape.field(field.number);
        let mut first = position;
        if declared.once != 0 {
            let run = runs[declared.once.trailing_zeros() as usize];
            if position != run.last {
                continue;
            }
            first = run.first;
        }
        match (declared.kind, field.payload) {
            (Kind::Message(child), Payload::Bytes(body)) if first == position => {
                nested(child, field.number, &[body], out);
            }
            (Kind::Message(child), Payload::Bytes(_)) => {
                let run = fields(parts).take(position + 1).skip(first);
                let merged = run.filter(|part| part.number == field.number).filter_map(|part| body(&part));
                nested(child, field.number, &merged.collect::<Vec<_>>(), out);
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
}

fn fields<'a>(parts: &[&'a [u8]]) -> impl Iterator<Item = Field<'a>> {
    parts.iter().flat_map(|part| wire::fields(part))
}

fn body<'a>(field: &Field<'a>) -> Option<&'a [u8]> {
    match field.payload {
        Payload::Bytes(body) => Some(body),
        _ => None,
    }
}

/// Which occurrences count, by the number of the bit that a singular field or oneof has.
fn runs(shape: &Shape, parts: &[&[u8]]) -> [Run; u32::BITS as usize] {
    let mut runs = [Run::default(); u32::BITS as usize];
    for (position, field) in fields(parts).enumerate() {
        let once = shape.field(field.number).once;
        if once != 0 {
            let run = &mut runs[once.trailing_zeros() as usize];
            if run.number != field.number {
                *run = Run { number: field.number, first: position, last: position };
            }
            run.last = position;
        }
    }
    runs
}

/// Appends a message field. Its length is put before it when it is known.
fn nested(shape: &'static Shape, number: u32, parts: &[&[u8]], out: &mut Vec<u8>) {
    // Every message field of OTLP has a number below 16.
    out.push(put::len_tag(number as u8));
    let start = out.len();
    message(shape, parts, out);
    let mut len = Vec::with_capacity(put::MAX_VARINT);
    put::varint((out.len() - start) as u64, &mut len);
    out.splice(start..start, len);
}
