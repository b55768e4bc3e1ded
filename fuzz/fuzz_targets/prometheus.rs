#![no_main]

use aldis_connect::prometheus::{
    Escaping, Format, PrometheusConfig, PrometheusExporter, RemoteWriteConfig, RemoteWriteExporter,
    RemoteWriteMessage, Syntax, TranslationStrategy,
};
use aldis_otlp::{Check, Checker, Depth, Signal};
use prost::Message;

/// Label sets of requests of 1.0, all that this reads of them.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Of 2.0.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<Refs>,
}

#[derive(Clone, PartialEq, Message)]
struct Refs {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
}

// Whatever metrics are valid are exposed and written without a panic; what is exposed is text, and what is written has labels
// that are sorted and different, the same ones in both versions.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let request = bytes.to_vec().into();
    let Ok(batch) = Checker::new(Signal::Metrics, Check::Full, Depth::Records).check(request) else { return };
    for strategy in TranslationStrategy::ALL {
        let config = PrometheusConfig::default().with_translation_strategy(strategy).with_open_metrics(true);
        let exporter = PrometheusExporter::with_config(config);
        let observed = exporter.observe(&batch, 1);
        assert_eq!(observed.taken + observed.rejected, batch.len() as u64);
        for syntax in [Syntax::Text, Syntax::OpenMetrics] {
            let page = exporter.render(Format { syntax, escaping: Escaping::AllowUtf8 }, 2);
            assert!(std::str::from_utf8(&page).is_ok(), "{strategy}");
        }
        exporter.render(Format { syntax: Syntax::Protobuf, escaping: Escaping::Underscores }, 3);
        let config = RemoteWriteConfig { translation_strategy: strategy, ..RemoteWriteConfig::default() };
        let exporter = RemoteWriteExporter::new(config);
        let plain = first(&exporter.requests(&batch, RemoteWriteMessage::V1));
        let referred = second(&exporter.requests(&batch, RemoteWriteMessage::V2));
        assert_eq!(plain, referred, "{strategy}");
        for labels in plain {
            assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{strategy}: {labels:?}");
            assert!(labels.iter().any(|(name, value)| name == "__name__" && !value.is_empty()), "{labels:?}");
        }
    }
});

fn first(requests: &[Vec<u8>]) -> Vec<Vec<(String, String)>> {
    let read = |request: &Vec<u8>| WriteRequest::decode(&request[..]).expect("a request of 1.0").series;
    let pairs = |series: TimeSeries| series.labels.into_iter().map(|l| (l.name, l.value)).collect();
    requests.iter().flat_map(read).map(pairs).collect()
}

fn second(requests: &[Vec<u8>]) -> Vec<Vec<(String, String)>> {
    let mut all = Vec::new();
    for request in requests {
        let request = Request::decode(&request[..]).expect("a request of 2.0");
        let text = |number: u32| request.symbols[number as usize].clone();
        for series in &request.series {
            all.push(series.labels.chunks(2).map(|pair| (text(pair[0]), text(pair[1]))).collect());
        }
    }
    all
}
