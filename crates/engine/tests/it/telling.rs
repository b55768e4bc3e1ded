//! What an engine tells of itself: metrics, health, log.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use aldis_engine::telemetry::table::METRICS;
use connect::otlp::Protocol;
use otlp::{Signal, TelemetryEvent};
use pipeline::Outcome;

use crate::ends::{BOTH, Far, Near, PATIENCE, block_on, eventually, logs, one, record, request};

/// Where own metrics are shown, at this level.
pub(crate) fn readers(level: &str) -> String {
    format!(
        "metrics: {{level: {level}, readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0}}}}}}}}]}}"
    )
}

/// The status and the body of an answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// Whether an engine should be sent telemetry, receipts aside: those are counted for the whole process, in which other tests run.
pub(crate) fn is_ready(near: &Near) -> bool {
    let verdict = near.engine().verdict();
    !verdict.draining && verdict.reasons.iter().all(|reason| reason.component == "receipts")
}

/// A sample: its name, its labels, its value.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// The samples of a page. Label values of ours have no quotes in them.
pub(crate) fn samples(page: &str) -> Vec<Sample> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
            let labels = pairs.map(|pair| {
                let (key, value) = pair.split_once("=\"").unwrap();
                (key.to_owned(), value.trim_end_matches('"').to_owned())
            });
            Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().unwrap() }
        })
        .collect()
}

/// The sum of all samples of a name that have these labels.
pub(crate) fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_it = |sample: &&Sample| {
        sample.name == name
            && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|there| there == value))
    };
    samples.iter().filter(is_it).map(|sample| sample.value).sum()
}

/// The families of a page: type and label keys of series, by name.
fn families(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in page.lines() {
        if let Some(said) = line.strip_prefix("# TYPE ") {
            let (name, kind) = said.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
    }
    for sample in samples(page) {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.name.strip_suffix(end));
        let base = base.filter(|base| families.contains_key(*base)).unwrap_or(&sample.name);
        let keys: Vec<&str> = sample.labels.keys().map(String::as_str).filter(|key| *key != "le").collect();
        families.get_mut(base).unwrap_or_else(|| panic!("no type of {base}")).1.insert(keys.join(","));
    }
    families
}

/// An engine like the Collector of `testdata/telemetry/collector.txt`, with a filter, and what it shows once all has left.
fn busy_engine(level: &str) -> String {
    let far = Far::taking();
    let exporters = format!(
        "  prometheusremotewrite: {{endpoint: 'http://127.0.0.1:9'}}\n  {}\n  {}\n  otlp/dead: {{endpoint: 'http://127.0.0.1:9', retry_on_failure: {{enabled: false}}}}\n",
        far.exporter("otlp", "sending_queue: {enabled: true}"),
        far.exporter("otlphttp", "sending_queue: {enabled: false}"),
    );
    let written = "    metrics/written: {receivers: [nop], exporters: [prometheusremotewrite]}\n";
    let pipelines: String = Signal::ALL[..3]
        .iter()
        .map(|signal| {
            let gaps = if *signal == Signal::Logs { "gaps, " } else { "" };
            format!(
                "    {signal}: {{receivers: [otlp], processors: [memory_limiter, filter, {gaps}attributes, batch], exporters: [otlp, otlphttp, otlp/dead]}}\n"
            )
        })
        .collect();
    let near = Near::running(&format!(
        "receivers:\n  nop:\n  otlp: {BOTH}\nprocessors:\n  memory_limiter: {{check_interval: 1s, limit_mib: 4000}}\n  \
         filter: {{logs: {{log_record: ['severity_number == 17']}}}}\n  \
         attributes: {{actions: [{{key: a, value: b, action: insert}}]}}\n  gaps:\n  batch:\nexporters:\n{exporters}\
         service:\n  telemetry: {{{}, {}, resource: {{zone: b}}}}\n  pipelines:\n{pipelines}{written}",
        readers(level),
        crate::tracing::traces("grpc", &format!("http://{}", far.address(Protocol::Grpc)), "", "")
    ));
    let metrics = near.address("metrics");
    block_on(async {
        for headers in [&[][..], &[("over", "http")][..]] {
            for signal in &Signal::ALL[..3] {
                let mut second = record(*signal, &[]);
                if let TelemetryEvent::Log(log) = &mut second {
                    log.severity_number = 17;
                }
                let batch = request(&[record(*signal, &[]), second]);
                assert_eq!(near.send_as(batch, headers).await.unwrap(), Outcome::DELIVERED);
            }
        }
        let settled = |page: &str| {
            let samples = samples(page);
            let of = |name: &str| sum(&samples, name, &[]);
            of("aldis_exporter_queued") + of("aldis_exporter_in_flight") == 0.0
                && of("aldis_exporter_dropped") == 10.0
                && of("aldis_exporter_delivered") == 20.0
        };
        eventually("all has left", || settled(&get(metrics, "/metrics").1)).await;
    });
    // Nothing is left that an exporter could fail with, and nothing arrived since it did.
    block_on(eventually("all have failed, and rest", || {
        let problems = near.engine().health().problems();
        problems.len() == 3 && problems.values().all(|problem| problem.idle_since_ns.is_some())
    }));
    near.engine().health().report("other", pipeline::health::Severity::Degraded, "broken".to_owned(), 1);
    get(metrics, "/metrics").1
}

