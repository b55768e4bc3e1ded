#![no_main]

use aldis_otlp::{Check, Checker, Depth, Signal, merge, split};
use bytes::Bytes;

// Splitting and merging what the check took loses no record and writes the index that a fresh check finds.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let mut checker = Checker::new(signal, Check::Full, Depth::Attributes);
        let Ok(batch) = checker.check(Bytes::copy_from_slice(bytes)) else { continue };
        let records = batch.len();
        if records == 0 {
            continue;
        }
        let parts = split(batch, 2, 0);
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), records);
        for part in parts.iter().chain([&merge(&parts)]) {
            let fresh = checker.check(part.raw().clone()).expect("what is cut is a request");
            assert_eq!(fresh.index(), part.index());
        }
    }
});
