//! A receiver that keeps every byte.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use serde_json::Value;

use crate::tool::wait_until;

/// How a receiver answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once.
    Answers,
    /// Not before whoever asks has gone.
    Waits,
    /// Not before it is told to.
    Held,
    /// At once, and has not taken the point.
    Rejects,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

/// What connections share.
struct Seen {
    manner: Manner,
    requests: Mutex<Vec<Vec<u8>>>,
    /// Whether those that are held may have their answers.
    released: Mutex<bool>,
    release: Condvar,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::with_manner(Manner::Answers)
    }

    /// Listens in the network of the thread that calls this.
    pub(crate) fn with_manner(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, released) = (Mutex::default(), Mutex::new(manner != Manner::Held));
        let seen = Arc::new(Seen { manner, requests, released, release: Condvar::new() });
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&all);
                thread::spawn(move || converse(stream, &seen));
            }
        });
        Self { url, seen }
    }

    /// Whole requests, head and body, once there are so many.
    pub(crate) fn requests(&self, count: usize) -> Vec<String> {
        let all = || self.seen.requests.lock().unwrap();
        wait_until(&format!("{count} requests have come"), || all().len() >= count);
        all().iter().map(|request| String::from_utf8(request.clone()).unwrap()).collect()
    }

    /// How many have come so far.
    pub(crate) fn count(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// Answers all that are held, and all that come.
    pub(crate) fn release(&self) {
        *self.seen.released.lock().unwrap() = true;
        self.seen.release.notify_all();
    }
}

fn converse(mut stream: TcpStream, seen: &Seen) {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // Who breaks off has asked for nothing.
        let Ok(read) = stream.read(&mut piece) else { return };
        all.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&all);
        let length = text.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
        if read == 0 {
            return;
        }
        if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length) {
            break;
        }
    }
    seen.requests.lock().unwrap().push(all);
    if seen.manner == Manner::Waits {
        // It goes when its time is over.
        let _ = stream.read(&mut piece);
        return;
    }
    drop(seen.release.wait_while(seen.released.lock().unwrap(), |released| !*released));
    let said = match seen.manner {
        Manner::Rejects => {
            r#"{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"too\u001b[2J old"}}"#
        }
        _ => "{}",
    };
    let length = said.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{said}"
    );
    let _ = stream.write_all(answer.as_bytes());
}

/// The body of a request.
pub(crate) fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// What a backend makes of points (OTLP metrics data model, § Resets and Gaps): of each series that has a start of its own the last value
/// counts, and they add up. By command.
pub(crate) fn sums(bodies: &[Value]) -> BTreeMap<String, i64> {
    let mut last: BTreeMap<(String, String), (u64, i64)> = BTreeMap::new();
    for body in bodies {
        let resource = &body["resourceMetrics"][0];
        let sum = &resource["scopeMetrics"][0]["metrics"][0]["sum"];
        assert_eq!((&sum["aggregationTemporality"], &sum["isMonotonic"]), (&2.into(), &true.into()));
        let point = &sum["dataPoints"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
        let (start, time) = (number(&point["startTimeUnixNano"]), number(&point["timeUnixNano"]));
        assert!(start < time);
        let command = text(&point["attributes"][0]["value"]["stringValue"]);
        let series = (command, format!("{} {start}", resource["resource"]));
        let value = point["asInt"].as_str().unwrap().parse().unwrap();
        let kept = last.entry(series).or_insert((time, value));
        if time >= kept.0 {
            *kept = (time, value);
        }
    }
    let mut sums = BTreeMap::new();
    for ((command, _), (_, value)) in last {
        *sums.entry(command).or_insert(0) += value;
    }
    sums
}
