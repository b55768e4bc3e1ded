//! One codec at one level over one corpus, in a process that does nothing else.

use super::method::Method;
use crate::framing;
use crate::process::usage;
use serde_json::{Value, json};
use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// A corpus is gone through so often, and for so long, at the least.
const PASSES: usize = 3;
const TIME: Duration = Duration::from_millis(80);

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// Plain bytes over compressed ones.
    ratio: f64,
    /// Compressed.
    bytes_per_record: f64,
    compress: Timed,
    decompress: Timed,
}

/// One way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Timed {
    /// µs per record: of the fastest pass, and of the one in the middle.
    best_us: f64,
    median_us: f64,
    /// Memory that the process had at the most, beyond what it had before: state, buffers and one result.
    peak_bytes: u64,
}

impl Timed {
    fn to_json(self) -> Value {
        json!({"best_us": self.best_us, "median_us": self.median_us, "peak_bytes": self.peak_bytes})
    }

    fn from_json(value: &Value) -> Option<Timed> {
        Some(Timed {
            best_us: value["best_us"].as_f64()?,
            median_us: value["median_us"].as_f64()?,
            peak_bytes: value["peak_bytes"].as_u64()?,
        })
    }
}

impl Cell {
    pub(super) fn head() -> String {
        let (ratio, bytes) = ("ratio", "B/record");
        let (out, back) = ("compress us/record", "decompress us/record");
        format!("{:<10} {ratio:>6} {bytes:>9} {out:>26} {:>9} {back:>26} {:>9}", "", "KiB", "KiB")
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "ratio": self.ratio,
            "bytes_per_record": self.bytes_per_record,
            "compress": self.compress.to_json(),
            "decompress": self.decompress.to_json(),
        })
    }

    pub(super) fn from_json(text: &[u8]) -> Option<Cell> {
        let value: Value = serde_json::from_slice(text).ok()?;
        Some(Cell {
            ratio: value["ratio"].as_f64()?,
            bytes_per_record: value["bytes_per_record"].as_f64()?,
            compress: Timed::from_json(&value["compress"])?,
            decompress: Timed::from_json(&value["decompress"])?,
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6.2} {:>9.1}", self.ratio, self.bytes_per_record)?;
        for way in [self.compress, self.decompress] {
            let time = format!("{:.3} median {:.3}", way.best_us, way.median_us);
            write!(f, " {time:>26} {:>9}", way.peak_bytes / 1024)?;
        }
        Ok(())
    }
}

/// Measures and writes the cell to standard output.
pub(super) fn command(method: &str, level: &str, file: &Path, records: &str) -> Result<(), String> {
    let level = level.parse().map_err(|_| format!("no level: {level}"))?;
    let records: u64 = records.parse().map_err(|_| format!("no number of records: {records}"))?;
    let method = Method::named(method, level).ok_or_else(|| format!("no codec: {method}"))?;
    let file = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    println!("{}", measure(method, &framing::requests(&file), records)?.to_json());
    Ok(())
}

fn measure(method: Method, requests: &[&[u8]], records: u64) -> Result<Cell, String> {
    let plain: usize = requests.iter().map(|request| request.len()).sum();
    let compress = timed(requests.len(), records, |i| method.compress(requests[i]))?;
    let packed = requests.iter().map(|request| method.compress(request)).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = packed.iter().map(Vec::len).sum();
    let decompress = timed(requests.len(), records, |i| method.decompress(&packed[i], requests[i].len()))?;
    for (packed, request) in packed.iter().zip(requests) {
        if method.decompress(packed, request.len())? != **request {
            return Err(format!("{method} does not give back what it took"));
        }
    }
    Ok(Cell {
        ratio: plain as f64 / bytes as f64,
        bytes_per_record: bytes as f64 / records as f64,
        compress,
        decompress,
    })
}

/// Goes through all of it again and again. The first time tells the memory and is not timed.
fn timed(
    requests: usize,
    records: u64,
    mut each: impl FnMut(usize) -> Result<Vec<u8>, String>,
) -> Result<Timed, String> {
    let before = usage::from_here()?.rss;
    for i in 0..requests {
        each(i)?;
    }
    let peak_bytes = usage::now()?.rss_peak.saturating_sub(before);
    let (begun, mut passes) = (Instant::now(), Vec::new());
    while passes.len() < PASSES || begun.elapsed() < TIME {
        let start = Instant::now();
        for i in 0..requests {
            black_box(each(i)?);
        }
        passes.push(start.elapsed().as_secs_f64() * 1e6 / records as f64);
    }
    passes.sort_by(f64::total_cmp);
    Ok(Timed { best_us: passes[0], median_us: passes[passes.len() / 2], peak_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_was_measured() {
        let request = b"a span is a span is a span, whatever its name".repeat(100);
        let method = Method::named("gzip", 1).unwrap();
        let cell = measure(method, &[&request, &request], 10).unwrap();
        assert!(cell.ratio > 2.0 && cell.compress.best_us <= cell.compress.median_us);
        assert!(cell.bytes_per_record < request.len() as f64 / 5.0);
    }

    #[test]
    fn a_cell_survives_json() {
        let timed = Timed { best_us: 0.5, median_us: 0.75, peak_bytes: 4096 };
        let cell = Cell { ratio: 4.5, bytes_per_record: 60.25, compress: timed, decompress: timed };
        assert_eq!(Cell::from_json(cell.to_json().to_string().as_bytes()), Some(cell));
    }
}
