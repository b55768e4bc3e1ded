//! From counters to metrics: one pass over what [`Sources`] leads to, at the moment of a scrape.

use std::collections::{BTreeMap, btree_map::Entry};

use connect::{
    file::SealCounts,
    otlp::{Code, ReceiverCounts, SignalCounts, Transport},
    prometheus::RemoteWriteStats,
    tls::HandshakeFailure,
};
use operators::gaps::{GapStats, Seen};
use otlp::Signal;
use pipeline::{
    batcher::{SIZE_BOUNDS, SIZES, Trigger},
    exporting::QueueFill,
    health::Severity,
    ledger::DropCause,
    stats::{ExporterStats, Named, Stats},
};

use super::{
    TraceMeter, health::Verdict, lifetime, points::Points, process::Usage, settings::Level, sources::Sources,
    table::*,
};

/// Puts everything that is counted now into `points`.
pub(super) fn collect(sources: &Sources, verdict: &Verdict, points: &mut Points) {
    let stats = sources.ledger.stats();
    for (name, meter) in &sources.receivers {
        receiver(name, &meter.counts(), points);
    }
    pipelines(sources, &stats, points);
    processors(sources, &stats, points);
    batchers(sources, points);
    exporters(sources, &stats, points);
    queues(sources, points);
    engine(sources, &stats, verdict, points);
    lifetime::collect(sources, points);
    sources.gaps.iter().for_each(|(stage, meter)| gaps(stage, &meter.stats(), points));
    sources.remote_writes.iter().for_each(|(name, exporter)| remote_write(name, &exporter.stats(), points));
    sources.seals.iter().for_each(|(name, seals)| sealed(name, seals.counts(), points));
    sources.traces.iter().for_each(|meter| own_spans(meter, points));
}

/// The process and what it is.
pub(super) fn process(uptime_seconds: f64, points: &mut Points) {
    points.put_float(&PROCESS_UPTIME, uptime_seconds, &[]);
    if let Some(usage) = Usage::now() {
        points.put_float(&PROCESS_CPU, usage.cpu_seconds, &[]);
        points.put(&PROCESS_RSS, usage.resident, &[]);
        points.put(&PROCESS_HEAP, usage.anonymous, &[]);
        points.put(&PROCESS_SYS, usage.asked, &[]);
    }
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    points.put(&BUILD_INFO, 1, &[("version", env!("CARGO_PKG_VERSION")), ("os", os), ("arch", arch)]);
}

fn receiver(name: &str, counts: &ReceiverCounts, points: &mut Points) {
    for (transport, signals) in Transport::ALL.iter().zip(&counts.transports) {
        for (signal, counts) in Signal::ALL.iter().zip(signals).filter(|(_, row)| row.requests_offered > 0) {
            received(&[("receiver", name), ("transport", transport.name())], *signal, counts, points);
        }
    }
    let labels = [("receiver", name)];
    points.put(&REQUESTS_UNROUTED, counts.unrouted, &labels);
    points.put(&CONNECTIONS_OPEN, counts.connections_open, &labels);
    points.put(&CONNECTIONS_ACCEPTED, counts.connections_accepted, &labels);
    points.put(&CONNECTIONS_REFUSED, counts.connections_refused, &labels);
    for (reason, count) in
        [("missing", counts.auth_missing), ("wrong", counts.auth_wrong), ("busy", counts.auth_busy)]
    {
        points.put(&UNAUTHENTICATED, count, &[labels[0], ("reason", reason)]);
    }
    for failure in HandshakeFailure::ALL {
        let reason = [labels[0], ("reason", failure.name())];
        points.put(&HANDSHAKES_FAILED, counts.handshakes_failed(failure), &reason);
    }
    points.put(&TLS_TO_PLAIN, counts.tls_to_plain, &labels);
}

