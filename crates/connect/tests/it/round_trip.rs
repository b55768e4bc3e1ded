//! What goes in at an exporter comes out at a receiver, byte for byte.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aldis_connect::codec;
use aldis_connect::otlp::{Encoding, OtlpConfig, OtlpExporter, Protocol};
use otlp::{Batch, Check, Checker, Codec, Depth, Signal};
use pipeline::{
    Acknowledge, Context, Exporter, ExporterQueue, ExporterSettings, Health, Item, Ledger, Outcome, Packing,
    Shards,
};

use crate::side::{Nobody, PATIENCE, Side, block_on, eventually, is_alone, own_address, settings_at, spans};

/// Every way to say the same.
const WAYS: [(Protocol, Encoding); 3] =
    [(Protocol::Grpc, Encoding::Proto), (Protocol::Http, Encoding::Proto), (Protocol::Http, Encoding::Json)];

fn exporter(side: &Side, protocol: Protocol, codec: Option<Codec>) -> OtlpExporter {
    OtlpExporter::try_new(config(side, protocol, codec)).expect("right")
}

fn config(side: &Side, protocol: Protocol, codec: Option<Codec>) -> OtlpConfig {
    let endpoint = match protocol {
        Protocol::Grpc => side.grpc().to_string(),
        Protocol::Http => format!("http://{}", side.http()),
    };
    let config = OtlpConfig { compression: codec, timeout: PATIENCE, ..OtlpConfig::default() };
    config.with_endpoint(endpoint).with_protocol(protocol)
}

fn batch(count: usize) -> Batch {
    Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(spans(count)).expect("valid")
}

fn item(batch: Batch) -> Item {
    Item { batch, context: Context::default() }
}

#[test]
fn every_protocol_and_codec() {
    let side = Side::start();
    let mut expected = 0;
    for (protocol, encoding) in WAYS {
        for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            let exporter = OtlpExporter::new(config(&side, protocol, codec).with_encoding(encoding));
            let sent = batch(1000);
            let outcome = block_on(async { exporter.open().send(&item(sent.clone())).await });
            assert_eq!(outcome, Outcome::DELIVERED, "{protocol:?} {encoding:?} {codec:?}");
            let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
            assert_eq!(got.raw(), sent.raw());
            assert_eq!(got.len(), 1000);
            for other in [Codec::Gzip, Codec::Zstd] {
                let is_kept = codec == Some(other) && encoding == Encoding::Proto;
                assert_eq!(got.compressed(other).is_some(), is_kept, "kept as received, unless it was JSON");
            }
            expected += 1;
        }
    }
    let counts = side.listening().counts();
    let traces = counts.signal(Signal::Traces);
    assert_eq!((traces.requests_offered, traces.requests_admitted), (expected, expected));
    assert_eq!((traces.records_offered, traces.records_admitted), (expected * 1000, expected * 1000));
    assert_eq!(traces.bytes_decompressed, expected * spans(1000).len() as u64);
}

/// Bytes that no compressor of ours would make, so that a second compression would show.
#[test]
fn compressed_bytes_leave_as_they_came() {
    let side = Side::start();
    let raw = spans(50);
    let odd = zstd::encode_all(&raw[..], 19).expect("zstd");
    let mut received =
        Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(raw.clone()).expect("valid");
    received.set_compressed(Codec::Zstd, odd.clone().into());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let exporter = exporter(&side, protocol, Some(Codec::Zstd));
        let outcome = block_on(async { exporter.open().send(&item(received.clone())).await });
        assert_eq!(outcome, Outcome::DELIVERED);
        let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
        assert_eq!(got.compressed(Codec::Zstd).expect("kept"), &odd[..]);
    }
    // Another codec is another form: it is made anew.
    let gzip = exporter(&side, Protocol::Grpc, Some(Codec::Gzip));
    assert_eq!(block_on(async { gzip.open().send(&item(received)).await }), Outcome::DELIVERED);
    let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
    assert_eq!((got.raw(), got.compressed(Codec::Zstd)), (&raw, None));
}

