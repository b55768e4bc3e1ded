//! Exporter for Prometheus remote write, read by prost and by a far side that answers by scripts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod far_side;
mod messages;

use std::collections::{BTreeMap, HashSet};

use aldis_connect::prometheus::{
    RemoteWriteConfig, RemoteWriteExporter, RemoteWriteMessage, TranslationStrategy,
};
use otlp::{Check, Checker, Depth, Signal, json};
use pipeline::{Exporter, Item, Outcome, Progress};
use proptest::prelude::*;
use prost::Message;
use tokio::runtime::Builder;

use far_side::{FarSide, Got, Scripted};
use messages::TimeSeries;

use crate::side::PATIENCE;

const SECOND: u64 = 1_000_000_000;
const V1: RemoteWriteMessage = RemoteWriteMessage::V1;
const V2: RemoteWriteMessage = RemoteWriteMessage::V2;
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The wire bytes of a request with these metrics.
fn wire(metrics: &str) -> Vec<u8> {
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},
        {"key":"service.instance.id","value":{"stringValue":"pod-1"}},
        {"key":"host.name","value":{"stringValue":"h"}}]}"#;
    let text = format!(
        r#"{{"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"scope":{{"name":"lib"}},"metrics":[{metrics}]}}]}}]}}"#
    );
    json::to_wire(Signal::Metrics, text.as_bytes()).unwrap()
}

fn item(metrics: &str) -> Item {
    let mut checker = Checker::new(Signal::Metrics, Check::Full, Depth::Records);
    Item::new(checker.check(wire(metrics).into()).unwrap())
}

/// Sends an item as often as it takes; returns every outcome and the progress in the end.
fn send(exporter: &RemoteWriteExporter, item: &Item) -> (Vec<Outcome>, Progress) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sender = exporter.open();
        let (mut outcomes, mut progress) = (Vec::new(), Progress::default());
        loop {
            let outcome = sender.send_rest(item, &mut progress).await;
            let ended = !matches!(outcome, Outcome::Retry { .. });
            outcomes.push(outcome);
            if ended {
                return (outcomes, progress);
            }
        }
    })
}

fn config(far_side: &FarSide, message: RemoteWriteMessage) -> RemoteWriteConfig {
    let config = RemoteWriteConfig::default().with_endpoint(&far_side.endpoint).with_message(message);
    RemoteWriteConfig { target_info: false, timeout: PATIENCE, ..config }
}

fn label<'a>(series: &'a TimeSeries, name: &str) -> &'a str {
    series.labels.iter().find(|label| label.name == name).map_or("", |label| &label.value)
}

/// Every sample of everything that arrived: labels in a line and time, to the value's bits.
fn samples(got: &[Got]) -> BTreeMap<(String, i64), u64> {
    let mut all = BTreeMap::new();
    for series in got.iter().flat_map(|got| &got.request.timeseries) {
        let line = series.labels.iter().map(|label| format!("{}={} ", label.name, label.value));
        let line = line.collect::<String>().trim_end().to_owned();
        for sample in &series.samples {
            all.insert((line.clone(), sample.timestamp), sample.value.to_bits());
        }
        for histogram in &series.histograms {
            all.insert((line.clone(), histogram.timestamp), histogram.count);
        }
    }
    all
}

fn gauge(name: &str, points: &[(&str, u64, f64)]) -> String {
    let points = points.iter().map(|(key, seconds, value)| {
        let at = seconds * SECOND;
        format!(
            r#"{{"timeUnixNano":"{at}","asDouble":{value},"attributes":[{{"key":"k","value":{{"stringValue":"{key}"}}}}]}}"#
        )
    });
    let points = points.collect::<Vec<_>>().join(",");
    format!(r#"{{"name":"{name}","gauge":{{"dataPoints":[{points}]}}}}"#)
}

const EVERY_KIND: &str = r#"
{"name":"requests","unit":"{r}","description":"All.","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[
  {"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000","asInt":"42",
   "exemplars":[{"asDouble":0.5,"timeUnixNano":"4000000000","traceId":"00000000000000000000000000000001","spanId":"0000000000000002"}]}]}},
{"name":"memory","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"5000000000","asDouble":1.5}]}},
{"name":"gone","gauge":{"dataPoints":[{"timeUnixNano":"5000000000","flags":1}]}},
{"name":"took","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
  {"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000","count":"6","sum":4.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.25,1],
   "attributes":[{"key":"le","value":{"stringValue":"theirs"}}],"exemplars":[{"asDouble":0.5,"timeUnixNano":"4000000000"}]},
  {"timeUnixNano":"6000000000","flags":1,"explicitBounds":[0.25],"attributes":[{"key":"le","value":{"stringValue":"theirs"}}]}]}},
{"name":"native","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
  {"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000","count":"8","sum":33,"scale":1,"zeroCount":"1","positive":{"offset":-1,"bucketCounts":["1","2","0","4"]}},
  {"timeUnixNano":"6000000000","flags":1}]}},
{"name":"quick","summary":{"dataPoints":[{"timeUnixNano":"5000000000","count":"4","sum":10,"quantileValues":[{"quantile":0.5,"value":2}]}]}},
{"name":"delta","sum":{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"5000000000","asInt":"1"},{"timeUnixNano":"6000000000","asInt":"1"}]}},
{"name":"never","gauge":{"dataPoints":[{"asInt":"1"}]}}
"#;