fn received(labels: &[(&str, &str); 2], signal: Signal, counts: &SignalCounts, points: &mut Points) {
    let failed = counts.records_refused(Code::Internal);
    let refused = Code::ALL.iter().map(|code| counts.records_refused(*code)).sum::<u64>() - failed;
    points.put_of(&RECEIVER_ACCEPTED, signal, counts.records_admitted, labels);
    points.put_of(&RECEIVER_REFUSED, signal, refused, labels);
    points.put_of(&RECEIVER_FAILED, signal, failed, labels);
    let own = [labels[0], labels[1], ("signal", signal.name())];
    points.put(&OFFERED, counts.records_offered, &own);
    points.put(&ADMITTED, counts.records_admitted, &own);
    points.put(&REQUESTS_OFFERED, counts.requests_offered, &own);
    points.put(&REQUESTS_ADMITTED, counts.requests_admitted, &own);
    points.put(&BYTES_RECEIVED, counts.bytes_received, &own);
    points.put(&BYTES_DECOMPRESSED, counts.bytes_decompressed, &own);
    for code in Code::ALL {
        let by_code = [own[0], own[1], own[2], ("code", code.name())];
        for (metric, count) in
            [(&REFUSED, counts.records_refused(code)), (&REQUESTS_REFUSED, counts.requests_refused(code))]
        {
            if count > 0 {
                points.put(metric, count, &by_code);
            }
        }
    }
}

fn pipelines(sources: &Sources, stats: &Stats, points: &mut Points) {
    let mut limited: BTreeMap<(&str, Signal), [u64; 2]> = BTreeMap::new();
    for row in &stats.inlets {
        let labels = [("pipeline", &*row.name), ("signal", row.signal.name())];
        points.put(&PIPELINE_OFFERED, row.offered, &labels);
        points.put(&PIPELINE_ADMITTED, row.admitted, &labels);
        named(&PIPELINE_REFUSED, &row.refused, "code", &labels, points);
        if let Some(limiter) = sources.names.limiters.get(&*row.name) {
            let [offered, admitted] = limited.entry((limiter, row.signal)).or_default();
            *offered += row.offered;
            *admitted += row.admitted;
        }
    }
    for ((limiter, signal), [offered, admitted]) in limited {
        let labels = [("processor", limiter)];
        points.put_of(&LIMITER_ACCEPTED, signal, admitted, &labels);
        points.put_of(&LIMITER_REFUSED, signal, offered.saturating_sub(admitted), &labels);
        let labels = [labels[0], ("otel_signal", signal.name())];
        points.put(&PROCESSOR_INCOMING, offered, &labels);
        points.put(&PROCESSOR_OUTGOING, admitted, &labels);
    }
}

fn processors(sources: &Sources, stats: &Stats, points: &mut Points) {
    let mut passed: BTreeMap<(&str, Signal), [u64; 2]> = BTreeMap::new();
    let mut filtered: BTreeMap<(&str, Signal), u64> = BTreeMap::new();
    for row in &stats.stages {
        let labels = [("stage", &*row.name), ("signal", row.signal.name())];
        points.put(&STAGE_IN, row.entered, &labels);
        points.put(&STAGE_MADE, row.made, &labels);
        points.put(&STAGE_OUT, row.out, &labels);
        points.put(&STAGE_HELD, row.held, &labels);
        points.put(&STAGE_PANICS, row.panics, &labels);
        named(&STAGE_REMOVED, &row.removed, "rule", &labels, points);
        named(&STAGE_DROPPED, &row.dropped, "reason", &labels, points);
        if let Some(filter) = sources.names.filters.get(&*row.name) {
            *filtered.entry((filter, row.signal)).or_default() +=
                row.removed.iter().map(|(_, n)| n).sum::<u64>();
        }
        // Processors that were fused are one stage: each has seen what it has seen.
        for id in sources.names.stages.get(&*row.name).into_iter().flatten() {
            let [incoming, outgoing] = passed.entry((id, row.signal)).or_default();
            *incoming += row.entered;
            *outgoing += row.out;
        }
    }
    for ((filter, signal), count) in filtered {
        let labels = [("filter", filter)];
        match signal {
            Signal::Traces => points.put(&FILTERED_SPANS, count, &labels),
            Signal::Logs => points.put(&FILTERED_LOGS, count, &labels),
            Signal::Metrics => points.put(&FILTERED_POINTS, count, &labels),
            Signal::Profiles => {}
        }
    }
    for ((id, signal), [incoming, outgoing]) in passed {
        let labels = [("processor", id), ("otel_signal", signal.name())];
        points.put(&PROCESSOR_INCOMING, incoming, &labels);
        points.put(&PROCESSOR_OUTGOING, outgoing, &labels);
    }
}