#[test]
fn every_sum_of_the_page_closes() {
    let page = busy_engine("detailed");
    let samples = samples(&page);
    let total = |name: &str| sum(&samples, name, &[]);
    for (left, right) in [
        (vec!["aldis_receiver_offered"], vec!["aldis_receiver_admitted", "aldis_receiver_refused"]),
        (vec!["aldis_pipeline_offered"], vec!["aldis_pipeline_admitted", "aldis_pipeline_refused"]),
        (
            vec!["aldis_stage_in", "aldis_stage_made"],
            vec!["aldis_stage_out", "aldis_stage_removed", "aldis_stage_dropped", "aldis_stage_held"],
        ),
        (
            vec!["aldis_exporter_enqueued"],
            vec![
                "aldis_exporter_delivered",
                "aldis_exporter_rejected",
                "aldis_exporter_dropped",
                "aldis_exporter_queued",
                "aldis_exporter_in_flight",
            ],
        ),
    ] {
        let add = |names: &[&str]| names.iter().map(|name| total(name)).sum::<f64>();
        assert!(add(&left) > 0.0 && add(&left) == add(&right), "{left:?} = {right:?}\n{page}");
    }
    for (name, labels, value) in [
        ("otelcol_receiver_accepted_spans", vec![("receiver", "otlp"), ("transport", "grpc")], 2.0),
        ("otelcol_receiver_accepted_log_records", vec![("transport", "http")], 2.0),
        ("otelcol_receiver_refused_spans", vec![], 0.0),
        ("aldis_stage_removed", vec![("stage", "logs:filter"), ("rule", "severity_number == 17")], 2.0),
        ("otelcol_processor_incoming_items", vec![("processor", "filter"), ("otel_signal", "logs")], 4.0),
        ("otelcol_processor_outgoing_items", vec![("processor", "filter"), ("otel_signal", "logs")], 2.0),
        ("otelcol_processor_incoming_items", vec![("processor", "memory_limiter")], 12.0),
        ("otelcol_processor_memory_limiter_accepted_spans", vec![("processor", "memory_limiter")], 4.0),
        ("otelcol_processor_batch_batch_send_size_sum", vec![("processor", "batch")], 10.0),
        ("otelcol_exporter_sent_spans", vec![("exporter", "otlp")], 4.0),
        (
            "otelcol_exporter_send_failed_spans",
            vec![
                ("exporter", "otlp/dead"),
                ("error_type", "no_retry"),
                ("error_permanent", "false"),
                ("server_port", "9"),
            ],
            4.0,
        ),
        ("aldis_exporter_dropped", vec![("exporter", "otlp/dead"), ("reason", "no_retry")], 10.0),
        ("otelcol_exporter_queue_capacity", vec![("exporter", "otlp"), ("data_type", "logs")], 1000.0),
        ("target_info", vec![("service_name", "aldis"), ("zone", "b")], 1.0),
        ("aldis_ready", vec![], 0.0),
    ] {
        assert!(samples.iter().any(|sample| sample.name == name), "no {name}\n{page}");
        assert_eq!(sum(&samples, name, &labels), value, "{name} {labels:?}\n{page}");
    }
    assert!(total("aldis_exporter_latency_count") >= 4.0, "{page}");
}

