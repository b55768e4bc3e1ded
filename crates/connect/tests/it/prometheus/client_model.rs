//! `io.prometheus.client`, read by prost, as an oracle, and written as lines.

use std::fmt::Write;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    below: u64,
    #[prost(double, tag = "2")]
    upper: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Gauge>,
    #[prost(int64, tag = "6")]
    timestamp_ms: i64,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

/// Every family and metric on a line.
pub(crate) fn describe(mut bytes: &[u8]) -> String {
    let mut out = String::new();
    while !bytes.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut bytes).expect("a family");
        let kind = ["counter", "gauge", "summary", "untyped", "histogram"][family.kind as usize];
        writeln!(out, "{} {kind} {:?} {:?}", family.name, family.help, family.unit).unwrap();
        for metric in &family.metric {
            write!(out, "  {}", labels(&metric.label)).unwrap();
            put_value(metric, &mut out);
            if metric.timestamp_ms != 0 {
                write!(out, " @{}ms", metric.timestamp_ms).unwrap();
            }
            out.push('\n');
        }
    }
    out
}

fn put_value(metric: &Metric, out: &mut String) {
    if let Some(gauge) = &metric.gauge {
        write!(out, " gauge {}", gauge.value).unwrap();
    }
    if let Some(untyped) = &metric.untyped {
        write!(out, " untyped {}", untyped.value).unwrap();
    }
    if let Some(counter) = &metric.counter {
        write!(out, " counter {}{}", counter.value, created(counter.created.as_ref())).unwrap();
        counter.exemplar.iter().for_each(|exemplar| out.push_str(&exemplar_text(exemplar)));
    }
    if let Some(summary) = &metric.summary {
        write!(out, " summary count={} sum={}", summary.count, summary.sum).unwrap();
        summary.quantile.iter().for_each(|q| write!(out, " {}:{}", q.quantile, q.value).unwrap());
        out.push_str(&created(summary.created.as_ref()));
    }
    if let Some(histogram) = &metric.histogram {
        write!(out, " histogram count={} sum={}", histogram.count, histogram.sum).unwrap();
        for bucket in &histogram.bucket {
            write!(out, " {}:{}", bucket.upper, bucket.below).unwrap();
            bucket.exemplar.iter().for_each(|exemplar| out.push_str(&exemplar_text(exemplar)));
        }
        if let Some(schema) = histogram.schema {
            let spans = |spans: &[Span]| {
                spans.iter().map(|span| format!("{}:{} ", span.offset, span.length)).collect::<String>()
            };
            write!(out, " schema={schema} zero={}<={:e}", histogram.zero_count, histogram.zero_threshold)
                .unwrap();
            write!(out, " negative {}{:?}", spans(&histogram.negative_span), histogram.negative_delta)
                .unwrap();
            write!(out, " positive {}{:?}", spans(&histogram.positive_span), histogram.positive_delta)
                .unwrap();
        }
        histogram.exemplars.iter().for_each(|exemplar| out.push_str(&exemplar_text(exemplar)));
        out.push_str(&created(histogram.created.as_ref()));
    }
}

fn labels(pairs: &[LabelPair]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|pair| format!("{}={:?}", pair.name, pair.value)).collect();
    format!("{{{}}}", pairs.join(","))
}

fn created(time: Option<&Timestamp>) -> String {
    time.map_or(String::new(), |time| format!(" since {}.{:09}", time.seconds, time.nanos))
}

fn exemplar_text(exemplar: &Exemplar) -> String {
    let time = exemplar.timestamp.as_ref().map_or(String::new(), |time| format!(" @{}", time.seconds));
    format!(" #{} {}{time}", labels(&exemplar.label), exemplar.value)
}
