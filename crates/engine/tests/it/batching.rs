//! `batch`: when requests leave, and how large.

use pipeline::Outcome;

use crate::ends::{A_WHILE, Far, Near, answer, block_on, eventually, logs};

/// It leaves when its time is over, when the exporter has nothing to do (where it is eager), or when it is large enough.
#[test]
fn a_batch_waits_for_more_until_its_timeout() {
    for (settings, leaves) in [
        ("timeout: 10ms, eager: false", true),
        ("timeout: 1h, eager: true", true),
        ("timeout: 1h, eager: false", false),
    ] {
        let far = Far::taking();
        let batch = format!("batch: {{send_batch_size: 2, {settings}}}");
        let near = Near::processing(&batch, &far.exporter("otlp", ""));
        block_on(async {
            let first = near.send(logs(1));
            if leaves {
                eventually("it leaves alone", || far.sizes() == [1]).await;
            } else {
                tokio::time::sleep(A_WHILE).await;
                assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
                eventually("both leave together", || far.sizes() == [2]).await;
            }
            assert_eq!(answer(first).await, Outcome::DELIVERED);
        });
    }
}

#[test]
fn no_batch_is_larger_than_the_largest() {
    for (most, expected) in [("4", vec![2, 4, 4]), ("5", vec![5, 5]), ("0", vec![10])] {
        let far = Far::taking();
        let batch = format!("batch: {{send_batch_size: 1, send_batch_max_size: {most}, timeout: 10ms}}");
        let near = Near::processing(&batch, &far.exporter("otlp", "sending_queue: {wait_for_result: true}"));
        assert_eq!(block_on(near.ask(logs(10))), Outcome::DELIVERED);
        let mut sizes = far.sizes();
        sizes.sort_unstable();
        assert_eq!(sizes, expected, "at most {most}");
    }
}

/// One combination of header values too many sends the oldest batch on.
#[test]
fn as_many_batches_are_kept_apart_as_the_limit_says() {
    for (limit, left) in [(1, vec![1]), (2, vec![])] {
        let far = Far::taking();
        let batch = format!(
            "batch: {{metadata_keys: [x-tenant], metadata_cardinality_limit: {limit}, timeout: 1h, eager: false}}"
        );
        let near = Near::processing(&batch, &far.exporter("otlp", ""));
        block_on(async {
            let first = near.send_as(logs(1), &[("x-tenant", "a")]);
            eventually("it waits", || near.engine().stats().inlets[0].admitted == 1).await;
            let _second = near.send_as(logs(2), &[("x-tenant", "b")]);
            eventually("both were let in", || near.engine().stats().inlets[0].admitted == 3).await;
            if limit == 1 {
                assert_eq!(answer(first).await, Outcome::DELIVERED);
                eventually("the oldest leaves", || !far.sizes().is_empty()).await;
            }
            tokio::time::sleep(A_WHILE).await;
            assert_eq!(far.sizes(), left, "limit {limit}");
        });
    }
}