/// What is left of a packed batch is sent as it is, or made into the form that the exporter is set to.
#[test]
fn packed_batches_arrive_whole() {
    let side = Side::start();
    let raw = spans(50);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for packed in [Codec::Gzip, Codec::Zstd] {
            for own in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
                let mut sent = batch(50);
                sent.set_compressed(packed, codec::compress(packed, 1, &raw).expect("compresses"));
                assert!(sent.pack(packed));
                let exporter = exporter(&side, protocol, own);
                let outcome = block_on(async { exporter.open().send(&item(sent)).await });
                assert_eq!(outcome, Outcome::DELIVERED);
                let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
                assert_eq!(got.raw(), &raw);
                assert!(got.compressed(own.unwrap_or(packed)).is_some(), "{packed:?} by {own:?}");
            }
        }
    }
    // One that writes JSON asks for none, and is not told apart by a caller that does not ask.
    let config = OtlpConfig::default().with_protocol(Protocol::Http).with_encoding(Encoding::Json);
    let json = OtlpExporter::new(config.with_endpoint(format!("http://{}", side.http())));
    assert!(json.compressor().is_none() && json.packing() == Packing::Never);
    let mut sent = batch(50);
    sent.set_compressed(Codec::Zstd, codec::compress(Codec::Zstd, 1, &raw).expect("compresses"));
    assert!(sent.pack(Codec::Zstd));
    assert_eq!(block_on(async { json.open().send(&item(sent)).await }), Outcome::DELIVERED);
    assert_eq!(side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch").len(), 50);
}

/// `with_compression` compresses for an exporter that is told nothing; one that is told something does as it is told.
#[test]
fn a_pipeline_compresses_once_for_its_exporters() {
    let side = Side::start();
    for (own, expected) in [(None, Codec::Gzip), (Some(Codec::Zstd), Codec::Zstd)] {
        let pipeline = pipeline::TelemetryPipeline::builder()
            .with_compression(true)
            .with_exporter(Arc::new(exporter(&side, Protocol::Grpc, own)))
            .build()
            .expect("built");
        let span = otlp::Span { name: "GET /cart".into(), ..otlp::Span::default() };
        block_on(async { pipeline.record_span(span).await }).expect("recorded");
        let report = pipeline.shutdown(PATIENCE);
        assert!(report.is_clean(), "{report}");
        let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
        assert_eq!((got.len(), got.compressed(expected).is_some()), (1, true));
    }
}

#[test]
fn answers_come_back_as_outcomes() {
    let side = Side::start();
    let second = Some(Duration::from_secs(2));
    let permanent = |code: &'static str| Outcome::Permanent { code: code.into(), reason: "never".into() };
    let rows = [
        (Outcome::Delivered { rejected: 7 }, Outcome::Delivered { rejected: 7 }),
        (Outcome::Removed, Outcome::DELIVERED),
        (
            Outcome::Retry {
                after: second,
                maybe_delivered: false,
                overloaded: false,
                reason: "later".into(),
            },
            Outcome::Retry {
                after: second,
                maybe_delivered: false,
                overloaded: false,
                reason: "later".into(),
            },
        ),
        (
            Outcome::Retry { after: second, maybe_delivered: false, overloaded: true, reason: "full".into() },
            Outcome::Retry { after: second, maybe_delivered: false, overloaded: true, reason: "full".into() },
        ),
        (permanent("400"), permanent("")),
    ];
    for (protocol, encoding) in WAYS {
        let permanent_code = if protocol == Protocol::Grpc { "INTERNAL" } else { "500" };
        let exporter = OtlpExporter::new(config(&side, protocol, None).with_encoding(encoding));
        for (told, expected) in &rows {
            side.memory.answer_with(Some(told.clone()));
            let outcome = block_on(async { exporter.open().send(&item(batch(20))).await });
            match (&outcome, expected) {
                (
                    Outcome::Retry { after, maybe_delivered, overloaded, reason },
                    Outcome::Retry { after: a, maybe_delivered: m, overloaded: o, reason: r },
                ) => {
                    assert_eq!((after, maybe_delivered, overloaded), (a, m, o));
                    assert!(reason.contains(r), "{reason}");
                }
                (Outcome::Permanent { code, reason }, Outcome::Permanent { reason: r, .. }) => {
                    assert_eq!(code, permanent_code);
                    assert!(reason.contains(r), "{reason}");
                }
                _ => assert_eq!(&outcome, expected),
            }
        }
    }
}

