//! Times that travel inside the telemetry.
//!
//! A header would not survive a relay, so the load generator writes the time of sending over the time of one record (a
//! span's start, a log's, a point's or a profile's time) of the requests that it stamps, in place. The
//! [sink](super::sink) looks at the first record of every resource. Merging and splitting keep the order of records and so
//! the stamp; a stage that drops the record drops it.
//!
//! A stamp is a time whose lowest bits are a checksum of the others: telemetry that is as young but was not stamped is taken
//! for a stamp once in 4096 records.

use otlp::{
    Signal,
    wire::{self, Payload},
};

/// The lowest bits of a stamp, which are no time: it is up to 4.1 µs too old.
const SUM_BITS: u32 = 12;

/// How old a time may be to count as a stamp. Nanoseconds.
const MAX_AGE_NS: u64 = 60_000_000_000;

/// How many digits a stamp has in JSON, until the year 2286.
pub(super) const DIGITS: usize = 19;

/// The stamp of a time.
pub(super) fn of(now_ns: u64) -> u64 {
    let time = now_ns >> SUM_BITS;
    time << SUM_BITS | sum(time)
}

/// Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4).
fn sum(time: u64) -> u64 {
    time.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SUM_BITS)
}

/// Where the time of the first record is in a request, as a byte offset; `None` if it has none.
pub(super) fn place(signal: Signal, request: &[u8]) -> Option<usize> {
    let record = first_record(signal, first(request, 1)?)?;
    let number = time_number(signal);
    let field = wire::fields(record)
        .find(|field| field.number == number && matches!(field.payload, Payload::Fixed64(_)))?;
    let end = field.raw.as_ptr_range().end as usize - request.as_ptr() as usize;
    Some(end - size_of::<u64>())
}

/// Calls `seen` with the age in nanoseconds of every stamp in a request.
pub(super) fn ages(signal: Signal, request: &[u8], now_ns: u64, mut seen: impl FnMut(u64)) {
    let number = time_number(signal);
    for resource in wire::fields(request).filter(|field| field.number == 1) {
        let Payload::Bytes(resource) = resource.payload else { continue };
        let Some(record) = first_record(signal, resource) else { continue };
        let time = wire::fields(record).find(|field| field.number == number).map(|field| field.payload);
        if let Some(Payload::Fixed64(sent_ns)) = time
            && of(sent_ns) == sent_ns
            && let Some(age) = now_ns.checked_sub(sent_ns)
            && age < MAX_AGE_NS
        {
            seen(age);
        }
    }
}

/// The first span, log record, point or profile of a resource.
fn first_record(signal: Signal, resource: &[u8]) -> Option<&[u8]> {
    let member = first(first(resource, 2)?, 2)?;
    if signal != Signal::Metrics {
        return Some(member);
    }
    // Gauge, sum, histogram, exponential histogram, summary.
    first([5, 7, 9, 10, 11].into_iter().find_map(|data| first(member, data))?, 1)
}

/// The time's field number in a record.
fn time_number(signal: Signal) -> u32 {
    match signal {
        Signal::Traces => 7,
        Signal::Logs => 1,
        Signal::Metrics | Signal::Profiles => 3,
    }
}

fn first(message: &[u8], number: u32) -> Option<&[u8]> {
    wire::fields(message).find(|field| field.number == number).and_then(|field| match field.payload {
        Payload::Bytes(bytes) => Some(bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use otlp::Signal;

    use super::{MAX_AGE_NS, ages, of, place};

    /// `levels` around a record that has nothing but its time: each key opens a message.
    fn request(keys: &[u8], time_key: u8) -> Vec<u8> {
        let mut body = vec![time_key];
        body.extend_from_slice(&[0; 8]);
        for key in keys.iter().rev() {
            body.splice(0..0, [*key, body.len() as u8]);
        }
        body
    }

    #[test]
    fn what_is_stamped_is_seen_whatever_the_signal() {
        let now = 1_800_000_000_123_456_789;
        for (signal, mut request) in [
            (Signal::Traces, request(&[0x0a, 0x12, 0x12], 0x39)),
            (Signal::Logs, request(&[0x0a, 0x12, 0x12], 0x09)),
            (Signal::Metrics, request(&[0x0a, 0x12, 0x12, 0x2a, 0x0a], 0x19)),
            (Signal::Metrics, request(&[0x0a, 0x12, 0x12, 0x5a, 0x0a], 0x19)),
            (Signal::Profiles, request(&[0x0a, 0x12, 0x12], 0x19)),
        ] {
            let at = place(signal, &request).expect("it has a time");
            assert_eq!(at + 8, request.len(), "{signal}");
            let mut seen_of = |time: u64, now| {
                request[at..].copy_from_slice(&time.to_le_bytes());
                let mut seen = Vec::new();
                ages(signal, &request, now, |age| seen.push(age));
                seen
            };
            let age = seen_of(of(now), now + 1_000_000);
            assert!(age.len() == 1 && (1_000_000..1_000_000 + 4096).contains(&age[0]), "{signal}: {age:?}");
            assert_eq!(seen_of(of(now) ^ 1, now + 1_000_000), [0_u64; 0], "not a stamp");
            assert_eq!(seen_of(of(now), now + MAX_AGE_NS + 4096), [0_u64; 0], "too old");
            assert_eq!(seen_of(of(now), now - 4096), [0_u64; 0], "of the future");
        }
        assert_eq!(place(Signal::Traces, &[]), None);
        assert_eq!(place(Signal::Traces, &request(&[0x0a, 0x12, 0x12], 0x41)), None, "another field");
    }
}