#[test]
fn every_kind_becomes_the_series_that_prometheus_knows() {
    let own = "instance=pod-1 job=cart";
    let scope = "otel_scope_name=lib";
    let expected: BTreeMap<(String, i64), u64> = [
        (format!("__name__=requests_total {own} {scope}"), 5000, 42_f64.to_bits()),
        (format!("__name__=memory_bytes {own} {scope}"), 5000, 1.5_f64.to_bits()),
        (format!("__name__=gone {own} {scope}"), 5000, STALE),
        (format!("__name__=took_seconds_count exported_le=theirs {own} {scope}"), 5000, 6_f64.to_bits()),
        (format!("__name__=took_seconds_count exported_le=theirs {own} {scope}"), 6000, STALE),
        (format!("__name__=took_seconds_sum exported_le=theirs {own} {scope}"), 5000, 4.5_f64.to_bits()),
        (format!("__name__=took_seconds_sum exported_le=theirs {own} {scope}"), 6000, STALE),
        (
            format!("__name__=took_seconds_bucket exported_le=theirs {own} le=0.25 {scope}"),
            5000,
            1_f64.to_bits(),
        ),
        (format!("__name__=took_seconds_bucket exported_le=theirs {own} le=0.25 {scope}"), 6000, STALE),
        (
            format!("__name__=took_seconds_bucket exported_le=theirs {own} le=1 {scope}"),
            5000,
            3_f64.to_bits(),
        ),
        (
            format!("__name__=took_seconds_bucket exported_le=theirs {own} le=+Inf {scope}"),
            5000,
            6_f64.to_bits(),
        ),
        (format!("__name__=took_seconds_bucket exported_le=theirs {own} le=+Inf {scope}"), 6000, STALE),
        (format!("__name__=native {own} {scope}"), 5000, 8),
        (format!("__name__=native {own} {scope}"), 6000, 0),
        (format!("__name__=quick_count {own} {scope}"), 5000, 4_f64.to_bits()),
        (format!("__name__=quick_sum {own} {scope}"), 5000, 10_f64.to_bits()),
        (format!("__name__=quick {own} {scope} quantile=0.5"), 5000, 2_f64.to_bits()),
    ]
    .into_iter()
    .map(|(line, time, bits)| ((line, time), bits))
    .collect();
    for message in [V1, V2] {
        let far_side = FarSide::start(vec![], true);
        let exporter = RemoteWriteExporter::new(config(&far_side, message));
        let (outcomes, progress) = send(&exporter, &item(EVERY_KIND));
        assert_eq!(outcomes, [Outcome::Delivered { rejected: 3 }]);
        assert_eq!((progress.delivered(), progress.records()), (8, 11));
        let rejected: Vec<_> = progress.rejections().collect();
        assert_eq!(rejected, [("temporality", 2), ("time", 1)]);
        let got = far_side.got();
        assert_eq!(samples(&got), expected);
        let names: Vec<&str> = got[0].request.timeseries.iter().map(|s| label(s, "__name__")).collect();
        let native = &got[0].request.timeseries[names.iter().position(|n| *n == "native").unwrap()];
        let histogram = &native.histograms[0];
        assert_eq!((histogram.schema, histogram.zero_count, histogram.sum), (1, 1, 33.0));
        assert_eq!(histogram.positive_deltas, [1, 1, -2, 4]);
        assert_eq!(histogram.positive_spans[0].offset, 0);
        assert_eq!(native.histograms[1].sum.to_bits(), STALE);
        let counter = &got[0].request.timeseries[0];
        assert_eq!((counter.exemplars[0].value, counter.exemplars[0].timestamp), (0.5, 4000));
        assert_eq!(counter.exemplars[0].labels.len(), 2);
        let in_bucket = got[0].request.timeseries.iter().find(|s| label(s, "le") == "1").unwrap();
        assert_eq!(in_bucket.exemplars.len(), 1);
        let start = if message == V2 { 1000 } else { 0 };
        assert_eq!((counter.samples[0].start_timestamp, histogram.start_timestamp), (start, start));
        if let Some(request) = &got[0].v2 {
            let about = request.timeseries[0].metadata.as_ref().unwrap();
            assert_eq!((about.kind, request.symbols[about.help_ref as usize].as_str()), (1, "All."));
        }
    }
}

