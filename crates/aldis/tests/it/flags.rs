//! What the flags of `load` and `sink` change, seen by the other side.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use connect::otlp::{
    GrpcSettings, ReceiverSettings,
    sink::{Rate, Sink, SinkSettings},
};
use pipeline::Shards;
use serde_json::Value;

use crate::{
    process::{Ended, Meanwhile, Running, aldis, load, text, wait_until},
    stub::Stub,
};

/// Sends to a sink with these flags; the exit code and report of `load`, and what the sink told at its end.
fn between(sink: &[&str], flags: &[&str]) -> (Option<i32>, Value, Ended) {
    let sink = Running::sink(sink);
    let (code, report) = load(&[&["--endpoint", &sink.address("grpc")], flags].concat());
    (code, report, sink.stop())
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no {key} in {report}"))
}

#[test]
fn load_sends_requests_of_the_size_and_at_the_rate_that_it_is_told() {
    let (_, _, sink) = between(&[], &["--requests", "6", "--batch", "7"]);
    let arrived = sink.json();
    assert_eq!((count(&arrived, "requests"), count(&arrived, "records")), (6, 42));
    // The first is sent at once; the twelfth would be due after the end.
    let (_, bounded, _) = between(&[], &["--duration", "500ms", "--rate", "20"]);
    assert!(count(&bounded, "delivered_requests") <= 11, "{bounded}");
    let seconds = |report: &Value| report["seconds"].as_f64().unwrap();
    // The last is due half a second after the first, however fast answers come.
    let (_, slow, _) = between(&[], &["--requests", "6", "--rate", "10", "--batch", "1"]);
    assert!(count(&slow, "delivered_requests") == 6 && seconds(&slow) >= 0.5, "{slow}");
    // Of which as many would take five minutes.
    let flags = ["--requests", "3000", "--rate", "3000", "--batch", "1", "--duration", "4m"];
    let (_, fast, _) = between(&[], &flags);
    assert_eq!(count(&fast, "delivered_requests"), 3000, "{fast}");
}

#[test]
fn load_has_as_many_requests_in_flight_as_it_is_told() {
    // Each answer takes so long that no sender has a second turn.
    let settings = || SinkSettings {
        receiver: on_free_ports(),
        rate: Some(Rate::Records(0.01)),
        ..SinkSettings::default()
    };
    for (in_flight, connections) in [("1", "1"), ("3", "1"), ("3", "2")] {
        let shards = Shards::start(1, "sink").unwrap();
        let sink = Sink::start(settings(), &shards).unwrap();
        let endpoint = sink.grpc_addr().unwrap().to_string();
        let flags = ["--timeout", "10m", "--in-flight", in_flight, "--connections", connections];
        let load =
            Meanwhile(loading(&[&["--endpoint", &endpoint, "--duration", "10m"], &flags[..]].concat()));
        let expected: u64 = in_flight.parse::<u64>().unwrap() * connections.parse::<u64>().unwrap();
        wait_until("all are in flight", || sink.report().requests >= expected);
        sleep(A_WHILE);
        drop(load);
        assert_eq!(sink.stop(Instant::now()).requests, expected, "{in_flight} {connections}");
    }
}

/// Long enough for a request to come that must not.
const A_WHILE: Duration = Duration::from_millis(300);

fn on_free_ports() -> ReceiverSettings {
    let grpc = GrpcSettings { endpoint: "127.0.0.1:0".to_owned(), ..GrpcSettings::default() };
    ReceiverSettings { grpc: Some(grpc), http: None, ..ReceiverSettings::default() }
}

/// `aldis load --json` with these flags, at work.
fn loading(flags: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
    command.args(["load", "--json"]).args(flags).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn load_makes_as_many_connections_as_it_is_told() {
    for connections in ["1", "3"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        // Nobody says anything on them: each has one of the requests, and waits.
        let flags = ["--connections", connections, "--requests", connections, "--timeout", "10m"];
        listener.set_nonblocking(true).unwrap();
        let load = loading(&[&["--endpoint", &endpoint], &flags[..]].concat());
        let mut made = Vec::new();
        wait_until("they are made", || {
            made.extend(listener.accept().ok());
            made.len() == connections.parse::<usize>().unwrap()
        });
        sleep(A_WHILE);
        assert!(listener.accept().is_err(), "there is one more than {connections}");
        drop((listener, made));
        let output = load.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), count(&report, "delivered_requests")), (Some(5), 0), "{report}");
    }
}

#[test]
fn load_sends_the_headers_and_the_codec_over_the_protocol_that_it_is_told() {
    for codec in ["gzip", "zstd"] {
        let stub = Stub::start();
        let flags = ["--endpoint", &stub.address, "--protocol", "http", "--codec", codec];
        let (code, report) =
            load(&[&flags[..], &["--requests", "1", "--header", "x-a=b", "--header", "x-c=d"]].concat());
        assert_eq!(code, Some(0), "{report}");
        let (head, _) = stub.heard();
        assert!(head.starts_with("post /v1/logs http/1.1"), "{head}");
        for line in ["x-a: b", "x-c: d", &format!("content-encoding: {codec}")] {
            assert!(head.contains(line), "no {line} in {head}");
        }
    }
}

#[test]
fn load_gives_up_a_request_after_its_timeout() {
    let sink = ["--rate", "1"];
    let (code, report, _) = between(&sink, &["--requests", "1", "--timeout", "50ms"]);
    assert_eq!((code, count(&report, "delivered_requests")), (Some(5), 0), "{report}");
    let (code, report, _) = between(&["--rate", "100000"], &["--requests", "1", "--batch", "10"]);
    assert_eq!((code, count(&report, "delivered_requests")), (Some(0), 1), "{report}");
}

#[test]
fn a_sink_refuses_the_part_that_it_is_told() {
    for (part, refused) in [("0", 0), ("0.5", 4), ("0.25", 2), ("1", 8)] {
        let (_, report, sink) = between(&["--refuse", part], &["--requests", "8"]);
        let told = sink.json();
        assert_eq!(
            (count(&told, "refused_requests"), count(&told, "requests")),
            (refused, 8 - refused),
            "{told}"
        );
        assert_eq!(count(&report, "delivered_requests"), 8 - refused, "{report}");
    }
}

#[test]
fn a_sink_takes_requests_up_to_the_size_that_it_is_told() {
    for (mib, code) in [("1", Some(5)), ("8", Some(0))] {
        let (ended, report, _) =
            between(&["--max-request-mib", mib], &["--requests", "1", "--batch", "10000"]);
        assert_eq!(ended, code, "{mib} MiB: {report}");
    }
}

#[test]
fn a_sink_ends_by_itself_and_has_the_threads_that_it_is_told() {
    let sink = Running::sink(&["--duration", "100ms", "--shards", "3"]);
    assert_eq!(sink.addresses()["shards"], 3);
    assert_eq!(sink.wait().code, Some(0));
}

#[test]
fn load_says_why_nothing_was_taken() {
    // Port 9 is "discard", where nobody listens.
    let nobody = "127.0.0.1:9";
    let (code, report) = load(&["--endpoint", nobody, "--requests", "2"]);
    let reason = report["refused"]["io"]["first_reason"].as_str().unwrap();
    assert!(code == Some(5) && reason.contains("refused"), "{report}");
    let output = aldis(&["load", "--endpoint", nobody, "--requests", "2"]);
    let told = text(&output.stdout);
    assert!(told.contains(reason) && !told.contains("latency"), "{told}");
}
