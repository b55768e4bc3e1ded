//! An output buffer for bodies that do not say how long they get.

use bytes::Bytes;

use super::{Admit, CodecError};

/// Bytes of the first allocation.
const FIRST_BYTES: usize = 64 << 10;

/// Grows by doubling, each time with leave, up to one byte more than the maximum: that byte tells a body that fits
/// exactly from one that does not.
pub(super) struct Growing {
    out: Vec<u8>,
    filled: usize,
    max: usize,
}

impl Growing {
    pub(super) fn new(max: usize) -> Self {
        Self { out: Vec::new(), filled: 0, max }
    }

    /// Room for at least one more byte.
    pub(super) fn room(&mut self, admit: &mut Admit<'_>) -> Result<&mut [u8], CodecError> {
        if self.filled == self.out.len() {
            let most = self.max.saturating_add(1);
            let next = self.out.len().saturating_mul(2).clamp(FIRST_BYTES.min(most), most);
            if next == self.out.len() {
                return Err(CodecError::TooLarge { max: self.max });
            }
            if !admit(next - self.out.len()) {
                return Err(CodecError::Refused);
            }
            self.out.reserve_exact(next - self.out.len());
            self.out.resize(next, 0);
        }
        Ok(&mut self.out[self.filled..])
    }

    pub(super) fn advance(&mut self, bytes: usize) -> Result<(), CodecError> {
        self.filled += bytes;
        if self.filled > self.max { Err(CodecError::TooLarge { max: self.max }) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.out.truncate(self.filled);
        self.out.shrink_to_fit();
        Bytes::from(self.out)
    }
}