#[test]
fn requests_say_what_they_are() {
    for (message, kind, version) in [
        (V1, "content-type: application/x-protobuf\r", "x-prometheus-remote-write-version: 0.1.0\r"),
        (
            V2,
            "content-type: application/x-protobuf;proto=io.prometheus.write.v2.request\r",
            "x-prometheus-remote-write-version: 2.0.0\r",
        ),
    ] {
        let far_side = FarSide::start(vec![], true);
        let config = config(&far_side, message).with_header("X-Scope-OrgID", "a");
        send(&RemoteWriteExporter::new(config), &item(&gauge("g", &[("a", 1, 1.0)])));
        let head = &far_side.got()[0].head;
        for line in [kind, version, "content-encoding: snappy\r", "user-agent: aldis/", "x-scope-orgid: a\r"]
        {
            assert!(head.contains(line), "{line} in {head}");
        }
    }
}

#[test]
fn metrics_are_described_where_that_is_asked_for() {
    let far_side = FarSide::start(vec![], true);
    let exporter =
        RemoteWriteExporter::new(RemoteWriteConfig { send_metadata: true, ..config(&far_side, V1) });
    send(&exporter, &item(EVERY_KIND));
    let metadata = &far_side.got()[0].request.metadata;
    let found: Vec<_> =
        metadata.iter().map(|m| (m.metric_family_name.as_str(), m.kind, m.unit.as_str())).collect();
    let expected = [
        ("requests_total", 1, ""),
        ("memory_bytes", 2, "bytes"),
        ("gone", 2, ""),
        ("took_seconds", 3, "seconds"),
        ("native", 3, ""),
        ("quick", 5, ""),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_far_side_that_does_not_know_2_0_is_sent_1_0() {
    for refusal in [Some(Scripted(415, "")), Some(Scripted(400, "")), Some(Scripted(406, "")), None] {
        let far_side = FarSide::start(refusal.clone().into_iter().collect(), false);
        let exporter = RemoteWriteExporter::new(config(&far_side, V2));
        let metric = gauge("g", &[("a", 1, 1.0), ("b", 2, 2.0)]);
        let (outcomes, progress) = send(&exporter, &item(&metric));
        assert_eq!((outcomes, progress.delivered()), (vec![Outcome::DELIVERED], 2), "{refusal:?}");
        send(&exporter, &item(&metric));
        let versions: Vec<bool> = far_side.got().iter().map(|got| got.is_v2).collect();
        assert_eq!(versions, [true, false, false], "remembered after {refusal:?}");
        assert_eq!(samples(&far_side.got()[..1]), samples(&far_side.got()[1..2]));
        assert_eq!(exporter.stats().fallbacks, 1);
    }
}

#[test]
fn what_was_not_written_is_counted() {
    let partly = "X-Prometheus-Remote-Write-Samples-Written: 2\r\n";
    for (message, script, delivered, code) in [
        (V1, Scripted(400, ""), 0, "400"),
        (V1, Scripted(413, ""), 0, "413"),
        (V2, Scripted(400, partly), 2, "400"),
        (V2, Scripted(200, partly), 2, "partial_success"),
    ] {
        let far_side = FarSide::start(vec![script.clone()], true);
        let exporter = RemoteWriteExporter::new(config(&far_side, message));
        let points = [("a", 1, 1.0), ("b", 1, 2.0), ("c", 1, 3.0), ("d", 1, 3.0), ("e", 1, 3.0)];
        let (outcomes, progress) = send(&exporter, &item(&gauge("g", &points)));
        let rejected: Vec<_> = progress.rejections().collect();
        assert_eq!((progress.delivered(), rejected), (delivered, vec![(code, 5 - delivered)]), "{script:?}");
        match &outcomes[..] {
            [Outcome::Permanent { code: told, reason }] if delivered == 0 => {
                assert_eq!(told, code);
                assert!(reason.ends_with(": because"), "{reason}");
            }
            [Outcome::Delivered { rejected: 3 }] if delivered == 2 => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_what_failed_is_sent_again() {
    let points: Vec<(String, u64, f64)> = (0..40).map(|i| (format!("{i:02}"), 1, f64::from(i))).collect();
    let points: Vec<(&str, u64, f64)> = points.iter().map(|(k, t, v)| (k.as_str(), *t, *v)).collect();
    let busy = Scripted(503, "Retry-After: 7\r\n");
    let fine = Scripted(204, "");
    let far_side = FarSide::start(vec![fine.clone(), busy, Scripted(400, ""), Scripted(429, ""), fine], true);
    let config = RemoteWriteConfig { max_request_bytes: 1000, ..config(&far_side, V1) };
    let exporter = RemoteWriteExporter::new(config);
    let (outcomes, progress) = send(&exporter, &item(&gauge("g", &points)));
    let got = far_side.got();
    assert!(got.len() > 5 && got.iter().all(|got| got.len <= 1000), "{}", got.len());
    let seconds = |outcome: &Outcome| match outcome {
        Outcome::Retry { after, overloaded, .. } => Some((after.map(|after| after.as_secs()), *overloaded)),
        _ => None,
    };
    let retries: Vec<_> = outcomes.iter().filter_map(seconds).collect();
    assert!(!retries.is_empty(), "{outcomes:?}");
    assert!(retries.contains(&(Some(7), false)) || retries.contains(&(None, true)), "{retries:?}");
    assert_eq!(progress.records(), 40);
    let refused: u64 = progress.rejected();
    assert!(refused > 0 && refused < 20, "one request is refused: {refused}");
    // Two requests came twice: those that were told to.
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for series in got.iter().flat_map(|got| &got.request.timeseries) {
        *times.entry(label(series, "k").to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), 40);
    assert!(times.values().all(|times| *times <= 3), "{times:?}");
    assert_eq!(samples(&got).len(), 40);
}

#[test]
fn resources_are_told_once_in_a_while_and_never_backwards() {
    let far_side = FarSide::start(vec![], true);
    let exporter = RemoteWriteExporter::new(RemoteWriteConfig { target_info: true, ..config(&far_side, V1) });
    for seconds in [100, 101, 99, 160] {
        send(&exporter, &item(&gauge("g", &[("a", seconds, 1.0)])));
    }
    let got = far_side.got();
    let infos: Vec<_> = samples(&got).into_keys().filter(|(line, _)| line.contains("target_info")).collect();
    let line = "__name__=target_info host_name=h instance=pod-1 job=cart".to_owned();
    assert_eq!(infos, [(line.clone(), 100_000), (line, 160_000)]);
}

/// A point of the property test: kind, series, second, value, and whether it has none.
type Made = (usize, u8, u64, u32, bool);

/// The OTLP of some points, and what each comes to: labels, time, value of one sample that tells it apart.
fn made(points: &[Made]) -> (String, BTreeMap<(String, i64), u64>) {
    let mut metrics = Vec::new();
    let mut expected = BTreeMap::new();
    for (kind, key, second, value, stale) in points {
        let flags = u8::from(*stale);
        let common = format!(
            r#""timeUnixNano":"{}","flags":{flags},"attributes":[{{"key":"z","value":{{"stringValue":"{key}"}}}}]"#,
            second * SECOND
        );
        let (name, body) = match kind {
            0 => ("g", format!(r#""name":"g","gauge":{{"dataPoints":[{{"asInt":"{value}",{common}}}]}}"#)),
            1 => (
                "c_total",
                format!(
                    r#""name":"c","sum":{{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{{"asDouble":{value},{common}}}]}}"#
                ),
            ),
            2 => (
                "h_count",
                format!(
                    r#""name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"count":"{value}","sum":1,"bucketCounts":["{value}","0"],"explicitBounds":[{}],{common}}}]}}"#,
                    value % 3
                ),
            ),
            _ => (
                "e",
                format!(
                    r#""name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{"count":"{value}","zeroCount":"{value}","sum":0,{common}}}]}}"#
                ),
            ),
        };
        metrics.push(format!("{{{body}}}"));
        let line = format!("__name__={name} instance=pod-1 job=cart otel_scope_name=lib z={key}");
        let bits = match (kind, stale) {
            (3, true) => 0,
            (3, false) => u64::from(*value),
            (_, true) => STALE,
            (_, false) => f64::from(*value).to_bits(),
        };
        expected.insert((line, *second as i64 * 1000), bits);
    }
    (metrics.join(","), expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_point_arrives_once_in_order_whatever_its_requests(
        points in prop::collection::vec((0_usize..4, 0_u8..4, 1_u64..8, 1_u32..5, prop::bool::weighted(0.1)), 1..60),
        max_request_bytes in prop_oneof![Just(1_usize), Just(600), Just(1 << 20)],
        is_v2 in any::<bool>(),
        busy in prop::collection::vec(prop_oneof![Just(204_u16), Just(503)], 0..6),
    ) {
        let (metrics, expected) = made(&points);
        let message = if is_v2 { V2 } else { V1 };
        let script = if is_v2 { vec![] } else { busy.iter().map(|status| Scripted(*status, "")).collect() };
        let far_side = FarSide::start(script, true);
        let exporter =
            RemoteWriteExporter::new(RemoteWriteConfig { max_request_bytes, ..config(&far_side, message) });
        let (_, progress) = send(&exporter, &item(&metrics));
        let got = far_side.got();
        let seen = samples(&got);
        let told_apart = |key: &&(String, i64)| !["_bucket", "_sum"].iter().any(|s| key.0.contains(s));
        let seen_keys: Vec<_> = seen.iter().filter(|(key, _)| told_apart(key)).collect();
        prop_assert_eq!(seen_keys, expected.iter().collect::<Vec<_>>());
        prop_assert_eq!(progress.records(), points.len() as u64);
        // Of several points of one series and time, those that say something else are refused.
        prop_assert!(progress.delivered() >= expected.len() as u64);
        let mut whole = HashSet::new();
        for got in &got {
            let mut here = HashSet::new();
            for series in &got.request.timeseries {
                prop_assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{:?}", series.labels);
                prop_assert!(series.samples.is_sorted_by(|a, b| a.timestamp < b.timestamp));
                prop_assert!(series.histograms.is_sorted_by(|a, b| a.timestamp < b.timestamp));
                prop_assert!(!series.samples.is_empty() || !series.histograms.is_empty());
                prop_assert!(here.insert(format!("{:?}", series.labels)), "twice in a request");
            }
            if busy.iter().all(|status| *status == 204) || is_v2 {
                for labels in here {
                    prop_assert!(whole.insert(labels), "in two requests");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_valid_is_written_alike_in_both_versions(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut wire = wire(EVERY_KIND);
        for (at, byte) in &edits {
            *at.get_mut(&mut wire) = *byte;
        }
        let checked = Checker::new(Signal::Metrics, Check::Full, Depth::Records).check(wire.into());
        let Ok(batch) = checked else { return Ok(()) };
        for translation_strategy in TranslationStrategy::ALL {
            let config = RemoteWriteConfig { translation_strategy, ..RemoteWriteConfig::default() };
            let exporter = RemoteWriteExporter::new(config);
            let first = |request: &Vec<u8>| messages::WriteRequest::decode(&request[..]).unwrap().timeseries;
            let second = |request: &Vec<u8>| messages::Request::decode(&request[..]).unwrap().plain().timeseries;
            let plain: Vec<TimeSeries> = exporter.requests(&batch, V1).iter().flat_map(first).collect();
            let referred: Vec<TimeSeries> = exporter.requests(&batch, V2).iter().flat_map(second).collect();
            prop_assert_eq!(plain.len(), referred.len());
            for (plain, referred) in plain.iter().zip(&referred) {
                prop_assert_eq!(&plain.labels, &referred.labels);
                prop_assert_eq!(plain.exemplars.len(), referred.exemplars.len());
                let bits = |series: &TimeSeries| -> Vec<_> {
                    series.samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits())).collect()
                };
                prop_assert_eq!(bits(plain), bits(referred));
                prop_assert!(plain.labels.is_sorted_by(|a, b| a.name < b.name), "{:?}", plain.labels);
                prop_assert!(!label(plain, "__name__").is_empty());
            }
        }
    }
}
