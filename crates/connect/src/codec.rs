//! gzip and zstd, in one shot, with state that each thread reuses.
//!
//! Nothing here allocates by what a body claims: every allocation is asked for first (`admit`), and none is larger than
//! the caller's maximum.

mod growing;
mod gzip;
mod zstd;

use std::{cell::RefCell, fmt};

use bytes::Bytes;
use otlp::Codec;

/// The compression level where the configuration names none: both codecs' fastest useful one.
pub const DEFAULT_LEVEL: i32 = 1;

/// Why a body could not be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// It is not what it says it is. Trying again never helps.
    Malformed(&'static str),
    /// It decompresses to more bytes than allowed.
    TooLarge {
        /// The most bytes that were allowed.
        max: usize,
    },
    /// The caller's `admit` refused the memory. Trying again later may help.
    Refused,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Malformed(why) => write!(f, "the body does not decompress: {why}"),
            CodecError::TooLarge { max } => write!(f, "the body decompresses to more than {max} bytes"),
            CodecError::Refused => f.write_str("no memory is free for the decompressed body"),
        }
    }
}

impl std::error::Error for CodecError {}

/// Asks for that many more bytes of memory; `false` refuses.
pub(crate) type Admit<'a> = dyn FnMut(usize) -> bool + 'a;

#[derive(Default)]
struct State {
    gzip: gzip::Gzip,
    zstd: zstd::Zstd,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Decompresses a whole body of at most `max` decompressed bytes. `admit(n)` is called before `n` more bytes are
/// allocated.
///
/// A gzip body may have several members and a zstd body several frames; bytes behind the last are an error.
///
/// ```
/// use aldis_connect::codec::{compress, decompress};
/// use otlp::Codec;
///
/// let body = vec![7; 10_000];
/// let packed = compress(Codec::Gzip, 1, &body)?;
/// assert_eq!(decompress(Codec::Gzip, &packed, 10_000, &mut |_| true)?, body);
/// assert!(decompress(Codec::Gzip, &packed, 9_999, &mut |_| true).is_err());
/// # Ok::<(), aldis_connect::codec::CodecError>(())
/// ```
///
/// # Errors
/// See [`CodecError`].
pub fn decompress(
    codec: Codec,
    body: &[u8],
    max: usize,
    admit: &mut dyn FnMut(usize) -> bool,
) -> Result<Bytes, CodecError> {
    STATE.with_borrow_mut(|state| match codec {
        Codec::Gzip => state.gzip.decompress(body, max, admit),
        Codec::Zstd => state.zstd.decompress(body, max, admit),
    })
}

/// Compresses a whole body into exactly as many bytes as it takes. Levels outside a codec's range mean its nearest.
///
/// # Errors
/// [`CodecError::Malformed`] if the codec fails, which neither does on valid memory.
pub fn compress(codec: Codec, level: i32, body: &[u8]) -> Result<Bytes, CodecError> {
    STATE.with_borrow_mut(|state| match codec {
        Codec::Gzip => state.gzip.compress(level, body),
        Codec::Zstd => state.zstd.compress(level, body),
    })
}

/// The name used in `Content-Encoding`, `grpc-encoding` and configuration files.
pub const fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Gzip => "gzip",
        Codec::Zstd => "zstd",
    }
}

/// The codec of that name; `None` for all others, `identity` included.
pub fn by_name(name: &str) -> Option<Codec> {
    match name {
        "gzip" | "x-gzip" => Some(Codec::Gzip),
        "zstd" => Some(Codec::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_KEPT_SCRATCH_BYTES;

    fn scratch() -> [usize; 2] {
        STATE.with_borrow(|state| [state.gzip.scratch_bytes(), state.zstd.scratch_bytes()])
    }

    #[test]
    fn scratch_is_kept_unless_it_is_huge() {
        let both = |body: &[u8]| {
            for codec in [Codec::Gzip, Codec::Zstd] {
                compress(codec, 1, body).expect("compressed");
            }
        };
        both(&[7; 100_000]);
        let kept = scratch();
        assert!(kept.iter().all(|bytes| *bytes >= 100_000), "{kept:?}");
        both(&[7; 50_000]);
        assert_eq!(scratch(), kept, "it is used again");
        both(&vec![7; MAX_KEPT_SCRATCH_BYTES + 1]);
        assert_eq!(scratch(), [0, 0], "one huge body does not cost its memory for good");
    }
}
