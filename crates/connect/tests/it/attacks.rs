//! What is sent to hurt: floods of frames that cost an answer, requests whose ends are told in two ways, values nested without end.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use aldis_connect::{
    limits::MAX_REASON_BYTES,
    otlp::{OtlpConfig, OtlpExporter, Protocol},
};
use otlp::{Check, Checker, Depth, Signal};
use pipeline::{Exporter, Item, Outcome};

use crate::{
    rows::assert_balanced,
    side::{
        PATIENCE, Side, TRACES, ask, block_on, framed, full, grpc_request, http_request, http1, http2, spans,
    },
};

/// The preface of HTTP/2 and empty SETTINGS.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0question";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// What a peer could write before it was made to wait or sent away, up to so many bytes.
fn flood(address: SocketAddr, frame: &[u8], most: usize) -> usize {
    let mut stream = TcpStream::connect(address).expect("a test that can go on");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a test that can go on");
    stream.write_all(OPENING).expect("a test that can go on");
    let frames = frame.repeat((64 << 10) / frame.len());
    let mut written = 0;
    while written < most {
        match stream.write(&frames) {
            Ok(bytes) => written += bytes,
            Err(_) => return written,
        }
    }
    written
}

/// Each asks for an answer, which nobody reads: the peer is read no further than its answers leave.
#[test]
fn floods_of_pings_and_settings_are_not_kept() {
    const MOST: usize = 256 << 20;
    let side = Side::start();
    for address in [side.grpc(), side.http()] {
        for frame in [PING, SETTINGS] {
            let written = flood(address, frame, MOST);
            assert!(written < MOST, "it was read without end");
        }
    }
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        let request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        assert_eq!(ask(&mut sender, request).await.grpc_status(), Some(0), "others are served");
    });
    assert_balanced(&side);
}

/// What is answered to these bytes, up to the end of the connection.
fn talk(address: SocketAddr, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a test that can go on");
    // Shorter than the time for headers, after which it would be closed whatever it said.
    stream.set_read_timeout(Some(PATIENCE / 2)).expect("a test that can go on");
    stream.write_all(said).expect("a test that can go on");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the receiver closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whoever stands in front could take the end of a body for the next request, or the other way around.
#[test]
fn bodies_with_two_ends_are_one_request_and_the_last() {
    let side = Side::start();
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for (lengths, expected) in [
        // What is chunked has its end in it (RFC 9112, section 6.3), and the connection is closed behind it.
        ("content-length: 0\r\ntransfer-encoding: chunked\r\n", "200"),
        ("content-length: 5\r\ncontent-length: 6\r\n", "400"),
        ("content-length: 5, 6\r\n", "400"),
        ("content-length: +5\r\n", "400"),
        ("transfer-encoding: chunked, identity\r\n", "400"),
        ("transfer-encoding: xchunked\r\n", "400"),
    ] {
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
        let answer = talk(side.http(), format!("{head}{lengths}\r\n0\r\n\r\n{smuggled}").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{lengths:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths:?}: {answer}");
    }
    assert_eq!(side.listening().counts().unrouted, 0, "nothing was smuggled");
}

/// A header's value could end a line and begin another answer.
#[test]
fn what_a_request_says_ends_no_line_of_its_answer() {
    let side = Side::start();
    let answer = talk(
        side.http(),
        b"POST /v1/traces%0d%0aset-cookie:%20x HTTP/1.1\r\nhost: x\r\norigin: a\tb\r\nconnection: close\r\ncontent-type: x\r\n\
          content-length: 0\r\n\r\n",
    );
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 404") && !head.contains("set-cookie"), "{answer}");
    block_on(async {
        let mut sender = http2(side.grpc()).await;
        let mut request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        request
            .headers_mut()
            .insert("grpc-encoding", http::HeaderValue::from_bytes(b"a\xffb\tc").expect("a value"));
        let answer = ask(&mut sender, request).await;
        assert_eq!(answer.grpc_status(), Some(12));
        let message = answer.text("grpc-message").unwrap_or_default();
        assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
    });
}

/// An attribute whose value is a list of a list of a list …, in both encodings.
#[test]
fn values_nested_without_end_are_refused() {
    const LEVELS: usize = 100_000;
    let side = Side::start();
    // Written from the inside: AnyValue { array_value { values } }, as long as the lengths can be told in three bytes.
    let mut value: Vec<u8> = Vec::new();
    for _ in 0..20_000 {
        let list = field(1, &value);
        value = field(5, &list);
        if value.len() > 150_000 {
            break;
        }
    }
    let attribute = [field(1, b"k"), field(2, &value)].concat();
    let request = field(1, &field(2, &field(2, &field(9, &attribute))));
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{{"key":"k","value":{}"#,
        r#"{"arrayValue":{"values":["#.repeat(LEVELS)
    );
    block_on(async {
        let answer = http1(side.http(), http_request("/v1/traces", full(request.into()))).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.status_message().1.contains("nested"), "{:?}", answer.status_message());
        let mut request = http_request("/v1/traces", full(json.into()));
        request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        assert_eq!(http1(side.http(), request).await.status.as_u16(), 400);
    });
    let refused = side.listening().counts().signal(Signal::Traces).requests_offered;
    assert_eq!(refused, 2);
    assert_balanced(&side);
}

/// A field that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// A far side that never stops answering.
#[test]
fn an_answer_without_end_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a test that can go on");
    let address = listener.local_addr().expect("a test that can go on");
    let far = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a test that can go on");
        let _ = stream.read(&mut [0; 4096]);
        let head =
            "HTTP/1.1 400 Bad Request\r\nretry-after: 99999999999\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).is_err() {
            // It has had enough before this side got its turn.
            return;
        }
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        // Until the other side has enough.
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let config = OtlpConfig {
        timeout: Duration::from_millis(500),
        ..OtlpConfig::default().with_protocol(Protocol::Http).with_endpoint(format!("http://{address}"))
    };
    let sender = OtlpExporter::try_new(config).unwrap().open();
    let batch = Checker::new(Signal::Traces, Check::Full, Depth::Counts)
        .check(spans(1))
        .expect("a test that can go on");
    let told = block_on(async { sender.send(&Item::new(batch)).await });
    drop(sender);
    let Outcome::Retry { maybe_delivered: true, reason, .. } = told else { panic!("{told:?}") };
    assert!(reason.len() <= 2 * MAX_REASON_BYTES, "{reason}");
    far.join().expect("a test that can go on");
}
