//! The Prometheus exporter, from OTLP to what a scraper reads.
//!
//! `testdata/prometheus/*.script` hold points and the expositions that they come to. With `ALDIS_BLESS=1` the expected
//! lines are written anew: read the difference before you believe it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod client_model;

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use aldis_connect::{
    codec,
    prometheus::{Escaping, Format, PrometheusConfig, PrometheusExporter, Syntax, TranslationStrategy},
};
use otlp::{Batch, Check, Checker, Codec, Depth, Signal, json};
use pipeline::Budget;

use crate::side::{PATIENCE, block_on, eventually, own_address};

const SECOND: u64 = 1_000_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/prometheus")
}

/// One case of a script while it is played.
struct Case {
    config: PrometheusConfig,
    exporter: Option<PrometheusExporter>,
    resource: String,
    scope: String,
    now_ns: u64,
}

impl Case {
    fn new() -> Self {
        let (resource, scope) = ("{}".to_owned(), "{}".to_owned());
        Case { config: PrometheusConfig::default(), exporter: None, resource, scope, now_ns: 10 * SECOND }
    }

    fn set(&mut self, key: &str, value: &str) {
        let config = &mut self.config;
        let is_on = value == "true";
        match key {
            "namespace" => config.namespace = value.to_owned(),
            "const_labels" => {
                let (name, value) = value.split_once(':').unwrap();
                *config = config.clone().with_const_label(name, value);
            }
            "send_timestamps" => config.send_timestamps = is_on,
            "metric_expiration" => config.metric_expiration = Duration::from_secs(value.parse().unwrap()),
            "resource_labels" => config.resource_labels = is_on,
            "exclude_service_attributes" => config.exclude_service_attributes = is_on,
            "without_scope_info" => config.without_scope_info = is_on,
            "created_samples" => config.created_samples = is_on,
            "max_series" => config.max_series = value.parse().unwrap(),
            "translation_strategy" => {
                let named = |strategy: &TranslationStrategy| strategy.name() == value;
                config.translation_strategy = TranslationStrategy::ALL.into_iter().find(named).unwrap();
            }
            _ => panic!("no such setting: {key}"),
        }
    }

    fn exporter(&mut self) -> &PrometheusExporter {
        self.exporter.get_or_insert_with(|| PrometheusExporter::with_config(self.config.clone()))
    }

    fn observe(&mut self, metric: &str) {
        let Case { resource, scope, now_ns, .. } = self;
        let url = if scope.contains("schema") { r#","schemaUrl":"https://example.org/1""# } else { "" };
        let text = format!(
            r#"{{"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"scope":{scope},"metrics":[{metric}]{url}}}]}}]}}"#
        );
        let now_ns = *now_ns;
        self.exporter().observe(&batch(&text), now_ns);
    }

    fn render(&mut self, format: &str) -> String {
        let now_ns = self.now_ns;
        if format == "stats" {
            let stats = self.exporter().stats();
            let mut out = format!("series={} taken={}", stats.series, stats.taken);
            for (name, count) in [("overflowed", stats.overflowed), ("superseded", stats.superseded)] {
                if count > 0 {
                    write!(out, " {name}={count}").unwrap();
                }
            }
            for (why, count) in stats.rejected {
                write!(out, " {why}={count}").unwrap();
            }
            return out;
        }
        let (syntax, escaping) = format.split_once(' ').unwrap_or((format, ""));
        let escaping = match escaping {
            "allow-utf-8" => Escaping::AllowUtf8,
            "dots" => Escaping::Dots,
            "values" => Escaping::Values,
            _ => Escaping::Underscores,
        };
        let syntax = match syntax {
            "text" => Syntax::Text,
            "openmetrics" => Syntax::OpenMetrics,
            "protobuf" => Syntax::Protobuf,
            _ => panic!("no such format: {format}"),
        };
        let bytes = self.exporter().render(Format { syntax, escaping }, now_ns);
        match syntax {
            Syntax::Protobuf => client_model::describe(&bytes),
            _ => String::from_utf8(bytes).unwrap(),
        }
    }
}

fn batch(text: &str) -> Batch {
    let wire = json::to_wire(Signal::Metrics, text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
    Checker::new(Signal::Metrics, Check::Full, Depth::Records).check(wire.into()).unwrap()
}

/// The script with the expected lines that it should have.
fn play(script: &str) -> String {
    let mut out = String::new();
    let mut case = Case::new();
    let mut commenting = false;
    for line in script.lines().filter(|line| !line.starts_with('|')) {
        let begins = line.starts_with('#') && !commenting;
        commenting = line.starts_with('#');
        if begins {
            case = Case::new();
        }
        writeln!(out, "{line}").unwrap();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("set", pairs) => {
                let pairs = pairs.split(' ').map(|pair| pair.split_once('=').unwrap());
                pairs.for_each(|(key, value)| case.set(key, value));
            }
            ("resource", text) => text.clone_into(&mut case.resource),
            ("scope", text) => text.clone_into(&mut case.scope),
            ("at", seconds) => case.now_ns = seconds.parse::<u64>().unwrap() * SECOND,
            (">", metric) => case.observe(metric),
            ("=", format) => {
                case.render(format).lines().for_each(|line| writeln!(out, "|{line}").unwrap());
            }
            ("" | "#", _) => {}
            _ => panic!("not understood: {line}"),
        }
    }
    out
}

#[test]
fn points_come_to_these_expositions() {
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let script = std::fs::read_to_string(&path).unwrap();
        let played = play(&script);
        if std::env::var_os("ALDIS_BLESS").is_some() {
            std::fs::write(&path, &played).unwrap();
            scripts += 1;
            continue;
        }
        for (number, (expected, got)) in script.lines().zip(played.lines()).enumerate() {
            assert_eq!(expected, got, "{}:{}", path.display(), number + 1);
        }
        assert_eq!(script.lines().count(), played.lines().count(), "{}", path.display());
        scripts += 1;
    }
    assert_eq!(scripts, 3);
}

