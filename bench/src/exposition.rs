//! What series for Prometheus cost: to take a point, to expose a series in each format, to write a point by remote write.
//!
//! Input: counters, gauges and histograms of ten buckets in equal parts, four attributes each, two hundred series a metric. The
//! floors are the `prometheus-client` crate, which counts in memory and writes OpenMetrics, and messages built and encoded by prost.

use std::{hint::black_box, time::Instant};

use connect::prometheus::{
    Escaping, Format, PrometheusConfig, PrometheusExporter, RemoteWriteConfig, RemoteWriteExporter,
    RemoteWriteMessage, Syntax,
};
use otlp::{
    Batch, Check, Checker, Depth, Signal,
    event::{AttributeValue, HistogramData, Metric, MetricData, Number, RequestBuilder, Temporality},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use prost::Message;

/// How it is called.
pub(crate) const HELP: &str =
    "  bench exposition [SERIES] [ROUNDS]   points taken, series exposed and written, per Prometheus format";

/// Series of one metric.
const SERIES_PER_METRIC: usize = 200;
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Series of a histogram of so many buckets: one for each, `+Inf`, sum and count.
const WRITTEN_PER_HISTOGRAM: usize = BOUNDS.len() + 3;

/// Measures and prints a table; the first two rows are the same thing twice.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let number = |i: usize, default: usize| match args.get(i) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| format!("not a number: {text}")),
    };
    let (series, rounds) = (number(0, 30_000)?, number(1, 15)?);
    let series = series.next_multiple_of(3 * SERIES_PER_METRIC);
    let batch = batch(series)?;
    println!("{series} series, {} bytes of OTLP, best and median of {rounds}", batch.raw().len());
    println!("{:<46} {:>10} {:>10} {:>12}", "ns a point or series", "best", "median", "bytes");
    let row = |name: &str, run: &mut dyn FnMut() -> usize| report(name, series, rounds, run);

    let exporter = PrometheusExporter::with_config(PrometheusConfig::default().with_open_metrics(true));
    exporter.observe(&batch, 1);
    let mut now_ns = 1;
    let mut take = || {
        now_ns += 1;
        exporter.observe(black_box(&batch), now_ns).taken as usize
    };
    row("a point taken, its series known", &mut take);
    row("the same again (A against A)", &mut take);
    row("a point taken, its series new", &mut || {
        PrometheusExporter::new().observe(black_box(&batch), 1).taken as usize
    });
    for (name, syntax) in [
        ("exposed as text 0.0.4", Syntax::Text),
        ("exposed as OpenMetrics 1.0", Syntax::OpenMetrics),
        ("exposed as protobuf", Syntax::Protobuf),
    ] {
        let format = Format { syntax, escaping: Escaping::AllowUtf8 };
        row(name, &mut || exporter.render(format, now_ns).len());
    }
    let registry = registry(series);
    row("floor: prometheus-client, OpenMetrics 1.0", &mut || {
        let mut text = String::new();
        let _ = encode(&mut text, black_box(&registry));
        text.len()
    });
    written(&batch, series, &row);
    Ok(())
}

/// Remote write, without and with compression.
fn written(batch: &Batch, series: usize, row: &dyn Fn(&str, &mut dyn FnMut() -> usize)) {
    let exporter = RemoteWriteExporter::new(RemoteWriteConfig::default());
    for (name, packed_name, message) in [
        ("written as 1.0", "written as 1.0, snappy", RemoteWriteMessage::V1),
        ("written as 2.0", "written as 2.0, snappy", RemoteWriteMessage::V2),
    ] {
        let requests = || exporter.requests(black_box(batch), message);
        row(name, &mut || requests().iter().map(Vec::len).sum());
        row(packed_name, &mut || {
            let pack = |request: &Vec<u8>| snap::raw::Encoder::new().compress_vec(request);
            requests().iter().map(|request| pack(request).map_or(0, |packed| packed.len())).sum()
        });
    }
    let tree = tree(series);
    row("floor: prost encodes 1.0 that is there already", &mut || black_box(&tree).encode_to_vec().len());
}

fn report(name: &str, of: usize, rounds: usize, run: &mut dyn FnMut() -> usize) {
    let mut bytes = 0;
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            bytes = black_box(run());
            begun.elapsed().as_nanos() as f64 / of as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<46} {:>10.0} {:>10.0} {bytes:>12}", times[0], times[times.len() / 2]);
}

