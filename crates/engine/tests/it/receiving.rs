//! What a receiver is told, seen by its clients.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use aldis_engine::check;
use otlp::{Check, Checker, Depth, Signal};
use pipeline::Outcome;

use crate::{
    ends::{A_WHILE, Far, Near, PATIENCE, answer, block_on, eventually, large, listener, logs, one},
    frames::{GOAWAY, SETTINGS, Wire, is_timeout},
};

const NOP: &str = "nop: ";

/// What is answered to a POST over HTTP/1.1, up to the end of the connection.
fn post(address: SocketAddr, path: &str, body: &[u8], headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the receiver closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn receivers_listen_where_they_are_told_to() {
    for protocol in ["grpc", "http"] {
        let receiver = format!("{{protocols: {{{protocol}: {{endpoint: '127.0.0.2:0'}}}}}}");
        let near = Near::relaying(&receiver, NOP);
        assert_eq!(near.address(protocol).ip().to_string(), "127.0.0.2");
        assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED, "{protocol}");
        assert_eq!(near.engine().addresses().len(), 1, "the other protocol is not spoken");
    }
}

/// What is wrong inside of a record shows only where records are read.
#[test]
fn framing_is_all_that_is_checked_where_that_is_asked_for() {
    // ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span: its name is no UTF-8.
    let request = b"\x0a\x07\x12\x05\x12\x03\x2a\x01\xff";
    for (check, taken) in [("full", false), ("framing", true)] {
        let receiver = format!("{{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}, check: {check}}}");
        let near = Near::relaying(&receiver, NOP);
        let batch = Checker::new(Signal::Traces, Check::Framing, Depth::Counts).check(request[..].into());
        let outcome = block_on(near.ask(batch.unwrap()));
        assert_eq!(outcome == Outcome::DELIVERED, taken, "{check}: {outcome:?}");
    }
}

#[test]
fn each_signal_is_taken_on_its_path_and_on_no_other() {
    let far = Far::taking();
    let paths =
        "traces_url_path: /in/t, logs_url_path: /in/l, metrics_url_path: /in/m, profiles_url_path: /in/p";
    let near =
        Near::relaying(&listener("http", paths), &far.exporter("otlp", "sending_queue: {enabled: false}"));
    let rows = [
        (Signal::Traces, "/in/t", "/v1/traces"),
        (Signal::Logs, "/in/l", "/v1/logs"),
        (Signal::Metrics, "/in/m", "/v1/metrics"),
        (Signal::Profiles, "/in/p", "/v1development/profiles"),
    ];
    for (signal, path, usual) in rows {
        let status = |path| {
            let answer = post(near.address("http"), path, one(signal).raw(), "connection: close\r\n");
            answer.split(' ').nth(1).map(str::to_owned)
        };
        assert_eq!(
            (status(path).as_deref(), status(usual).as_deref()),
            (Some("200"), Some("404")),
            "{signal}"
        );
    }
    assert_eq!(far.batches().iter().map(|batch| batch.signal()).collect::<Vec<_>>(), Signal::ALL);
}

#[test]
fn a_connection_without_requests_is_closed_after_the_idle_timeout() {
    let near = Near::relaying(&listener("http", "idle_timeout: 300ms"), NOP);
    // Whoever is slow to ask finds the connection closed, as it should: then another one is made.
    let asks = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(near.address("http"))?;
        // Shorter than the default, which would close it as well.
        stream.set_read_timeout(Some(PATIENCE / 2))?;
        let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        assert!(!read.is_err_and(|error| is_timeout(&error)), "the receiver closes the connection");
        Ok(answer)
    };
    block_on(eventually("an answer, and the end", || {
        asks().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }));
}

#[test]
fn listeners_are_tcp_and_nothing_else_is_asked_for() {
    for protocol in ["grpc", "http"] {
        let near = Near::relaying(&listener(protocol, "transport: tcp"), NOP);
        TcpStream::connect(near.address(protocol)).unwrap();
        let other = format!("receivers: {{otlp: {}}}\n", listener(protocol, "transport: unix"));
        let problems = check(&other, &|_| None).problems;
        assert!(
            problems.iter().any(|problem| problem.message == "`transport` cannot be `unix`"),
            "{problems:?}"
        );
    }
}

