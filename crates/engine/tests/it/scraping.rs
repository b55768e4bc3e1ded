//! Metrics that are scraped, and every setting of the exporter that exposes them.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use aldis_engine::check;
use connect::codec;
use otlp::{
    AttributeValue, Batch, Codec, Signal,
    event::{Exemplar, Metric, MetricData, Number, Temporality},
};
use pipeline::Outcome;

use crate::ends::{BOTH, Near, block_on, eventually, request};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// An engine whose exporter has these settings besides its address.
fn exposing(settings: &str) -> Near {
    let exporter = format!("prometheus: {{endpoint: '127.0.0.1:0', {settings}}}");
    Near::carrying(&[Signal::Metrics], BOTH, "", &exporter)
}

/// What a scraper that accepts this gets.
fn scrape(near: &Near, accept: &str) -> String {
    let mut stream = TcpStream::connect(near.address("prometheus")).unwrap();
    let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept-encoding: gzip\r\n";
    write!(stream, "{head}accept: {accept}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let body = codec::decompress(Codec::Gzip, &answer[end..], 1 << 24, &mut |_| true).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A counter of orders.
fn orders(who: &str) -> Metric {
    let text = |text: &str| AttributeValue::String(text.into());
    Metric {
        name: "shop.orders".into(),
        unit: "By".into(),
        data: MetricData::Sum {
            value: Number::Int(3),
            monotonic: true,
            temporality: Temporality::Cumulative,
        },
        attributes: vec![("service.name".into(), text("cart")), ("who.is".into(), text(who))],
        exemplars: vec![Exemplar {
            value: Number::Int(1),
            time_ns: 2_000_000_000,
            trace_id: Some("0123456789abcdef0123456789abcdef".into()),
            span_id: None,
            attributes: Vec::new(),
        }],
        start_time_ns: 1_000_000_000,
        time_ns: 2_000_000_000,
        ..Metric::default()
    }
}

fn batch(metrics: impl IntoIterator<Item = Metric>) -> Batch {
    request(&metrics.into_iter().map(Into::into).collect::<Vec<_>>())
}

#[test]
fn what_is_sent_is_scraped_and_every_setting_shows_in_it() {
    const PLAIN: &str = r#"shop_orders_bytes_total{job="cart",otel_scope_name="aldis",otel_scope_version="#;
    for (settings, accept, has, has_not) in [
        (
            "",
            "*/*",
            vec!["# TYPE shop_orders_bytes_total counter", PLAIN, r#"who_is="me"} 3"#],
            vec!["# EOF"],
        ),
        ("", OPEN_METRICS, vec![PLAIN], vec!["# EOF", "trace_id"]),
        ("namespace: ns", "*/*", vec!["ns_shop_orders_bytes_total{"], vec![]),
        ("const_labels: {region: eu}", "*/*", vec![r#"region="eu""#], vec![]),
        ("send_timestamps: true", "*/*", vec!["} 3 2000\n"], vec![]),
        (
            "enable_open_metrics: true",
            OPEN_METRICS,
            vec!["# TYPE shop_orders_bytes counter", "# UNIT", " # {trace_id=\"0123", "# EOF\n"],
            vec!["_created"],
        ),
        (
            "enable_open_metrics: true, created_samples: true",
            OPEN_METRICS,
            vec!["shop_orders_bytes_created{", "} 1\n"],
            vec![],
        ),
        ("without_scope_info: true", "*/*", vec![r#"_total{job="cart",who_is"#], vec!["otel_scope"]),
        ("resource_to_telemetry_conversion: {enabled: true}", "*/*", vec![r#"service_name="cart""#], vec![]),
        (
            "resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}",
            "*/*",
            vec![r#"job="cart""#],
            vec!["service_name"],
        ),
        ("add_metric_suffixes: false", "*/*", vec!["\nshop_orders{"], vec!["_total", "bytes"]),
        (
            "add_metric_suffixes: false, translation_strategy: UnderscoreEscapingWithSuffixes",
            "*/*",
            vec![PLAIN],
            vec![],
        ),
        (
            "translation_strategy: NoTranslation",
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            vec![r#"{"shop.orders",job="cart""#, r#""who.is"="me""#],
            vec![],
        ),
    ] {
        let near = exposing(settings);
        let outcome = block_on(near.ask(batch([orders("me")])));
        assert_eq!(outcome, Outcome::DELIVERED);
        let text = scrape(&near, accept);
        has.iter().for_each(|part| assert!(text.contains(part), "{settings}: no {part} in\n{text}"));
        has_not.iter().for_each(|part| assert!(!text.contains(part), "{settings}: {part} in\n{text}"));
        near.engine().stats().check().unwrap();
    }
}

#[test]
fn series_go_when_metric_expiration_is_over() {
    let near = exposing("metric_expiration: 200ms");
    block_on(async {
        near.ask(batch([orders("me")])).await;
        eventually("the series is gone", || scrape(&near, "*/*").is_empty()).await;
    });
}

#[test]
fn what_max_series_and_max_series_mib_leave_out_is_counted() {
    let near = exposing("max_series: 1");
    let delta = |who| {
        let data =
            MetricData::Sum { value: Number::Int(5), monotonic: true, temporality: Temporality::Delta };
        Metric { data, ..orders(who) }
    };
    block_on(async {
        assert_eq!(near.ask(batch(["a", "b", "c"].map(delta))).await, Outcome::DELIVERED);
        let outcome = near.ask(batch([orders("d")])).await;
        assert_eq!(outcome, Outcome::Delivered { rejected: 1 });
    });
    let text = scrape(&near, "*/*");
    assert!(
        text.contains("{otel_metric_overflow=\"true\"} 10\n") && text.contains("who_is=\"a\"} 5\n"),
        "{text}"
    );
    let stats = near.engine().stats();
    stats.check().unwrap();

    let near = exposing("max_series_mib: 1");
    let many = (0..8000).map(|i| orders(&format!("number {i}")));
    let Outcome::Delivered { rejected } = block_on(near.ask(batch(many))) else { panic!() };
    assert!((4000..8000).contains(&rejected), "{rejected}");
    assert_eq!(scrape(&near, "*/*").lines().count() as u64, 1 + 8000 - rejected);
}

/// The text of a configuration whose pipeline for this signal has an exporter with these settings.
fn problems(signal: &str, receiver: &str, settings: &str) -> String {
    let text = format!(
        "receivers: {{otlp: {receiver}}}\nexporters: {{prometheus: {settings}}}\nservice: {{pipelines: {{{signal}: {{receivers: [otlp], exporters: [prometheus]}}}}}}\n"
    );
    check(&text, &|_| None).problems.iter().map(|problem| format!("{}\n", problem.message)).collect()
}

#[test]
fn what_cannot_be_exposed_is_told_beforehand() {
    const GRPC: &str = "{protocols: {grpc: {endpoint: 'localhost:4317'}}}";
    for (signal, receiver, settings, says) in [
        ("metrics", GRPC, "{endpoint: 'localhost:8889'}", ""),
        ("metrics", GRPC, "{}", ""),
        ("metrics", GRPC, "{endpoint: 'localhost:4317'}", "both listen on localhost:4317"),
        ("traces", GRPC, "{endpoint: 'localhost:8889'}", "cannot stand in a pipeline of traces"),
        ("metrics", GRPC, "{endpoint: 'localhost:8889', cors: {}}", "`cors` cannot be used yet"),
        ("metrics", GRPC, "{endpoint: 'localhost:8889', metric_expiration: 0s}", "must be longer than zero"),
        ("metrics", GRPC, "{endpoint: 'localhost:8889', translation_strategy: None}", "cannot be `None`"),
        (
            "metrics",
            "{protocols: {grpc: }, check: framing}",
            "{endpoint: 'localhost:8889'}",
            "`prometheus` must read them",
        ),
    ] {
        let told = problems(signal, receiver, settings);
        assert!(told.contains(says) && told.is_empty() == says.is_empty(), "{settings}: {told}");
    }
}
