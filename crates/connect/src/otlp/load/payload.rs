//! What is sent of each request: encoded, compressed and, where that is asked for, ready to be stamped.

use std::io::Write as _;

use bytes::Bytes;
use otlp::{Check, Checker, Depth, Signal};

use super::{
    super::{OtlpConfig, exporter::Encoding, stamp},
    LoadError,
    corpus::Body,
};
use crate::codec::{self, CodecError};

/// One request as it goes out.
#[derive(Debug)]
pub(super) struct Payload {
    /// Encoded and compressed.
    pub(super) sent: Bytes,
    stamped: Option<Template>,
}

/// Encoded, not compressed, with a place for a time.
#[derive(Debug)]
struct Template {
    plain: Bytes,
    at: usize,
}

impl Payload {
    pub(super) fn new(
        target: &OtlpConfig,
        signal: Signal,
        body: &Body,
        is_stamped: bool,
    ) -> Result<Self, LoadError> {
        let sent = pack(target, &encoded(target.encoding, signal, &body.bytes)?).map_err(LoadError::Codec)?;
        let stamped = match is_stamped {
            true => template(target.encoding, signal, body)?,
            false => None,
        };
        Ok(Self { sent, stamped })
    }

    /// Whether it has a place for a stamp.
    pub(super) fn can_be_stamped(&self) -> bool {
        self.stamped.is_some()
    }

    /// The same with this time in it; `None` where it has no place for one.
    pub(super) fn stamped(&self, target: &OtlpConfig, now_ns: u64) -> Option<Bytes> {
        let Template { plain, at } = self.stamped.as_ref()?;
        let mut copy = plain.to_vec();
        let time = stamp::of(now_ns);
        match target.encoding {
            Encoding::Proto => copy[*at..at + size_of::<u64>()].copy_from_slice(&time.to_le_bytes()),
            Encoding::Json => {
                let written =
                    write!(&mut copy[*at..at + stamp::DIGITS], "{time:0width$}", width = stamp::DIGITS);
                debug_assert!(written.is_ok(), "a time before 2286 has that many digits");
            }
        }
        pack(target, &copy.into()).ok()
    }
}

fn encoded(encoding: Encoding, signal: Signal, request: &Bytes) -> Result<Bytes, LoadError> {
    if encoding == Encoding::Proto {
        return Ok(request.clone());
    }
    let batch = Checker::new(signal, Check::Full, Depth::Counts).check(request.clone());
    batch.and_then(|batch| encoding.body(&batch)).map_err(LoadError::Malformed)
}

/// Where the stamp is in a JSON text is found by writing two of them and looking for the difference.
fn template(encoding: Encoding, signal: Signal, body: &Body) -> Result<Option<Template>, LoadError> {
    let Some(at) = body.stamp_at else { return Ok(None) };
    if encoding == Encoding::Proto {
        return Ok(Some(Template { plain: body.bytes.clone(), at }));
    }
    let with = |time: u64| {
        let mut copy = body.bytes.to_vec();
        copy[at..at + size_of::<u64>()].copy_from_slice(&time.to_le_bytes());
        encoded(encoding, signal, &copy.into())
    };
    // They differ in every digit.
    let (plain, other) = (with(1_111_111_111_111_111_111)?, with(2_222_222_222_222_222_222)?);
    Ok(plain.iter().zip(&other).position(|(a, b)| a != b).map(|at| Template { plain, at }))
}

fn pack(target: &OtlpConfig, bytes: &Bytes) -> Result<Bytes, CodecError> {
    match target.compression {
        None => Ok(bytes.clone()),
        Some(codec) => codec::compress(codec, target.compression_level, bytes),
    }
}
