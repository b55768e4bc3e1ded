//! What exporters are told, seen by the far side and by whoever waits.

use std::time::Duration;

use aldis_engine::{
    check,
    components::{Id, Settings},
};
use connect::otlp::Protocol;
use otlp::{Batch, Codec, Signal};
use pipeline::{
    Outcome, RetrySettings,
    retry::{Attempt, GaveUp, Verdict},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::ends::{
    A_WHILE, BOTH, Far, Near, answer, block_on, busy, eventually, large, logs, one, record, request,
};

const KINDS: [&str; 2] = ["otlp", "otlphttp"];

/// An engine that relays to a far side, which takes these settings.
fn relaying(far: &Far, kind: &str, settings: &str) -> Near {
    Near::relaying(BOTH, &far.exporter(kind, settings))
}

fn is_full(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { reason, .. } if reason.contains("queue is full"))
}

#[test]
fn an_attempt_without_an_answer_ends_in_time() {
    for kind in KINDS {
        let far = Far::holding();
        let settings = "timeout: 50ms, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
        let outcome = block_on(relaying(&far, kind, settings).ask(logs(1)));
        let told = format!("{outcome:?}");
        assert!(told.contains("no answer within 50ms"), "{kind}: {told}");
    }
}

#[test]
fn whoever_sends_waits_for_the_far_side_where_nothing_is_queued() {
    for kind in KINDS {
        for (queue, waits) in
            [("enabled: true", false), ("wait_for_result: true", true), ("enabled: false", true)]
        {
            let far = Far::holding();
            let near = relaying(&far, kind, &format!("sending_queue: {{{queue}}}"));
            block_on(async {
                let sent = near.send(logs(1));
                eventually("it is in flight", || far.held() == 1).await;
                if waits {
                    tokio::time::sleep(A_WHILE).await;
                    assert!(!sent.is_finished(), "{kind} {queue}");
                    far.take_all();
                }
                assert_eq!(answer(sent).await, Outcome::DELIVERED, "{kind} {queue}");
            });
        }
    }
}

#[test]
fn as_many_sends_are_in_flight_as_there_are_consumers() {
    for kind in KINDS {
        let far = Far::holding();
        let near = relaying(&far, kind, "sending_queue: {num_consumers: 2}");
        block_on(async {
            for _ in 0..5 {
                assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
            }
            for answered in 0..3 {
                eventually("two are in flight", || far.held() == 2).await;
                tokio::time::sleep(A_WHILE / 3).await;
                assert_eq!((far.held(), far.sizes().len()), (2, answered + 2), "{kind}");
                far.answer_one();
            }
            far.take_all();
        });
    }
}

#[test]
fn a_queue_takes_as_much_as_its_sizer_counts() {
    let rows = [
        ("sizer: requests, queue_size: 2", logs(3), [true, true, false]),
        ("sizer: items, queue_size: 7", logs(3), [true, true, false]),
        ("sizer: items, queue_size: 9", logs(3), [true, true, true]),
        ("sizer: bytes, queue_size: 1000000", large(400_000), [true, true, false]),
        ("sizer: bytes, queue_size: 3000000", large(400_000), [true, true, true]),
    ];
    for kind in KINDS {
        for (queue, batch, expected) in &rows {
            let far = Far::holding();
            let near = relaying(&far, kind, &format!("sending_queue: {{{queue}}}"));
            for taken in expected {
                let outcome = block_on(near.ask(batch.clone()));
                assert_eq!(outcome == Outcome::DELIVERED, *taken, "{kind} {queue}: {outcome:?}");
                assert_eq!(is_full(&outcome), !taken, "{kind} {queue}: {outcome:?}");
            }
        }
    }
}

#[test]
fn a_full_queue_lets_senders_wait_where_it_is_told_to() {
    for kind in KINDS {
        for blocks in [true, false] {
            let far = Far::holding();
            let near = relaying(
                &far,
                kind,
                &format!("sending_queue: {{queue_size: 1, block_on_overflow: {blocks}}}"),
            );
            block_on(async {
                assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
                let second = near.send(logs(1));
                if blocks {
                    eventually("the first is in flight", || far.held() == 1).await;
                    tokio::time::sleep(A_WHILE).await;
                    assert!(!second.is_finished(), "{kind}");
                    far.answer_one();
                    assert_eq!(answer(second).await, Outcome::DELIVERED);
                } else {
                    let outcome = answer(second).await;
                    assert!(is_full(&outcome), "{kind}: {outcome:?}");
                }
            });
        }
    }
}

