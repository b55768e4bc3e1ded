//! What a load generator sends.

use std::{fmt, io, io::Read, path::Path};

use bytes::{Bytes, BytesMut};
use otlp::{Check, Checker, Depth, Signal, WireError, wire};

use super::super::{
    message::{put_bytes_field_even_empty, put_varint},
    stamp,
};

/// Bytes of an unpacked corpus file: it is held in memory.
const MAX_FILE_BYTES: u64 = 4 << 30;

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
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorpusError::Io(error) => error.fmt(f),
            CorpusError::CutOff { at } => write!(f, "the file ends inside the request at byte {at}"),
            CorpusError::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CorpusError {}

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
    /// Reads a zstd file of `u32` big-endian length ‖ request, over and over.
    ///
    /// # Errors
    /// A file that cannot be read or is not of that form.
    pub fn read(signal: Signal, file: &Path) -> Result<Self, CorpusError> {
        let mut plain = Vec::new();
        let packed = std::fs::File::open(file).map_err(CorpusError::Io)?;
        let unpacked = zstd::Decoder::new(packed).map_err(CorpusError::Io)?;
        unpacked.take(MAX_FILE_BYTES).read_to_end(&mut plain).map_err(CorpusError::Io)?;
        let plain = Bytes::from(plain);
        let mut requests = Vec::new();
        let mut rest = &plain[..];
        while !rest.is_empty() {
            let at = plain.len() - rest.len();
            let (length, behind) = rest.split_first_chunk().ok_or(CorpusError::CutOff { at })?;
            let length = u32::from_be_bytes(*length) as usize;
            let (request, behind) = behind.split_at_checked(length).ok_or(CorpusError::CutOff { at })?;
            requests.push(plain.slice_ref(request));
            rest = behind;
        }
        Self::of(signal, requests)
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