#[test]
fn the_page_has_what_the_table_says_and_nothing_else() {
    let page = busy_engine("detailed");
    let families = families(&page);
    for (name, (_, keys)) in &families {
        let is_it = |known: &&aldis_engine::telemetry::table::Metric| known.names().contains(name);
        let row = METRICS.iter().find(is_it).unwrap_or_else(|| panic!("{name} is not in the table"));
        for keys in keys {
            let keys: Vec<&str> = keys.split(',').filter(|key| !key.is_empty()).collect();
            let needed = row.labels.iter().filter(|label| !label.starts_with('['));
            assert!(needed.clone().all(|label| keys.contains(label)), "{name} {keys:?}");
            assert!(row.labels.is_empty() || keys.iter().all(|key| row.has_label(key)), "{name} {keys:?}");
        }
    }
    // What only is there once something went wrong, or where TLS is spoken or files are sealed.
    const WHEN_IT_HAPPENS: [&str; 11] = [
        "aldis_file_sealed",
        "aldis_file_unsealed",
        "aldis_file_seal_failures",
        "aldis_remote_write_unsent",
        "aldis_certificate_not_after_seconds",
        "aldis_certificate_reloads",
        "aldis_receiver_refused",
        "aldis_receiver_requests_refused",
        "aldis_pipeline_refused",
        "aldis_stage_dropped",
        "aldis_exporter_rejected",
    ];
    let missing: Vec<String> = METRICS
        .iter()
        .flat_map(|row| row.names())
        .filter(|name| !families.contains_key(name) && !WHEN_IT_HAPPENS.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, [""; 0], "{page}");
}

/// What the Collector has and a process without a garbage collector cannot have.
const NOT_HERE: [&str; 1] = ["otelcol_process_runtime_total_alloc_bytes"];

#[test]
fn dashboards_for_the_collector_find_what_they_look_for() {
    let recorded = include_str!("../../testdata/telemetry/collector.txt");
    let page = busy_engine("normal");
    let families = families(&page);
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, kind, keys) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
        if NOT_HERE.contains(&name) {
            assert!(!families.contains_key(name), "{name} is here");
            continue;
        }
        let (our_kind, our_keys) = families.get(name).unwrap_or_else(|| panic!("no {name}\n{page}"));
        assert_eq!(our_kind, kind, "{name}");
        let is_there = |our: &String| keys.split(',').all(|key| our.split(',').any(|our| our == key));
        assert!(our_keys.iter().any(is_there), "{name}: {keys:?} is not in {our_keys:?}");
    }
    assert!(page.contains("# TYPE otelcol_exporter_sent_spans counter\n"), "no suffixes: {page}");
}

#[test]
fn levels_suffixes_and_constant_labels_are_what_is_configured() {
    let telemetry = |metrics: &str| {
        format!(
            "receivers: {{nop: }}\nexporters: {{nop: }}\nservice:\n  telemetry: {{metrics: {{{metrics}}}}}\n  \
             pipelines: {{traces: {{receivers: [nop], exporters: [nop]}}}}\n"
        )
    };
    let page = |metrics: &str| {
        let near = Near::running(&telemetry(metrics));
        get(near.address("metrics"), "/metrics").1
    };
    let reader = |more: &str| {
        format!("readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 0, {more}}}}}}}}}]")
    };
    let plain = page("address: '127.0.0.1:0'");
    assert!(plain.contains("\naldis_shards 1\n") && !plain.contains("otel_scope_name"), "{plain}");
    let basic = page(&format!("level: basic, {}", reader("")));
    assert!(!basic.contains("aldis_shards") && basic.contains("\naldis_build_info{"), "{basic}");
    let long = page(&reader("without_type_suffix: false, without_units: false"));
    assert!(long.contains("# TYPE otelcol_process_uptime_seconds_total counter\n"), "{long}");
    let scoped = page(&reader("without_scope_info: false"));
    assert!(scoped.contains("aldis_shards{otel_scope_name=\"aldis\""), "{scoped}");
    let labelled = page(&reader("with_resource_constant_labels: {included: ['*']}"));
    assert!(labelled.contains("aldis_shards{service_instance_id=\""), "{labelled}");
    let none = Near::running(&telemetry(&format!("level: none, {}", reader(""))));
    assert!(none.engine().addresses().is_empty());
}

/// An engine with a health page, and these exporters.
fn with_health(settings: &str, exporter: &str) -> Near {
    let kind = exporter.split(':').next().unwrap();
    Near::running(&format!(
        "extensions:\n  health_check: {{{settings}}}\nreceivers:\n  otlp: {BOTH}\n\
         exporters:\n  {exporter}\nservice:\n  extensions: [health_check]\n  pipelines:\n    \
         logs: {{receivers: [otlp], exporters: [{kind}]}}\n"
    ))
}

