//! What became of all telemetry, as a table and as JSON.

use std::fmt::Write;

use connect::{
    otlp::{Code, ReceiverCounts},
    tls::HandshakeFailure,
};
use engine::{DrainReport, Seen};
use operators::summary::{ErrorSource, RecentRow, Tree};
use otlp::Signal;
use pipeline::stats::Named;
use serde_json::{Map, Value, json};

/// The loss identity of every part of a graph, in records.
pub(crate) fn as_table(report: &DrainReport, color: bool) -> String {
    let (bold, off) = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{bold}records{off}");
    for (name, counts) in &report.receivers {
        for (signal, counts) in
            Signal::ALL.iter().zip(&counts.signals).filter(|(_, counts)| counts.requests_offered > 0)
        {
            let refused = codes(|code| counts.records_refused(code));
            let _ = writeln!(
                out,
                "  receiver {name} {signal}: offered {} = admitted {} + refused {}",
                counts.records_offered,
                counts.records_admitted,
                by_name(&refused)
            );
        }
    }
    for (name, counts) in &report.receivers {
        let failed = handshakes(counts);
        if !failed.is_empty() {
            let _ = writeln!(out, "  receiver {name}: failed handshakes {}", by_name(&failed));
        }
    }
    for row in &report.stats.inlets {
        let _ = writeln!(
            out,
            "  pipeline {}: offered {} = admitted {} + refused {}",
            row.name,
            row.offered,
            row.admitted,
            by_name(&row.refused)
        );
    }
    for row in &report.stats.stages {
        let _ = writeln!(
            out,
            "  stage {} {}: in {} + made {} = out {} + removed {} + dropped {} + held {}",
            row.name,
            row.signal,
            row.entered,
            row.made,
            row.out,
            sum(&row.removed),
            sum(&row.dropped),
            row.held
        );
    }
    for row in &report.stats.exporters {
        let _ = writeln!(
            out,
            "  exporter {} {}: enqueued {} = delivered {} + rejected {} + dropped {} + queued {} + in flight {}{}",
            row.name,
            row.signal,
            row.enqueued,
            row.delivered,
            by_name(&row.rejected),
            by_name(&row.dropped),
            row.queued,
            row.in_flight,
            if row.maybe_duplicate > 0 {
                format!("; maybe twice {}", row.maybe_duplicate)
            } else {
                String::new()
            }
        );
    }
    if let Err(violation) = report.stats.check() {
        let _ = writeln!(out, "  {bold}{violation}{off}");
    }
    out
}

/// The same as JSON.
pub(crate) fn as_json(report: &DrainReport) -> Value {
    let receivers = report.receivers.iter().flat_map(|(name, counts)| {
        let signals =
            Signal::ALL.iter().zip(&counts.signals).filter(|(_, counts)| counts.requests_offered > 0);
        signals.map(move |(signal, counts)| {
            json!({
                "name": name,
                "signal": signal.name(),
                "requests_offered": counts.requests_offered,
                "requests_admitted": counts.requests_admitted,
                "requests_refused": named(&codes(|code| counts.requests_refused(code))),
                "offered": counts.records_offered,
                "admitted": counts.records_admitted,
                "refused": named(&codes(|code| counts.records_refused(code))),
                "bytes_received": counts.bytes_received,
                "bytes_decompressed": counts.bytes_decompressed,
            })
        })
    });
    let pipelines = report.stats.inlets.iter().map(|row| {
        json!({
            "name": &*row.name, "signal": row.signal.name(), "offered": row.offered, "admitted": row.admitted,
            "refused": named(&row.refused),
        })
    });
    let stages = report.stats.stages.iter().map(|row| {
        json!({
            "name": &*row.name, "signal": row.signal.name(), "in": row.entered, "made": row.made, "out": row.out,
            "removed": named(&row.removed), "dropped": named(&row.dropped), "held": row.held, "panics": row.panics,
        })
    });
    let exporters = report.stats.exporters.iter().map(|row| {
        json!({
            "name": &*row.name, "signal": row.signal.name(), "refused": row.refused, "enqueued": row.enqueued,
            "delivered": row.delivered, "rejected": named(&row.rejected), "dropped": named(&row.dropped),
            "queued": row.queued, "in_flight": row.in_flight, "maybe_duplicate": row.maybe_duplicate,
        })
    });
    let listeners = report.receivers.iter().map(|(name, counts)| {
        json!({
            "name": name,
            "connections_accepted": counts.connections_accepted,
            "connections_refused": counts.connections_refused,
            "handshakes_failed": named(&handshakes(counts)),
            "certificates_reloaded": counts.certificates.reloaded,
            "certificates_failed": counts.certificates.failed,
        })
    });
    json!({
        "receivers": receivers.collect::<Vec<_>>(),
        "listeners": listeners.collect::<Vec<_>>(),
        "pipelines": pipelines.collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
        "exporters": exporters.collect::<Vec<_>>(),
        "unresolved": report.stats.unresolved,
        "violation": report.stats.check().err().map(|violation| violation.to_string()),
    })
}

