//! The server of small pages: its bounds, its refusals, its end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aldis_connect::{
    limits::{MAX_PAGE_CONNECTIONS, PAGE_END_GRACE, PAGE_FIRST_GRACE},
    page::{Endpoint, Page, PageRequest, Pages, Serving},
};
use pipeline::Shards;

use crate::side::{PATIENCE, block_on, eventually};

/// Long enough to be more than what the kernel takes at once.
const LONG: usize = 32 << 20;

struct Site;

impl Pages for Site {
    fn missing(&self, path: &str) -> Option<&'static str> {
        (!matches!(path, "/" | "/long" | "/sick")).then_some("look elsewhere\n")
    }

    fn page(&self, request: &PageRequest<'_>) -> Page {
        match request.path {
            "/long" => Page::text(200, vec![b'x'; LONG]),
            "/sick" => Page::json(503, format!("\"{}\"", "sick ".repeat(40))),
            _ => Page { varies: true, ..Page::text(200, format!("accept: {}\n", request.accept())) },
        }
    }
}

fn serve() -> Serving {
    let shards = Shards::start(1, "pages").unwrap();
    Endpoint::bind(Arc::new(Site), "127.0.0.1:0").unwrap().start_owning(shards)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The answer to one request on a connection of its own.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(format!("{request}Host: localhost\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_page_is_read_asked_about_and_refused() {
    let serving = serve();
    let ask = |request: &str| ask(serving.address(), request);
    let page = ask("GET /?x=1 HTTP/1.1\r\nAccept: a/b\r\nAccept: c/d\r\n");
    assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("accept: a/b,c/d\n"), "{page}");
    assert!(page.contains("vary: Accept, Accept-Encoding\r\n"), "{page}");
    let head = ask("HEAD / HTTP/1.1\r\n");
    assert!(head.contains("content-length: 9\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let sick = ask("GET /sick HTTP/1.1\r\n");
    assert!(
        sick.starts_with("HTTP/1.1 503") && sick.contains("content-type: application/json\r\n"),
        "{sick}"
    );
    let packed = ask("GET /sick HTTP/1.1\r\nAccept-Encoding: gzip\r\n");
    assert!(packed.contains("content-encoding: gzip\r\n") && !packed.contains("sick sick"), "{packed}");
    let missing = ask("GET /else HTTP/1.1\r\n");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with("look elsewhere\n"), "{missing}");
    let posted = ask("POST / HTTP/1.1\r\nContent-Length: 0\r\n");
    assert!(posted.starts_with("HTTP/1.1 405") && posted.contains("allow: GET, HEAD\r\n"), "{posted}");
}

/// Plays a scene of which a part has to be over before a server that ends waits no longer, until it was: the machine
/// may be busy with something else meanwhile, and then nothing can be said.
fn in_time(grace: Duration, scene: impl Fn(&mut Instant) -> Result<(), String>) {
    let first = Instant::now();
    loop {
        // From when on the server may end.
        let mut begun = Instant::now();
        let Err(what) = scene(&mut begun) else { return };
        assert!(begun.elapsed() >= grace && first.elapsed() < PATIENCE, "{what}");
    }
}

#[test]
fn an_answer_on_its_way_arrives_although_the_server_ends() {
    in_time(PAGE_END_GRACE, answer_on_its_way);
}

fn answer_on_its_way(begun: &mut Instant) -> Result<(), String> {
    let serving = serve();
    let mut stream = connect(serving.address());
    let mut idle = connect(serving.address());
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    *begun = Instant::now();
    let ending = thread::spawn(move || drop(serving));
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0, "who asked for nothing is let go");
    ending.join().unwrap();
    match rest.len() > LONG {
        true => Ok(()),
        false => Err(format!("{} of {LONG}: {read:?}", rest.len())),
    }
}

/// Who connects while a server gives its socket away may be accepted by the one that ends: it has its answer all the same.
#[test]
fn whoever_has_just_come_has_an_answer_from_a_server_that_ends() {
    in_time(PAGE_FIRST_GRACE, answer_to_the_last);
}

fn answer_to_the_last(begun: &mut Instant) -> Result<(), String> {
    let serving = serve();
    let address = serving.address();
    let mut asked = connect(address);
    asked.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut head = [0; 12];
    asked.read_exact(&mut head).unwrap();
    let mut stream = connect(address);
    // It is accepted behind the one that has had its answer, before the end.
    let mut other = connect(address);
    other.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    other.read_exact(&mut head).unwrap();
    *begun = Instant::now();
    let ending = thread::spawn(move || drop(serving));
    let mut rest = Vec::new();
    asked.read_to_end(&mut rest).unwrap();
    let mut answer = String::new();
    let written = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let told = written.and_then(|()| stream.read_to_string(&mut answer));
    ending.join().unwrap();
    match answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n") {
        true => Ok(()),
        false => Err(format!("{told:?}: {answer}")),
    }
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let serving = serve();
    let mut open: Vec<TcpStream> = (0..MAX_PAGE_CONNECTIONS).map(|_| connect(serving.address())).collect();
    // Every one of them is served before the next one comes.
    for stream in &mut open {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 20]).unwrap();
    }
    let mut surplus = connect(serving.address());
    let mut answer = Vec::new();
    // It is closed, or reset where the request came first.
    let _ = surplus
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .and_then(|()| surplus.read_to_end(&mut answer).map(drop));
    assert_eq!(answer, b"");
    drop(open);
    let again = || {
        let mut stream = connect(serving.address());
        let mut first = [0; 12];
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        asked.and_then(|()| stream.read_exact(&mut first)).is_ok() && &first == b"HTTP/1.1 200"
    };
    block_on(eventually("places are given back", again));
}