/// While the far side is busy, what comes waits for more: until there is enough of it, or it has waited long enough.
#[test]
fn a_queue_joins_requests_until_they_are_large_enough_or_late() {
    let rows = [
        ("min_size: 3, flush_timeout: 1h", true),
        ("sizer: bytes, min_size: 40, flush_timeout: 1h", true),
        ("min_size: 100, flush_timeout: 10ms", true),
        ("min_size: 100, flush_timeout: 1h", false),
    ];
    for kind in KINDS {
        for (batch, leaves) in rows {
            let far = Far::holding();
            let near =
                relaying(&far, kind, &format!("sending_queue: {{num_consumers: 1, batch: {{{batch}}}}}"));
            block_on(async {
                assert_eq!(near.ask(logs(1)).await, Outcome::DELIVERED);
                eventually("the far side is busy", || far.held() == 1).await;
                let joined = [near.send(logs(2)), near.send(logs(1))];
                if !leaves {
                    tokio::time::sleep(A_WHILE).await;
                    assert!(!joined.iter().any(|sent| sent.is_finished()), "{kind} {batch}");
                    far.take_all();
                }
                for sent in joined {
                    assert_eq!(answer(sent).await, Outcome::DELIVERED, "{kind} {batch}");
                }
            });
        }
    }
}

#[test]
fn a_queue_cuts_what_is_larger_than_the_largest_its_sizer_allows() {
    let rows = [
        ("items, min_size: 1, max_size: 4", vec![2, 4, 4]),
        ("bytes, min_size: 1, max_size: 4", vec![1; 10]),
    ];
    for kind in KINDS {
        for (sizes, expected) in &rows {
            let far = Far::taking();
            let near = relaying(
                &far,
                kind,
                &format!("sending_queue: {{wait_for_result: true, batch: {{sizer: {sizes}}}}}"),
            );
            assert_eq!(block_on(near.ask(logs(10))), Outcome::DELIVERED);
            let mut came = far.sizes();
            came.sort_unstable();
            assert_eq!(&came, expected, "{kind} {sizes}");
        }
    }
}

#[test]
fn what_failed_is_sent_again_where_that_is_enabled() {
    for kind in KINDS {
        for enabled in [true, false] {
            let far = Far::busy();
            let settings = format!(
                "sending_queue: {{wait_for_result: true}}, retry_on_failure: {{enabled: {enabled}, initial_interval: 1ms}}"
            );
            let near = relaying(&far, kind, &settings);
            block_on(async {
                let sent = near.send(logs(1));
                if enabled {
                    eventually("several attempts", || far.sizes().len() >= 4).await;
                    far.take_all();
                }
                let outcome = answer(sent).await;
                assert_eq!(outcome == Outcome::DELIVERED, enabled, "{kind}: {outcome:?}");
                assert!(enabled || far.sizes().len() == 1, "{kind}");
            });
        }
    }
}

/// The settings that a file gives an exporter for `retry_on_failure`.
fn retry_of(kind: &str, settings: &str) -> RetrySettings {
    let exporter = format!("{kind}: {{endpoint: 'http://localhost:1', retry_on_failure: {{{settings}}}}}");
    let text = format!(
        "receivers:\n  otlp: {BOTH}\nexporters:\n  {exporter}\nservice: {{pipelines: {{logs: {{receivers: [otlp], exporters: [{kind}]}}}}}}\n"
    );
    let checked = check(&text, &|_| None);
    assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
    match &checked.graph.exporters[&Id::parse(kind).unwrap()] {
        Settings::OtlpExporter(settings) => settings.delivery.retry,
        other => panic!("{other:?}"),
    }
}

