use otlp::{
    Depth,
    event::{AttributeValue, HistogramData, Metric, MetricData, Number, RequestBuilder, Temporality},
};
use proptest::prelude::*;

use super::*;
use crate::prometheus::value;

const SECOND: u64 = 1_000_000_000;

fn batch(metrics: &[Metric]) -> Batch {
    let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
    metrics.iter().for_each(|metric| builder.push_metric(metric).unwrap());
    builder.finish()
}

fn sum(name: &str, who: &str, value: i64, temporality: Temporality, (start, end): (u64, u64)) -> Metric {
    Metric {
        name: name.into(),
        data: MetricData::Sum { value: Number::Int(value), monotonic: true, temporality },
        attributes: vec![("who".into(), AttributeValue::String(who.into()))],
        start_time_ns: start * SECOND,
        time_ns: end * SECOND,
        ..Metric::default()
    }
}

fn values(table: &SeriesTable) -> Vec<(String, Value)> {
    let all = table.families.by_name().flat_map(|family| {
        family.series.iter().filter_map(|(labels, number)| {
            let labels: String = labels.texts().map(|(name, value)| format!(" {name}={value}")).collect();
            Some((format!("{}{labels}", family.name), table.series(*number)?.value.clone()?))
        })
    });
    all.collect()
}

fn table(change: impl FnOnce(PrometheusConfig) -> PrometheusConfig) -> SeriesTable {
    SeriesTable::new(change(PrometheusConfig { without_scope_info: true, ..PrometheusConfig::default() }))
}

fn take(table: &mut SeriesTable, metrics: &[Metric], now: u64) -> (u64, u64) {
    let observed = table.observe(&batch(metrics), now * SECOND, usize::MAX);
    (observed.taken, observed.rejected)
}

#[test]
fn series_expire_and_give_their_memory_and_name_back() {
    let mut table = table(|config| config);
    let cumulative = |name: &str, value, at| sum(name, "a", value, Temporality::Cumulative, (1, at));
    assert_eq!(take(&mut table, &[cumulative("x", 1, 10), cumulative("y", 1, 10)], 10), (2, 0));
    assert_eq!(take(&mut table, &[cumulative("x", 2, 200)], 200), (1, 0));
    assert!(table.memory_bytes() > 0);
    table.expire(309 * SECOND);
    assert_eq!(values(&table).len(), 2);
    table.expire(310 * SECOND);
    assert_eq!(values(&table), [("x_total who=a".to_owned(), Value::Number(value::Number::Int(2)))]);
    table.expire(500 * SECOND);
    assert_eq!((values(&table).len(), table.memory_bytes(), table.live), (0, 0, 0));
    assert_eq!(table.stats().expired, 2);
    // The name is free for another type.
    let gauge = Metric { name: "x_total".into(), time_ns: 1, ..Metric::default() };
    assert_eq!(take(&mut table, &[gauge], 501), (1, 0));
}

#[test]
fn full_tables_put_deltas_into_the_overflow_series() {
    let mut table = table(|config| config.with_max_series(2));
    let delta = |who: &str, value| sum("d", who, value, Temporality::Delta, (1, 2));
    assert_eq!(take(&mut table, &[delta("a", 1), delta("b", 2), delta("c", 4), delta("d", 8)], 2), (4, 0));
    let number = |value| Value::Number(value::Number::Int(value));
    let expected = [
        ("d_total otel_metric_overflow=true".to_owned(), number(12)),
        ("d_total who=a".to_owned(), number(1)),
        ("d_total who=b".to_owned(), number(2)),
    ];
    assert_eq!(values(&table), expected);
    // What cannot be added up, and metrics that are not there yet, find no room.
    let cumulative = sum("d", "e", 1, Temporality::Cumulative, (1, 2));
    assert_eq!(take(&mut table, &[cumulative, sum("new", "a", 1, Temporality::Delta, (1, 2))], 3), (0, 2));
    let stats = table.stats();
    assert_eq!((stats.overflowed, stats.rejected), (2, vec![("cardinality", 2)]));
}

