//! Requests of one kind and size, as a file of `u32 big-endian length ‖ request`.
//!
//! Spans and metrics are real. They are cut as the processor `batch` cuts them: resource and scope are repeated in each
//! request. Logs are those of the modelled shop, for want of real ones.

use crate::framing;
use bytes::Bytes;
use otlp::{Batch, Check, Checker, Depth, Signal, merge, split};
use std::fmt;
use std::path::{Path, PathBuf};
use workload::{Settings, Workload};

/// Records of a request.
pub(super) const SIZES: [usize; 4] = [1, 20, 100, 1000];
/// Bytes of all requests of one corpus, more or less: about eight requests of the largest size.
const CORPUS_BYTES: usize = 2 << 20;
/// Records that are cut: enough for the largest requests, and of many resources.
const RECORDS: usize = 80_000;
/// Nanoseconds of the model's time between two looks at what was made.
const STEP_NS: u64 = 100_000_000;

/// What is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Spans,
    Logs,
    Metrics,
}

impl Data {
    pub(super) const ALL: [Data; 3] = [Data::Spans, Data::Logs, Data::Metrics];

    pub(super) fn named(name: &str) -> Option<Data> {
        Data::ALL.into_iter().find(|data| data.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Data::Spans => "spans",
            Data::Logs => "logs",
            Data::Metrics => "metrics",
        }
    }

    /// All of it as one request.
    ///
    /// # Errors
    /// The file is not there or is not what it should be.
    pub(super) fn read(self, shared: &Path) -> Result<Batch, String> {
        match self {
            Data::Spans => from_file(Signal::Traces, &shared.join("otlp/hipstershop-traces.zst")),
            Data::Metrics => from_file(Signal::Metrics, &shared.join("otlp/hostandcollector-metrics.zst")),
            Data::Logs => generated_logs(),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A written corpus.
#[derive(Debug)]
pub(super) struct Corpus {
    pub(super) path: PathBuf,
    pub(super) requests: usize,
    pub(super) records: u64,
    /// Of the requests, their lengths in the file not counted.
    pub(super) bytes: usize,
}

/// Cuts the batch into requests of this size, and writes some of them, from all over it.
pub(super) fn write(data: Data, batch: &Batch, size: usize, folder: &Path) -> Result<Corpus, String> {
    // The last one is smaller.
    let all = split(batch.clone(), size, 0);
    let whole: Vec<&Batch> = all.iter().filter(|part| part.len() == size).collect();
    let bytes: usize = whole.iter().map(|part| part.raw().len()).sum();
    let step = bytes.div_ceil(CORPUS_BYTES).max(1);
    let mut file = Vec::with_capacity(2 * CORPUS_BYTES);
    let (mut requests, mut length) = (0, 0);
    for part in whole.iter().step_by(step) {
        let body = part.raw();
        framing::append(&mut file, body)?;
        (requests, length) = (requests + 1, length + body.len());
    }
    if requests == 0 {
        return Err(format!("{data}: not one request of {size} records"));
    }
    let path = folder.join(format!("{data}-{size}"));
    std::fs::write(&path, file).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Corpus { path, requests, records: (requests * size) as u64, bytes: length })
}

fn from_file(signal: Signal, path: &Path) -> Result<Batch, String> {
    let content = framing::unpacked(path)?;
    joined(signal, framing::requests(&content).into_iter().map(Bytes::copy_from_slice))
}

fn generated_logs() -> Result<Batch, String> {
    let settings =
        Settings { traces_per_second: 2_000, truths_max: 0, metrics: false, ..Settings::default() };
    let mut until = settings.start_ns;
    let mut workload = Workload::new(settings).map_err(|error| error.to_string())?;
    let (mut out, mut logs, mut records) = (Vec::new(), Vec::new(), 0);
    while records < RECORDS {
        until += STEP_NS;
        workload.advance(until, &mut out);
        for request in out.drain(..).filter(|request| request.signal == Signal::Logs) {
            records += request.records;
            logs.push(request.body);
        }
        workload.drain_traces().for_each(drop);
    }
    joined(Signal::Logs, logs)
}

/// The first [`RECORDS`] records of these requests.
fn joined(signal: Signal, requests: impl IntoIterator<Item = Bytes>) -> Result<Batch, String> {
    let mut checker = Checker::new(signal, Check::Full, Depth::Records);
    let (mut batches, mut records) = (Vec::new(), 0);
    for request in requests {
        if records >= RECORDS {
            break;
        }
        let batch = checker.check(request).map_err(|error| error.to_string())?;
        records += batch.len();
        batches.push(batch);
    }
    if batches.is_empty() { Err("there is no request".into()) } else { Ok(merge(&batches)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_requests_of_one_size() {
        let folder = std::env::temp_dir().join(format!("aldis-corpus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let batch = Data::Logs.read(Path::new("/there/is/nothing")).unwrap();
        let corpus = write(Data::Logs, &batch, 100, &folder).unwrap();
        let file = std::fs::read(&corpus.path).unwrap();
        let requests = framing::requests(&file);
        assert_eq!(requests.len(), corpus.requests);
        assert_eq!(requests.iter().map(|request| request.len()).sum::<usize>(), corpus.bytes);
        assert!(corpus.bytes <= 2 * CORPUS_BYTES);
        let mut checker = Checker::new(Signal::Logs, Check::Full, Depth::Records);
        for request in requests {
            assert_eq!(checker.check(Bytes::copy_from_slice(request)).unwrap().len(), 100);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