/// Pauses in seconds after each of the first failures, where chance draws this number between 0 and 1.
#[test]
fn attempts_follow_the_configured_schedule() {
    let rows = [
        (
            "initial_interval: 2s, multiplier: 3, max_interval: 10s, randomization_factor: 0",
            0.9,
            [2, 6, 10, 10],
        ),
        (
            "initial_interval: 4s, multiplier: 3, max_interval: 10s, randomization_factor: 0",
            0.9,
            [4, 10, 10, 10],
        ),
        (
            "initial_interval: 2s, multiplier: 2, max_interval: 10s, randomization_factor: 0",
            0.9,
            [2, 4, 8, 10],
        ),
        (
            "initial_interval: 2s, multiplier: 3, max_interval: 50s, randomization_factor: 0",
            0.9,
            [2, 6, 18, 50],
        ),
        (
            "initial_interval: 2s, multiplier: 3, max_interval: 10s, randomization_factor: 0.5",
            0.0,
            [1, 3, 5, 5],
        ),
        (
            "initial_interval: 2s, multiplier: 3, max_interval: 10s, randomization_factor: 0.5",
            1.0,
            [3, 9, 15, 15],
        ),
    ];
    for kind in KINDS {
        for (settings, random, expected) in rows {
            let retry = retry_of(kind, settings);
            let pause = |number| {
                let attempt = Attempt { number, first_ns: 0, deadline_ns: None };
                match retry.decide(&busy(), attempt, 7, random) {
                    Verdict::Again(at_ns) => Duration::from_nanos(at_ns - 7).as_secs(),
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!([1, 2, 3, 4].map(pause), expected, "{kind} {settings}");
        }
    }
}

#[test]
fn attempts_end_when_too_much_time_has_passed_since_the_first() {
    const SECOND: u64 = 1_000_000_000;
    let pauses = "initial_interval: 2s, multiplier: 1, randomization_factor: 0";
    for kind in KINDS {
        for (most, now_s, again) in
            [("60s", 58, true), ("60s", 59, false), ("600s", 59, true), ("0s", 6000, true)]
        {
            let retry = retry_of(kind, &format!("{pauses}, max_elapsed_time: {most}"));
            let attempt = Attempt { number: 9, first_ns: 0, deadline_ns: None };
            let verdict = retry.decide(&busy(), attempt, now_s * SECOND, 0.5);
            let expected =
                if again { Verdict::Again((now_s + 2) * SECOND) } else { Verdict::GiveUp(GaveUp::Elapsed) };
            assert_eq!(verdict, expected, "{kind} {most} {now_s}");
        }
    }
}

/// Without TLS where the URL or the setting says so.
#[test]
fn endpoints_are_reached_without_tls_where_that_is_meant() {
    let far = Far::taking();
    let (grpc, http) = (far.address(Protocol::Grpc), far.address(Protocol::Http));
    let good = [
        format!("otlp: {{endpoint: '{grpc}', tls: {{insecure: true}}}}"),
        format!("otlp: {{endpoint: 'http://{grpc}'}}"),
        format!("otlphttp: {{endpoint: 'http://{http}', tls: {{insecure: true}}}}"),
        format!("otlphttp: {{endpoint: 'http://{http}'}}"),
    ];
    for exporter in good {
        let before = far.sizes().len();
        assert_eq!(block_on(Near::relaying(BOTH, &exporter).ask(logs(1))), Outcome::DELIVERED, "{exporter}");
        block_on(eventually("it arrives", || far.sizes().len() > before));
    }
}

#[test]
fn a_signal_with_a_url_of_its_own_goes_there() {
    let rows = [
        (Signal::Traces, "traces_endpoint", "v1/traces"),
        (Signal::Logs, "logs_endpoint", "v1/logs"),
        (Signal::Metrics, "metrics_endpoint", "v1/metrics"),
        (Signal::Profiles, "profiles_endpoint", "v1development/profiles"),
    ];
    for (signal, key, path) in rows {
        let (base, own) = (Far::taking(), Far::taking());
        let url = format!("http://{}/{path}", own.address(Protocol::Http));
        let near = relaying(&base, "otlphttp", &format!("{key}: '{url}', sending_queue: {{enabled: false}}"));
        for sent in Signal::ALL {
            assert_eq!(block_on(near.ask(one(sent))), Outcome::DELIVERED);
        }
        let signals = |far: &Far| far.batches().iter().map(Batch::signal).collect::<Vec<_>>();
        assert_eq!(signals(&own), [signal]);
        assert_eq!(
            signals(&base),
            Signal::ALL.into_iter().filter(|other| *other != signal).collect::<Vec<_>>()
        );
    }
}

#[test]
fn requests_carry_the_headers_and_are_compressed_as_told() {
    let records: Vec<_> = (0..500).map(|n| record(Signal::Logs, &[("n", &(n * n).to_string())])).collect();
    let compressed = |far: &Far, codec| far.batches()[0].compressed(codec).map(|bytes| bytes.len());
    for kind in KINDS {
        let sent = |settings: &str| {
            let far = Far::taking();
            let settings = format!("{settings}, headers: {{x-a: b}}, sending_queue: {{enabled: false}}");
            assert_eq!(block_on(relaying(&far, kind, &settings).ask(request(&records))), Outcome::DELIVERED);
            assert_eq!(far.header("x-a"), ["b"], "{kind} {settings}");
            [Codec::Gzip, Codec::Zstd].map(|codec| compressed(&far, codec))
        };
        assert_eq!(sent("compression: none"), [None, None]);
        let [gzip, none] = sent("compression: gzip");
        assert_eq!((gzip.is_some(), none), (true, None), "{kind}");
        let [none, zstd] = sent("compression: zstd");
        assert_eq!((none, zstd.is_some()), (None, true), "{kind}");
        let [harder, _] = sent("compression: gzip, compression_params: {level: 12}");
        assert!(harder < gzip, "{kind}: {harder:?} bytes against {gzip:?}");
    }
}

/// What was acknowledged has time to leave at a shutdown, whoever stalls in the middle of a request.
#[test]
fn a_shutdown_sends_what_waits_for_another_attempt_though_a_client_stalls() {
    block_on(async {
        let far = Far::busy();
        let never_again = "retry_on_failure: {initial_interval: 1h, max_interval: 1h, max_elapsed_time: 0s}";
        let near = Near::relaying(BOTH, &far.exporter("otlp", never_again));
        assert_eq!(near.ask(logs(3)).await, Outcome::DELIVERED);
        eventually("a first attempt", || !far.batches().is_empty()).await;
        let mut stalled = TcpStream::connect(near.address("http")).await.unwrap();
        let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\n";
        stalled.write_all(head.as_bytes()).await.unwrap();
        stalled.write_all(&[0; 10]).await.unwrap();
        let offered = || near.engine().receivers()[0].1.signal(Signal::Logs).requests_offered;
        eventually("a request in flight", || offered() == 2).await;
        far.take_all();
        // Half of it is spent on the one that stalls.
        let report = near.shutdown(Duration::from_secs(10));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(report.connections_cut, 1);
        assert_eq!(report.stats.exporter("otlp", Signal::Logs).unwrap().delivered, 3);
    });
}
