#![no_main]

use aldis_connect::codec::decompress;
use aldis_otlp::Codec;

/// Bytes: what may come out.
const MAX: usize = 1 << 20;

// Nothing comes out beyond the cap, and nothing is allocated that was not asked for.
libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let mut asked = 0;
        let out = decompress(codec, body, MAX, &mut |bytes| {
            asked += bytes;
            true
        });
        if let Ok(out) = out {
            assert!(out.len() <= MAX && out.len() <= asked, "{} bytes, asked for {asked}", out.len());
        }
    }
});
