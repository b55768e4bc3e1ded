//! Lines as programs write them: JSON with times, ids and a few words, no two alike.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// So many MiB of lines in a file, unless it is there.
pub(super) fn write(path: &Path, mib: u64) -> Result<PathBuf, String> {
    let bytes = mib << 20;
    let is_there = std::fs::metadata(path).is_ok_and(|told| told.len() == bytes);
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        io::copy(&mut reader(bytes), &mut file)?;
        file.flush()
    };
    if !is_there {
        write().map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(path.to_owned())
}

/// So many bytes of lines, made as they are read.
pub(super) fn reader(bytes: u64) -> impl Read {
    BufReader::with_capacity(1 << 16, Lines { n: 0, line: Vec::new(), read: 0 }).take(bytes)
}

struct Lines {
    n: u64,
    line: Vec<u8>,
    read: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            self.next();
        }
        let taken = (&self.line[self.read..]).read(buffer)?;
        self.read += taken;
        Ok(taken)
    }
}

impl Lines {
    fn next(&mut self) {
        const SERVICES: [&str; 7] =
            ["checkout", "cart", "payment", "frontend", "inventory", "mail", "search"];
        const WHAT: [&str; 5] =
            ["request handled", "cache miss", "connection reused", "retrying upstream", "order placed"];
        self.n += 1;
        // SplitMix64: fixed, and without a pattern that a compressor would find.
        let mut mixed = self.n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let time = 1_795_255_200_000_000_000 + self.n * 1_370_000 + mixed % 1_000_000;
        self.line.clear();
        self.read = 0;
        // Writing to memory cannot fail.
        let _ = writeln!(
            self.line,
            "{{\"timeUnixNano\":\"{time}\",\"severityText\":\"{}\",\"service\":\"{}\",\"traceId\":\"{mixed:016x}\",\"body\":\"{} in {} ms\",\"status\":{}}}",
            if mixed.is_multiple_of(23) { "WARN" } else { "INFO" },
            SERVICES[(mixed >> 8) as usize % 7],
            WHAT[(mixed >> 16) as usize % 5],
            (mixed >> 24) % 500,
            200 + (mixed >> 40) % 3 * 100,
        );
    }
}