/// A batch of which only the frames were checked may say anything inside; JSON cannot.
#[test]
fn json_is_written_of_what_can_be_read() {
    let side = Side::start();
    let exporter = OtlpExporter::new(config(&side, Protocol::Http, None).with_encoding(Encoding::Json));
    let framed = |body: &'static [u8]| {
        Checker::new(Signal::Traces, Check::Framing, Depth::Counts).check(body.into()).expect("whole frames")
    };
    // resource_spans { scope_spans { spans { name } } }
    let sound = framed(&[0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, b'A']);
    assert_eq!(block_on(async { exporter.open().send(&item(sound)).await }), Outcome::DELIVERED);
    let broken = framed(&[0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, 0xff]);
    let outcome = block_on(async { exporter.open().send(&item(broken)).await });
    let Outcome::Permanent { code, reason } = outcome else { panic!("{outcome:?}") };
    assert!(code == "unsendable" && reason.contains("no JSON form") && reason.contains("byte 8"), "{reason}");

    let error = OtlpExporter::try_new(OtlpConfig::default().with_encoding(Encoding::Json)).expect_err("gRPC");
    assert_eq!(error.key, "encoding");
}

#[test]
fn sixty_four_senders_at_once() {
    let side = Side::start();
    let exporter = exporter(&side, Protocol::Grpc, None);
    block_on(async {
        let senders: Vec<_> = (0..64).map(|_| exporter.open()).collect();
        let items: Vec<_> = (0..64).map(|i| item(batch(i + 1))).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for (sender, item) in senders.into_iter().zip(items) {
            tasks.spawn(async move {
                for _ in 0..5 {
                    assert_eq!(sender.send(&item).await, Outcome::DELIVERED);
                }
                sender
            });
        }
        // Kept until all are done, so that all their connections are open at once.
        let open: Vec<_> = tasks.join_all().await;
        assert_eq!(side.listening().counts().connections_open, 64);
        drop(open);
        eventually("all connections closed", || side.listening().counts().connections_open == 0).await;
    });
    let counts = side.listening().counts();
    assert_eq!(counts.signal(Signal::Traces).records_admitted, 5 * (1..=64).sum::<u64>());
    assert_eq!(counts.connections_accepted, 64);
    assert_eq!(side.memory.budget.used(), 0);
}

#[test]
fn nobody_listens_and_a_connection_that_breaks() {
    let nobody = Nobody::bind();
    let exporter = OtlpExporter::new(OtlpConfig::default().with_endpoint(nobody.address.to_string()));
    let outcome = block_on(async { exporter.open().send(&item(batch(1))).await });
    assert!(matches!(outcome, Outcome::Retry { maybe_delivered: false, .. }), "{outcome:?}");

    let side = Side::start();
    side.memory.answer_with(None);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        // The receiver takes the request and then lives no longer.
        let mut side = Side::start();
        side.memory.answer_with(None);
        let exporter = self::exporter(&side, protocol, None);
        let outcome = block_on(async {
            let sender = exporter.open();
            let request = item(batch(3));
            let sending = sender.send(&request);
            let memory = side.memory.clone();
            let listening = side.listening.take().expect("running");
            let end = std::thread::spawn(move || {
                while memory.batches.lock().expect("unpoisoned").is_empty() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                listening.stop(Instant::now());
            });
            let outcome = sending.await;
            end.join().expect("stopped");
            outcome
        });
        assert!(matches!(outcome, Outcome::Retry { maybe_delivered: true, .. }), "{protocol:?} {outcome:?}");
    }
}

