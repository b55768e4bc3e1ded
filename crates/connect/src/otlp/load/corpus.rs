//! What a load generator sends.

use std::{fmt, io, path::Path};

use bytes::{Bytes, BytesMut};
use otlp::{Check, Checker, Depth, Signal, WireError, json::JsonError, wire};

use super::super::{
    message::{put_bytes_field_even_empty, put_varint},
    stamp,
};
use crate::{
    file::{Fault, Key, Next, Place, ReadSettings, RecordFile, Request},
    limits::MAX_CORPUS_BYTES,
};

/// Why a file is no corpus.
#[derive(Debug)]
pub enum CorpusError {
    /// It cannot be read or unpacked.
    Io(io::Error),
    /// It ends inside a request.
    CutOff {
        /// Offset of the incomplete frame in the unpacked file.
        at: usize,
    },
    /// A request is malformed.
    Malformed(WireError),
    /// A request in JSON is malformed.
    Json {
        /// From 1, in the unpacked file, or in the request where that has a number.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// Which request of the file it is, from 1, where each has a frame of its own.
        request: Option<usize>,
        /// Whether it is malformed only because it ends there.
        is_cut_off: bool,
        /// What is wrong.
        error: JsonError,
    },
    /// Neither content nor name, which this is, tell the signal.
    NoSignal(String),
    /// JSON requests of two signals.
    Mixed(Signal, Signal),
    /// There is no request (of that signal) in it.
    Nothing(Option<Signal>),
}

impl CorpusError {
    /// Line and column of the fault, where it is in JSON.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            CorpusError::Json { line, column, .. } => Some((*line, *column)),
            _ => None,
        }
    }
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorpusError::Io(error) => error.fmt(f),
            CorpusError::CutOff { at } => write!(
                f,
                "the file ends inside the request at byte {at}; it was cut off, or is neither JSON nor a sequence of \
                 lengths (u32, big-endian) and requests"
            ),
            CorpusError::Malformed(error) => error.fmt(f),
            CorpusError::Json { request, is_cut_off, error, .. } => {
                if let Some(number) = request {
                    write!(f, "in request {number} of the file: ")?;
                }
                write!(f, "expected {} in {}; ", error.expected, error.within)?;
                f.write_str(match is_cut_off {
                    true => {
                        "the text ends there: if it was cut off, or is still written, leave its last line out"
                    }
                    false => "mend the text there, or take the request out",
                })
            }
            CorpusError::NoSignal(name) => {
                write!(
                    f,
                    "`{name}` does not tell the signal; add `--signal traces`, `logs`, `metrics` or `profiles`"
                )
            }
            CorpusError::Mixed(one, other) => write!(
                f,
                "it has requests of {one} and of {other}; add `--signal {one}` or `--signal {other}` to send only those"
            ),
            CorpusError::Nothing(Some(signal)) => {
                write!(f, "there is no request of {signal} in it; leave `--signal` out to send what there is")
            }
            CorpusError::Nothing(None) => f.write_str("there is no request in it"),
        }
    }
}

impl std::error::Error for CorpusError {}

