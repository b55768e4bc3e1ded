//! `OtlpConfig`: what each field changes, seen by the far side or in the outcome.

use std::time::Duration;

use aldis_connect::{
    auth::{BearerSettings, ServerAuthSettings},
    otlp::{Encoding, OtlpConfig, OtlpExporter, Protocol},
    tls::TlsClientSettings,
};
use otlp::{Batch, Check, Checker, Codec, Depth, Signal};
use pipeline::{Budget, Exporter, Item, Outcome};

use crate::side::{Nobody, PATIENCE, Side, block_on, eventually, settings, spans};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

/// A configuration that sends to this side.
fn config(side: &Side, protocol: Protocol) -> OtlpConfig {
    let address = if protocol == Protocol::Grpc { side.grpc() } else { side.http() };
    let config = OtlpConfig { timeout: PATIENCE, ..OtlpConfig::default() };
    config.with_protocol(protocol).with_endpoint(format!("http://{address}"))
}

fn send(config: OtlpConfig, batch: Batch) -> Outcome {
    let exporter = OtlpExporter::try_new(config).expect("right");
    block_on(async { exporter.open().send(&Item::new(batch)).await })
}

fn batch(signal: Signal, body: bytes::Bytes) -> Batch {
    Checker::new(signal, Check::Full, Depth::Counts).check(body).expect("valid")
}

fn hundred() -> Batch {
    batch(Signal::Traces, spans(100))
}

#[test]
fn headers_arrive() {
    let mut settings = settings();
    settings.grpc.as_mut().expect("grpc").include_metadata = true;
    settings.http.as_mut().expect("http").include_metadata = true;
    let side = Side::with(settings, 64 << 20);
    for protocol in PROTOCOLS {
        let config = config(&side, protocol).with_header("x-a", "1");
        assert_eq!(config.headers, [("x-a".to_owned(), aldis_connect::Secret::from("1"))]);
        assert_eq!(send(config, hundred()), Outcome::DELIVERED);
        let headers = side.memory.headers.lock().expect("unpoisoned").pop().flatten().expect("metadata");
        assert!(headers.contains(&("x-a".to_owned(), "1".to_owned())), "{protocol:?} {headers:?}");
    }
}

#[test]
fn a_token_opens_a_listener_that_wants_one() {
    let guard = ServerAuthSettings::Bearer(BearerSettings::default().with_token("the token"));
    let mut settings = settings();
    settings.grpc.as_mut().expect("grpc").auth = Some(guard.clone());
    settings.http.as_mut().expect("http").auth = Some(guard);
    let side = Side::with(settings, 64 << 20);
    for protocol in PROTOCOLS {
        let stranger = config(&side, protocol);
        assert_eq!(stranger.auth, None);
        let told = format!("{:?}", send(stranger, hundred()));
        assert!(told.contains("UNAUTHENTICATED") || told.contains("401"), "{told}");
        let known = config(&side, protocol).with_bearer_token("the token");
        assert_eq!(send(known, hundred()), Outcome::DELIVERED, "{protocol:?}");
    }
    let told =
        format!("{:?}", OtlpConfig::default().with_bearer_token("sesame").with_header("x-a", "sesame"));
    assert!(!told.contains("sesame"), "{told}");
}

/// The text is in memory beside the batch for as long as the far side takes.
#[test]
fn what_is_written_as_json_is_charged_while_it_is_sent() {
    let side = Side::start();
    side.memory.answer_with(None);
    for (encoding, least) in [(Encoding::Proto, 0), (Encoding::Json, 10_000)] {
        let budget = Budget::new(1 << 20);
        let config = config(&side, Protocol::Http).with_encoding(encoding);
        let mut item = Item::new(hundred());
        item.context.charges = vec![budget.try_charge(1000).expect("free")];
        let sender = OtlpExporter::try_new(config).expect("right").open();
        block_on(async {
            let waiting = || !side.memory.waiting.lock().expect("unpoisoned").is_empty();
            let mut sending = std::pin::pin!(sender.send(&item));
            tokio::select! {
                outcome = &mut sending => panic!("{outcome:?}"),
                () = eventually("it is under way", waiting) => {}
            }
            let beside = budget.used() - 1000;
            assert!(beside >= least && beside < 100_000, "{encoding:?}: {beside}");
            side.memory
                .waiting
                .lock()
                .expect("unpoisoned")
                .drain(..)
                .for_each(|share| share.resolve(Outcome::DELIVERED));
            assert_eq!(sending.await, Outcome::DELIVERED);
        });
        assert_eq!(budget.used(), 1000, "{encoding:?}");
    }
}

