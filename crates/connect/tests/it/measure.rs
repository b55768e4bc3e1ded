//! The load generator against the sink: both must agree on every record.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use aldis_connect::otlp::{
    OtlpConfig, Protocol,
    load::{self, Corpus, Load, Pace},
    sink::{Rate, Sink, SinkSettings},
};
use otlp::{Codec, Signal};
use pipeline::Shards;

use crate::side::{settings, spans};

fn with_sink(limits: &SinkSettings, test: impl FnOnce(&Sink)) -> aldis_connect::otlp::sink::SinkReport {
    let shards = Shards::start(1, "sink").expect("a thread");
    let sink =
        Sink::start(SinkSettings { receiver: settings(), ..limits.clone() }, &shards).expect("free ports");
    test(&sink);
    let soon = Instant::now() + Duration::from_secs(2);
    let report = sink.stop(soon);
    shards.stop(soon);
    report
}

fn load(sink: &Sink, protocol: Protocol, codec: Option<Codec>) -> Load {
    let address = match protocol {
        Protocol::Grpc => sink.grpc_addr(),
        Protocol::Http => sink.http_addr(),
    };
    let endpoint = format!("http://{}", address.expect("listening"));
    let target = OtlpConfig { protocol, compression: codec, endpoint, ..OtlpConfig::default() };
    Load { target, connections: 2, in_flight: 3, duration: Duration::from_millis(200), ..Load::default() }
}

#[test]
fn sent_and_counted_agree() {
    let corpus = Corpus::logs(3, 100);
    assert_eq!((corpus.len(), corpus.records()), (3, 300));
    let each = corpus.bytes() / corpus.records();
    assert!((250..350).contains(&each), "{each} bytes per log");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            let mut sent = None;
            let got = with_sink(&SinkSettings::default(), |sink| {
                let settings = Load { stamp_every: 2, ..load(sink, protocol, codec) };
                sent = Some(load::run(&settings, &corpus).expect("settings are right"));
            });
            let sent = sent.expect("ran");
            assert!(sent.delivered_records > 0);
            assert_eq!((sent.delivered_records, sent.delivered_requests), (got.records, got.requests));
            assert_eq!((sent.rejected_records, sent.refused_records()), (0, 0), "{sent:?}");
            assert!(got.stamps.abs_diff(got.requests / 2) <= 2, "every second one is stamped: {got:?}");
            assert!(got.p50_ms > 0.0 && got.p50_ms <= got.p99_ms);
            let plain = got.requests * corpus.bytes() / 3;
            assert_eq!(codec.is_some(), got.bytes < plain / 2, "{} of {plain} bytes", got.bytes);
        }
    }
}

#[test]
fn refusals_are_counted_by_code() {
    let corpus = Corpus::logs(1, 10);
    for (protocol, code) in [(Protocol::Grpc, "UNAVAILABLE"), (Protocol::Http, "503")] {
        let mut sent = None;
        let got = with_sink(&SinkSettings { refuse: 0.5, ..SinkSettings::default() }, |sink| {
            sent = Some(load::run(&load(sink, protocol, None), &corpus).expect("settings are right"));
        });
        let sent = sent.expect("ran");
        assert_eq!(sent.delivered_records, got.records);
        assert_eq!(sent.refused[code].requests, got.refused_requests);
        assert!(got.refused_requests.abs_diff(got.requests) <= 1, "half of them: {got:?}");
    }
}

/// A limit on one side, a pace on the other: neither is exceeded.
#[test]
fn rates_are_upper_bounds() {
    let corpus = Corpus::logs(1, 10);
    let limited = SinkSettings { rate: Some(Rate::Records(500.0)), ..SinkSettings::default() };
    let got = with_sink(&limited, |sink| {
        load::run(&load(sink, Protocol::Grpc, None), &corpus).expect("settings are right");
    });
    // 50 requests per second for 0.2 s, and what is in flight.
    assert!((1..=10 + 6 + 1).contains(&got.requests), "{got:?}");
    let got = with_sink(&SinkSettings::default(), |sink| {
        let paced = Load { pace: Pace::Requests(100.0), ..load(sink, Protocol::Grpc, None) };
        load::run(&paced, &corpus).expect("settings are right");
    });
    assert!((1..=20).contains(&got.requests), "{got:?}");
}

#[test]
fn corpus_files_are_read_and_regrouped() {
    let mut plain = Vec::new();
    for request in [spans(5), spans(1), spans(7)] {
        plain.extend_from_slice(&(request.len() as u32).to_be_bytes());
        plain.extend_from_slice(&request);
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&zstd::encode_all(&plain[..], 1).expect("memory")).expect("written");
    let corpus = Corpus::read(Signal::Traces, file.path()).expect("valid");
    assert_eq!((corpus.len(), corpus.records()), (3, 13));
    let grouped = corpus.regroup(6).expect("valid");
    assert_eq!((grouped.len(), grouped.records(), grouped.bytes()), (2, 13, corpus.bytes()));

    let mut cut = tempfile::NamedTempFile::new().expect("a file");
    cut.write_all(&zstd::encode_all(&plain[..plain.len() - 1], 1).expect("memory")).expect("written");
    let error = Corpus::read(Signal::Traces, cut.path()).expect_err("cut off");
    assert!(error.to_string().contains("ends inside the request"), "{error}");
}
