use super::*;
use crate::limits::{ANSWER_BYTES_MAX, REJECTION_CHARS_MAX, STATE_BYTES_MAX};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
    thread::{self, JoinHandle},
};

const METRIC: CommandMetric<'static> = CommandMetric {
    service_name: "tool",
    service_version: "1",
    metric_prefix: "tool",
    fingerprint: "f",
    command_name: "build",
    start_time_unix_nano: 1,
    time_unix_nano: 2,
};

/// A server for one connection: reads a whole request, writes this, and gives back what it read.
fn server(answer: &'static [u8]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let heard = request(&mut stream);
        stream.write_all(answer).unwrap();
        heard
    });
    (url, heard)
}

/// A port that is somebody's, who does not listen: as it stays taken nobody else does either.
fn closed() -> (OwnedFd, String) {
    let closed = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(closed.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let url = format!("http://{}", getsockname::<SockaddrIn>(closed.as_raw_fd()).unwrap());
    (closed, url)
}

fn request(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&all);
        let length = text.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if read == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length) {
            return text.into_owned();
        }
    }
}

fn client(url: &str, timeout: Duration) -> OtlpClient {
    OtlpClient { proxy: Ok(None), ..OtlpClient::new(url, "tool name/1", timeout).unwrap() }
}

fn send(url: &str) -> Result<(), SendError> {
    client(url, Duration::from_secs(10)).send(&METRIC)
}

#[test]
fn the_request_is_what_a_receiver_expects() {
    let (url, heard) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(send(&url), Ok(()));
    let heard = heard.join().unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, METRIC.to_string());
    let host = url.strip_prefix("http://").unwrap();
    let expected = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tool-name/1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close",
        body.len()
    );
    assert_eq!(head, expected);
}

#[test]
fn every_answer_is_told() {
    for (answer, expected) in [
        (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], Ok(())),
        (b"HTTP/1.0 299 \r\n", Ok(())),
        (b"HTTP/1.1 307 Elsewhere\r\nLocation: http://b\r\n\r\n", Err(SendError::Refused(307))),
        (b"HTTP/1.1 503 No\r\n\r\n", Err(SendError::Refused(503))),
        (b"HTTP/2 200\r\n\r\n", Err(SendError::NotHttp)),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Err(SendError::NotHttp)),
        (b"HTTP/1.1 200 OK", Err(SendError::NotHttp)),
        (b"SSH-2.0-x\r\n", Err(SendError::NotHttp)),
        (b"", Err(SendError::BrokenOff)),
    ] {
        let (url, heard) = server(answer);
        assert_eq!(send(&url), expected, "{}", String::from_utf8_lossy(answer));
        heard.join().unwrap();
    }
    let endless = vec![b'a'; ANSWER_BYTES_MAX + 1].leak();
    let (url, _heard) = server(endless);
    assert_eq!(send(&url), Err(SendError::NotHttp));
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let timeout = Duration::from_millis(50);
    assert_eq!(client(&url, timeout).send(&METRIC), Err(SendError::TimedOut), "accepted and silent");
    let (_closed, url) = closed();
    assert_eq!(
        client(&url, Duration::MAX).send(&METRIC),
        Err(SendError::NotConnected),
        "no time is too long to be added"
    );
    // RFC 1035, §2.3.4: no label is that long, and no server is asked.
    let long = "a".repeat(64);
    assert_eq!(send(&format!("http://{long}.invalid")), Err(SendError::NameNotFound));
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let (url, heard) = server(b"HTTP/1.1 200 OK\r\n\r\n");
    let variable = |name: &str| (name == "http_proxy").then(|| url.replace("http://", "http://a:b@"));
    let mut client = client("http://receiver.example:4318", Duration::from_secs(10));
    client.proxy = Proxy::of(&client.endpoint, &variable);
    assert_eq!(client.send(&METRIC), Ok(()));
    let heard = heard.join().unwrap();
    let line = "POST http://receiver.example:4318/v1/metrics HTTP/1.1\r\nHost: receiver.example:4318\r\n";
    assert!(heard.starts_with(line), "{heard}");
    assert!(heard.contains("\r\nProxy-Authorization: Basic YTpi\r\n"), "{heard}");
}

