//! Filter, split and merge say what prost says after decode, change and encode.

use aldis_otlp::{Batch, Depth, merge, split};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;

use crate::entropy::Entropy;
use crate::oracle::{Oracle, Wiring, assert_index_is_fresh, batch, bytes, one_by_one};

fn arb_wiring() -> impl Strategy<Value = Wiring> {
    prop_oneof![Just(Wiring::Ascending), Just(Wiring::Descending), Just(Wiring::Scrambled)]
}

fn arb_depth() -> impl Strategy<Value = Depth> {
    prop_oneof![Just(Depth::Counts), Just(Depth::Records), Just(Depth::Attributes)]
}

/// Filters the batch and what prost holds by the same bits.
fn filter<O: Oracle>(batch: &mut Batch, read: &mut O, bits: u64) {
    if bits == u64::MAX {
        return;
    }
    let keep = |i: usize| bits >> (i % 64) & 1 == 1;
    if batch.retain(|_, i| keep(i)) == 0 {
        return;
    }
    let mut i = 0;
    read.retain(&mut || {
        i += 1;
        keep(i - 1)
    });
}

fn decoded<O: Oracle>(batch: &Batch) -> O {
    O::decode(batch.to_wire()).expect("prost reads what was written")
}

fn filters_like_prost<O: Oracle>(seed: &[u8], wiring: Wiring, depth: Depth, bits: u64) {
    let Some((mut batch, mut read)) = batch::<O>(&mut Entropy::new(seed), wiring, depth) else { return };
    let all = batch.len();
    filter(&mut batch, &mut read, bits);
    if batch.len() < all {
        assert_eq!(bytes(&decoded::<O>(&batch)), bytes(&read));
    } else {
        assert_eq!(&batch.to_wire(), batch.raw());
    }
}

fn splits_like_prost<O: Oracle>(seed: &[u8], wiring: Wiring, depth: Depth, bits: u64, max: (usize, usize)) {
    let Some((mut batch, mut read)) = batch::<O>(&mut Entropy::new(seed), wiring, depth) else { return };
    filter(&mut batch, &mut read, bits);
    let whole = batch.clone();
    let parts = split(batch, max.0, max.1);
    let bound = |max: usize| if max == 0 { usize::MAX } else { max };
    if whole.is_empty() || (whole.len() <= bound(max.0) && whole.raw().len() <= bound(max.1)) {
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].raw(), whole.raw());
        return;
    }
    let mut records = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        assert_index_is_fresh(part);
        assert_eq!(part.depth(), depth);
        assert!(part.len() <= bound(max.0) && !part.is_empty());
        assert!(part.raw().len() <= bound(max.1) || part.len() == 1);
        records.extend(one_by_one(&decoded::<O>(part)));
        // Filled as far as it goes: the next record would not have fitted.
        if number + 1 < parts.len() && matches!(wiring, Wiring::Ascending) {
            let range = records.len() - part.len()..=records.len();
            let mut more = read.clone();
            let mut i = 0;
            more.retain(&mut || {
                i += 1;
                range.contains(&(i - 1))
            });
            assert!(part.len() == bound(max.0) || bytes(&more).len() > bound(max.1));
        }
    }
    assert_eq!(records, one_by_one(&read));
}

fn merges_like_prost<O: Oracle>(seeds: &[Vec<u8>], wiring: Wiring, depths: (Depth, Depth), bits: u64) {
    let mut batches = Vec::new();
    let mut expected = Vec::new();
    for (number, seed) in seeds.iter().enumerate() {
        let depth = if number % 2 == 0 { depths.0 } else { depths.1 };
        let Some((mut batch, mut read)) = batch::<O>(&mut Entropy::new(seed), wiring, depth) else {
            continue;
        };
        if number % 3 == 1 {
            filter(&mut batch, &mut read, bits);
        }
        expected.extend(bytes(&read));
        batches.push(batch);
    }
    if batches.is_empty() {
        return;
    }
    let merged = merge(&batches);
    assert_eq!(merged.len(), batches.iter().map(Batch::len).sum::<usize>());
    assert_eq!(Some(merged.depth()), batches.iter().map(Batch::depth).min());
    if batches.len() > 1 {
        assert_index_is_fresh(&merged);
    }
    // A request is its resources behind one another: so are the bytes of several.
    assert_eq!(bytes(&decoded::<O>(&merged)), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn filters(seed in prop::collection::vec(any::<u8>(), 0..1500), wiring in arb_wiring(), depth in arb_depth(), bits in any::<u64>()) {
        filters_like_prost::<ExportTraceServiceRequest>(&seed, wiring, depth, bits);
        filters_like_prost::<ExportLogsServiceRequest>(&seed, wiring, depth, bits);
        filters_like_prost::<ExportMetricsServiceRequest>(&seed, wiring, depth, bits);
    }

    #[test]
    fn splits(seed in prop::collection::vec(any::<u8>(), 0..1500), wiring in arb_wiring(), depth in arb_depth(),
              bits in prop_oneof![Just(u64::MAX), any::<u64>()], records in 0usize..5, size in prop_oneof![Just(0usize), 1..3000usize]) {
        splits_like_prost::<ExportTraceServiceRequest>(&seed, wiring, depth, bits, (records, size));
        splits_like_prost::<ExportLogsServiceRequest>(&seed, wiring, depth, bits, (records, size));
        splits_like_prost::<ExportMetricsServiceRequest>(&seed, wiring, depth, bits, (records, size));
    }

    #[test]
    fn merges(seeds in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..5), wiring in arb_wiring(),
              depths in (arb_depth(), arb_depth()), bits in any::<u64>()) {
        merges_like_prost::<ExportTraceServiceRequest>(&seeds, wiring, depths, bits);
        merges_like_prost::<ExportLogsServiceRequest>(&seeds, wiring, depths, bits);
        merges_like_prost::<ExportMetricsServiceRequest>(&seeds, wiring, depths, bits);
    }
}