/// What a summary knows, as JSON; durations in nanoseconds.
pub(crate) fn summary_as_json(seen: &Seen) -> Value {
    let recent = |row: &RecentRow| {
        json!({
            "spans": row.spans, "errors": row.errors, "per_second": row.per_second, "p50_ns": row.p50_ns,
            "p90_ns": row.p90_ns, "p99_ns": row.p99_ns, "longest_ns": row.longest_ns,
        })
    };
    let snapshot = &seen.snapshot;
    let signals = snapshot.signals.iter().map(|row| {
        json!({
            "signal": row.signal.name(), "requests": row.requests, "records": row.records, "bytes": row.bytes,
            "per_second": row.per_second,
        })
    });
    let services = snapshot.services.iter().map(|row| {
        json!({
            "service": &*row.name, "spans": row.spans, "errors": row.errors, "logs": row.logs, "points": row.points,
            "per_second": row.per_second, "asked": recent(&row.asked),
        })
    });
    let operations = snapshot.operations.iter().map(|row| {
        json!({
            "service": &*row.service, "name": &*row.name, "kind": row.kind, "spans": row.spans, "errors": row.errors,
            "recent": recent(&row.recent),
        })
    });
    let errors = snapshot.errors.iter().map(|row| {
        let source = match row.source {
            ErrorSource::Span => "span",
            ErrorSource::Log => "log",
        };
        json!({
            "service": &*row.service, "source": source, "operation": &*row.operation, "text": &*row.text,
            "count": row.count, "last_ns": row.last_ns,
        })
    });
    json!({
        "at_ns": snapshot.at_ns,
        "began_ns": snapshot.began_ns,
        "signals": signals.collect::<Vec<_>>(),
        "services": services.collect::<Vec<_>>(),
        "operations": operations.collect::<Vec<_>>(),
        "errors": errors.collect::<Vec<_>>(),
        "trace": snapshot.trace.as_deref().map(tree),
        "skipped": seen.skipped,
        "unseen": {
            "services": snapshot.unseen.services, "operations": snapshot.unseen.operations,
            "spans": snapshot.unseen.spans, "unread": snapshot.unseen.unread,
        },
    })
}

fn tree(tree: &Tree) -> Value {
    let branches = tree.branches.iter().map(|branch| {
        json!({
            "span_id": branch.span_id.to_string(), "parent": branch.parent, "service": &*branch.service,
            "name": &*branch.name, "kind": branch.kind, "offset_ns": branch.offset_ns,
            "duration_ns": branch.duration_ns, "error": branch.error, "critical_ns": branch.critical_ns,
        })
    });
    json!({
        "trace_id": tree.trace_id.to_string(), "start_ns": tree.start_ns, "duration_ns": tree.duration_ns,
        "cut": tree.cut, "branches": branches.collect::<Vec<_>>(),
    })
}