fn gauge(name: &str, value: u64) -> Batch {
    let point = format!(r#"{{"timeUnixNano":"1","asInt":"{value}"}}"#);
    let metric = format!(r#"{{"name":"{name}","gauge":{{"dataPoints":[{point}]}}}}"#);
    batch(&format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#))
}

/// Sends a request and returns the head and the body of the answer.
fn ask(address: std::net::SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // At once: whoever answers a first piece and closes resets the connection for what comes behind it.
    let request = format!("{request}host: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap().to_ascii_lowercase(), body)
}

#[test]
fn a_scraper_gets_what_it_asks_for_and_nothing_else_is_there() {
    let config = PrometheusConfig::default().with_open_metrics(true);
    let exporter = PrometheusExporter::with_config(config);
    exporter.observe(&gauge("g", 7), pipeline::clock::now_ns());
    let serving = exporter.serve("127.0.0.1:0").unwrap();
    let address = serving.address();

    let (head, body) = ask(address, "GET /metrics HTTP/1.1\r\n");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(head.contains("vary: accept, accept-encoding"), "{head}");
    assert_eq!(body, b"# TYPE g gauge\ng 7\n");

    let open = "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0\r\naccept-encoding: gzip\r\n";
    let (head, body) = ask(address, open);
    assert!(
        head.contains("content-encoding: gzip") && head.contains("application/openmetrics-text"),
        "{head}"
    );
    let body = codec::decompress(Codec::Gzip, &body, 1000, &mut |_| true).unwrap();
    assert_eq!(body, b"# TYPE g gauge\ng 7\n# EOF\n"[..]);

    let proto = "GET /metrics HTTP/1.1\r\naccept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    let (head, body) = ask(address, proto);
    assert!(head.contains("proto=io.prometheus.client.metricfamily"), "{head}");
    assert_eq!(client_model::describe(&body), "g gauge \"\" \"\"\n  {} gauge 7\n");

    let (head, body) = ask(address, "HEAD /metrics HTTP/1.1\r\n");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 19"), "{head}");
    assert!(body.is_empty());
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\ncontent-length: 0\r\n", "405"),
        ("GET / HTTP/1.1\r\n", "404"),
        ("GET /metrics/../secret HTTP/1.1\r\n", "404"),
        ("nonsense\r\n", "400"),
    ] {
        assert!(ask(address, request).0.starts_with(&format!("http/1.1 {status}")), "{request}");
    }
    let large = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n", "y".repeat(100_000));
    let mut stream = TcpStream::connect(address).unwrap();
    // The endpoint may close while it is still being written to.
    let _ = stream.write_all(large.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[test]
fn series_and_answers_are_charged() {
    let budget = Budget::new(1 << 20);
    let exporter = PrometheusExporter::with_budget(PrometheusConfig::default(), budget.clone());
    let before = budget.used();
    for i in 0..100 {
        exporter.observe(&gauge(&format!("g{i}"), i), pipeline::clock::now_ns());
    }
    let held = exporter.stats().series_bytes as usize;
    assert_eq!(budget.used() - before, held);
    assert!(held > 10_000, "{held}");
    // A process that is full has no room for more of them, nor for answers.
    let serving = exporter.serve("127.0.0.1:0").unwrap();
    exporter.render(Format::default(), pipeline::clock::now_ns());
    let other = budget.try_charge(budget.limit() - budget.used()).unwrap();
    assert_eq!(exporter.observe(&gauge("more", 1), pipeline::clock::now_ns()).rejected, 1);
    assert!(ask(serving.address(), "GET /metrics HTTP/1.1\r\n").0.starts_with("http/1.1 503"));
    drop(other);
    assert!(ask(serving.address(), "GET /metrics HTTP/1.1\r\n").0.starts_with("http/1.1 200"));
    assert_eq!(exporter.stats().series_bytes as usize, budget.used(), "answers were given back");
}

#[test]
fn an_exporter_is_asked_by_its_own_names() {
    let exporter = PrometheusExporter::new();
    let (endpoint, address) = exporter.listen(&format!("{}:0", own_address())).unwrap();
    assert!(exporter.listen(&address.to_string()).is_err(), "it is taken");
    let shards = pipeline::Shards::start(1, "scrape").unwrap();
    let serving = endpoint.start(&shards, 0);
    assert_eq!(serving.address(), address);
    let observed = exporter.observe(&gauge("g", 1), pipeline::clock::now_ns());
    assert_eq!((observed.taken, observed.rejected, exporter.stats().taken), (1, 0, 1));
    exporter.describe_self(&[("service.name".into(), "me".into())], pipeline::clock::now_ns());
    let text = exporter.render(Format::default(), pipeline::clock::now_ns());
    assert!(String::from_utf8(text).unwrap().ends_with("\ntarget_info{service_name=\"me\"} 1\n"));
    assert!(ask(address, "GET /metrics HTTP/1.1\r\n").0.starts_with("http/1.1 200"));
    drop(serving);
    // Whoever connects now finds nobody, or nobody who answers.
    block_on(eventually("the endpoint ends with what was returned", || TcpStream::connect(address).is_err()));
}

#[test]
fn a_configuration_is_said_in_one_expression() {
    let said = PrometheusConfig::default()
        .with_namespace("ns")
        .with_const_label("a", "b")
        .with_translation_strategy(TranslationStrategy::NoTranslation)
        .with_open_metrics(true)
        .with_metric_expiration(Duration::from_secs(7))
        .with_max_series(8)
        .with_max_series_bytes(1 << 20);
    let spelled = PrometheusConfig {
        name: "prometheus".into(),
        namespace: "ns".into(),
        const_labels: vec![("a".into(), "b".into())],
        send_timestamps: false,
        metric_expiration: Duration::from_secs(7),
        resource_labels: false,
        exclude_service_attributes: false,
        enable_open_metrics: true,
        without_scope_info: false,
        translation_strategy: TranslationStrategy::NoTranslation,
        created_samples: false,
        max_series: 8,
        max_series_bytes: 1 << 20,
    };
    assert_eq!(said, spelled);
    let exporter = PrometheusExporter::with_config(said);
    exporter.observe(&gauge("g.h", 1), SECOND);
    let format = Format { syntax: Syntax::OpenMetrics, escaping: Escaping::AllowUtf8 };
    let text = String::from_utf8(exporter.render(format, SECOND)).unwrap();
    assert_eq!(text, "# TYPE \"ns_g.h\" gauge\n{\"ns_g.h\",a=\"b\"} 1\n# EOF\n");
}
