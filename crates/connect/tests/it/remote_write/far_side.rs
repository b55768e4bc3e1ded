//! A far side that answers by a script and remembers what it was sent.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use prost::Message;

use super::messages::{Request, WriteRequest};

/// An answer: status and further header lines.
#[derive(Clone, Debug)]
pub(crate) struct Scripted(pub(crate) u16, pub(crate) &'static str);

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) is_v2: bool,
    pub(crate) head: String,
    /// As 1.0 has it.
    pub(crate) request: WriteRequest,
    /// Bytes before compression.
    pub(crate) len: usize,
    pub(crate) v2: Option<Request>,
}

#[derive(Default)]
struct Books {
    script: VecDeque<Scripted>,
    got: Vec<Got>,
    knows_v2: bool,
}

/// The far side.
pub(crate) struct FarSide {
    pub(crate) endpoint: String,
    books: Arc<Mutex<Books>>,
}

impl FarSide {
    /// Answers by the script, then takes everything. `knows_v2`: it says what it wrote of 2.0.
    pub(crate) fn start(script: Vec<Scripted>, knows_v2: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let books = Arc::new(Mutex::new(Books { script: script.into(), knows_v2, ..Books::default() }));
        let shared = books.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.unwrap(), shared.clone());
                std::thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Self { endpoint, books }
    }

    /// What arrived, in order.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.books.lock().unwrap().got.clone()
    }
}

/// One request; `None` when the connection has ended.
fn serve(stream: &TcpStream, shared: &Mutex<Books>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut body = vec![0; header("content-length:")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
    let is_v2 = header("content-type:")?.contains("write.v2.request");
    let mut books = shared.lock().unwrap();
    let v2 = is_v2.then(|| Request::decode(&body[..]).expect("a request of 2.0"));
    let request = match &v2 {
        Some(request) => request.plain(),
        None => WriteRequest::decode(&body[..]).expect("a request of 1.0"),
    };
    let count =
        |of: fn(&super::messages::TimeSeries) -> usize| -> usize { request.timeseries.iter().map(of).sum() };
    let (samples, histograms) = (count(|s| s.samples.len()), count(|s| s.histograms.len()));
    let written = match books.knows_v2 {
        true => format!(
            "X-Prometheus-Remote-Write-Samples-Written: {samples}\r\n\
             X-Prometheus-Remote-Write-Histograms-Written: {histograms}\r\n\
             X-Prometheus-Remote-Write-Exemplars-Written: 0\r\n"
        ),
        false => String::new(),
    };
    books.got.push(Got { is_v2, head: lower.clone(), request, len: body.len(), v2 });
    let answer = match books.script.pop_front() {
        Some(Scripted(status, more)) => {
            format!("HTTP/1.1 {status} Told\r\n{more}Content-Length: 7\r\n\r\nbecause")
        }
        None => format!("HTTP/1.1 204 No Content\r\n{written}\r\n"),
    };
    drop(books);
    (&*stream).write_all(answer.as_bytes()).ok()
}
