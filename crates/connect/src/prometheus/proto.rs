//! The protobuf format: `io.prometheus.client.MetricFamily`, each behind its length.
//!
//! Numbers of fields: <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>. Lists of
//! numbers are written one by one, as that file declares them.

use super::{
    exemplars::Exemplar,
    exponential::{DEFAULT_ZERO_THRESHOLD, Dense, Exponential},
    family::{Family, Kind},
    format::{Escaping, Format},
    labels::Labels,
    message::{Message, put_varint},
    series::Series,
    table::SeriesTable,
    value::{Explicit, Summary, Value},
};

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const SUMMARY: u64 = 2;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;

/// Writes everything.
pub(super) fn put(table: &SeriesTable, format: Format, out: &mut Vec<u8>) {
    let mut family = Message::default();
    for (name, known) in table.exposed(format.escaping) {
        family.clear();
        let begun = begin_family(&mut family, &name, known);
        for (labels, number) in &known.series {
            let Some(series) = table.series(*number) else { continue };
            let Some(value) = &series.value else { continue };
            family.message(4, |metric| {
                put_labels(labels, format.escaping, metric);
                put_value(known.kind, series, value, metric);
                if table.config.send_timestamps {
                    metric.varint(6, series.time_ns / 1_000_000);
                }
            });
        }
        if family.bytes.len() > begun {
            family.text(5, &known.unit);
            put_delimited(&family, out);
        }
    }
    put_targets(table, format.escaping, out);
}

/// Starts a family; returns how long it is then.
fn begin_family(family: &mut Message, name: &str, known: &Family) -> usize {
    family.text(1, name);
    family.text(2, &known.help);
    let kind = match known.kind {
        Kind::Counter => COUNTER,
        Kind::Gauge => GAUGE,
        Kind::Histogram => HISTOGRAM,
        Kind::Summary => SUMMARY,
        Kind::Unknown => UNTYPED,
    };
    family.varint(3, kind);
    family.bytes.len()
}

fn put_targets(table: &SeriesTable, escaping: Escaping, out: &mut Vec<u8>) {
    if table.targets.len() == 0 {
        return;
    }
    let mut family = Message::default();
    family.text(1, "target_info");
    family.text(2, "Target metadata");
    family.varint(3, GAUGE);
    for labels in table.targets.labels() {
        family.message(4, |metric| {
            put_labels(labels, escaping, metric);
            metric.message(2, |gauge| gauge.double(1, 1.0));
        });
    }
    put_delimited(&family, out);
}

fn put_delimited(family: &Message, out: &mut Vec<u8>) {
    put_varint(family.bytes.len() as u64, out);
    out.extend_from_slice(&family.bytes);
}

fn put_labels(labels: &Labels, escaping: Escaping, metric: &mut Message) {
    for (name, value) in labels.escaped(escaping).texts() {
        metric.pair(1, name, value);
    }
}

fn put_value(kind: Kind, series: &Series, value: &Value, metric: &mut Message) {
    match value {
        Value::Number(number) => {
            let field = match kind {
                Kind::Counter => 3,
                Kind::Unknown => 5,
                Kind::Gauge | Kind::Histogram | Kind::Summary => 2,
            };
            metric.message(field, |inner| {
                inner.double(1, number.as_f64());
                if kind == Kind::Counter {
                    if let Some(exemplar) = series.exemplars.all().first() {
                        inner.message(2, |message| put_exemplar(exemplar, message));
                    }
                    inner.time(3, series.start_ns);
                }
            });
        }
        Value::Explicit(histogram) => metric.message(7, |inner| {
            explicit(series, histogram, inner);
            inner.time(15, series.start_ns);
        }),
        Value::Exponential(histogram) => metric.message(7, |inner| {
            exponential(series, histogram, inner);
            inner.time(15, series.start_ns);
        }),
        Value::Summary(value) => metric.message(4, |inner| {
            summary(value, inner);
            inner.time(4, series.start_ns);
        }),
    }
}

fn explicit(series: &Series, histogram: &Explicit, out: &mut Message) {
    out.varint(1, histogram.count);
    // There is no way to leave it out: a reader would take zero for it.
    out.double(2, histogram.monotonic_sum().unwrap_or(f64::NAN));
    let (mut below, mut lower) = (0_u64, f64::NEG_INFINITY);
    let uppers = histogram.bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
    for (upper, count) in uppers.zip(&histogram.counts) {
        below = below.saturating_add(*count);
        out.message(3, |bucket| {
            bucket.varint(1, below);
            bucket.double(2, upper);
            if let Some(exemplar) = series.exemplars.within(lower, upper) {
                bucket.message(3, |message| put_exemplar(exemplar, message));
            }
        });
        lower = upper;
    }
}

fn exponential(series: &Series, histogram: &Exponential, out: &mut Message) {
    out.varint(1, histogram.count);
    out.double(2, histogram.sum.unwrap_or(f64::NAN));
    out.zigzag(5, i64::from(histogram.scale));
    let is_said = histogram.zero_threshold > 0.0;
    out.double(6, if is_said { histogram.zero_threshold } else { DEFAULT_ZERO_THRESHOLD });
    out.varint(7, histogram.zero_count);
    spans(&histogram.negative, (9, 10), out);
    spans(&histogram.positive, (12, 13), out);
    // Exemplars of native histograms must have a time.
    for exemplar in series.exemplars.all().iter().filter(|exemplar| exemplar.time_ns > 0) {
        out.message(16, |message| put_exemplar(exemplar, message));
    }
}

/// Buckets as spans, and each count as the difference to the one before.
fn spans(dense: &Dense, (span_field, delta_field): (u32, u32), out: &mut Message) {
    let layout = dense.layout();
    for (gap, length) in &layout.spans {
        out.message(span_field, |span| {
            span.zigzag(1, *gap);
            span.varint(2, *length);
        });
    }
    layout.deltas.iter().for_each(|delta| out.zigzag(delta_field, *delta));
}

fn summary(summary: &Summary, out: &mut Message) {
    out.varint(1, summary.count);
    out.double(2, summary.sum);
    for (at, value) in &summary.quantiles {
        out.message(3, |quantile| {
            quantile.double(1, *at);
            quantile.double(2, *value);
        });
    }
}

fn put_exemplar(exemplar: &Exemplar, message: &mut Message) {
    for (name, value) in exemplar.labels.texts() {
        message.pair(1, name, value);
    }
    message.double(2, exemplar.value.as_f64());
    message.time(3, exemplar.time_ns);
}
