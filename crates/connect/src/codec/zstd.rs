//! RFC 8878.

use bytes::Bytes;
use zstd::{
    bulk::Compressor,
    zstd_safe::{
        self, DCtx, DParameter, InBuffer, OutBuffer, find_frame_compressed_size, get_frame_content_size,
    },
};

use super::{Admit, CodecError, growing::Growing};
use crate::limits::{
    MAX_COMPRESSED_PARTS, MAX_KEPT_SCRATCH_BYTES, MAX_SKIPPABLE_FRAMES, ZSTD_WINDOW_LOG_MAX,
};

const DAMAGED: CodecError =
    CodecError::Malformed("zstd data is damaged, cut off, or needs too large a window");
const NOT_A_FRAME: CodecError = CodecError::Malformed("zstd data does not begin with a frame");

#[derive(Default)]
pub(super) struct Zstd {
    decompressor: Option<DCtx<'static>>,
    /// One per level in use.
    compressors: Vec<(i32, Compressor<'static>)>,
    scratch: Vec<u8>,
}

impl Zstd {
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
        let context = match &mut self.decompressor {
            Some(context) => context,
            none => {
                let mut context = DCtx::try_create().ok_or(CodecError::Refused)?;
                context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(|_| DAMAGED)?;
                none.insert(context)
            }
        };
        context.init().map_err(|_| DAMAGED)?;
        if is_skippable(body) {
            return by_frames(context, body, max, admit);
        }
        let announced = get_frame_content_size(body).map_err(|_| NOT_A_FRAME)?;
        let one_frame = find_frame_compressed_size(body).map_err(|_| DAMAGED)? == body.len();
        match announced {
            Some(length) if length > max as u64 => Err(CodecError::TooLarge { max }),
            Some(length) if one_frame => {
                let length = length as usize;
                if !admit(length) {
                    return Err(CodecError::Refused);
                }
                // An empty vector's pointer is no buffer to zstd, hence one byte at least.
                let mut out = Vec::with_capacity(length.max(1));
                context.decompress(&mut out, body).map_err(|_| DAMAGED)?;
                Ok(Bytes::from(out))
            }
            _ => by_frames(context, body, max, admit),
        }
    }

    pub(super) fn compress(&mut self, level: i32, body: &[u8]) -> Result<Bytes, CodecError> {
        let failed = CodecError::Malformed("zstd has no memory for its state");
        // Zero would mean zstd's own default, which is slower than ours.
        let level = if level == 0 { super::DEFAULT_LEVEL } else { level };
        let i = match self.compressors.iter().position(|(l, _)| *l == level) {
            Some(i) => i,
            None => {
                let compressor = Compressor::new(level).map_err(|_| failed.clone())?;
                self.compressors.push((level, compressor));
                self.compressors.len() - 1
            }
        };
        self.scratch.clear();
        self.scratch.reserve(zstd_safe::compress_bound(body.len()));
        self.compressors[i].1.compress_to_buffer(body, &mut self.scratch).map_err(|_| failed)?;
        let out = Bytes::copy_from_slice(&self.scratch);
        if self.scratch.capacity() > MAX_KEPT_SCRATCH_BYTES {
            self.scratch = Vec::new();
        }
        Ok(out)
    }
}

/// Magic numbers 0x184D2A50 to 0x184D2A5F, little-endian.
fn is_skippable(frame: &[u8]) -> bool {
    matches!(frame, [first, 0x2A, 0x4D, 0x18, ..] if first & 0xF0 == 0x50)
}

fn by_frames(
    context: &mut DCtx<'static>,
    body: &[u8],
    max: usize,
    admit: &mut Admit<'_>,
) -> Result<Bytes, CodecError> {
    let mut out = Growing::new(max);
    let mut input = InBuffer::around(body);
    let (mut parts, mut skippable) = (0, 0);
    while input.pos < body.len() {
        parts += 1;
        skippable += usize::from(is_skippable(&body[input.pos..]));
        if parts > MAX_COMPRESSED_PARTS || skippable > MAX_SKIPPABLE_FRAMES {
            return Err(CodecError::Malformed("zstd has too many frames"));
        }
        loop {
            let before = input.pos;
            let room = out.room(admit)?;
            let size = room.len();
            let mut output = OutBuffer::around(room);
            let wanted = context.decompress_stream(&mut output, &mut input).map_err(|_| DAMAGED)?;
            let written = output.pos();
            out.advance(written)?;
            if wanted == 0 {
                break;
            }
            if input.pos == body.len() && written < size || input.pos == before && written == 0 {
                return Err(DAMAGED);
            }
        }
    }
    Ok(out.finish())
}
