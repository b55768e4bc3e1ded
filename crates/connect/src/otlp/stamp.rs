//! Times that travel inside the telemetry.
//!
//! A header would not survive a relay, so the load generator writes the time of sending over the time of one record (a
//! span's start, a log's time) of the requests it samples, eight bytes in place. The [sink](super::sink) looks at the
//! first record of every resource: the corpus is old, so a time less than a minute ago is a stamp. Merging and splitting
//! keep the order of records and so the stamp; a stage that drops the record drops it.

use otlp::{
    Signal,
    wire::{self, Payload},
};

/// How old a time may be to count as a stamp. Nanoseconds.
const MAX_AGE_NS: u64 = 60_000_000_000;

/// Where the time of the first record is in a request, as a byte offset; `None` if it has none.
pub(super) fn place(signal: Signal, request: &[u8]) -> Option<usize> {
    let record = first(first(first(request, 1)?, 2)?, 2)?;
    let number = time_number(signal)?;
    let field = wire::fields(record)
        .find(|field| field.number == number && matches!(field.payload, Payload::Fixed64(_)))?;
    let end = field.raw.as_ptr_range().end as usize - request.as_ptr() as usize;
    Some(end - size_of::<u64>())
}

/// Calls `seen` with the age in nanoseconds of every stamp in a request.
pub(super) fn ages(signal: Signal, request: &[u8], now_ns: u64, mut seen: impl FnMut(u64)) {
    let Some(number) = time_number(signal) else { return };
    for resource in wire::fields(request).filter(|field| field.number == 1) {
        let Payload::Bytes(resource) = resource.payload else { continue };
        let Some(record) = first(resource, 2).and_then(|scope| first(scope, 2)) else { continue };
        let time = wire::fields(record).find(|field| field.number == number).map(|field| field.payload);
        if let Some(Payload::Fixed64(sent_ns)) = time
            && let Some(age) = now_ns.checked_sub(sent_ns)
            && age < MAX_AGE_NS
        {
            seen(age);
        }
    }
}

/// The time's field number in a record; metrics and profiles are not stamped.
fn time_number(signal: Signal) -> Option<u32> {
    match signal {
        Signal::Traces => Some(7),
        Signal::Logs => Some(1),
        Signal::Metrics | Signal::Profiles => None,
    }
}

fn first(message: &[u8], number: u32) -> Option<&[u8]> {
    wire::fields(message).find(|field| field.number == number).and_then(|field| match field.payload {
        Payload::Bytes(bytes) => Some(bytes),
        _ => None,
    })
}