/// What did not leave, as JSON.
pub(crate) fn undelivered(report: &DrainReport) -> Value {
    let left = report.undelivered.iter().flat_map(|undelivered| {
        let row = |(signal, records): &(Signal, u64)| {
            json!({"exporter": undelivered.exporter, "signal": signal.name(), "records": records})
        };
        undelivered.left.iter().map(row)
    });
    left.collect()
}

/// What was given up or refused, as JSON.
pub(crate) fn lost(report: &DrainReport) -> Value {
    let row = |loss: engine::Loss| {
        json!({
            "component": loss.component, "signal": loss.signal.name(), "lost": loss.lost, "refused": loss.refused,
        })
    };
    report.losses().into_iter().map(row).collect()
}

/// The last sentence: what came of everything that was accepted.
pub(crate) fn end(report: &DrainReport) -> String {
    if report.is_complete() {
        return "everything that was accepted left".to_owned();
    }
    let losses = report.losses();
    let (lost, refused) = losses.iter().fold((0, 0), |sum, loss| (sum.0 + loss.lost, sum.1 + loss.refused));
    let counts = [
        (report.left_behind(), "did not leave"),
        (lost, "were given up before"),
        (refused, "were refused for good"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match counts.is_empty() {
        true => "not everything ended in time; what it held is not known".to_owned(),
        false => format!("not everything was delivered: of the records, {}", counts.join(", ")),
    }
}

fn codes(of: impl Fn(Code) -> u64) -> Named {
    let all = Code::ALL.iter().map(|code| (code.name().into(), of(*code)));
    all.filter(|(_, n)| *n > 0).collect()
}

/// Connections that did not come about because of TLS, by reason.
fn handshakes(counts: &ReceiverCounts) -> Named {
    let of = |failure: HandshakeFailure| (failure.name().into(), counts.handshakes_failed(failure));
    let all = HandshakeFailure::ALL.into_iter().map(of);
    all.chain([("tls_to_plain".into(), counts.tls_to_plain)]).filter(|(_, n)| *n > 0).collect()
}

fn sum(counts: &Named) -> u64 {
    counts.iter().map(|(_, n)| n).sum()
}

/// The sum, and what it is made of: `7 (NOT_FOUND 4, partial_success 3)`.
fn by_name(counts: &Named) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    let each: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
    format!("{} ({})", sum(counts), each.join(", "))
}

fn named(counts: &Named) -> Value {
    let all: Map<String, Value> = counts.iter().map(|(name, n)| (name.to_string(), json!(n))).collect();
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use engine::DrainReport;
    use otlp::Signal;
    use pipeline::stats::{ExporterStats, Stats};

    use super::{by_name, end};

    #[test]
    fn the_last_sentence_has_the_numbers() {
        assert_eq!(end(&DrainReport::default()), "everything that was accepted left");
        let row = ExporterStats {
            dropped: vec![("max_elapsed_time".into(), 7), ("deadline".into(), 2), ("shutdown".into(), 5)],
            handed_back: 2,
            rejected: vec![("400".into(), 3)],
            ..ExporterStats::none("otlp", Signal::Logs)
        };
        let stats = Stats { exporters: vec![row], ..Stats::default() };
        let report = DrainReport { stats, held: 5, ..DrainReport::default() };
        assert_eq!(
            end(&report),
            "not everything was delivered: of the records, 5 did not leave, 7 were given up before, 3 were refused for good"
        );
        let handed_back = ExporterStats {
            dropped: vec![("deadline".into(), 2)],
            handed_back: 2,
            ..ExporterStats::none("file", Signal::Logs)
        };
        let stats = Stats { exporters: vec![handed_back], ..Stats::default() };
        assert!(DrainReport { stats, ..DrainReport::default() }.is_complete(), "senders have them");
    }

    #[test]
    fn a_sum_says_what_it_is_made_of() {
        assert_eq!(by_name(&vec![]), "0");
        let counts = vec![("NOT_FOUND".into(), 4), ("partial_success".into(), 3)];
        assert_eq!(by_name(&counts), "7 (NOT_FOUND 4, partial_success 3)");
    }
}
