//! From the bytes of one request in a file to a request on the wire.

use std::fmt;

use bytes::Bytes;
use otlp::{Codec, Signal, json};

use super::{Form, Place};
use crate::codec::{self, CodecError};

/// A request in wire bytes, which still have to pass a [`otlp::Checker`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it carries.
    pub signal: Signal,
    /// Its bytes.
    pub wire: Bytes,
}

/// Why a piece of a file is no request. It is passed over; what follows can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than a request may be.
    TooLong,
    /// The file ends inside it.
    CutOff,
    /// It is malformed JSON.
    Json {
        /// What is wrong, with the offset in the request's text.
        error: json::JsonError,
        /// From 1, in the file, or in the request's text where that has a frame.
        line: u64,
        /// From 1, in characters.
        column: u64,
        /// Whether it is malformed only because it ends there.
        is_cut_off: bool,
    },
    /// It does not unpack.
    Packed(CodecError),
    /// It is protobuf, and nothing says of which signal.
    NoSignal,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLong => f.write_str("it is longer than a request may be"),
            Fault::CutOff => f.write_str("the file ends inside it"),
            Fault::Json { error, line, column, is_cut_off } => {
                write!(f, "line {line}, column {column}: expected {} in {}", error.expected, error.within)?;
                f.write_str(if *is_cut_off { "; the text ends there" } else { "" })
            }
            Fault::Packed(error) => error.fmt(f),
            Fault::NoSignal => {
                f.write_str("protobuf does not tell its signal, and neither does the file's name")
            }
        }
    }
}

/// Reads the bytes of one request. Protobuf is of the signal `named`. What they unpack to has at most `max` bytes.
pub(super) fn request(
    bytes: Bytes,
    form: Form,
    at: Place,
    named: Option<Signal>,
    max: usize,
) -> Result<Request, Fault> {
    let bytes = match packed_with(&bytes).filter(|_| form == Form::Frames) {
        Some(codec) => codec::decompress(codec, &bytes, max, &mut |_| true).map_err(Fault::Packed)?,
        None => bytes,
    };
    if form == Form::Frames && bytes.trim_ascii_start().first() != Some(&b'{') {
        // Protobuf begins with the tag of field 1, which is no brace.
        return match named {
            Some(signal) => Ok(Request { signal, wire: bytes }),
            None => Err(Fault::NoSignal),
        };
    }
    let told = |error: json::JsonError| {
        let (line, column) = error.place(&bytes);
        let first = line == 1 && form == Form::Lines;
        Fault::Json {
            line: if form == Form::Lines { at.line - 1 } else { 0 } + line as u64,
            column: if first { at.column - 1 } else { 0 } + column as u64,
            is_cut_off: bytes[error.offset.min(bytes.len())..].trim_ascii().is_empty(),
            error,
        }
    };
    let mut requests = json::requests(&bytes);
    let (signal, wire) = match requests.next() {
        Some(read) => read.map_err(told)?,
        None => return Err(told(nothing_else(0, "a request"))),
    };
    if requests.next().is_some() {
        return Err(told(nothing_else(bytes.len(), "nothing behind the request")));
    }
    Ok(Request { signal, wire: wire.into() })
}

fn nothing_else(offset: usize, expected: &'static str) -> json::JsonError {
    json::JsonError { offset, within: "the frame", expected }
}

/// How bytes that begin like this are compressed.
pub(super) fn packed_with(bytes: &[u8]) -> Option<Codec> {
    match bytes {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Codec::Zstd),
        [0x1f, 0x8b, 8, ..] => Some(Codec::Gzip),
        _ => None,
    }
}