#[test]
fn health_is_red_when_records_are_lost() {
    let near = with_health(
        "endpoint: '127.0.0.1:0'",
        "otlp: {endpoint: 'http://127.0.0.1:9', retry_on_failure: {enabled: false}}",
    );
    let health = near.address("health");
    let (status, body) = get(health, "/any/path");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""status":"Server available""#) && body.contains(r#""state":"well""#), "{body}");
    let rests = || {
        let problems = near.engine().health().problems();
        problems.get("otlp (logs)").is_some_and(|problem| problem.idle_since_ns.is_some())
    };
    block_on(async {
        assert_eq!(near.ask(logs(3)).await, Outcome::DELIVERED);
        eventually("it is lost", || get(health, "/").1.contains("3 records were lost: ") && rests()).await;
    });
    let (status, body) = get(health, "/");
    assert_eq!(status, 503, "{body}");
    for part in
        [r#""status":"Server not available""#, r#""what":"3 records were lost: "#, r#""component":"otlp""#]
    {
        assert!(body.contains(part), "{body}");
    }
    assert_eq!(get(health, "/live").0, 200, "a restart would not help");
    assert!(!near.engine().verdict().is_ready());
    let problem = near.engine().health().problems().remove("otlp (logs)").expect("it was never well");
    assert!(body.contains(&format!("were lost: {}", problem.what)), "{body}");
}

#[test]
fn health_is_red_while_the_engine_drains() {
    let far = Far::holding();
    let near = with_health("endpoint: '127.0.0.1:0', path: /ready", &far.exporter("otlp", ""));
    let health = near.address("health");
    assert_eq!((get(health, "/ready").0, get(health, "/").0), (200, 404));
    block_on(async { assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED) });
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| near.shutdown(PATIENCE));
        block_on(eventually("it says so", || {
            let (status, body) = get(health, "/ready");
            status == 503 && body.contains(r#""state":"draining""#)
        }));
        far.take_all();
        assert!(ending.join().unwrap().is_complete());
    });
    assert!(TcpStream::connect(health).is_err(), "the page is gone with the engine");
}

#[test]
fn health_says_what_it_is_told_to_say() {
    let near = with_health(
        "endpoint: '127.0.0.1:0', response_body: {healthy: fine, unhealthy: bad}, check_collector_pipeline: {enabled: false}",
        "nop: {}",
    );
    assert_eq!(get(near.address("health"), "/"), (200, "fine".to_owned()));
}