#[cfg(feature = "tls")]
#[test]
fn a_proxy_that_opens_no_way_is_told() {
    let (url, heard) = server(b"HTTP/1.1 403 No\r\n\r\n");
    let variable = |name: &str| (name == "https_proxy").then(|| url.clone());
    let mut client = client("https://receiver.example", Duration::from_secs(10));
    client.proxy = Proxy::of(&client.endpoint, &variable);
    assert_eq!(client.send(&METRIC), Err(SendError::Refused(403)));
    let expected = "CONNECT receiver.example:443 HTTP/1.1\r\nHost: receiver.example:443\r\n\r\n";
    assert_eq!(heard.join().unwrap(), expected, "nothing else is said to it");
}

/// Whoever reads what a receiver says on a terminal sees one line of it.
#[test]
fn a_point_that_is_rejected_is_not_delivered() {
    let rejected = |message: &str| Err(SendError::Rejected(message.to_owned()));
    let long = "x".repeat(REJECTION_CHARS_MAX + 1);
    let more = "y".repeat(2 * ANSWER_BYTES_MAX);
    for (body, expected) in [
        ("{}", Ok(())),
        ("", Ok(())),
        ("\u{a}\u{0}", Ok(())),
        (r#"{"partialSuccess":{}}"#, Ok(())),
        (r#"{"partialSuccess":null}"#, Ok(())),
        (r#"{"partialSuccess":{"rejectedDataPoints":"0","errorMessage":"be warned"}}"#, Ok(())),
        (r#"{"partialSuccess":{"errorMessage":"be warned"}}"#, Ok(())),
        (r#"{"partialSuccess":{"rejectedDataPoints":"1"}}"#, rejected("")),
        (r#"{"partialSuccess":{"errorMessage":"too old","rejectedDataPoints":1}}"#, rejected("too old")),
        (
            r#"{ "partialSuccess" : { "rejectedDataPoints" : "1" , "errorMessage" : "a\n\u001b[31mb\u202e\"c" } }"#,
            rejected("a  [31mb\"c"),
        ),
        (
            &format!(r#"{{"partialSuccess":{{"rejectedDataPoints":"1","errorMessage":"{long}"}}}}"#),
            rejected(&long[1..]),
        ),
        (
            &format!(r#"{{"partialSuccess":{{"rejectedDataPoints":"1","errorMessage":"{more}"}}}}"#),
            rejected(&more[..REJECTION_CHARS_MAX]),
        ),
    ] {
        let (half, rest) = body.split_at(body.len() / 2);
        let chunk = |text: &str| {
            if text.is_empty() { String::new() } else { format!("{:X};x\r\n{text}\r\n", text.len()) }
        };
        for head_and_body in [
            format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            format!("transfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n", chunk(half), chunk(rest)),
            format!("\r\n{body}"),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{head_and_body}").into_bytes().leak();
            let (url, _heard) = server(answer);
            assert_eq!(send(&url), expected, "{}", String::from_utf8_lossy(answer));
        }
    }
    let kept = format!("1 {}\n", SendError::Rejected("\u{10ffff}".repeat(REJECTION_CHARS_MAX)));
    assert!((kept.len() as u64) < STATE_BYTES_MAX, "what is kept is read back");
}

/// What stands behind the end that a receiver has named is not its answer, and nobody waits for it.
#[test]
fn an_answer_ends_where_it_says() {
    let rejection = r#"{"partialSuccess":{"rejectedDataPoints":"1"}}"#;
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n ",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let answer = format!("{head}{rejection}").into_bytes().leak();
        let (url, _heard) = server(answer);
        assert_eq!(send(&url), Ok(()), "{head}");
    }
}
