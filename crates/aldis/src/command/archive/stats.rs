//! A snapshot as a table and as JSON.

use std::fmt::Write;

use archive::TelemetrySnapshot;
use serde_json::Value;

use crate::terminal::{bytes, count};

/// With the names of the snapshot's fields; times in seconds.
pub(super) fn as_json(snapshot: &TelemetrySnapshot) -> Value {
    serde_json::to_value(snapshot).unwrap_or(Value::Null)
}

/// For a person.
pub(super) fn as_table(snapshot: &TelemetrySnapshot) -> String {
    let mut out = String::new();
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "frames     {} data, {} digest, {} terminator{}",
        count(snapshot.frames_data),
        count(snapshot.frames_digest),
        count(snapshot.frames_terminator),
        plural(snapshot.frames_terminator),
    );
    let _ = writeln!(out, "plaintext  {} bytes", count(snapshot.bytes_plaintext));
    let _ = writeln!(
        out,
        "archive    {} bytes = {} compressed + {} overhead{}",
        count(snapshot.bytes_ciphertext),
        count(snapshot.bytes_compressed),
        count(snapshot.bytes_overhead),
        factor(snapshot).map_or_else(String::new, |factor| format!("; {factor}")),
    );
    let _ = writeln!(
        out,
        "time       {:.3} s, {}/s",
        snapshot.elapsed.as_secs_f64(),
        bytes(snapshot.throughput_bytes_per_sec as u64)
    );
    let stages = snapshot.stage_times.iter().filter(|(_, busy)| !busy.is_zero());
    let stages: Vec<String> =
        stages.map(|(stage, busy)| format!("{} {:.3} s", stage.name(), busy.as_secs_f64())).collect();
    let _ = writeln!(out, "busy       {} (of all workers)", stages.join(", "));
    for violation in snapshot.sanity_check() {
        let _ = writeln!(out, "           {violation}");
    }
    out
}

/// How many times smaller it became: `3.9x`.
pub(super) fn factor(snapshot: &TelemetrySnapshot) -> Option<String> {
    let ratio = snapshot.compression_ratio;
    (ratio > 0.0).then(|| format!("{:.1}x", 1.0 / ratio))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::archive::{Stage, TelemetryCounters};

    use super::*;

    #[test]
    fn a_table_says_every_number() {
        let mut counters = TelemetryCounters::new();
        counters.add_header(96);
        counters.add_encrypt_data(3_900_000, 1_000_000, 32);
        counters.add_digest(72);
        counters.add_terminator(72);
        counters.stage_times.add(Stage::Compress, Duration::from_millis(1500));
        counters.end_time = Some(counters.start_time + Duration::from_secs(2));
        let expected = "\
frames     1 data, 1 digest, 1 terminator
plaintext  3,900,000 bytes
archive    1,000,272 bytes = 1,000,000 compressed + 272 overhead; 3.9x
time       2.000 s, 1.9 MiB/s
busy       compress 1.500 s (of all workers)
";
        assert_eq!(as_table(&TelemetrySnapshot::from(&counters)), expected);
        counters.bytes_overhead = 0;
        let table = as_table(&TelemetrySnapshot::from(&counters));
        assert!(table.contains("bytes_ciphertext is not"), "{table}");
        assert_eq!(factor(&TelemetrySnapshot::from(TelemetryCounters::new())), None);
    }
}