/// The metric that series number `i` is of, its kind (0 to 2), and its number in it.
fn place(i: usize) -> (usize, usize, usize) {
    let metric = i / SERIES_PER_METRIC;
    (metric, metric % 3, i % SERIES_PER_METRIC)
}

fn labels(number: usize) -> [(&'static str, String); 4] {
    [
        ("http.request.method", "GET".to_owned()),
        ("http.route", format!("/api/v1/orders/{number}")),
        ("http.response.status_code", "200".to_owned()),
        ("server.address", "cart.shop.svc.cluster.local".to_owned()),
    ]
}

fn batch(series: usize) -> Result<Batch, String> {
    let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
    for i in 0..series {
        let (metric, kind, number) = place(i);
        let temporality = Temporality::Cumulative;
        let data = match kind {
            0 => MetricData::Sum { value: Number::Int(number as i64), monotonic: true, temporality },
            1 => MetricData::Gauge(Number::Double(number as f64 + 0.5)),
            _ => {
                let histogram = HistogramData::of(&BOUNDS, &[0.1, 0.7, 9.0]);
                MetricData::Histogram { histogram, temporality }
            }
        };
        let service = ("service.name".to_owned(), AttributeValue::String("cart".to_owned()));
        let own = labels(number).map(|(key, value)| (key.to_owned(), AttributeValue::String(value)));
        let metric = Metric {
            name: format!("shop.measure.{metric}"),
            description: "What is measured.".to_owned(),
            unit: "s".to_owned(),
            data,
            attributes: std::iter::once(service).chain(own).collect(),
            time_ns: 1_700_000_000_000_000_000,
            ..Metric::default()
        };
        builder.push_metric(&metric).map_err(|error| error.to_string())?;
    }
    // As it would be received.
    let wire = builder.finish().to_wire();
    Checker::new(Signal::Metrics, Check::Full, Depth::Records).check(wire).map_err(|error| error.to_string())
}

type Pairs = Vec<(String, String)>;

fn registry(series: usize) -> Registry {
    let mut registry = Registry::default();
    for metric in 0..series / SERIES_PER_METRIC {
        let name = format!("shop_measure_{metric}");
        let all = (0..SERIES_PER_METRIC).map(|number| {
            let own = labels(number).map(|(key, value)| (key.replace('.', "_"), value));
            std::iter::once(("job".to_owned(), "cart".to_owned())).chain(own).collect::<Pairs>()
        });
        match metric % 3 {
            0 => {
                let family = Family::<Pairs, Counter>::default();
                all.for_each(|pairs| {
                    family.get_or_create(&pairs).inc_by(7);
                });
                registry.register_with_unit(name, "What is measured", Unit::Seconds, family);
            }
            1 => {
                let family = Family::<Pairs, Gauge>::default();
                all.for_each(|pairs| {
                    family.get_or_create(&pairs).set(7);
                });
                registry.register_with_unit(name, "What is measured", Unit::Seconds, family);
            }
            _ => {
                let family = Family::<Pairs, Histogram>::new_with_constructor(|| Histogram::new(BOUNDS));
                all.for_each(|pairs| family.get_or_create(&pairs).observe(0.1));
                registry.register_with_unit(name, "What is measured", Unit::Seconds, family);
            }
        }
    }
    registry
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// As many series, samples and labels as the batch is written as.
fn tree(series: usize) -> WriteRequest {
    let mut timeseries = Vec::new();
    for i in 0..series {
        let (metric, kind, number) = place(i);
        let label = |(name, value): (&str, String)| Label { name: name.replace('.', "_"), value };
        let mut labels: Vec<Label> = labels(number).map(label).into();
        labels.push(label(("__name__", format!("shop_measure_{metric}_seconds_bucket"))));
        labels.push(label(("job", "cart".to_owned())));
        labels.push(label(("otel_scope_name", "aldis".to_owned())));
        labels.push(label(("otel_scope_version", "0.1.0".to_owned())));
        let samples = vec![Sample { value: 7.0, timestamp: 1_700_000_000_000 }];
        let copies = if kind == 2 { WRITTEN_PER_HISTOGRAM } else { 1 };
        for copy in 0..copies {
            let mut labels = labels.clone();
            labels.extend((kind == 2).then(|| label(("le", copy.to_string()))));
            timeseries.push(TimeSeries { labels, samples: samples.clone() });
        }
    }
    WriteRequest { timeseries }
}
