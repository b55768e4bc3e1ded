//! Requests of web pages.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use connect::otlp::Code;
use otlp::Signal;

use crate::ends::{Near, PATIENCE, listener, logs};

/// What a browser is told: the head of the answer, in small letters.
fn browse(near: &Near, method: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(near.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = if method == "POST" { logs(1).raw().to_vec() } else { Vec::new() };
    let head = format!(
        "{method} /v1/logs HTTP/1.1\r\nhost: localhost:4318\r\ncontent-type: application/x-protobuf\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).to_lowercase()
}

const PAGE: &str = "origin: https://shop.example\r\n";
const PREFLIGHT: &str = "origin: https://shop.example\r\naccess-control-request-method: POST\r\naccess-control-request-headers: x-tenant\r\n";

#[test]
fn pages_may_not_send_unless_they_are_told() {
    let near = Near::relaying(&listener("http", ""), "nop: ");
    // A page whose name was rebound to this address names itself, and its host is the same.
    let rebound = "origin: http://localhost:4318\r\n";
    for (method, headers) in [("OPTIONS", PREFLIGHT), ("POST", PAGE), ("POST", rebound)] {
        let said = browse(&near, method, headers);
        assert!(said.starts_with("http/1.1 403"), "{method} {headers}: {said}");
        assert!(!said.contains("access-control"), "{said}");
    }
    assert!(browse(&near, "POST", "").starts_with("http/1.1 200"), "what is no page may");
    let counts = near.engine().receivers()[0].1.clone();
    assert_eq!(counts.signal(Signal::Logs).requests_refused(Code::PermissionDenied), 3);
    assert_eq!(counts.signal(Signal::Logs).requests_offered, 4);
}

#[test]
fn pages_that_are_listed_may_send_what_is_listed() {
    let cors = "cors: {allowed_origins: ['https://*.example'], allowed_headers: [x-tenant], exposed_headers: [x-seen], max_age: 77}";
    let near = Near::relaying(&listener("http", cors), "nop: ");
    let said = browse(&near, "OPTIONS", PREFLIGHT);
    assert!(said.starts_with("http/1.1 204"), "{said}");
    for line in [
        "access-control-allow-origin: https://shop.example",
        "access-control-allow-headers: x-tenant",
        "access-control-allow-methods: post",
        "access-control-max-age: 77",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let said = browse(&near, "POST", PAGE);
    assert!(
        said.starts_with("http/1.1 200") && said.contains("access-control-expose-headers: x-seen"),
        "{said}"
    );
    let said = browse(&near, "OPTIONS", &PREFLIGHT.replace("x-tenant", "x-other"));
    assert!(!said.contains("access-control-allow"), "{said}");
    assert!(browse(&near, "POST", "origin: https://shop.evil\r\n").starts_with("http/1.1 403"));
}

/// A browser asks before it has any credentials to send.
#[test]
fn a_preflight_needs_no_credentials_and_the_request_does() {
    let near = Near::running(
        "extensions: {bearertokenauth: {token: 0123456789abcdef}}
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0', auth: {authenticator: bearertokenauth}, cors: {allowed_origins: ['https://shop.example'], allowed_headers: ['*']}}}}}
exporters: {nop: }
service: {extensions: [bearertokenauth], pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}
",
    );
    assert!(browse(&near, "OPTIONS", PREFLIGHT).starts_with("http/1.1 204"));
    let said = browse(&near, "POST", PAGE);
    assert!(said.starts_with("http/1.1 401") && said.contains("access-control-allow-origin"), "{said}");
    let said = browse(&near, "POST", &format!("{PAGE}authorization: Bearer 0123456789abcdef\r\n"));
    assert!(said.starts_with("http/1.1 200"), "{said}");
}