/// What a batcher has done for all signals, as the Collector counts it.
#[derive(Default)]
struct Batched {
    triggered: [u64; Trigger::ALL.len()],
    records: u64,
    sizes: [u64; SIZES],
    groups: u64,
}

fn batchers(sources: &Sources, points: &mut Points) {
    let rows = sources.ledger.batchers();
    let mut by_name: BTreeMap<&str, Batched> = BTreeMap::new();
    for row in &rows {
        let sum = by_name.entry(&row.name).or_default();
        sum.triggered.iter_mut().zip(row.batches).for_each(|(sum, one)| *sum += one);
        sum.sizes.iter_mut().zip(row.sizes).for_each(|(sum, one)| *sum += one);
        sum.records += row.records;
        sum.groups += row.groups;
        for (trigger, count) in Trigger::ALL.iter().zip(row.batches) {
            let labels =
                [("processor", &*row.name), ("signal", row.signal.name()), ("trigger", trigger.name())];
            points.put(&BATCHES, count, &labels);
        }
    }
    for (name, sum) in by_name {
        let labels = [("processor", name)];
        points.put_sizes(&BATCH_SIZE, (&SIZE_BOUNDS, &sum.sizes), sum.records, &labels);
        points.put(&BATCH_BY_TIMEOUT, sum.triggered[Trigger::Timeout as usize], &labels);
        points.put(&BATCH_BY_SIZE, sum.triggered[Trigger::Size as usize], &labels);
        points.put(&BATCH_GROUPS, sum.groups, &labels);
    }
}

/// Causes for which the Collector says that a record was not enqueued.
const AT_THE_DOOR: [DropCause; 2] = [DropCause::Oldest, DropCause::Newest];

fn exporters(sources: &Sources, stats: &Stats, points: &mut Points) {
    for (name, signal, _) in &sources.queues {
        if stats.exporter(name, *signal).is_none() {
            exporter(sources, &ExporterStats::none(name, *signal), points);
        }
    }
    // Those that are not in the graph any more deliver what they have, and are counted.
    stats.exporters.iter().for_each(|row| exporter(sources, row, points));
    for row in sources.ledger.senders() {
        let labels = [("exporter", &*row.name)];
        points.put(&SENDS, row.sends, &labels);
        points.put(&SEND_FAILURES, row.failures, &labels);
        points.put(&SEND_TIMEOUTS, row.timeouts, &labels);
        points.put(&SEND_PANICS, row.panics, &labels);
        points.put_times(&LATENCY, &row.latency, &labels);
    }
}