#[test]
fn the_log_tells_the_life_of_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut far = Some(Far::taking());
    let endpoint = far.as_ref().unwrap().address(Protocol::Grpc);
    let near = Near::running(&format!(
        "receivers:\n  otlp: {BOTH}\nexporters:\n  otlp: {{endpoint: 'http://{endpoint}', retry_on_failure: {{initial_interval: 10ms, max_interval: 10ms}}}}\n\
         service:\n  telemetry: {{logs: {{level: debug, encoding: json, output_paths: ['{}'], initial_fields: {{host: a}}}}, resource: {{zone: b}}}}\n  \
         pipelines:\n    logs: {{receivers: [otlp], exporters: [otlp]}}\n",
        path.display()
    ));
    let log = || std::fs::read_to_string(&path).unwrap();
    block_on(async {
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
        eventually("it arrived", || far.as_ref().is_some_and(|far| far.batches().len() == 1)).await;
        far.take();
        assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
        eventually("failing is told", || log().contains(r#""msg":"a component fails""#)).await;
        assert!(!matches!(near.ask(one(Signal::Traces)).await, Outcome::Delivered { .. }));
    });
    assert!(!near.shutdown(Duration::from_millis(50)).is_complete());
    let log = log();
    for part in [
        r#""msg":"started""#,
        r#""msg":"listening""#,
        r#""msg":"draining""#,
        r#""msg":"ended, and not everything was delivered""#,
        r#""undelivered":1"#,
        r#""host":"a""#,
        r#""zone":"b""#,
    ] {
        assert!(log.contains(part), "no {part} in {log}");
    }
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
}

/// The tables of `docs/own-telemetry.md`, one for each of what the Collector has too and what only Aldis has.
fn documented() -> String {
    let mut out = String::new();
    for (title, own) in [("The Collector's names", false), ("Aldis' own names", true)] {
        out.push_str(&format!(
            "### {title}\n\n| name | type | level | labels | meaning |\n|---|---|---|---|---|\n"
        ));
        for row in METRICS.iter().filter(|row| row.name.starts_with("aldis_") == own) {
            let labels = row.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
            let (name, kind, level, text) = (row.name, row.kind.name(), row.level.name(), row.text);
            out.push_str(&format!("| `{name}` | {kind} | {level} | {labels} | {text} |\n"));
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_documentation_lists_every_metric() {
    const BEGIN: &str = "<!-- metrics: written by `ALDIS_BLESS=1 cargo test -p aldis-engine` -->\n\n";
    const END: &str = "<!-- end of metrics -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/own-telemetry.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (there, after) = rest.split_once(END).unwrap();
    let wanted = documented();
    if std::env::var_os("ALDIS_BLESS").is_some() {
        return std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    }
    assert_eq!(there, wanted, "ALDIS_BLESS=1 writes it anew");
}

/// A queue that is bounded in bytes is shown in bytes; an exporter that a reload took out is shown while it delivers what it has.
#[test]
fn queues_are_shown_as_they_are_counted_and_until_they_are_gone() {
    let far = Far::holding();
    let config = |exporters: &str, to: &str| {
        format!(
            "receivers: {{otlp: {BOTH}}}\nexporters: {{{exporters}}}\nservice: {{telemetry: {{{}}}, pipelines: {{logs: {{receivers: [otlp], exporters: [{to}]}}}}}}\n",
            readers("normal")
        )
    };
    let sizer = "sending_queue: {sizer: bytes, queue_size: 1000000}";
    let mut near = Near::running(&config(&far.exporter("otlp", sizer), "otlp"));
    let metrics = near.address("metrics");
    let of = |name: &str| sum(&samples(&get(metrics, "/metrics").1), name, &[("exporter", "otlp")]);
    block_on(async {
        assert_eq!(near.ask(logs(3)).await, Outcome::DELIVERED);
        eventually("it is under way", || far.held() == 1).await;
        assert_eq!(of("otelcol_exporter_queue_capacity"), 1_000_000.0);
        assert!(of("otelcol_exporter_queue_size") > 10.0, "bytes, not requests");
        let graph = aldis_engine::check(&config("nop: ", "nop"), &|_| None).graph;
        near.engine_mut().reload(&graph, Duration::from_secs(20)).unwrap();
        assert_eq!(of("aldis_exporter_in_flight"), 3.0);
        let both = |page: &str| {
            let samples = samples(page);
            let of = |name: &str| sum(&samples, name, &[("exporter", "otlp"), ("data_type", "logs")]);
            [of("otelcol_exporter_in_flight_requests"), of("otelcol_exporter_queue_capacity")]
        };
        assert_eq!(both(&get(metrics, "/metrics").1), [1.0, 1_000_000.0], "its queue is shown, too");
        // It comes back while what it had is still under way: one row for both.
        let graph = aldis_engine::check(&config(&far.exporter("otlp", sizer), "otlp"), &|_| None).graph;
        near.engine_mut().reload(&graph, Duration::from_secs(20)).unwrap();
        assert_eq!(near.ask(logs(2)).await, Outcome::DELIVERED);
        eventually("it is under way", || far.held() == 2).await;
        assert_eq!(both(&get(metrics, "/metrics").1), [2.0, 1_000_000.0]);
        let graph = aldis_engine::check(&config("nop: ", "nop"), &|_| None).graph;
        near.engine_mut().reload(&graph, Duration::from_secs(20)).unwrap();
        far.take_all();
        eventually("it arrives", || of("aldis_exporter_delivered") == 5.0).await;
        eventually("its queue goes", || {
            !get(metrics, "/metrics").1.contains("queue_capacity{exporter=\"otlp\"")
        })
        .await;
    });
}

#[test]
fn clients_that_speak_tls_where_there_is_none_are_counted() {
    let near = Near::running(&format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{nop: }}\nservice: {{telemetry: {{{}}}, pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}}}\n",
        readers("normal")
    ));
    let metrics = near.address("metrics");
    let mut client = TcpStream::connect(near.address("http")).unwrap();
    client.write_all(b"\x16\x03\x01\x00\x05hello, this is TLS").unwrap();
    block_on(eventually("it is counted", || {
        let samples = samples(&get(metrics, "/metrics").1);
        assert_eq!(sum(&samples, "aldis_receiver_unauthenticated", &[]), 0.0);
        sum(&samples, "aldis_receiver_tls_to_plain", &[("receiver", "otlp")]) == 1.0
    }));
}
