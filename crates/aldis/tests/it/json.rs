//! OTLP/JSON between real processes, and what is written inside telemetry on its way.

use serde_json::Value;

use crate::{
    process::{Running, aldis, load, text},
    stub::Stub,
};

/// A relay of every signal, which exports to `exporter` whatever that is told.
fn relay(exporter: &str, address: &str, settings: &str) -> Running {
    let pipeline = format!("{{receivers: [otlp], exporters: [{exporter}]}}");
    let config = format!(
        "receivers:\n  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '127.0.0.1:0'}}}}}}\n\
         exporters:\n  {exporter}: {{timeout: 10m, endpoint: 'http://{address}', {settings}}}\n\
         service:\n  pipelines: {{traces: {pipeline}, logs: {pipeline}, metrics: {pipeline}, profiles: {pipeline}}}\n"
    );
    Running::serve(&config, &["--shards", "1"])
}

fn logs_in(body: &[u8]) -> usize {
    let request: Value = serde_json::from_slice(body).unwrap();
    request["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().len()
}

#[test]
fn load_and_exporters_send_json_where_they_are_told_to() {
    let stub = Stub::start();
    let arguments = [
        "--protocol",
        "http",
        "--encoding",
        "json",
        "--endpoint",
        &stub.address,
        "--batch",
        "7",
        "--requests",
        "1",
    ];
    let (code, report) = load(&arguments);
    assert_eq!((code, &report["delivered_records"]), (Some(0), &Value::from(7)), "{report}");
    let (head, body) = stub.heard();
    assert!(head.contains("post /v1/logs") && head.contains("content-type: application/json"), "{head}");
    assert_eq!(logs_in(&body), 7);

    for (encoding, kind) in [("json", "application/json"), ("proto", "application/x-protobuf")] {
        let stub = Stub::start();
        let serve = relay("otlphttp", &stub.address, &format!("encoding: {encoding}, compression: none"));
        let endpoint = serve.address("grpc");
        let (code, _) = load(&["--endpoint", &endpoint, "--batch", "5", "--requests", "1"]);
        assert_eq!(code, Some(0));
        let (head, body) = stub.heard();
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert_eq!(encoding == "json", body.starts_with(b"{"));
        if encoding == "json" {
            assert_eq!(logs_in(&body), 5);
        }
        assert_eq!(serve.stop().code, Some(0));
    }
}

#[test]
fn a_level_makes_bodies_smaller() {
    let size = |codec: &str, level: &str| {
        let stub = Stub::start();
        let arguments = ["--protocol", "http", "--endpoint", &stub.address, "--requests", "1"];
        let (code, _) = load(&[&arguments[..], &["--codec", codec, "--level", level]].concat());
        assert_eq!(code, Some(0));
        let (head, body) = stub.heard();
        assert!(head.contains(&format!("content-encoding: {codec}")), "{head}");
        body.len()
    };
    assert!(size("gzip", "12") < size("gzip", "1"));
    assert!(size("zstd", "12") < size("zstd", "1"));
}

#[test]
fn json_is_counted_at_the_end_of_every_way() {
    for settings in
        ["encoding: json, compression: zstd", "encoding: json, compression: none", "encoding: proto"]
    {
        let sink = Running::sink(&[]);
        let serve = relay("otlphttp", &sink.address("http"), settings);
        let endpoint = serve.address("http");
        let (code, report) = load(&[
            "--protocol",
            "http",
            "--encoding",
            "json",
            "--codec",
            "gzip",
            "--endpoint",
            &endpoint,
            "--requests",
            "20",
            "--batch",
            "30",
            "--in-flight",
            "3",
        ]);
        assert_eq!((code, &report["delivered_requests"]), (Some(0), &Value::from(20)), "{report}");
        let ended = serve.stop();
        assert_eq!(ended.event("ended")["stats"]["violation"], Value::Null);
        let arrived = sink.stop().json();
        assert_eq!(
            (&arrived["records"], &arrived["stamps"]),
            (&Value::from(600), &Value::from(0)),
            "{settings}"
        );
    }
}

/// One of each signal, a line each, as the Collector's `file` exporter writes them.
const LINES: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}
{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":{"stringValue":"b"}},{"timeUnixNano":"2"}]}]}]}
{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"c","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":"7"}]}}]}]}]}
{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"profileId":"5b8efff798038103d269b633813fc60c","timeUnixNano":"1","samples":[{"stackIndex":1,"values":["3"]}]}]}]}],"dictionary":{"stringTable":["","main"],"stackTable":[{},{"locationIndices":[1]}]}}
"#;

#[test]
fn every_signal_of_a_json_file_arrives_stamped_over_both_protocols_and_a_relay() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("everything.jsonl");
    std::fs::write(&file, LINES).unwrap();
    for (protocol, encoding, exporter, settings) in [
        ("grpc", "proto", "otlp", "compression: none"),
        ("http", "proto", "otlphttp", "compression: gzip"),
        ("http", "json", "otlphttp", "encoding: json"),
    ] {
        let sink = Running::sink(&[]);
        let target = sink.address(if exporter == "otlp" { "grpc" } else { "http" });
        let serve = relay(exporter, &target, settings);
        let endpoint = serve.address(protocol);
        for signal in ["traces", "logs", "metrics", "profiles"] {
            let (code, report) = load(&[
                file.to_str().unwrap(),
                "--signal",
                signal,
                "--protocol",
                protocol,
                "--encoding",
                encoding,
                "--endpoint",
                &endpoint,
                "--requests",
                "6",
                "--stamp-every",
                "2",
            ]);
            assert_eq!(code, Some(0), "{report}");
        }
        assert_eq!(serve.stop().code, Some(0));
        let arrived = sink.stop().json();
        assert_eq!(arrived["requests"], 24, "{protocol} {encoding}: {arrived}");
        assert_eq!(arrived["records"], 6 * (1 + 2 + 1 + 1));
        assert_eq!(arrived["stamps"], 12, "every second request of each signal: {arrived}");
        let [p50, p90, p99, max] =
            ["p50_ms", "p90_ms", "p99_ms", "max_ms"].map(|key| arrived[key].as_f64().unwrap());
        assert!(p50 > 0.0 && p50 <= p90 && p90 <= p99 && max > 0.0, "{arrived}");
    }
}

#[test]
fn what_is_wrong_with_a_file_or_an_encoding_is_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("broken.json");
    std::fs::write(&file, "{\"resourceLogs\":[]}\n{\"resourceLogs\": [{\"scopeLogs\": 1}]}\n").unwrap();
    let output = aldis(&["load", file.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let place = format!("error: {}:2:33: expected an array in ResourceLogs", file.display());
    assert!(said.starts_with(&place) && said.contains("mend the text"), "{said}");

    std::fs::write(&file, LINES).unwrap();
    let said = text(&aldis(&["load", file.to_str().unwrap()]).stderr);
    assert!(said.contains("add `--signal traces`"), "{said}");

    let output = aldis(&["load", "--encoding", "json"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("JSON needs HTTP"), "{said}");
}
