//! Files of requests, told apart by their content.

use std::{
    io::{self, Read},
    path::Path,
};

use bytes::Bytes;
use otlp::{Codec, Signal, json};

use super::CorpusError;

/// Bytes of an unpacked corpus file: it is held in memory.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// The requests of a file and their signal. `named` chooses where the file does not tell or has several.
pub(super) fn requests(named: Option<Signal>, file: &Path) -> Result<(Signal, Vec<Bytes>), CorpusError> {
    let mut raw = Vec::new();
    let opened = std::fs::File::open(file).map_err(CorpusError::Io)?;
    limited(opened, &mut raw, MAX_FILE_BYTES)?;
    let mut left = MAX_FILE_BYTES;
    let plain = unpacked(raw.into(), &mut left)?;
    if is_json(&plain) {
        let mut found = Found { signal: named, named: named.is_some(), requests: Vec::new() };
        found.json(&plain, None)?;
        return found.end();
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    framed(named, &name, &plain, left)
}

/// `u32` big-endian length ‖ request, over and over; each request may be compressed by itself, and be JSON: that is what the
/// Collector's `file` exporter writes with `format: proto` or with `compression`.
fn framed(
    named: Option<Signal>,
    name: &str,
    plain: &Bytes,
    mut left: u64,
) -> Result<(Signal, Vec<Bytes>), CorpusError> {
    let by_name = || Signal::ALL.into_iter().find(|signal| name.contains(signal.name()));
    let mut found = Found { signal: named, named: named.is_some(), requests: Vec::new() };
    let mut rest = &plain[..];
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let at = plain.len() - rest.len();
        let (length, behind) = rest.split_first_chunk().ok_or(CorpusError::CutOff { at })?;
        let length = u32::from_be_bytes(*length) as usize;
        let (request, behind) = behind.split_at_checked(length).ok_or(CorpusError::CutOff { at })?;
        rest = behind;
        let request = unpacked(plain.slice_ref(request), &mut left)?;
        if is_json(&request) {
            found.json(&request, Some(number))?;
        } else {
            let signal =
                found.signal.or_else(by_name).ok_or_else(|| CorpusError::NoSignal(name.to_owned()))?;
            found.signal = Some(signal);
            found.requests.push(request);
        }
    }
    found.end()
}

/// What is found while reading.
struct Found {
    signal: Option<Signal>,
    /// Whether the caller asked for that signal: others are passed over then.
    named: bool,
    requests: Vec<Bytes>,
}

impl Found {
    /// Takes the requests of a text, which is the file or the request of that number in it.
    fn json(&mut self, text: &[u8], request: Option<usize>) -> Result<(), CorpusError> {
        for read in json::requests(text) {
            let (signal, wire) = read.map_err(|error| {
                let (line, column) = error.place(text);
                let is_cut_off = text[error.offset.min(text.len())..].trim_ascii().is_empty();
                CorpusError::Json { line, column, request, is_cut_off, error }
            })?;
            match self.signal {
                Some(expected) if expected == signal => {}
                Some(_) if self.named => continue,
                Some(one) => return Err(CorpusError::Mixed(one, signal)),
                None => self.signal = Some(signal),
            }
            self.requests.push(wire.into());
        }
        Ok(())
    }

    fn end(self) -> Result<(Signal, Vec<Bytes>), CorpusError> {
        match self.signal {
            Some(signal) if !self.requests.is_empty() => Ok((signal, self.requests)),
            signal => Err(CorpusError::Nothing(signal)),
        }
    }
}

/// Protobuf begins with the tag of field 1, a frame with the high byte of a length below 2 GiB: neither is a brace.
fn is_json(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'{')
}

/// Unpacks what begins as zstd or gzip does.
fn unpacked(bytes: Bytes, left: &mut u64) -> Result<Bytes, CorpusError> {
    let codec = match &bytes[..] {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Codec::Zstd,
        [0x1f, 0x8b, 8, ..] => Codec::Gzip,
        _ => return Ok(bytes),
    };
    let mut plain = Vec::new();
    match codec {
        Codec::Zstd => limited(zstd::Decoder::new(&bytes[..]).map_err(CorpusError::Io)?, &mut plain, *left)?,
        Codec::Gzip => limited(flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain, *left)?,
    }
    *left -= plain.len() as u64;
    Ok(plain.into())
}

fn limited(from: impl Read, into: &mut Vec<u8>, max: u64) -> Result<(), CorpusError> {
    let read = from.take(max + 1).read_to_end(into).map_err(CorpusError::Io)?;
    if read as u64 > max {
        let message = format!("it has more than {} GiB, which are held in memory", MAX_FILE_BYTES >> 30);
        return Err(CorpusError::Io(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    Ok(())
}