fn exporter(sources: &Sources, row: &ExporterStats, points: &mut Points) {
    let labels = [("exporter", &*row.name), ("signal", row.signal.name())];
    points.put(&ENQUEUED, row.enqueued, &labels);
    points.put(&DELIVERED, row.delivered, &labels);
    points.put(&QUEUED, row.queued, &labels);
    points.put(&IN_FLIGHT, row.in_flight, &labels);
    points.put(&TURNED_AWAY, row.refused, &labels);
    points.put(&HANDED_BACK, row.handed_back, &labels);
    points.put(&MAYBE_DUPLICATE, row.maybe_duplicate, &labels);
    named(&REJECTED, &row.rejected, "code", &labels, points);
    named(&DROPPED, &row.dropped, "reason", &labels, points);

    let is_at_the_door = |reason: &str| AT_THE_DOOR.iter().any(|cause| cause.name() == reason);
    let (at_the_door, given_up): (Vec<_>, Vec<_>) =
        row.dropped.iter().partition(|(reason, _)| is_at_the_door(reason));
    let not_enqueued = row.refused + at_the_door.iter().map(|(_, n)| n).sum::<u64>();
    points.put_of(&EXPORTER_ENQUEUE_FAILED, row.signal, not_enqueued, &labels[..1]);
    let far_end =
        sources.names.far_ends.get(&(row.name.to_string(), row.signal)).cloned().unwrap_or_default();
    let mut labels = vec![labels[0]];
    labels.extend(far_end.labels());
    points.put_of(&EXPORTER_SENT, row.signal, row.delivered, &labels);
    if points.level() < Level::Detailed {
        let failed = row.rejected_total() + given_up.iter().map(|(_, n)| n).sum::<u64>();
        return points.put_of(&EXPORTER_SEND_FAILED, row.signal, failed, &labels);
    }
    let rejected = row.rejected.iter().map(|(code, n)| (code, n, "true"));
    for (why, n, permanent) in rejected.chain(given_up.iter().map(|(why, n)| (why, n, "false"))) {
        let mut labels = labels.clone();
        labels.extend([("error_type", &**why), ("error_permanent", permanent)]);
        points.put_of(&EXPORTER_SEND_FAILED, row.signal, *n, &labels);
    }
}

fn queues(sources: &Sources, points: &mut Points) {
    let mut fills: BTreeMap<(&str, Signal), QueueFill> = BTreeMap::new();
    for (name, signal, queue) in &sources.queues {
        fills.insert((name, *signal), queue.fill());
    }
    // One that came back may have another beside it that is not empty yet: both are its.
    for (name, signal, gauge) in &sources.leaving {
        let Some(fill) = gauge.fill() else { continue };
        match fills.entry((name, *signal)) {
            Entry::Vacant(row) => drop(row.insert(fill)),
            Entry::Occupied(mut row) => {
                row.get_mut().waiting.add(fill.waiting);
                row.get_mut().in_flight.add(fill.in_flight);
            }
        }
    }
    for ((name, signal), fill) in fills {
        let labels = [("exporter", name), ("data_type", signal.name())];
        let bytes = fill.waiting.bytes + fill.in_flight.bytes;
        // Without a bound on items it is bytes that are counted.
        let (size, capacity) = match fill.bounds.items {
            u64::MAX => (bytes, fill.bounds.bytes),
            items => (fill.items(), items),
        };
        points.put(&EXPORTER_QUEUE_SIZE, size, &labels);
        points.put(&EXPORTER_QUEUE_CAPACITY, capacity, &labels);
        points.put(&EXPORTER_IN_FLIGHT, fill.in_flight.requests, &labels);
        let labels = [labels[0], ("signal", signal.name())];
        points.put(&QUEUE_BYTES, bytes, &labels);
        points.put(&QUEUE_BYTES_LIMIT, fill.bounds.bytes, &labels);
    }
}

fn engine(sources: &Sources, stats: &Stats, verdict: &Verdict, points: &mut Points) {
    for (name, budget) in &sources.budgets {
        let labels = [("budget", name.as_str())];
        points.put(&BUDGET_USED, budget.used() as u64, &labels);
        points.put(&BUDGET_RESERVED, budget.reserved() as u64, &labels);
        points.put(&BUDGET_LIMIT, budget.limit() as u64, &labels);
    }
    for (name, limiter) in &sources.limiters {
        points.put(&LIMITER_OVER, u64::from(limiter.is_over()), &[("processor", name)]);
    }
    points.put(&UNRESOLVED, stats.unresolved, &[]);
    points.put(&READY, u64::from(verdict.is_ready()), &[]);
    for (component, problem) in sources.health.problems() {
        let severity = match problem.severity {
            Severity::Degraded => "degraded",
            Severity::Dead => "dead",
        };
        points.put(&UNWELL, 1, &[("component", &component), ("severity", severity)]);
    }
    points.put(&SHARDS, sources.shards as u64, &[]);
}

