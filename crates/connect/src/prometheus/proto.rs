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
    series::Series,
    table::SeriesTable,
    value::{Explicit, Summary, Value},
};

/// Empty buckets in a row up to which they are written out: a new span costs more.
const MAX_GAP: usize = 2;

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const SUMMARY: u64 = 2;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;

/// Writes everything.
pub(super) fn put(table: &SeriesTable, format: Format, out: &mut Vec<u8>) {
    let mut family = Message::default();
    let mut metric = Message::default();
    for (name, known) in table.exposed(format.escaping) {
        family.clear();
        let begun = begin_family(&mut family, &name, known);
        for (labels, number) in &known.series {
            let Some(series) = table.series(*number) else { continue };
            let Some(value) = &series.value else { continue };
            metric.clear();
            put_labels(labels, format.escaping, &mut metric);
            put_value(known.kind, series, value, &mut metric);
            if table.config.send_timestamps {
                metric.varint(6, series.time_ns / 1_000_000);
            }
            family.message(4, &metric);
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
    let (mut family, mut metric, mut gauge) = (Message::default(), Message::default(), Message::default());
    gauge.double(1, 1.0);
    family.text(1, "target_info");
    family.text(2, "Target metadata");
    family.varint(3, GAUGE);
    for labels in table.targets.labels() {
        metric.clear();
        put_labels(labels, escaping, &mut metric);
        metric.message(2, &gauge);
        family.message(4, &metric);
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
    let mut inner = Message::default();
    match value {
        Value::Number(number) => {
            inner.double(1, number.as_f64());
            let field = match kind {
                Kind::Counter => {
                    if let Some(exemplar) = series.exemplars.all().first() {
                        inner.message(2, &exemplar_message(exemplar));
                    }
                    inner.time(3, series.start_ns);
                    3
                }
                Kind::Unknown => 5,
                Kind::Gauge | Kind::Histogram | Kind::Summary => 2,
            };
            metric.message(field, &inner);
        }
        Value::Explicit(histogram) => {
            explicit(series, histogram, &mut inner);
            inner.time(15, series.start_ns);
            metric.message(7, &inner);
        }
        Value::Exponential(histogram) => {
            exponential(series, histogram, &mut inner);
            inner.time(15, series.start_ns);
            metric.message(7, &inner);
        }
        Value::Summary(value) => {
            summary(value, &mut inner);
            inner.time(4, series.start_ns);
            metric.message(4, &inner);
        }
    }
}

fn explicit(series: &Series, histogram: &Explicit, out: &mut Message) {
    out.varint(1, histogram.count);
    // There is no way to leave it out: a reader would take zero for it.
    out.double(2, histogram.monotonic_sum().unwrap_or(f64::NAN));
    let mut bucket = Message::default();
    let (mut below, mut lower) = (0_u64, f64::NEG_INFINITY);
    let uppers = histogram.bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
    for (upper, count) in uppers.zip(&histogram.counts) {
        below = below.saturating_add(*count);
        bucket.clear();
        bucket.varint(1, below);
        bucket.double(2, upper);
        if let Some(exemplar) = series.exemplars.within(lower, upper) {
            bucket.message(3, &exemplar_message(exemplar));
        }
        out.message(3, &bucket);
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
        out.message(16, &exemplar_message(exemplar));
    }
}

/// Buckets as spans of adjacent ones, and each count as the difference to the one before.
fn spans(dense: &Dense, (span_field, delta_field): (u32, u32), out: &mut Message) {
    // Native buckets are numbered by their upper bound, one higher than OpenTelemetry's.
    let mut gap = dense.offset + 1;
    let mut rest = &dense.counts[..];
    let mut deltas = Message::default();
    let mut before = 0_i64;
    while !rest.is_empty() {
        let empty = rest.iter().take_while(|count| **count == 0).count();
        gap += empty as i64;
        rest = &rest[empty..];
        let length = span_length(rest);
        if length == 0 {
            break;
        }
        let mut span = Message::default();
        span.zigzag(1, gap);
        span.varint(2, length as u64);
        out.message(span_field, &span);
        for count in &rest[..length] {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            deltas.zigzag(delta_field, count - before);
            before = count;
        }
        rest = &rest[length..];
        gap = 0;
    }
    out.bytes.extend_from_slice(&deltas.bytes);
}

/// How many buckets follow each other without a long gap.
fn span_length(counts: &[u64]) -> usize {
    let mut length = 0;
    for (i, count) in counts.iter().enumerate() {
        if *count > 0 {
            length = i + 1;
        } else if i - length >= MAX_GAP {
            break;
        }
    }
    length
}

fn summary(summary: &Summary, out: &mut Message) {
    out.varint(1, summary.count);
    out.double(2, summary.sum);
    let mut quantile = Message::default();
    for (at, value) in &summary.quantiles {
        quantile.clear();
        quantile.double(1, *at);
        quantile.double(2, *value);
        out.message(3, &quantile);
    }
}

fn exemplar_message(exemplar: &Exemplar) -> Message {
    let mut message = Message::default();
    for (name, value) in exemplar.labels.texts() {
        message.pair(1, name, value);
    }
    message.double(2, exemplar.value.as_f64());
    message.time(3, exemplar.time_ns);
    message
}

/// A message that is being written.
#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn clear(&mut self) {
        self.bytes.clear();
    }

    fn tag(&mut self, field: u32, wire: u32) {
        put_varint(u64::from(field << 3 | wire), &mut self.bytes);
    }

    fn varint(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        put_varint(value, &mut self.bytes);
    }

    fn zigzag(&mut self, field: u32, value: i64) {
        self.varint(field, (value << 1 ^ value >> 63) as u64);
    }

    fn double(&mut self, field: u32, value: f64) {
        self.tag(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Nothing for an empty text.
    fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.tag(field, 2);
            put_varint(text.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(text.as_bytes());
        }
    }

    fn message(&mut self, field: u32, message: &Message) {
        self.tag(field, 2);
        put_varint(message.bytes.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(&message.bytes);
    }

    /// A `LabelPair`.
    fn pair(&mut self, field: u32, name: &str, value: &str) {
        let mut pair = Message::default();
        pair.text(1, name);
        pair.text(2, value);
        self.message(field, &pair);
    }

    /// A `google.protobuf.Timestamp`; nothing for zero.
    fn time(&mut self, field: u32, ns: u64) {
        if ns > 0 {
            let mut time = Message::default();
            time.varint(1, ns / 1_000_000_000);
            time.varint(2, ns % 1_000_000_000);
            self.message(field, &time);
        }
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
