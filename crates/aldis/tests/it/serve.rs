//! Load → serve → sink: what is counted on the way agrees.

use std::net::TcpListener;

use serde_json::Value;

use crate::process::{Running, aldis, load, text};

fn config(receiver: &str, processors: &str, order: &str, exporter: &str) -> String {
    format!(
        "receivers:\n  otlp: {receiver}\nprocessors: {processors}\nexporters:\n  {exporter}\nservice:\n  pipelines:\n    \
         logs: {{receivers: [otlp], processors: [{order}], exporters: [out]}}\n"
    )
    // Nothing is sent twice because an answer is late.
    .replace("{endpoint: 'http://", "{timeout: 10m, endpoint: 'http://")
    .replace("[out]", if exporter.starts_with("otlphttp") { "[otlphttp]" } else { "[otlp]" })
}

const BOTH: &str = "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}";

fn sum(counts: &Value) -> u64 {
    counts.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum()
}

#[test]
fn what_is_loaded_arrives_or_was_removed_by_a_rule() {
    let sink = Running::sink(&[]);
    let processors = "{memory_limiter: {check_interval: 1s, limit_mib: 512}, \
        attributes: {actions: [{action: upsert, key: seen.by, value: aldis}]}, \
        resource: {attributes: [{action: insert, key: zone, value: test}]}, \
        filter: {logs: {log_record: ['IsMatch(body, \"replica [0-3] \")']}}, batch: {send_batch_size: 500}}";
    let exporter =
        format!("otlp: {{timeout: 10m, endpoint: '{}', tls: {{insecure: true}}}}", sink.address("grpc"));
    let order = "memory_limiter, filter, attributes, resource, batch";
    // Nothing waits for the deadline: the test would.
    let serve = Running::serve(&config(BOTH, processors, order, &exporter), &["--drain-timeout", "600"]);
    let (code, grpc) = load(&["--endpoint", &serve.address("grpc"), "--requests", "200", "--batch", "100"]);
    assert_eq!(code, Some(0), "{grpc}");
    let http = serve.address("http");
    let (code, http) = load(&[
        "--protocol",
        "http",
        "--endpoint",
        &http,
        "--codec",
        "gzip",
        "--level",
        "6",
        "--requests",
        "100",
        "--connections",
        "2",
    ]);
    assert_eq!(code, Some(0), "{http}");
    let ended = serve.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let arrived = sink.stop().json();

    let stats = ended.event("ended")["stats"].clone();
    assert_eq!(stats["violation"], Value::Null);
    let loaded = grpc["delivered_records"].as_u64().unwrap() + http["delivered_records"].as_u64().unwrap();
    assert!(loaded > 0);
    assert_eq!(stats["receivers"][0]["admitted"], loaded);
    let stages = stats["stages"].as_array().unwrap();
    let filter = stages.iter().find(|stage| stage["name"] == "logs:filter").unwrap();
    let removed = sum(&filter["removed"]);
    assert!(removed > 0 && removed < loaded, "{filter}");
    assert!(
        stages
            .iter()
            .any(|stage| stage["name"] == "logs:attributes+resource" && stage["out"] == loaded - removed)
    );
    assert_eq!(stats["exporters"][0]["delivered"], loaded - removed);
    assert_eq!(arrived["records"], loaded - removed);
    assert!(arrived["requests"].as_u64() < Some(loaded / 100), "nothing was joined: {arrived}");
}

#[test]
fn a_queue_that_waits_and_joins_delivers_everything_over_http() {
    let sink = Running::sink(&[]);
    let exporter = format!(
        "otlphttp: {{endpoint: 'http://{}', compression: zstd, headers: {{x-a: b}}, sending_queue: {{wait_for_result: true, \
         sizer: items, queue_size: 100000, batch: {{min_size: 2000, max_size: 2500, flush_timeout: 50ms}}}}}}",
        sink.address("http")
    );
    let serve = Running::serve(&config(BOTH, "{}", "", &exporter), &["--shards", "1"]);
    let arguments =
        ["--endpoint", &serve.address("grpc"), "--requests", "100", "--batch", "1000", "--in-flight", "8"];
    let (code, report) = load(&arguments);
    assert_eq!(code, Some(0), "{report}");
    let ended = serve.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let arrived = sink.stop().json();
    assert_eq!(arrived["records"], report["delivered_records"]);
    assert!(arrived["records"].as_u64() > Some(0));
}

#[test]
fn framing_check_relays_everything() {
    let sink = Running::sink(&[]);
    let receiver = "{check: framing, protocols: {grpc: {endpoint: '127.0.0.1:0'}}}";
    let exporter = format!(
        "otlp: {{endpoint: 'http://{}', compression: none, sending_queue: {{enabled: false}}}}",
        sink.address("grpc")
    );
    let serve = Running::serve(&config(receiver, "{}", "", &exporter), &[]);
    let (code, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "20"]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(serve.stop().code, Some(0));
    assert_eq!(sink.stop().json()["records"], report["delivered_records"]);
}

#[test]
fn a_receiver_feeds_every_pipeline_that_names_it() {
    let (one, two) = (Running::sink(&[]), Running::sink(&[]));
    let config = format!(
        "receivers:\n  otlp: {BOTH}\nexporters:\n  otlp: {{timeout: 10m, endpoint: 'http://{}'}}\n  otlp/2: {{timeout: 10m, endpoint: 'http://{}'}}\n\
         service:\n  pipelines:\n    logs: {{receivers: [otlp], exporters: [otlp]}}\n    logs/2: {{receivers: [otlp], exporters: [otlp/2]}}\n",
        one.address("grpc"),
        two.address("grpc")
    );
    let serve = Running::serve(&config, &[]);
    let (_, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "20"]);
    let ended = serve.stop();
    assert_eq!(ended.event("ended")["stats"]["violation"], Value::Null);
    for sink in [one, two] {
        assert_eq!(sink.stop().json()["records"], report["delivered_records"]);
    }
}

#[test]
fn other_programs_can_read_where_it_listens_and_what_became_of_everything() {
    // `sink --grpc`, `--http`, `--addresses-file`, `--json` and `serve --config`, `--addresses-file`, `--stats-on-exit`,
    // `--json` are given by `Running`.
    let sink = Running::sink(&[]);
    let exporter = format!("otlp: {{endpoint: 'http://{}'}}", sink.address("grpc"));
    let serve = Running::serve(&config(BOTH, "{}", "", &exporter), &["--shards", "1"]);
    let written = serve.addresses().clone();
    assert_eq!(written["shards"], 1);
    let ended = serve.stop();
    assert_eq!(ended.event("started"), written);
    assert!(written["addresses"].as_array().unwrap().iter().all(|entry| entry["port"].as_u64() > Some(0)));
    let stats = &ended.event("ended")["stats"];
    assert!(
        ["receivers", "pipelines", "stages", "exporters"].iter().all(|part| stats[part].is_array()),
        "{stats}"
    );
    let told = sink.addresses().clone();
    assert_eq!(sink.stop().event("started"), told);
}

#[test]
fn a_port_in_use_is_told_and_nothing_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    let receiver = format!("{{protocols: {{grpc: {{endpoint: '{address}'}}}}}}");
    std::fs::write(&file, config(&receiver, "{}", "", "otlp: {endpoint: 'http://localhost:1'}")).unwrap();
    // The usual port of metrics may be another test's.
    let output = aldis(&["serve", "-c", file.to_str().unwrap(), "--metrics", "none"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("receiver `otlp`") && stderr.contains(&address), "{stderr}");
}