#[test]
fn messages_up_to_the_largest_size_are_taken() {
    let far = Far::taking();
    let rows = [
        ("grpc", "max_recv_msg_size_mib: 1", false),
        ("grpc", "max_recv_msg_size_mib: 2", true),
        ("http", "max_request_body_size: 1000000", false),
        ("http", "max_request_body_size: 2000000", true),
    ];
    for (protocol, most, taken) in rows {
        let near = Near::relaying(&listener(protocol, most), &far.exporter("otlp", ""));
        let outcome = block_on(near.ask(large(1_500_000)));
        assert_eq!(outcome == Outcome::DELIVERED, taken, "{most}: {outcome:?}");
    }
}

#[test]
fn headers_travel_where_that_is_asked_for() {
    let processor = "attributes: {actions: [{action: insert, key: tenant, from_context: metadata.x-tenant}]}";
    for protocol in ["grpc", "http"] {
        for (settings, expected) in [("include_metadata: true", Some("t")), ("include_metadata: false", None)]
        {
            let far = Far::taking();
            let receiver = listener(protocol, settings);
            let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
            let near = Near::carrying(&[Signal::Logs], &receiver, processor, &exporter);
            let outcome = block_on(async { answer(near.send_as(logs(1), &[("x-tenant", "t")])).await });
            assert_eq!(outcome, Outcome::DELIVERED);
            assert_eq!(far.batches()[0].attributes_of(0).text("tenant"), expected, "{protocol} {settings}");
        }
    }
}

#[test]
fn a_client_that_is_slow_with_its_headers_is_left() {
    let near = Near::relaying(&listener("http", "read_header_timeout: 50ms"), NOP);
    let mut stream = TcpStream::connect(near.address("http")).unwrap();
    // Shorter than the default, which would close it as well.
    stream.set_read_timeout(Some(PATIENCE / 2)).unwrap();
    // It may be left before it has written so much.
    let written = stream.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\n");
    let read = written.and_then(|()| stream.read_to_end(&mut Vec::new()));
    assert!(!read.is_err_and(|error| is_timeout(&error)), "the receiver closes the connection");
}

#[test]
fn connections_that_are_old_or_idle_are_told_to_go() {
    for parameter in ["max_connection_idle", "max_connection_age"] {
        // Long enough for a slow client to say that it speaks HTTP/2: it is told in that.
        let keepalive = format!("keepalive: {{server_parameters: {{{parameter}: 3s}}}}");
        let near = Near::relaying(&listener("grpc", &keepalive), NOP);
        Wire::connect(near.address("grpc")).until(GOAWAY);
    }
}

#[test]
fn clients_are_told_how_many_requests_a_connection_may_have_at_once() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let near = Near::relaying(&listener("grpc", "max_concurrent_streams: 7"), NOP);
    let told = Wire::connect(near.address("grpc")).until(SETTINGS);
    assert_eq!(told.setting(MAX_CONCURRENT_STREAMS), Some(7));
}

/// An old connection is told to go; what is in flight on it then has the grace, or all the time it needs.
#[test]
fn what_is_in_flight_on_an_old_connection_has_its_grace() {
    const AGE: Duration = Duration::from_millis(500);
    for (grace, cut) in [("max_connection_age_grace: 20ms", true), ("", false)] {
        let far = Far::holding();
        let keepalive = format!("keepalive: {{server_parameters: {{max_connection_age: 500ms, {grace}}}}}");
        let exporter = far.exporter("otlp", "timeout: 0, sending_queue: {enabled: false}");
        let near = Near::relaying(&listener("grpc", &keepalive), &exporter);
        block_on(async {
            let sent = near.send(logs(1));
            eventually("it is in flight", || far.held() == 1).await;
            if !cut {
                tokio::time::sleep(AGE + A_WHILE).await;
                far.take_all();
            }
            let outcome = answer(sent).await;
            let was_cut = matches!(outcome, Outcome::Retry { maybe_delivered: true, .. });
            assert_eq!(was_cut, cut, "{outcome:?}");
            assert_eq!(outcome == Outcome::DELIVERED, !cut, "{outcome:?}");
        });
    }
}