impl CorpusError {
    fn of(file: &Path, at: Place, fault: Fault) -> Self {
        match fault {
            Fault::CutOff => CorpusError::CutOff { at: at.offset as usize },
            Fault::Json { error, line, column, is_cut_off } => CorpusError::Json {
                line: line as usize,
                column: column as usize,
                request: (at.number > 0).then_some(at.number as usize),
                is_cut_off,
                error,
            },
            Fault::NoSignal => {
                CorpusError::NoSignal(file.file_name().unwrap_or_default().to_string_lossy().into_owned())
            }
            Fault::TooLong | Fault::Packed(_) => {
                let message = format!("the request at byte {}: {fault}", at.offset);
                CorpusError::Io(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }
}

/// What is found while reading.
struct Found {
    signal: Option<Signal>,
    /// Whether the caller asked for that signal: others are passed over then.
    named: bool,
    bytes: u64,
    requests: Vec<Bytes>,
}

impl Found {
    fn take(&mut self, request: Request) -> Result<(), CorpusError> {
        match self.signal {
            Some(expected) if expected == request.signal => {}
            Some(_) if self.named => return Ok(()),
            Some(one) => return Err(CorpusError::Mixed(one, request.signal)),
            None => self.signal = Some(request.signal),
        }
        self.bytes += request.wire.len() as u64;
        if self.bytes > MAX_CORPUS_BYTES {
            let message =
                format!("it has more than {} GiB, which are held in memory", MAX_CORPUS_BYTES >> 30);
            return Err(CorpusError::Io(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        self.requests.push(request.wire);
        Ok(())
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) records: u64,
    /// Where a stamp goes.
    pub(super) stamp_at: Option<usize>,
}

/// Requests of one signal, made once.
#[derive(Clone, Debug)]
pub struct Corpus {
    signal: Signal,
    bodies: Vec<Body>,
}

impl Corpus {
    /// Reads a file of requests, recognised by its content: OTLP/JSON, one request or any number of them on lines or one
    /// behind another; or `u32` big-endian length ‖ request over and over, each protobuf or JSON. The file, and each
    /// request that has a length, may be compressed with zstd or gzip.
    ///
    /// JSON tells its signal; protobuf has the one that is named here or by the file's name. From a JSON file of several
    /// signals the one that is named is taken.
    ///
    /// # Errors
    /// A file that cannot be read, is not of that form, or has nothing to send.
    pub fn read(signal: Option<Signal>, file: &Path) -> Result<Self, CorpusError> {
        Self::read_with_key(signal, file, None)
    }

    /// The same of a file that may be a sealed archive, with the key of that.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with_key(signal: Option<Signal>, file: &Path, key: Option<Key>) -> Result<Self, CorpusError> {
        let settings = ReadSettings { signal, ..ReadSettings::default() };
        let mut records = RecordFile::open_with_key(file, settings, key).map_err(CorpusError::Io)?;
        let mut found = Found { signal, named: signal.is_some(), bytes: 0, requests: Vec::new() };
        loop {
            match records.read().map_err(CorpusError::Io)? {
                Next::Record(record) => found.take(record.request)?,
                Next::Fault(at, fault) => return Err(CorpusError::of(file, at, fault)),
                Next::Waiting | Next::End => break,
            }
        }
        match found.signal {
            Some(signal) if !found.requests.is_empty() => Self::of(signal, found.requests),
            signal => Err(CorpusError::Nothing(signal)),
        }
    }

    /// Takes requests as they are.
    ///
    /// # Errors
    /// The first malformed one.
    pub fn of(signal: Signal, requests: Vec<Bytes>) -> Result<Self, CorpusError> {
        let mut checker = Checker::new(signal, Check::Framing, Depth::Counts);
        let bodies = requests
            .into_iter()
            .map(|bytes| {
                let records = checker.check(bytes.clone()).map_err(CorpusError::Malformed)?.len() as u64;
                Ok(Body { records, stamp_at: stamp::place(signal, &bytes), bytes })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { signal, bodies })
    }

    /// Cuts the same records into requests of about `records` records, by whole resources: a request is full once it has
    /// that many, so one with a large resource has more.
    ///
    /// # Errors
    /// A malformed resource.
    pub fn regroup(&self, records: u64) -> Result<Self, CorpusError> {
        let mut checker = Checker::new(self.signal, Check::Framing, Depth::Counts);
        let (mut requests, mut open, mut open_records) = (Vec::new(), BytesMut::new(), 0);
        for body in &self.bodies {
            for field in wire::fields(&body.bytes) {
                let piece = body.bytes.slice_ref(field.raw);
                open.extend_from_slice(&piece);
                open_records += checker.check(piece).map_err(CorpusError::Malformed)?.len() as u64;
                if open_records >= records {
                    requests.push(std::mem::take(&mut open).freeze());
                    open_records = 0;
                }
            }
        }
        if open_records > 0 {
            requests.push(open.freeze());
        }
        Self::of(self.signal, requests)
    }

    /// `requests` requests of `records` logs of about 300 bytes each, the same every time.
    pub fn logs(requests: usize, records: usize) -> Self {
        let mut seed = 0x9E37_79B9_7F4A_7C15;
        let bodies = (0..requests)
            .map(|_| {
                let bytes = Bytes::from(log_request(records, &mut seed));
                Body { stamp_at: stamp::place(Signal::Logs, &bytes), records: records as u64, bytes }
            })
            .collect();
        Self { signal: Signal::Logs, bodies }
    }

    /// Its signal.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many requests it has.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Records of all its requests.
    pub fn records(&self) -> u64 {
        self.bodies.iter().map(|body| body.records).sum()
    }

    /// Bytes of all its requests, uncompressed.
    pub fn bytes(&self) -> u64 {
        self.bodies.iter().map(|body| body.bytes.len() as u64).sum()
    }

    pub(super) fn bodies(&self) -> &[Body] {
        &self.bodies
    }
}

/// A log's time: long ago, so that it is no stamp.
const LOG_TIME_NS: u64 = 1_700_000_000_000_000_000;

/// One resource, one scope, `records` logs of about 300 bytes.
fn log_request(records: usize, seed: &mut u64) -> Vec<u8> {
    let mut scope = Vec::new();
    for i in 0..records {
        let mut log = Vec::with_capacity(320);
        // time_unix_nano = 1, severity_number = 2, severity_text = 3, body = 5, attributes = 6.
        log.push(1 << 3 | 1);
        log.extend_from_slice(&(LOG_TIME_NS + i as u64 * 1000).to_le_bytes());
        log.push(2 << 3);
        put_varint(&mut log, 9);
        put_bytes_field_even_empty(&mut log, 3, b"INFO");
        let n = random(seed);
        let text = format!(
            "request {:016x} for user {} finished in {} us with {} rows from replica {} after {} retries",
            n,
            n % 100_000,
            n >> 20 & 0xffff,
            n >> 36 & 0xfff,
            n >> 48 & 7,
            n >> 52 & 3
        );
        put_bytes_field_even_empty(&mut log, 5, &string_value(&text));
        let order = format!("{:08x}", random(seed) as u32);
        for (key, value) in [
            ("http.route", "/api/v1/orders/{id}"),
            ("order.id", &order),
            ("log.logger", "http.server"),
            ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
        ] {
            put_bytes_field_even_empty(&mut log, 6, &attribute(key, value));
        }
        put_bytes_field_even_empty(&mut scope, 2, &log);
    }
    let (mut service, mut resource_logs, mut request) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes_field_even_empty(&mut service, 1, &attribute("service.name", "orders"));
    put_bytes_field_even_empty(&mut resource_logs, 1, &service);
    put_bytes_field_even_empty(&mut resource_logs, 2, &scope);
    put_bytes_field_even_empty(&mut request, 1, &resource_logs);
    request
}

fn string_value(text: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len() + 4);
    put_bytes_field_even_empty(&mut value, 1, text.as_bytes());
    value
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut pair = Vec::with_capacity(key.len() + value.len() + 8);
    put_bytes_field_even_empty(&mut pair, 1, key.as_bytes());
    put_bytes_field_even_empty(&mut pair, 2, &string_value(value));
    pair
}

/// xorshift64 (Marsaglia 2003): variety for compressors, nothing more.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
