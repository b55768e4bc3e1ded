use std::sync::Arc;

use otlp::{
    Depth, Signal,
    event::{RequestBuilder, Span},
};
use proptest::prelude::*;

use super::*;
use crate::{Outcome, Receipt, Share};

/// Spans named by number.
pub(crate) fn batch(names: std::ops::Range<usize>) -> otlp::Batch {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
    for n in names {
        builder.push_span(&Span { name: n.to_string(), ..Span::default() }).unwrap();
    }
    builder.finish()
}

pub(crate) fn names(item: &Item) -> Vec<usize> {
    (0..item.batch.len()).map(|i| item.batch.span(i).name().parse().unwrap()).collect()
}

fn item(names: std::ops::Range<usize>, tenant: Option<&str>) -> (Receipt, Item) {
    let (receipt, share) = Receipt::new(names.len() as u64);
    let mut item = Item::new(batch(names));
    item.context.tenant = tenant.map(Arc::from);
    item.context.shares.push(share);
    (receipt, item)
}

fn settings(min: usize, max: usize) -> BatcherSettings {
    BatcherSettings { min_records: min, max_records: max, eager: false, ..BatcherSettings::default() }
}

const FLUSH_NS: u64 = 200_000_000;

#[test]
fn it_waits_no_longer_than_told() {
    let mut batcher = Batcher::new(settings(100, 0));
    let mut out = Vec::new();
    batcher.push(item(0..3, None).1, 5, &mut out);
    batcher.push(item(3..4, None).1, 7, &mut out);
    assert_eq!((batcher.due_ns(), batcher.held().records), (Some(5 + FLUSH_NS), 4));
    batcher.tick(4 + FLUSH_NS, 9, &mut out);
    assert!(out.is_empty());
    batcher.tick(5 + FLUSH_NS, 0, &mut out);
    assert_eq!(out.iter().map(names).collect::<Vec<_>>(), [vec![0, 1, 2, 3]]);
    assert_eq!((batcher.due_ns(), batcher.held().records), (None, 0));
    out.into_iter().for_each(|item| item.resolve(Outcome::DELIVERED));
}

/// What nothing bounds but the memory there is grows no larger than a request may be; here that is three batches.
#[test]
fn no_batch_is_larger_than_a_request_may_be() {
    let one = item(0..1, None).1.size().bytes;
    let mut batcher = Batcher { most_bytes: 3 * one, ..Batcher::new(settings(0, 0)) };
    let mut out = Vec::new();
    for n in 0..8 {
        batcher.push(item(n..n + 1, Some("a")).1, n as u64, &mut out);
        batcher.push(item(n..n + 1, Some("b")).1, n as u64, &mut out);
    }
    assert_eq!((batcher.held().records, batcher.due_ns()), (4, Some(6 + FLUSH_NS)));
    batcher.flush(&mut out);
    let sent: Vec<_> =
        out.iter().filter(|item| item.context.tenant.as_deref() == Some("b")).map(names).collect();
    assert_eq!(sent, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
    out.into_iter().for_each(|item| item.resolve(Outcome::DELIVERED));
}

#[test]
fn an_idle_exporter_gets_what_there_is() {
    let mut batcher = Batcher::new(BatcherSettings { eager: true, ..settings(100, 0) });
    let mut out = Vec::new();
    batcher.push(item(0..1, Some("a")).1, 0, &mut out);
    batcher.push(item(1..2, Some("b")).1, 0, &mut out);
    batcher.tick(0, 0, &mut out);
    assert!(out.is_empty());
    batcher.tick(0, 1, &mut out);
    assert_eq!(out.iter().map(names).collect::<Vec<_>>(), [[0]]);
    // The slot that the first will take is taken.
    batcher.tick(0, 1, &mut out);
    assert_eq!(out.len(), 1);
    batcher.flush(&mut out);
    out.into_iter().for_each(|item| item.resolve(Outcome::DELIVERED));
}

#[test]
fn full_batches_leave_and_the_rest_keeps_its_time() {
    let mut batcher = Batcher::new(settings(4, 4));
    let mut out = Vec::new();
    let (receipt, first) = item(0..3, None);
    batcher.push(first, 5, &mut out);
    batcher.push(item(3..10, None).1, 6, &mut out);
    assert_eq!(out.iter().map(names).collect::<Vec<_>>(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7]]);
    assert_eq!((batcher.held().records, batcher.due_ns()), (2, Some(5 + FLUSH_NS)));
    // The first request was whole in the first batch.
    out.remove(0).resolve(Outcome::DELIVERED);
    let mut receipt = std::pin::pin!(receipt);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(receipt.as_mut().poll(&mut context).is_ready());
    batcher.flush(&mut out);
    out.into_iter().for_each(|item| item.resolve(Outcome::DELIVERED));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is pushed and whenever time passes: nothing is lost, doubled or reordered within its tenant, tenants do
    /// not mix, bounds hold, and the weight of the shares on each item is the number of its records.
    #[test]
    fn nothing_is_lost_mixed_or_late(
        pushes in prop::collection::vec((1usize..12, 0usize..3, 0u64..3), 1..40),
        min in 0usize..20,
        max in 0usize..20,
        eager in any::<bool>(),
        free in 0usize..3,
    ) {
        let settings = BatcherSettings { eager, ..settings(min, max) };
        let mut batcher = Batcher::new(settings);
        let mut sent: Vec<Item> = Vec::new();
        let mut expected = [Vec::new(), Vec::new(), Vec::new()];
        let mut receipts = Vec::new();
        let (mut next, mut now_ns) = (0, 0);
        for (count, tenant, pause) in pushes {
            now_ns += pause * FLUSH_NS / 2;
            let (receipt, item) = item(next..next + count, Some(["a", "b", "c"][tenant]));
            receipts.push(receipt);
            expected[tenant].extend(next..next + count);
            next += count;
            let mut out = Vec::new();
            batcher.push(item, now_ns, &mut out);
            batcher.tick(now_ns, free, &mut out);
            prop_assert!(batcher.due_ns().is_none_or(|due_ns| due_ns > now_ns), "late");
            prop_assert!(min == 0 || batcher.held().records < 3 * min as u64);
            sent.append(&mut out);
        }
        batcher.flush(&mut sent);
        let mut got = [Vec::new(), Vec::new(), Vec::new()];
        for item in sent {
            let tenant = item.context.tenant.as_deref().unwrap();
            let tenant = ["a", "b", "c"].iter().position(|known| *known == tenant).unwrap();
            got[tenant].extend(names(&item));
            prop_assert!(max == 0 || item.batch.len() <= max);
            let weight: u64 = item.context.shares.iter().map(Share::weight).sum();
            prop_assert_eq!(weight, item.batch.len() as u64);
            item.resolve(Outcome::DELIVERED);
        }
        prop_assert_eq!(got, expected);
        for mut receipt in receipts {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let told = std::pin::Pin::new(&mut receipt).poll(&mut context);
            prop_assert_eq!(told, std::task::Poll::Ready(Outcome::DELIVERED));
        }
    }
}
