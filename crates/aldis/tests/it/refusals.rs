//! What senders are told when there is no room, or nobody to take it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use serde_json::Value;

use crate::process::{PATIENCE, Running, load};

/// A serving engine with this exporter.
fn serve(exporter: &str) -> Running {
    let both = "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}";
    let config = format!(
        "receivers:\n  otlp: {both}\nexporters:\n  otlp: {exporter}\nservice:\n  pipelines:\n    \
         logs: {{receivers: [otlp], exporters: [otlp]}}\n"
    );
    Running::serve(&config, &["--shards", "1", "--drain-timeout", "0"])
}

/// A far side that takes connections and says nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// One log record over HTTP/1.1; the whole answer.
fn post(address: &str, agent: &str) -> String {
    // resource_logs { scope_logs { log_records { severity_text: "x" } } }
    let body = [0x0a, 7, 0x12, 5, 0x12, 3, 0x1a, 1, b'x'];
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nuser-agent: {agent}\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

#[test]
fn a_full_queue_answers_too_many_requests() {
    let (_listener, address) = silent();
    let serve = serve(&format!(
        "{{endpoint: 'http://{address}', timeout: 10m, sending_queue: {{num_consumers: 1, queue_size: 2}}}}"
    ));
    let http = serve.address("http");
    for _ in 0..2 {
        assert!(post(&http, "x").starts_with("http/1.1 200"), "there is room for two");
    }
    for (agent, status) in [("x", "http/1.1 429"), ("OTel-OTLP-Exporter-Python/1.38.0", "http/1.1 503")] {
        let answer = post(&http, agent);
        assert!(answer.starts_with(status) && answer.contains("retry-after: 1\r\n"), "{answer}");
    }
    let (code, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "5", "--rate", "50"]);
    assert_eq!(code, Some(5), "{report}");
    let refused = report["refused"].as_object().unwrap();
    assert!(refused.keys().all(|code| code == "RESOURCE_EXHAUSTED"), "{report}");
    let ended = serve.stop();
    let stats = &ended.event("ended")["stats"];
    assert_eq!(stats["violation"], Value::Null);
    let counted = stats["receivers"][0]["requests_refused"]["RESOURCE_EXHAUSTED"].as_u64().unwrap();
    assert_eq!(counted, 2 + refused["RESOURCE_EXHAUSTED"]["requests"].as_u64().unwrap());
}

#[test]
fn a_far_side_that_is_gone_answers_unavailable() {
    // Port 9 is "discard", where nobody listens.
    let serve = serve(
        "{endpoint: 'http://127.0.0.1:9', sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}",
    );
    let answer = post(&serve.address("http"), "x");
    assert!(answer.starts_with("http/1.1 503"), "{answer}");
    let (_, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "5", "--rate", "50"]);
    let refused = report["refused"].as_object().unwrap();
    assert!(!refused.is_empty() && refused.keys().all(|code| code == "UNAVAILABLE"), "{report}");
    serve.stop();
}