#[test]
fn a_harder_compression_level_makes_fewer_bytes() {
    let side = Side::start();
    for protocol in PROTOCOLS {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let [quick, hard] = [1, 12].map(|compression_level| {
                let config =
                    OtlpConfig { compression_level, ..config(&side, protocol).with_compression(codec) };
                assert_eq!((config.compression, send(config, hundred())), (Some(codec), Outcome::DELIVERED));
                let got = side.memory.batches.lock().expect("unpoisoned").pop().expect("one batch");
                got.compressed(codec).expect("compressed").len()
            });
            assert!(hard < quick, "{protocol:?} {codec:?}: {hard} against {quick}");
        }
    }
}

/// The kernel connects, and nobody answers: a receiver would end a call over gRPC itself, as it is told the time.
#[test]
fn an_attempt_ends_after_its_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound");
    for protocol in PROTOCOLS {
        let config = OtlpConfig { timeout: Duration::from_millis(50), ..OtlpConfig::default() };
        let config = config.with_protocol(protocol).with_endpoint(format!("http://{address}"));
        let outcome = send(config, hundred());
        let Outcome::Retry { maybe_delivered: true, reason, .. } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("no answer within 50ms"), "{reason}");
    }
}

#[test]
fn as_many_connections_are_made_as_told_and_taken_in_turn() {
    for (connections, sends) in [(3, 7), (1, 7)] {
        let side = Side::start();
        let config = OtlpConfig { connections, ..config(&side, Protocol::Grpc) };
        let exporter = OtlpExporter::try_new(config).expect("right");
        block_on(async {
            let sender = exporter.open();
            for _ in 0..sends {
                assert_eq!(sender.send(&Item::new(hundred())).await, Outcome::DELIVERED);
            }
        });
        assert_eq!(side.listening().counts().connections_accepted, connections as u64);
    }
}

/// Nobody listens at the endpoint of the others. An empty request of any signal is taken at any path.
#[test]
fn a_url_of_a_signals_own_is_used_as_it_is() {
    let side = Side::start();
    let own = Some(format!("http://{}/v1/logs", side.http()));
    let nobody = Nobody::bind();
    let base = || {
        let config = OtlpConfig { timeout: PATIENCE, ..OtlpConfig::default() };
        config.with_protocol(Protocol::Http).with_endpoint(format!("http://{}", nobody.address))
    };
    let rows = [
        (Signal::Traces, OtlpConfig { traces_endpoint: own.clone(), ..base() }),
        (Signal::Logs, OtlpConfig { logs_endpoint: own.clone(), ..base() }),
        (Signal::Metrics, OtlpConfig { metrics_endpoint: own.clone(), ..base() }),
        (Signal::Profiles, OtlpConfig { profiles_endpoint: own.clone(), ..base() }),
    ];
    for (signal, config) in rows {
        for sent in Signal::ALL {
            assert_eq!(config.own_endpoint(sent), own.as_deref().filter(|_| sent == signal));
            let outcome = send(config.clone(), batch(sent, bytes::Bytes::new()));
            assert_eq!(outcome == Outcome::DELIVERED, sent == signal, "{signal}: {sent} {outcome:?}");
        }
    }
}

fn no_such_file() -> TlsClientSettings {
    TlsClientSettings { ca_file: Some("/no/such/file".into()), ..TlsClientSettings::default() }
}

#[test]
fn what_is_wrong_is_told_by_validate_and_by_every_send() {
    let plain = OtlpConfig::default().with_endpoint("127.0.0.1:1");
    assert_eq!((plain.validate(), plain.validate_values()), (Ok(()), Ok(())));
    let rows = [
        ("endpoint", OtlpConfig { endpoint: "collector".to_owned(), ..plain.clone() }),
        (
            "tls",
            OtlpConfig { endpoint: "https://collector".to_owned(), tls: no_such_file(), ..plain.clone() },
        ),
        ("timeout", OtlpConfig { timeout: Duration::ZERO, ..plain.clone() }),
        ("connections", OtlpConfig { connections: 0, ..plain.clone() }),
        ("headers", plain.clone().with_header("a b", "c")),
        (
            "compression_params.level",
            OtlpConfig { compression_level: 13, ..plain.with_compression(Codec::Gzip) },
        ),
    ];
    for (key, config) in rows {
        assert_eq!(config.validate().expect_err(key).key, key);
        assert_eq!(OtlpExporter::try_new(config.clone()).expect_err(key).key, key);
        let exporter = OtlpExporter::new(OtlpConfig { name: format!("wrong {key}"), ..config.clone() });
        assert_eq!(exporter.name(), format!("wrong {key}"));
        assert_eq!(exporter.config().endpoint, config.endpoint);
        let outcome = block_on(async { exporter.open().send(&Item::new(hundred())).await });
        assert!(matches!(outcome, Outcome::Permanent { reason, .. } if reason.starts_with(key)), "{key}");
    }
}
