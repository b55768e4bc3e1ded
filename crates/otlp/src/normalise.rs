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
pub(crate) fn normalise(signal: Signal, request: &[u8]) -> Vec<u8> {
    let shape = match signal {
        Signal::Traces => &schema::TRACES.request,
        Signal::Logs => &schema::LOGS.request,
        Signal::Metrics => &schema::METRICS.request,
        // Passed on whole.
        Signal::Profiles => return request.to_vec(),
    };
    let mut out = Vec::with_capacity(request.len());
    message(shape, request, &mut out);
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

/// Appends the message in `body` with every singular field once, at the place of its last occurrence.
fn message(shape: &'static Shape, body: &[u8], out: &mut Vec<u8>) {
    let runs = runs(shape, body);
    let mut pending: Vec<(u32, Vec<u8>)> = Vec::new();
    for (position, field) in wire::fields(body).enumerate() {
        let declared = shape.field(field.number);
        if declared.once == 0 {
            emit(declared.kind, &field, out);
            continue;
        }
        let run = runs[declared.once.trailing_zeros() as usize];
        if field.number != run.number || position < run.first {
            continue;
        }
        match (declared.kind, field.payload) {
            (Kind::Message(child), Payload::Bytes(part)) if run.first != run.last => {
                let held = pending.iter().position(|(number, _)| *number == field.number);
                let held = held.unwrap_or_else(|| {
                    pending.push((field.number, Vec::new()));
                    pending.len() - 1
                });
                let merged = &mut pending[held].1;
                merged.extend_from_slice(part);
                if position == run.last {
                    nested(child, field.number, merged, out);
                }
            }
            _ if position == run.last => emit(declared.kind, &field, out),
            _ => {}
        }
    }
}

/// Which occurrences count, by the number of the bit that a singular field or oneof has.
fn runs(shape: &Shape, body: &[u8]) -> [Run; u32::BITS as usize] {
    let mut runs = [Run::default(); u32::BITS as usize];
    for (position, field) in wire::fields(body).enumerate() {
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

fn emit(kind: Kind, field: &Field<'_>, out: &mut Vec<u8>) {
    match (kind, field.payload) {
        (Kind::Message(child), Payload::Bytes(body)) => nested(child, field.number, body, out),
        _ => out.extend_from_slice(field.raw),
    }
}

fn nested(shape: &'static Shape, number: u32, body: &[u8], out: &mut Vec<u8>) {
    let mut inner = Vec::with_capacity(body.len());
    message(shape, body, &mut inner);
    // Every message field of OTLP has a number below 16.
    put::bytes(put::len_tag(number as u8), &inner, out);
}
