//! How a serving engine ends.

use std::{process::Command, thread};

use serde_json::Value;

use crate::{
    process::{Running, load, wait_until},
    telling::counted,
};

/// Flags of an engine of which is asked what it has taken.
const ASKED: [&str; 2] = ["--metrics", "127.0.0.1:0"];

fn relay(exporter: &str) -> String {
    // Nothing is sent twice because an answer is late.
    let exporter = exporter.replacen("{endpoint", "{timeout: 10m, endpoint", 1);
    format!(
        "receivers:\n  otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}\nprocessors: {{batch: {{timeout: 10s}}}}\n\
         exporters:\n  otlp: {exporter}\nservice:\n  pipelines:\n    logs: {{receivers: [otlp], processors: [batch], exporters: [otlp]}}\n"
    )
}

#[test]
fn everything_acknowledged_arrives_when_terminated_under_load() {
    for sending_queue in ["{}", "{wait_for_result: true}", "{enabled: false}"] {
        let sink = Running::sink(&[]);
        let serve = Running::serve(
            &relay(&format!(
                "{{endpoint: 'http://{}', sending_queue: {sending_queue}}}",
                sink.address("grpc")
            )),
            &ASKED,
        );
        let endpoint = serve.address("grpc");
        let loading = thread::spawn(move || {
            load(&[
                "--endpoint",
                &endpoint,
                "--duration",
                "3s",
                "--connections",
                "4",
                "--in-flight",
                "2",
                "--batch",
                "100",
            ])
            .1
        });
        // Under way, not at its beginning.
        wait_until("some is taken", || counted(&serve, "aldis_receiver_admitted") > 0.0);
        let ended = serve.stop();
        let report = loading.join().unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let told = ended.event("ended");
        assert_eq!((&told["complete"], &told["stats"]["violation"]), (&Value::Bool(true), &Value::Null));
        let arrived = sink.stop().json()["records"].as_u64().unwrap();
        let acknowledged = report["delivered_records"].as_u64().unwrap();
        // What got no answer may have been taken all the same.
        let unanswered = report["refused_records"].as_u64().unwrap();
        assert!(acknowledged > 0);
        assert!(
            (acknowledged..=acknowledged + unanswered).contains(&arrived),
            "{sending_queue}: {acknowledged} acknowledged, {arrived} arrived, {unanswered} unanswered"
        );
    }
}

#[test]
fn batches_that_linger_leave_through_every_batcher() {
    let sink = Running::sink(&[]);
    // Neither batcher would let go by itself within this test.
    let exporter = format!(
        "{{endpoint: 'http://{}', sending_queue: {{wait_for_result: true, batch: {{min_size: 100000, flush_timeout: 10m}}}}}}",
        sink.address("grpc")
    );
    let config =
        relay(&exporter).replace("timeout: 10s", "timeout: 10m, send_batch_size: 100000, eager: false");
    let serve = Running::serve(&config, &ASKED);
    let endpoint = serve.address("grpc");
    let loading =
        thread::spawn(move || load(&["--endpoint", &endpoint, "--requests", "1", "--batch", "10"]).1);
    wait_until("it lingers", || counted(&serve, "aldis_pipeline_admitted") == 10.0);
    let ended = serve.stop();
    let report = loading.join().unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(report["delivered_records"].as_u64() > Some(0), "{report}");
    assert_eq!(sink.stop().json()["records"], report["delivered_records"]);
}

/// An engine with something in its queue that cannot leave.
fn stuck(arguments: &[&str]) -> (Running, Value) {
    // Port 9 is "discard", where nobody listens.
    let serve = Running::serve(&relay("{endpoint: 'http://127.0.0.1:9'}"), arguments);
    let (code, report) =
        load(&["--endpoint", &serve.address("grpc"), "--requests", "5", "--rate", "50", "--batch", "10"]);
    assert_eq!(code, Some(0), "{report}");
    (serve, report)
}

#[test]
fn what_does_not_leave_in_time_is_told() {
    let (serve, report) = stuck(&["--drain-timeout", "1"]);
    wait_until("the far side's absence is told", || serve.stderr().contains("health"));
    let ended = serve.stop();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let told = ended.event("ended");
    assert_eq!(told["complete"], false);
    assert_eq!(told["undelivered"][0]["records"], report["delivered_records"], "{told}");
    assert_eq!(told["stats"]["violation"], Value::Null);
}

#[test]
fn what_was_given_up_or_refused_before_the_end_is_told_and_makes_the_exit_code() {
    let sink = Running::sink(&[]);
    let nobody = "{endpoint: 'http://127.0.0.1:9', retry_on_failure: {enabled: false}}".to_owned();
    // There is nothing at this path.
    let refuses = format!("{{endpoint: 'http://{}/nowhere'}}", sink.address("http"));
    for (exporter, count) in [(nobody, "lost"), (refuses, "refused")] {
        let config = relay(&exporter).replace("  otlp: {timeout", "  otlphttp: {timeout");
        let serve = Running::serve(&config.replace("exporters: [otlp]", "exporters: [otlphttp]"), &[]);
        let (code, report) =
            load(&["--endpoint", &serve.address("grpc"), "--requests", "5", "--rate", "50", "--batch", "10"]);
        assert_eq!(code, Some(0), "{report}");
        if count == "lost" {
            wait_until("the far side's absence is told", || serve.stderr().contains("degraded: "));
        }
        let ended = serve.stop();
        assert_eq!(ended.code, Some(5), "{}", ended.stderr);
        let told = ended.event("ended");
        assert_eq!(
            (&told["complete"], &told["lost"][0][count]),
            (&Value::Bool(false), &report["delivered_records"])
        );
        assert_eq!(told["undelivered"].as_array().map(Vec::len), Some(0), "all has left: {told}");
        assert!(!ended.stderr.contains("well again"), "{}", ended.stderr);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (serve, _) = stuck(&["--drain-timeout", "600"]);
    serve.terminate();
    wait_until("it drains", || serve.stderr().contains("draining"));
    let ended = serve.stop();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.event("error")["message"].as_str().unwrap().contains("second signal"));
}

#[test]
fn a_sink_ends_by_itself_and_refuses_what_it_is_told_to() {
    let ended = Running::sink(&["--duration", "1s"]).wait();
    assert_eq!((ended.code, ended.json()["records"].as_u64()), (Some(0), Some(0)), "{}", ended.stderr);
    let sink =
        Running::sink(&["--refuse", "0.5", "--rate", "1000000", "--shards", "1", "--max-request-mib", "8"]);
    let (code, report) =
        load(&["--endpoint", &sink.address("grpc"), "--requests", "8", "--timeout", "1m", "--header", "a=b"]);
    assert_eq!(code, Some(5), "refused requests are not delivered: {report}");
    let ended = sink.stop();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.json()["records"], report["delivered_records"]);
    assert!(ended.json()["refused_requests"].as_u64() > Some(0));
}

/// A terminal that is closed sends SIGHUP; there is no file to be read again.
#[test]
fn without_a_file_a_hang_up_closes_the_books() {
    let serve = Running::summary(&[]);
    let (code, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "2", "--batch", "5"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(Command::new("kill").arg("-HUP").arg(serve.pid().to_string()).status().unwrap().success());
    let ended = serve.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.event("draining")["event"], "draining");
}
