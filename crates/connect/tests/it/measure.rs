//! The load generator against the sink: both must agree on every record.

use std::time::{Duration, Instant};

use aldis_connect::otlp::{
    Encoding, OtlpConfig, Protocol,
    load::{self, Corpus, Load, Pace},
    sink::{Rate, Sink, SinkSettings},
};
use bytes::Bytes;
use otlp::{Codec, Signal};
use pipeline::Shards;

use crate::side::{PATIENCE, settings};

fn with_sink(limits: &SinkSettings, test: impl FnOnce(&Sink)) -> aldis_connect::otlp::sink::SinkReport {
    let shards = Shards::start(1, "sink").expect("a thread");
    let sink =
        Sink::start(SinkSettings { receiver: settings(), ..limits.clone() }, &shards).expect("free ports");
    test(&sink);
    let soon = Instant::now() + PATIENCE;
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
    let timeout = PATIENCE;
    let target = OtlpConfig { protocol, compression: codec, endpoint, timeout, ..OtlpConfig::default() };
    // By number: on a machine that is busy nothing might be sent within a time.
    let (duration, requests) = (Duration::MAX, Some(100));
    Load { target, connections: 2, in_flight: 3, duration, requests, ..Load::default() }
}

#[test]
fn sent_and_counted_agree() {
    let corpus = Corpus::logs(3, 100);
    assert_eq!((corpus.len(), corpus.records()), (3, 300));
    let each = corpus.bytes() / corpus.records();
    assert!((250..350).contains(&each), "{each} bytes per log");
    for (protocol, encoding) in [
        (Protocol::Grpc, Encoding::Proto),
        (Protocol::Http, Encoding::Proto),
        (Protocol::Http, Encoding::Json),
    ] {
        for codec in [None, Some(Codec::Gzip), Some(Codec::Zstd)] {
            let mut sent = None;
            let got = with_sink(&SinkSettings::default(), |sink| {
                let mut settings = Load { stamp_every: 2, ..load(sink, protocol, codec) };
                settings.target.encoding = encoding;
                sent = Some(load::run(&settings, &corpus).expect("settings are right"));
            });
            let sent = sent.expect("ran");
            assert!(sent.delivered_records > 0);
            assert_eq!((sent.delivered_records, sent.delivered_requests), (got.records, got.requests));
            assert_eq!((sent.rejected_records, sent.refused_records()), (0, 0), "{sent:?}");
            assert!(got.stamps.abs_diff(got.requests / 2) <= 2, "every second one is stamped: {got:?}");
            assert!(got.p50_ms > 0.0 && got.p50_ms <= got.p90_ms && got.p90_ms <= got.p99_ms, "{got:?}");
            // A quantile is off by at most one part in 16, the maximum is exact.
            assert!(got.max_ms > 0.0 && got.p99_ms <= got.max_ms * 17.0 / 16.0, "{got:?}");
            let plain = got.requests * corpus.bytes() / 3;
            let is_packed = codec.is_some() && encoding == Encoding::Proto;
            assert_eq!(is_packed, got.bytes < plain / 2, "{} of {plain} bytes", got.bytes);
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

/// How long it took.
fn timed(settings: &Load, corpus: &Corpus) -> Duration {
    let begun = Instant::now();
    load::run(settings, corpus).expect("settings are right");
    begun.elapsed()
}

/// A limit on one side, a pace on the other: neither is exceeded in the time that the requests took.
#[test]
fn rates_are_upper_bounds() {
    let corpus = Corpus::logs(1, 10);
    let limited = SinkSettings { rate: Some(Rate::Records(500.0)), ..SinkSettings::default() };
    let mut took = Duration::ZERO;
    let got = with_sink(&limited, |sink| {
        took = timed(&Load { requests: Some(30), ..load(sink, Protocol::Grpc, None) }, &corpus);
    });
    // 50 requests per second, and what is in flight.
    assert_eq!(got.requests, 30);
    assert!(30.0 <= 50.0 * took.as_secs_f64() + 6.0 + 1.0, "{took:?}");
    let got = with_sink(&SinkSettings::default(), |sink| {
        let (requests, pace) = (Some(20), Pace::Requests(100.0));
        took = timed(&Load { requests, pace, ..load(sink, Protocol::Grpc, None) }, &corpus);
    });
    assert_eq!(got.requests, 20);
    assert!(20.0 <= 100.0 * took.as_secs_f64() + 1.0, "{took:?}");
    // The second one is due in a year, or at no time that there is.
    for rate in [3e-8, 1e-30] {
        let got = with_sink(&SinkSettings::default(), |sink| {
            // What is due later is not waited for.
            let duration = PATIENCE;
            let paced = Load { duration, pace: Pace::Requests(rate), ..load(sink, Protocol::Grpc, None) };
            load::run(&paced, &corpus).expect("settings are right");
        });
        assert_eq!(got.requests, 1, "{rate}");
    }
}

#[test]
fn it_ends_after_so_many_requests() {
    let corpus = Corpus::logs(2, 10);
    for in_flight in [1, 3] {
        let mut sent = None;
        let got = with_sink(&SinkSettings::default(), |sink| {
            let duration = Duration::MAX;
            let settings =
                Load { requests: Some(7), duration, in_flight, ..load(sink, Protocol::Grpc, None) };
            sent = Some(load::run(&settings, &corpus).expect("settings are right"));
        });
        assert_eq!((got.requests, sent.map(|sent| sent.delivered_requests)), (7, Some(7)));
        assert_eq!(got.stamps, 0, "the logs are old");
    }
}

#[test]
fn what_has_no_time_cannot_be_stamped() {
    // resource_spans { scope_spans { spans { name } } }
    let span = Bytes::from_static(&[0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, b'A']);
    let corpus = Corpus::of(Signal::Traces, vec![span]).expect("valid");
    let error = load::run(&Load { stamp_every: 1, ..Load::default() }, &corpus).expect_err("no time");
    assert!(matches!(error, load::LoadError::NothingToStamp), "{error}");
}
