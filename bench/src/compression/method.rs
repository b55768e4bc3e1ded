//! A codec at a level.

use connect::codec;
use otlp::Codec;
use std::fmt;

/// Levels of gzip that differ by more than the next one does: libdeflate has twelve.
const GZIP_LEVELS: [i32; 8] = [1, 2, 3, 4, 6, 7, 9, 12];
/// Levels of zstd; 3 is what its own tools take.
const ZSTD_LEVELS: [i32; 7] = [1, 2, 3, 5, 7, 9, 15];

/// What bodies are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Otlp(Codec, i32),
    /// The block format, which has no levels.
    Lz4,
}

impl Method {
    /// All that are compared; the first stands twice, as A against A.
    pub(super) fn all() -> impl Iterator<Item = Method> {
        let gzip = GZIP_LEVELS.map(|level| Method::Otlp(Codec::Gzip, level));
        let zstd = ZSTD_LEVELS.map(|level| Method::Otlp(Codec::Zstd, level));
        [gzip[0]].into_iter().chain(gzip).chain(zstd).chain([Method::Lz4])
    }

    pub(super) fn named(name: &str, level: i32) -> Option<Method> {
        match name {
            "lz4" => Some(Method::Lz4),
            other => codec::by_name(other).map(|codec| Method::Otlp(codec, level)),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Method::Otlp(codec, _) => codec::name(codec),
            Method::Lz4 => "lz4",
        }
    }

    /// Zero where there are none.
    pub(super) const fn level(self) -> i32 {
        match self {
            Method::Otlp(_, level) => level,
            Method::Lz4 => 0,
        }
    }

    pub(super) fn compress(self, body: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Method::Otlp(codec, level) => {
                codec::compress(codec, level, body).map(Vec::from).map_err(|e| e.to_string())
            }
            Method::Lz4 => Ok(lz4_flex::compress_prepend_size(body)),
        }
    }

    /// What was compressed; at most `max` bytes.
    pub(super) fn decompress(self, packed: &[u8], max: usize) -> Result<Vec<u8>, String> {
        match self {
            Method::Otlp(codec, _) => {
                codec::decompress(codec, packed, max, &mut |_| true).map(Vec::from).map_err(|e| e.to_string())
            }
            Method::Lz4 => lz4_flex::decompress_size_prepended(packed).map_err(|e| e.to_string()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Otlp(codec, level) => write!(f, "{} {level}", codec::name(*codec)),
            Method::Lz4 => f.write_str("lz4"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_name_and_gives_back_what_it_took() {
        let body = b"service.name checkout service.name payment service.name cart".repeat(9);
        for method in Method::all() {
            assert_eq!(Method::named(method.name(), method.level()), Some(method));
            let packed = method.compress(&body).unwrap();
            assert!(packed.len() < body.len());
            assert_eq!(method.decompress(&packed, body.len()).unwrap(), body, "{method}");
        }
        assert_eq!(Method::named("brotli", 1), None);
    }
}