fn gaps(stage: &str, stats: &GapStats, points: &mut Points) {
    let mut put = |counts: &Seen, labels: &[(&str, &str)]| {
        points.put(&GAPS_RECEIVED, counts.received, labels);
        points.put(&GAPS_MISSING, counts.missing, labels);
        points.put(&GAPS_BEFORE_FIRST, counts.before_first, labels);
        points.put(&GAPS_DUPLICATES, counts.duplicates, labels);
        points.put(&GAPS_LATE, counts.late, labels);
    };
    for row in &stats.rows {
        let (pid, lane) = (row.pid.to_string(), row.lane.to_string());
        put(&row.counts, &[("stage", stage), ("host", &row.host), ("pid", &pid), ("lane", &lane)]);
    }
    put(&stats.forgotten, &[("stage", stage)]);
    points.put(&GAPS_FORGOTTEN, stats.forgotten_senders, &[("stage", stage)]);
    points.put(&GAPS_UNNUMBERED, stats.unnumbered, &[("stage", stage)]);
}

fn remote_write(name: &str, stats: &RemoteWriteStats, points: &mut Points) {
    let labels = [("exporter", name)];
    points.put(&REMOTE_WRITE_REQUESTS, stats.requests, &labels);
    points.put(&REMOTE_WRITE_BYTES, stats.bytes, &labels);
    points.put(&REMOTE_WRITE_SAMPLES, stats.samples, &labels);
    points.put(&REMOTE_WRITE_HISTOGRAMS, stats.histograms, &labels);
    points.put(&REMOTE_WRITE_EXEMPLARS, stats.exemplars, &labels);
    points.put(&REMOTE_WRITE_FALLBACKS, stats.fallbacks, &labels);
    points.put(&REMOTE_WRITE_POINTS_REFUSED, stats.refused, &labels);
    for (reason, count) in &stats.unsent {
        points.put(&REMOTE_WRITE_UNSENT, *count, &[labels[0], ("reason", reason)]);
    }
}

fn sealed(name: &str, counts: SealCounts, points: &mut Points) {
    let labels = [("exporter", name)];
    points.put(&FILE_SEALED, counts.sealed, &labels);
    points.put(&FILE_UNSEALED, counts.unsealed, &labels);
    points.put(&FILE_SEAL_FAILURES, counts.failures, &labels);
}

fn own_spans(meter: &TraceMeter, points: &mut Points) {
    // In this order: what moves on meanwhile is counted as waiting.
    let sent = meter.sent().unwrap_or_else(|| ExporterStats::none("", Signal::Traces));
    let made = meter.made();
    let (delivered, mut dropped) = (sent.delivered, BTreeMap::from([("full", made.dropped)]));
    for (reason, count) in sent.rejected.iter().chain(&sent.dropped) {
        *dropped.entry(reason).or_default() += count;
    }
    let gone = delivered + dropped.values().sum::<u64>();
    points.put(&OWN_SPANS_MADE, made.made, &[]);
    points.put(&OWN_SPANS_DELIVERED, delivered, &[]);
    dropped
        .into_iter()
        .for_each(|(reason, count)| points.put(&OWN_SPANS_DROPPED, count, &[("reason", reason)]));
    points.put(&OWN_SPANS_WAITING, made.made.saturating_sub(gone), &[]);
}

/// A point for every count, with its name as one more label.
fn named(metric: &Metric, counts: &Named, label: &str, labels: &[(&str, &str)], points: &mut Points) {
    for (name, count) in counts {
        let mut labels = labels.to_vec();
        labels.push((label, name));
        points.put(metric, *count, &labels);
    }
}