#[test]
fn bytes_are_bounded_whatever_comes() {
    let mut table = table(|config| config.with_max_series_bytes(100_000));
    for i in 0..5_000 {
        let who = format!("{i}{}", "x".repeat(i % 300));
        take(&mut table, &[sum(&format!("m{}", i % 700), &who, 1, Temporality::Delta, (1, 2))], 2);
        assert!(table.memory_bytes() <= 100_000);
    }
    assert!(table.live > 50, "{}", table.live);
    let stats = table.stats();
    assert_eq!(stats.taken + stats.rejected.iter().map(|(_, count)| count).sum::<u64>(), 5_000);
    // What the rest of the process uses is not there for series.
    let observed = table.observe(&batch(&[sum("other", "x", 1, Temporality::Delta, (1, 2))]), 2 * SECOND, 0);
    assert_eq!(observed, Observed { taken: 0, rejected: 1 });
    table.expire(10_000 * SECOND);
    assert_eq!(table.memory_bytes(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Deltas, in any batches, come to the cumulative points of the same measurements.
    #[test]
    fn deltas_come_to_what_cumulative_points_say(
        rounds in prop::collection::vec((0..3_usize, prop::collection::vec(-2.0..12.0_f64, 0..6)), 1..30),
        cut in 1..9_usize,
    ) {
        let bounds = [0.0, 5.0, 10.0];
        let point = |who: usize, histogram, temporality, times: (u64, u64)| Metric {
            name: "h".into(),
            data: MetricData::Histogram { histogram, temporality },
            attributes: vec![("who".into(), AttributeValue::Int(who as i64))],
            start_time_ns: times.0 * SECOND,
            time_ns: times.1 * SECOND,
            ..Metric::default()
        };
        let (mut deltas, mut totals) = (Vec::new(), Vec::new());
        let mut seen: [Vec<f64>; 3] = Default::default();
        for (i, (who, values)) in rounds.iter().enumerate() {
            let at = i as u64 + 10;
            deltas.push(point(*who, HistogramData::of(&bounds, values), Temporality::Delta, (at - 1, at)));
            seen[*who].extend(values);
            totals.push(point(*who, HistogramData::of(&bounds, &seen[*who]), Temporality::Cumulative, (9, at)));
        }
        let (mut added, mut replaced) = (table(|config| config), table(|config| config));
        for chunk in deltas.chunks(cut) {
            prop_assert_eq!(take(&mut added, chunk, 50).1, 0);
        }
        take(&mut replaced, &totals, 50);
        for ((name, added), (other, replaced)) in values(&added).into_iter().zip(values(&replaced)) {
            prop_assert_eq!(name, other);
            let (Value::Explicit(added), Value::Explicit(replaced)) = (added, replaced) else { panic!() };
            prop_assert_eq!((&added.counts, added.count), (&replaced.counts, replaced.count));
            prop_assert!((added.sum.unwrap() - replaced.sum.unwrap()).abs() < 1e-9);
        }
        prop_assert_eq!(values(&added).len(), values(&replaced).len());
    }
}

#[test]
fn deltas_that_overlap_are_refused_and_gaps_are_none() {
    let mut table = table(|config| config);
    let delta = |value, times| sum("d", "a", value, Temporality::Delta, times);
    for (metric, taken, total) in [
        (delta(1, (10, 20)), 1, 1),
        (delta(2, (20, 30)), 1, 3),
        (delta(4, (50, 60)), 1, 7),
        // Once more, from before, from before it all.
        (delta(8, (50, 60)), 0, 7),
        (delta(8, (30, 40)), 0, 7),
        (delta(8, (5, 70)), 0, 7),
        (delta(16, (0, 70)), 1, 23),
    ] {
        assert_eq!(take(&mut table, &[metric], 70).0, taken);
        assert_eq!(values(&table)[0].1, Value::Number(value::Number::Int(total)));
    }
    assert_eq!(table.stats().rejected, [("out_of_order", 3)]);
    // A cumulative point takes over, an older one does not, and a delta begins anew.
    take(&mut table, &[sum("d", "a", 100, Temporality::Cumulative, (1, 80))], 80);
    take(&mut table, &[sum("d", "a", 99, Temporality::Cumulative, (1, 79))], 80);
    assert_eq!(values(&table)[0].1, Value::Number(value::Number::Int(100)));
    assert_eq!(table.stats().superseded, 1);
    take(&mut table, &[delta(5, (80, 90))], 90);
    assert_eq!(values(&table)[0].1, Value::Number(value::Number::Int(5)));
}

#[test]
fn attributes_have_no_order_and_streams_with_equal_labels_share_a_series() {
    let mut table = table(|config| config);
    let gauge = |attributes: &[(&str, AttributeValue)], value| Metric {
        name: "g".into(),
        data: MetricData::Gauge(Number::Int(value)),
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        time_ns: SECOND,
        ..Metric::default()
    };
    let (a, b) = (("a", AttributeValue::Int(1)), ("b", AttributeValue::Bool(true)));
    take(&mut table, &[gauge(&[a.clone(), b.clone()], 1)], 1);
    take(&mut table, &[gauge(&[b, a], 2)], 1);
    assert_eq!(table.stats().merged_streams, 0);
    let text = ("a", AttributeValue::String("1".into()));
    take(&mut table, &[gauge(&[text, ("b", AttributeValue::Bool(true))], 3)], 1);
    assert_eq!(values(&table), [("g a=1 b=true".to_owned(), Value::Number(value::Number::Int(3)))]);
    assert_eq!(table.stats().merged_streams, 1);
}

#[test]
fn two_names_that_become_one_do_not_hide_each_other() {
    let mut table = table(|config| config);
    let of = |name: &str, who: &str, value, at| sum(name, who, value, Temporality::Cumulative, (1, at));
    assert_eq!(
        take(&mut table, &[of("x.total", "a", 1, 10), of("x", "a", 100, 11), of("x", "b", 7, 11)], 11),
        (2, 1)
    );
    assert_eq!(take(&mut table, &[of("x", "a", 101, 20), of("x.total", "a", 2, 20)], 20), (1, 1));
    let number = |value| Value::Number(value::Number::Int(value));
    let expected = [("x_total who=a".to_owned(), number(2)), ("x_total who=b".to_owned(), number(7))];
    assert_eq!(values(&table), expected);
    let stats = table.stats();
    assert_eq!((stats.rejected, stats.merged_streams), (vec![("duplicate", 2)], 0));
    // Once nobody has the series it is free.
    table.expire(1_000 * SECOND);
    assert_eq!(take(&mut table, &[of("x", "a", 102, 1_000)], 1_000), (1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Where every hash is the same, equality alone tells streams, metrics, scopes and resources apart.
    #[test]
    fn series_never_merge_whatever_they_hash_to(
        points in prop::collection::vec(
            (0..3_u8, 0..2_u8, prop::collection::vec(("[ab]", "[xy]{0,2}"), 0..3), 0..3_u64, -5..5_i64),
            1..60,
        ),
    ) {
        let (mut well, mut badly) = (table(|config| config), table(|config| config));
        badly.keys = Keys::colliding();
        for (metric, service, attributes, pause, value) in points {
            let mut attributes: Vec<(String, AttributeValue)> =
                attributes.into_iter().map(|(key, value)| (key, AttributeValue::String(value))).collect();
            attributes.push(("service.name".into(), AttributeValue::String(format!("s{service}"))));
            let gauge = Metric {
                name: format!("m{metric}"),
                data: MetricData::Gauge(Number::Int(value)),
                attributes,
                ..Metric::default()
            };
            for table in [&mut well, &mut badly] {
                let now = table.swept_ns / SECOND + 200 * pause;
                take(table, std::slice::from_ref(&gauge), now);
            }
            prop_assert_eq!(values(&well), values(&badly));
            prop_assert_eq!(well.stats(), badly.stats());
        }
        for table in [&mut well, &mut badly] {
            table.expire(u64::MAX);
            prop_assert_eq!((table.live, table.memory_bytes()), (0, 0));
        }
    }
}
