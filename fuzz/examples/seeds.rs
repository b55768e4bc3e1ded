//! Writes a few small valid requests per target into `corpus/`, the same ones every time.

#[allow(dead_code, reason = "shared with the tests of otlp")]
#[path = "../../crates/otlp/tests/it/entropy.rs"]
mod entropy;

use std::path::Path;

use entropy::Entropy;
use prost::Message;

const SEEDS: u64 = 8;

fn main() -> std::io::Result<()> {
    for seed in 0..SEEDS {
        let chance = chance(seed);
        write("check_traces", seed, Entropy::new(&chance).traces().encode_to_vec())?;
        write("check_logs", seed, Entropy::new(&chance).logs().encode_to_vec())?;
        write("check_metrics", seed, Entropy::new(&chance).metrics().encode_to_vec())?;
    }
    Ok(())
}

/// Bytes from a xorshift generator.
fn chance(seed: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
    (0..600)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .collect()
}

fn write(target: &str, seed: u64, request: Vec<u8>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("seed-{seed}")), request)
}
