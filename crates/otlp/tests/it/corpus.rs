//! The requests that fuzzing starts from, kept in `fuzz/corpus` and made here.

use std::path::Path;

use prost::Message;

use crate::entropy::Entropy;

const SEEDS: u64 = 8;

/// The committed files are what is made; `ALDIS_BLESS=1` writes them.
#[test]
fn the_committed_corpus_is_what_is_made() {
    for seed in 0..SEEDS {
        let chance = chance(seed);
        hold("check_traces", seed, &Entropy::new(&chance).traces().encode_to_vec());
        hold("check_logs", seed, &Entropy::new(&chance).logs().encode_to_vec());
        hold("check_metrics", seed, &Entropy::new(&chance).metrics().encode_to_vec());
    }
}

/// Bytes from a xorshift generator.
fn chance(seed: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..600).map(byte).collect()
}

fn hold(target: &str, seed: u64, request: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let file = folder.join(format!("seed-{seed}"));
    if std::env::var_os("ALDIS_BLESS").is_some() {
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(&file, request).expect("a file can be written");
    }
    let held = std::fs::read(&file).expect("the corpus is committed");
    assert_eq!(held, request, "{} is not what is made now", file.display());
}
