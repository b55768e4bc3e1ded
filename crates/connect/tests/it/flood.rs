//! Peers that use HTTP as it was not meant, frame by frame.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use aldis_connect::{
    limits::{FIRST_WINDOW_BYTES, MAX_FRAME_BYTES, MAX_HEADER_BYTES, MAX_UNSEEN_RESETS},
    otlp::{Code, Keepalive},
};
use http::HeaderValue;
use otlp::Signal;

use crate::{
    rows::assert_balanced,
    side::{
        PATIENCE, Side, TRACES, ask, block_on, eventually, framed, full, grpc_request, http_request, http1,
        http2, settings, spans,
    },
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Kind, flags, stream, payload.
type Frame = (u8, u8, u32, Vec<u8>);

/// A peer that writes frames as it likes.
struct Raw(TcpStream);

impl Raw {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut raw = Self(stream);
        raw.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("written");
        raw.send(&frame(SETTINGS, 0, 0, &[]));
        raw
    }

    /// Writes; whether the other side still takes it is its own business.
    fn send(&mut self, frames: &[u8]) {
        let _ = self.0.write_all(frames);
    }

    /// The next frame; `None` at the end.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// The reason with which the connection is ended.
    fn goaway(&mut self) -> Option<u32> {
        std::iter::from_fn(|| self.next())
            .filter(|(kind, ..)| *kind == GOAWAY)
            .last()
            .map(|(.., payload)| u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// The headers of a gRPC call (RFC 7541: literals without indexing).
fn headers() -> Vec<u8> {
    let mut out = vec![0x83, 0x86, 0x01, 1, b'x', 0x04, TRACES.len() as u8];
    out.extend(TRACES.as_bytes());
    out.extend([0x0f, 0x10, 16]);
    out.extend(b"application/grpc");
    out
}

#[test]
fn rapid_resets_end_the_connection() {
    let side = Side::start();
    let mut peer = Raw::connect(side.grpc());
    let mut burst = Vec::new();
    for i in 0..10 * MAX_UNSEEN_RESETS as u32 {
        let stream = 2 * i + 1;
        burst.extend(frame(HEADERS, END_HEADERS, stream, &headers()));
        burst.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    peer.send(&burst);
    assert_eq!(peer.goaway(), Some(ENHANCE_YOUR_CALM));
    block_on(eventually("it is closed", || side.listening().counts().connections_open == 0));
    let cancelled = side.listening().counts().signal(Signal::Traces).requests_refused(Code::Cancelled);
    assert!(cancelled <= MAX_UNSEEN_RESETS as u64, "{cancelled} were begun");
    assert_balanced(&side);
}

#[test]
fn a_header_block_without_end_ends_the_connection() {
    let side = Side::start();
    let mut peer = Raw::connect(side.grpc());
    peer.send(&frame(HEADERS, 0, 1, &headers()));
    // A literal that goes on and on, and pieces that carry nothing.
    for piece in [&[0u8; 0][..], &[b'a'; 16 << 10]] {
        for _ in 0..1000 {
            peer.send(&frame(CONTINUATION, 0, 1, piece));
        }
    }
    // What is not read any more may reset the connection before its reason arrives.
    assert!(matches!(peer.goaway(), None | Some(1 | ENHANCE_YOUR_CALM)));
    block_on(eventually("it is closed", || side.listening().counts().connections_open == 0));
    assert_eq!(side.listening().counts().signal(Signal::Traces).requests_offered, 0);
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let mut settings = settings();
    settings.grpc.as_mut().expect("grpc").max_concurrent_streams = 4;
    let side = Side::with(settings, 64 << 20);
    let mut peer = Raw::connect(side.grpc());
    // The bound holds from the moment its peer has said that it knows it.
    while peer.next().expect("settings").0 != SETTINGS {}
    peer.send(&frame(SETTINGS, ACK, 0, &[]));
    for i in 0..10 {
        peer.send(&frame(HEADERS, END_HEADERS, 2 * i + 1, &headers()));
        peer.send(&frame(DATA, 0, 2 * i + 1, &[0, 0, 0]));
    }
    // By stream: what follows on one that was refused may be told once more that it is closed.
    let mut refused = BTreeMap::new();
    while refused.len() < 6 {
        let (kind, _, stream, payload) = peer.next().expect("a frame");
        if kind == RST_STREAM {
            let code = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            refused.entry(stream).or_insert(code);
        }
    }
    assert!(refused.values().all(|code| *code == REFUSED_STREAM), "{refused:?}");
    let offered = || side.listening().counts().signal(Signal::Traces).requests_offered;
    block_on(eventually("the others are offered", || offered() == 4));
    drop(peer);
    let traces = || side.listening().counts().signal(Signal::Traces).requests_refused(Code::Cancelled);
    block_on(eventually("what it began is counted", || traces() == 4));
    assert_balanced(&side);
}

#[test]
fn giant_headers_are_refused() {
    let side = Side::start();
    let giant = HeaderValue::try_from("a".repeat(MAX_HEADER_BYTES as usize + 1)).expect("ASCII");
    block_on(async {
        let mut request = http_request("/v1/traces", full(spans(1)));
        request.headers_mut().insert("x-giant", giant.clone());
        assert_eq!(http1(side.http(), request).await.status.as_u16(), 431);
        let mut sender = http2(side.grpc()).await;
        let mut request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        request.headers_mut().insert("x-giant", giant);
        match sender.send_request(request).await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 431),
            // A client that knows the limit does not even try.
            Err(error) => assert!(!error.is_closed(), "{error:?}"),
        }
        let mut sender = http2(side.grpc()).await;
        let request = grpc_request(side.grpc(), TRACES, full(framed(0, &spans(1))));
        assert_eq!(ask(&mut sender, request).await.grpc_status(), Some(0), "others are served");
    });
}

/// Metadata is kept as long as its request, beside its body.
#[test]
fn headers_that_are_kept_are_charged() {
    const LONG: usize = 20_000;
    let mut settings = settings();
    settings.grpc.as_mut().expect("grpc").include_metadata = true;
    let side = Side::with(settings, 64 << 20);
    side.memory.answer_with(None);
    *side.memory.keeps.lock().expect("unpoisoned") = Some(Vec::new());
    let body = framed(0, &spans(3));
    let mut peer = Raw::connect(side.grpc());
    let mut long = headers();
    // A literal without indexing: `x`, and a value of 20,000 bytes.
    long.extend([0, 1, b'x', 0x7f]);
    let mut rest = LONG - 127;
    while rest >= 128 {
        long.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    long.push(rest as u8);
    long.extend([b'a'; LONG]);
    let (first, second) = long.split_at(16 << 10);
    peer.send(&frame(HEADERS, 0, 1, first));
    peer.send(&frame(CONTINUATION, END_HEADERS, 1, second));
    block_on(eventually("they are charged before there is a body", || side.memory.held() >= LONG));
    peer.send(&frame(DATA, 1, 1, &body));
    block_on(eventually("it is offered", || side.memory.waiting.lock().expect("unpoisoned").len() == 1));
    assert!(side.memory.held() >= LONG + body.len());
    side.memory.keeps.lock().expect("unpoisoned").take();
    drop(peer);
    block_on(eventually("the memory is back", || side.memory.budget.used() == 0));
}

/// What is not whole yet is kept, and no window counts it.
#[test]
fn a_frame_that_is_longer_than_the_window_pays_for_ends_the_connection() {
    const UNKNOWN: u8 = 0xee;
    let side = Side::start();
    let is_open = || side.listening().counts().connections_open == 1;
    for (kind, stream) in [(UNKNOWN, 0), (DATA, 1), (HEADERS, 1)] {
        for (length, is_paid) in
            [(FIRST_WINDOW_BYTES, true), (FIRST_WINDOW_BYTES + 1, false), (MAX_FRAME_BYTES, false)]
        {
            let mut peer = Raw::connect(side.grpc());
            while peer.next().expect("settings").0 != SETTINGS {}
            let mut part = frame(kind, 0, stream, &vec![0; length as usize]);
            part.pop();
            peer.send(&part);
            if is_paid {
                // It has been read when what was sent behind it is answered.
                peer.send(&[0]);
                peer.send(&frame(PING, 0, 0, &[7; 8]));
                let answers =
                    kind != UNKNOWN || std::iter::from_fn(|| peer.next()).any(|(kind, ..)| kind == PING);
                assert!(answers, "{kind}: {length}");
                assert!(side.memory.budget.reserved() >= 2 * FIRST_WINDOW_BYTES as usize || kind != UNKNOWN);
            } else {
                block_on(eventually("it is closed", || !is_open()));
            }
            drop(peer);
            block_on(eventually("what it was granted is given back", || side.memory.budget.used() == 0));
        }
    }
}

/// Requests behind each other on one connection are answered one by one: no more than one is held.
#[test]
fn pipelined_requests_wait_for_each_other() {
    let side = Side::start();
    let body = spans(3);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let one = [head.as_bytes(), &body].concat();
    side.memory.answer_with(None);
    let mut stream = TcpStream::connect(side.http()).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(&one.repeat(50)).expect("written");
    let waiting = || side.memory.waiting.lock().expect("unpoisoned").len();
    for answered in 0..50 {
        block_on(eventually("the next one is offered", || waiting() == 1));
        assert_eq!(side.listening().counts().signal(Signal::Traces).requests_offered, answered + 1);
        let share = side.memory.waiting.lock().expect("unpoisoned").pop().expect("waits");
        share.resolve(pipeline::Outcome::DELIVERED);
    }
    // Whoever goes away before its last answer is written has given that request up.
    block_on(eventually("the last is counted", || {
        side.listening().counts().signal(Signal::Traces).requests_admitted == 50
    }));
    drop(stream);
    side.memory.batches.lock().expect("unpoisoned").clear();
    assert_balanced(&side);
}

#[test]
fn a_peer_that_answers_no_ping_is_gone_and_one_that_does_stays() {
    let asking = |timeout| {
        let mut settings = settings();
        let time = Duration::from_millis(100);
        settings.grpc.as_mut().expect("grpc").keepalive = Keepalive { time, timeout, ..Keepalive::default() };
        Side::with(settings, 64 << 20)
    };
    // It reads, but says nothing.
    let side = asking(Duration::from_millis(200));
    let mut dead = Raw::connect(side.grpc());
    let seen: Vec<u8> = std::iter::from_fn(|| dead.next()).map(|(kind, ..)| kind).collect();
    assert!(seen.contains(&PING));
    block_on(eventually("it is gone", || side.listening().counts().connections_open == 0));

    // Time enough for one that lives to answer on a machine that is busy.
    let side = asking(2 * PATIENCE);
    let mut alive = Raw::connect(side.grpc());
    // Another is only sent to whoever is known to have answered the one before.
    for _ in 0..5 {
        let ping =
            std::iter::from_fn(|| alive.next()).find(|(kind, flags, ..)| *kind == PING && flags & ACK == 0);
        let (.., question) = ping.expect("it is asked");
        alive.send(&frame(PING, ACK, 0, &question));
    }
    alive.send(&frame(HEADERS, END_HEADERS, 1, &headers()));
    alive.send(&frame(DATA, END_STREAM, 1, &framed(0, &spans(1))));
    let admitted = || side.listening().counts().signal(Signal::Traces).requests_admitted;
    block_on(eventually("it is served", || admitted() == 1));
}

/// Clients there are that take the end of a stream for a failure, though its answer was whole (curl 7.88).
#[test]
fn a_refused_request_is_read_before_its_stream_ends() {
    let side = Side::start();
    for path in ["/nowhere", "/v1/logs"] {
        let mut peer = Raw::connect(side.http());
        let mut headers = vec![0x83, 0x86, 0x01, 1, b'x', 0x04, path.len() as u8];
        headers.extend(path.as_bytes());
        headers.extend([0x0f, 0x10, 10]);
        headers.extend(b"text/plain");
        peer.send(&frame(HEADERS, END_HEADERS, 1, &headers));
        // It comes late, and is read all the same.
        peer.send(&frame(PING, 0, 0, &[1; 8]));
        let is_ping = |(kind, _, _, payload): &Frame| *kind == PING && payload == &[1; 8];
        let before: Vec<Frame> =
            std::iter::from_fn(|| peer.next()).take_while(|frame| !is_ping(frame)).collect();
        peer.send(&frame(DATA, END_STREAM, 1, b"a body"));
        let is_end = |frame: &Frame| frame.2 == 1 && (frame.0 == RST_STREAM || frame.1 & END_STREAM != 0);
        let ended = before.into_iter().find(is_end);
        ended.or_else(|| std::iter::from_fn(|| peer.next()).find(is_end)).expect("answered");
        peer.send(&frame(PING, 0, 0, &[2; 8]));
        let is_last = |(kind, _, _, payload): &Frame| *kind == PING && payload == &[2; 8];
        let behind: Vec<u8> = std::iter::from_fn(|| peer.next())
            .take_while(|frame| !is_last(frame))
            .map(|frame| frame.0)
            .collect();
        assert!(!behind.contains(&RST_STREAM), "{path}: {behind:?}");
    }
}