/// A sender whose connection was closed in peace makes a new one.
#[test]
fn a_sender_reconnects() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        assert!((0..20).any(|_| reconnects_at_once(protocol)), "{protocol:?}");
    }
}

/// Whether what is sent to a receiver that was begun anew arrives at once. The kernel may bring the end of the old
/// connection after the request has gone there: then nobody knows what became of it, and the next one arrives.
fn reconnects_at_once(protocol: Protocol) -> bool {
    let mut settings = settings_at(own_address());
    let mut side = Side::with(settings.clone(), 64 << 20);
    let exporter = self::exporter(&side, protocol, None);
    if let (Some(grpc), Some(http)) = (&mut settings.grpc, &mut settings.http) {
        (grpc.endpoint, http.endpoint) = (side.grpc().to_string(), side.http().to_string());
    }
    block_on(async {
        let sender = exporter.open();
        assert_eq!(sender.send(&item(batch(1))).await, Outcome::DELIVERED);
        let listening = side.listening.take().expect("running");
        let stopped = std::thread::spawn(move || listening.stop(Instant::now() + PATIENCE));
        eventually("the receiver stopped", || stopped.is_finished()).await;
        assert_eq!(stopped.join().expect("no panic"), 0, "an idle connection goes when asked");
        let next = Side::with(settings, 64 << 20);
        let first = sender.send(&item(batch(2))).await;
        let is_at_once = !matches!(first, Outcome::Retry { maybe_delivered: true, .. });
        let last = if is_at_once { first } else { sender.send(&item(batch(2))).await };
        assert_eq!(last, Outcome::DELIVERED);
        assert_eq!(next.memory.batches.lock().expect("unpoisoned").len(), 1);
        is_at_once
    })
}

/// Whoever has stopped listening has nobody on its ports: another can begin there at once.
#[test]
fn a_receiver_that_has_stopped_has_let_go_of_its_ports() {
    // What is open here is also held by a process that another test makes, until it has begun.
    if !is_alone("round_trip::a_receiver_that_has_stopped_has_let_go_of_its_ports") {
        return;
    }
    for _ in 0..100 {
        let mut side = Side::with(settings_at(own_address()), 64 << 20);
        let address = side.grpc();
        side.listening.take().expect("running").stop(Instant::now() + PATIENCE);
        std::net::TcpListener::bind(address).expect("free");
    }
}

/// A request that meets a connection in its closing is sent on another one: nobody has seen it, and nothing is to be waited for.
#[test]
fn a_connection_may_close_behind_a_senders_back() {
    let mut settings = settings_at(own_address());
    let mut side = Side::with(settings.clone(), 64 << 20);
    let exporter = self::exporter(&side, Protocol::Http, None);
    settings.http.as_mut().expect("spoken").endpoint = side.http().to_string();
    block_on(async {
        let sender = exporter.open();
        assert_eq!(sender.send(&item(batch(1))).await, Outcome::DELIVERED);
        // The connection is looked after by this thread: it comes to know of its end and of the next request at once.
        let left = side.listening.take().expect("running").stop(Instant::now() + PATIENCE);
        assert_eq!(left, 0, "an idle connection goes when asked");
        let next = Side::with(settings, 64 << 20);
        tokio::task::yield_now().await;
        assert_eq!(sender.send(&item(batch(2))).await, Outcome::DELIVERED);
        assert_eq!(next.memory.batches.lock().expect("unpoisoned").len(), 1);
    });
}

