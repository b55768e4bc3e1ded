//! RFC 1952, by libdeflate where one shot will do, else by zlib-rs.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor, crc32};
use memchr::memmem;

use super::{Admit, CodecError, growing::Growing};
use crate::limits::{MAX_COMPRESSED_PARTS, MAX_KEPT_SCRATCH_BYTES};

/// Bytes of the shortest member: a header of ten, an empty block of two at least, a trailer of eight.
const MIN_BYTES: usize = 20;
/// Bytes of the trailer: CRC-32, then the length modulo 2^32 (ISIZE).
const TRAILER_BYTES: usize = 8;
/// DEFLATE cannot expand further than this (a match of 258 bytes takes two bits at the least).
const MAX_RATIO: usize = 1032;

#[derive(Default)]
pub(super) struct Gzip {
    inflate: Option<Decompressor>,
    /// One per level in use.
    deflate: Vec<(i32, Compressor)>,
    scratch: Vec<u8>,
}

impl Gzip {
    #[cfg(test)]
    pub(super) fn scratch_bytes(&self) -> usize {
        self.scratch.capacity()
    }

    pub(super) fn decompress(
        &mut self,
        body: &[u8],
        max: usize,
        admit: &mut Admit<'_>,
    ) -> Result<Bytes, CodecError> {
        if body.len() < MIN_BYTES {
            return Err(CodecError::Malformed("it is shorter than an empty gzip member"));
        }
        let trailer = &body[body.len() - TRAILER_BYTES..];
        let announced = u32::from_le_bytes([trailer[4], trailer[5], trailer[6], trailer[7]]) as usize;
        if announced > body.len().saturating_mul(MAX_RATIO) {
            return Err(CodecError::Malformed("gzip announces a length that its bytes cannot expand to"));
        }
        if announced > max {
            return Err(CodecError::TooLarge { max });
        }
        if !admit(announced) {
            return Err(CodecError::Refused);
        }
        let mut out = vec![0; announced];
        match self.inflate.get_or_insert_default().gzip_decompress(body, &mut out) {
            // libdeflate does not say where the member ended. It verified the member's own trailer; if the body's last eight
            // bytes say the same of what came out, and occur nowhere else, that is where it ended.
            Ok(length)
                if length == announced
                    && crc32(&out).to_le_bytes() == trailer[..4]
                    && memmem::find(body, trailer) == Some(body.len() - TRAILER_BYTES) =>
            {
                Ok(Bytes::from(out))
            }
            Err(DecompressionError::BadData) => Err(CodecError::Malformed("gzip data is damaged or cut off")),
            // Several members, a wrong length, or bytes behind the end: find out which.
            Ok(_) | Err(DecompressionError::InsufficientSpace) => {
                drop(out);
                by_members(body, max, admit)
            }
        }
    }

    pub(super) fn compress(&mut self, level: i32, body: &[u8]) -> Result<Bytes, CodecError> {
        let level = level.clamp(1, 12);
        let i = match self.deflate.iter().position(|(l, _)| *l == level) {
            Some(i) => i,
            None => {
                let lvl =
                    CompressionLvl::new(level).map_err(|_| CodecError::Malformed("no such gzip level"))?;
                self.deflate.push((level, Compressor::new(lvl)));
                self.deflate.len() - 1
            }
        };
        let deflate = &mut self.deflate[i].1;
        let bound = deflate.gzip_compress_bound(body.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let length = deflate
            .gzip_compress(body, &mut self.scratch)
            .map_err(|_| CodecError::Malformed("gzip output exceeds its bound"))?;
        let out = Bytes::copy_from_slice(&self.scratch[..length]);
        if self.scratch.len() > MAX_KEPT_SCRATCH_BYTES {
            self.scratch = Vec::new();
        }
        Ok(out)
    }
}

fn by_members(body: &[u8], max: usize, admit: &mut Admit<'_>) -> Result<Bytes, CodecError> {
    let mut out = Growing::new(max);
    let mut rest = body;
    for _ in 0..MAX_COMPRESSED_PARTS {
        let mut member = GzDecoder::new(rest);
        loop {
            let read = member.read(out.room(admit)?).map_err(|_| {
                CodecError::Malformed("gzip data is damaged, cut off, or followed by other bytes")
            })?;
            if read == 0 {
                break;
            }
            out.advance(read)?;
        }
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(out.finish());
        }
    }
    Err(CodecError::Malformed("gzip has too many members"))
}
