//! The two text formats.
//!
//! Rules: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.

use super::{
    exemplars::Exemplar,
    family::{Family, Kind},
    format::{Escaping, Format, Syntax},
    labels::Labels,
    naming::{is_legacy_label, is_legacy_metric},
    number::{put_canonical_float, put_count, put_float, put_int, put_seconds},
    series::Series,
    table::SeriesTable,
    value::{Explicit, Number, Summary, Value},
};

/// Writes everything.
pub(super) fn put(table: &SeriesTable, format: Format, out: &mut Vec<u8>) {
    let open_metrics = format.syntax == Syntax::OpenMetrics;
    let mut writer = Writer {
        out,
        open_metrics,
        escaping: format.escaping,
        timestamps: table.config.send_timestamps,
        created: open_metrics && table.config.created_samples,
        labels: Vec::new(),
        quoted: false,
        name: String::new(),
        time_ns: 0,
    };
    for (name, family) in table.exposed(format.escaping) {
        writer.family(table, family, &name);
    }
    writer.targets(table.targets.labels());
    if open_metrics {
        out.extend_from_slice(b"# EOF\n");
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    open_metrics: bool,
    escaping: Escaping,
    timestamps: bool,
    created: bool,
    /// The labels of the series that is being written, as text.
    labels: Vec<u8>,
    /// Whether the name must stand in quotes, inside the braces.
    quoted: bool,
    /// The name of the family's samples, without what is put behind it.
    name: String,
    time_ns: u64,
}

/// A number of a sample.
enum Sample {
    Count(u64),
    Number(Number),
    Seconds(u64),
}

impl Writer<'_> {
    fn family(&mut self, table: &SeriesTable, family: &Family, name: &str) {
        let mut live = family.series.iter().filter_map(|(labels, number)| {
            let series = table.series(*number)?;
            Some((labels, series, series.value.as_ref()?))
        });
        let Some(first) = live.next() else { return };
        // OpenMetrics names a counter without `_total`, and takes none whose samples do not end in it.
        let (base, word) = match family.kind {
            Kind::Counter if self.open_metrics => match name.strip_suffix("_total") {
                Some(base) => (base, "counter"),
                None => (name, "unknown"),
            },
            Kind::Counter => (name, "counter"),
            Kind::Gauge => (name, "gauge"),
            Kind::Histogram => (name, "histogram"),
            Kind::Summary => (name, "summary"),
            Kind::Unknown => (name, if self.open_metrics { "unknown" } else { "untyped" }),
        };
        self.quoted = !is_legacy_metric(name);
        self.describe(base, word, &family.help, &family.unit);
        name.clone_into(&mut self.name);
        let is_counter = word == "counter";
        for (labels, series, value) in std::iter::once(first).chain(live) {
            self.labels.clear();
            put_labels(labels, self.escaping, &mut self.labels);
            self.time_ns = if self.timestamps { series.time_ns } else { 0 };
            match value {
                Value::Number(number) => {
                    let exemplar = series.exemplars.all().first().filter(|_| is_counter);
                    self.sample("", None, &Sample::Number(*number), exemplar);
                    if is_counter {
                        base.clone_into(&mut self.name);
                        self.created(series);
                        name.clone_into(&mut self.name);
                    }
                }
                Value::Explicit(histogram) => {
                    self.explicit(series, histogram);
                    self.created(series);
                }
                Value::Exponential(histogram) => {
                    let buckets = histogram.explicit();
                    self.buckets(series, buckets.into_iter(), histogram.count);
                    self.totals(histogram.count, histogram.monotonic_sum());
                    self.created(series);
                }
                Value::Summary(summary) => {
                    self.summary(summary);
                    self.created(series);
                }
            }
        }
    }

    fn describe(&mut self, name: &str, word: &str, help: &str, unit: &str) {
        let comments: [(&[u8], &str); 3] = [(b"# HELP ", help), (b"# TYPE ", word), (b"# UNIT ", unit)];
        for (what, text) in comments {
            let is_unit = what == b"# UNIT ";
            if text.is_empty() || is_unit && !self.open_metrics {
                continue;
            }
            self.out.extend_from_slice(what);
            if self.quoted {
                self.out.push(b'"');
                put_escaped(name.as_bytes(), true, self.out);
                self.out.push(b'"');
            } else {
                self.out.extend_from_slice(name.as_bytes());
            }
            self.out.push(b' ');
            put_escaped(text.as_bytes(), self.open_metrics, self.out);
            self.out.push(b'\n');
        }
    }

    fn explicit(&mut self, series: &Series, histogram: &Explicit) {
        let mut below: u64 = 0;
        let buckets = histogram.bounds.iter().zip(&histogram.counts).map(|(bound, count)| {
            below = below.saturating_add(*count);
            (*bound, below)
        });
        self.buckets(series, buckets, histogram.count);
        self.totals(histogram.count, histogram.monotonic_sum());
    }

    /// Cumulative buckets, and the one that has everything.
    fn buckets(&mut self, series: &Series, buckets: impl Iterator<Item = (f64, u64)>, count: u64) {
        let mut lower = f64::NEG_INFINITY;
        for (upper, below) in buckets.chain(std::iter::once((f64::INFINITY, count))) {
            let exemplar = series.exemplars.within(lower, upper);
            self.sample("_bucket", Some(("le", upper)), &Sample::Count(below), exemplar);
            lower = upper;
        }
    }

    fn totals(&mut self, count: u64, sum: Option<f64>) {
        if let Some(sum) = sum {
            self.sample("_sum", None, &Sample::Number(Number::Double(sum)), None);
        }
        self.sample("_count", None, &Sample::Count(count), None);
    }

    fn summary(&mut self, summary: &Summary) {
        for (quantile, value) in &summary.quantiles {
            let sample = Sample::Number(Number::Double(*value));
            self.sample("", Some(("quantile", *quantile)), &sample, None);
        }
        self.totals(summary.count, Some(summary.sum).filter(|sum| *sum >= 0.0));
    }

    fn created(&mut self, series: &Series) {
        if self.created && series.start_ns > 0 {
            self.sample("_created", None, &Sample::Seconds(series.start_ns), None);
        }
    }

    fn sample(
        &mut self,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: &Sample,
        exemplar: Option<&Exemplar>,
    ) {
        let (out, open_metrics) = (&mut *self.out, self.open_metrics);
        if !self.quoted {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        }
        if self.quoted || !self.labels.is_empty() || extra.is_some() {
            out.push(b'{');
            if self.quoted {
                out.push(b'"');
                put_escaped(self.name.as_bytes(), true, out);
                out.extend_from_slice(suffix.as_bytes());
                out.extend_from_slice(b"\",");
            }
            out.extend_from_slice(&self.labels);
            if let Some((name, value)) = extra {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"=\"");
                if open_metrics {
                    put_canonical_float(value, out);
                } else {
                    put_float(value, out);
                }
                out.extend_from_slice(b"\",");
            }
            out.pop();
            out.push(b'}');
        }
        out.push(b' ');
        match value {
            Sample::Count(count) => put_count(*count, out),
            Sample::Number(number) => put_number(*number, out),
            Sample::Seconds(ns) => put_seconds(*ns, out),
        }
        if self.time_ns > 0 {
            out.push(b' ');
            if open_metrics {
                put_seconds(self.time_ns, out);
            } else {
                put_count(self.time_ns / 1_000_000, out);
            }
        }
        if let Some(exemplar) = exemplar.filter(|_| open_metrics) {
            out.extend_from_slice(b" # {");
            put_labels(&exemplar.labels, Escaping::Underscores, out);
            if out.last() == Some(&b',') {
                out.pop();
            }
            out.extend_from_slice(b"} ");
            put_number(exemplar.value, out);
            if exemplar.time_ns > 0 {
                out.push(b' ');
                put_seconds(exemplar.time_ns, out);
            }
        }
        out.push(b'\n');
    }

    fn targets<'t>(&mut self, targets: impl Iterator<Item = &'t Labels>) {
        let mut targets = targets.peekable();
        if targets.peek().is_none() {
            return;
        }
        self.quoted = false;
        let (name, word) = if self.open_metrics { ("target", "info") } else { ("target_info", "gauge") };
        self.describe(name, word, "Target metadata", "");
        "target_info".clone_into(&mut self.name);
        self.time_ns = 0;
        for labels in targets {
            self.labels.clear();
            put_labels(labels, self.escaping, &mut self.labels);
            self.sample("", None, &Sample::Count(1), None);
        }
    }
}

/// `a="1",b="2",`: a comma behind each.
fn put_labels(labels: &Labels, escaping: Escaping, out: &mut Vec<u8>) {
    for (name, value) in labels.escaped(escaping).texts() {
        if is_legacy_label(name) {
            out.extend_from_slice(name.as_bytes());
        } else {
            out.push(b'"');
            put_escaped(name.as_bytes(), true, out);
            out.push(b'"');
        }
        out.extend_from_slice(b"=\"");
        put_escaped(value.as_bytes(), true, out);
        out.extend_from_slice(b"\",");
    }
}

/// Escapes backslashes, line ends, and, where they end something, quotes.
fn put_escaped(text: &[u8], quotes: bool, out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            byte => out.push(*byte),
        }
    }
}

fn put_number(number: Number, out: &mut Vec<u8>) {
    match number {
        Number::Int(value) => put_int(value, out),
        Number::Double(value) => put_float(value, out),
    }
}