/// A server that has not looked at a request may say so (RFC 9113, section 8.7), and gets it once more.
#[test]
fn refused_streams_are_sent_once_more() {
    block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let far = listener.local_addr().expect("bound");
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = h2::server::handshake(stream).await.expect("a preface");
            let mut seen = 0;
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                seen += 1;
                if seen == 1 {
                    let status =
                        http::Response::builder().header("grpc-status", "0").body(()).expect("right");
                    answer.send_response(status, true).expect("open");
                } else {
                    answer.send_reset(h2::Reason::REFUSED_STREAM);
                }
            }
            seen
        });
        let config = OtlpConfig { timeout: PATIENCE, ..OtlpConfig::default() };
        let exporter = OtlpExporter::new(config.with_endpoint(far.to_string()));
        let sender = exporter.open();
        assert_eq!(sender.send(&item(batch(1))).await, Outcome::DELIVERED);
        let outcome = sender.send(&item(batch(1))).await;
        assert!(matches!(outcome, Outcome::Retry { maybe_delivered: false, .. }), "{outcome:?}");
        drop((sender, exporter));
        assert_eq!(serving.await.expect("no panic"), 3);
    });
}

#[test]
fn profiles_and_metrics_find_their_way_by_path() {
    let side = Side::start();
    for signal in [Signal::Metrics, Signal::Profiles] {
        let empty =
            Checker::new(signal, Check::Full, Depth::Counts).check(bytes::Bytes::new()).expect("valid");
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let exporter = exporter(&side, protocol, None);
            let outcome = block_on(async { exporter.open().send(&item(empty.clone())).await });
            // No pipeline takes them here.
            let Outcome::Permanent { reason, .. } = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("no pipeline for its signal"), "{reason}");
        }
    }
    let exporter = exporter(&side, Protocol::Http, None);
    let empty =
        Checker::new(Signal::Logs, Check::Full, Depth::Counts).check(bytes::Bytes::new()).expect("valid");
    assert_eq!(block_on(async { exporter.open().send(&item(empty)).await }), Outcome::DELIVERED);
    assert!(side.memory.batches.lock().expect("unpoisoned").is_empty(), "an empty request is not offered");
}

/// The far side answers nobody before all of them are there: one after the other would wait for ever.
#[test]
fn as_many_requests_are_in_flight_as_there_are_consumers() {
    const SENDS: usize = 8;
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let side = Side::start();
        side.memory.answer_with(None);
        let (ledger, health) = (Ledger::new(), Health::new());
        let settings = ExporterSettings {
            consumers: SENDS,
            acknowledge: Acknowledge::Exported,
            timeout: PATIENCE,
            ..ExporterSettings::default()
        };
        // One shard: they share one sender.
        let shards = Shards::start(1, "out").expect("threads");
        let exporter = Arc::new(exporter(&side, protocol, None));
        let queue = ExporterQueue::start(exporter, settings, &shards, &ledger, &health);
        for _ in 0..2 * SENDS {
            queue.offer(item(batch(3)), 0, 1);
        }
        let waiting = || side.memory.waiting.lock().expect("unpoisoned");
        for _ in 0..2 {
            block_on(eventually("all of them are in flight", || waiting().len() == SENDS));
            std::thread::sleep(Duration::from_millis(50));
            let shares = std::mem::take(&mut *waiting());
            assert_eq!(shares.len(), SENDS, "and no more");
            shares.into_iter().for_each(|share| share.resolve(Outcome::DELIVERED));
        }
        let delivered = || ledger.stats().exporters.iter().map(|row| row.delivered).sum::<u64>();
        block_on(eventually("all are delivered", || delivered() == 6 * SENDS as u64));
        let connections = if protocol == Protocol::Http { SENDS as u64 } else { 1 };
        let counts = side.listening().counts();
        assert_eq!(counts.connections_accepted, connections, "{protocol:?} uses them again");
        shards.stop(Instant::now());
    }
}
