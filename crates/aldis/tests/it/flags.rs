//! What the flags of `load` and `sink` change, seen by the other side.

use std::net::TcpListener;

use serde_json::Value;

use crate::{
    process::{Ended, Running, aldis, load, text},
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
    let (_, slow, _) = between(&[], &["--duration", "500ms", "--rate", "20"]);
    assert!((1..=11).contains(&count(&slow, "delivered_requests")), "{slow}");
    let (_, fast, _) = between(&[], &["--duration", "500ms", "--rate", "1000"]);
    assert!(count(&fast, "delivered_requests") > 11, "{fast}");
}

#[test]
fn load_has_as_many_requests_in_flight_as_it_is_told() {
    // Each answer takes so long that no sender has a second turn.
    for (in_flight, connections) in [("1", "1"), ("3", "1"), ("3", "2")] {
        let flags = [
            "--duration",
            "100ms",
            "--timeout",
            "300ms",
            "--in-flight",
            in_flight,
            "--connections",
            connections,
        ];
        let (code, report, sink) = between(&["--rate", "1"], &flags);
        assert_eq!(code, Some(5), "{report}");
        let expected: u64 = in_flight.parse::<u64>().unwrap() * connections.parse::<u64>().unwrap();
        assert_eq!(count(&sink.json(), "requests"), expected, "{report}");
    }
}

#[test]
fn load_makes_as_many_connections_as_it_is_told() {
    for connections in ["1", "3"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        // The kernel takes the connections; nobody says anything on them.
        let flags = ["--connections", connections, "--duration", "100ms", "--timeout", "300ms"];
        let (code, report) = load(&[&["--endpoint", &endpoint], &flags[..]].concat());
        assert_eq!((code, count(&report, "delivered_requests")), (Some(5), 0));
        listener.set_nonblocking(true).unwrap();
        let made = std::iter::from_fn(|| listener.accept().ok()).count();
        assert_eq!(made.to_string(), connections, "{report}");
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
    let (code, report, _) = between(&sink, &["--requests", "1", "--batch", "10", "--timeout", "50ms"]);
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
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, report) = load(&["--endpoint", &nobody, "--requests", "2"]);
    let reason = report["refused"]["io"]["first_reason"].as_str().unwrap();
    assert!(code == Some(5) && reason.contains("refused"), "{report}");
    let output = aldis(&["load", "--endpoint", &nobody, "--requests", "2"]);
    let told = text(&output.stdout);
    assert!(told.contains(reason) && !told.contains("latency"), "{told}");
}
