//! Configurations as users of the Collector write them: each is taken as it is, and carries telemetry to all of its exporters.
//!
//! Only addresses are changed before it runs, in the graph that was read: receivers listen on free ports, exporters send to a far
//! side here. That the Collector takes the same files is shown by the suite `configs`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use aldis_engine::{
    Checked, Engine, Graph, Options, check,
    components::{
        Settings,
        listeners::{Transport, listeners},
    },
};
use connect::{
    otlp::{OtlpConfig, OtlpExporter, Protocol},
    tls::{TlsClientSettings, TlsSettings},
};
use otlp::{AttributeValue, Batch, LogRecord, Signal, Span, SpanStatus, event::Metric};
use pipeline::{Exporter, Item, Outcome};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{
    ends::{A_WHILE, Far, Near, PATIENCE, block_on, eventually, listener, request},
    remote_writing::Receiver,
    telling::get,
};

/// What senders show.
const TOKEN: &str = "a-token-that-nobody-guesses";

/// What these configurations find in their environment.
fn environment(name: &str, certificates: &Path) -> Option<String> {
    let value = match name {
        "CERTS" | "OUTPUT" => certificates.to_str()?,
        "INGEST_TOKEN" => TOKEN,
        "VENDOR_TOKEN" => "another-token-that-nobody-guesses",
        "HOSTNAME" => "host-1",
        "MY_POD_IP" => "127.0.0.1",
        "MY_POD_NAME" => "checkout-7f9c",
        "MY_NODE_NAME" => "node-3",
        "VENDOR_API_KEY" => "key",
        _ => return None,
    };
    Some(value.to_owned())
}

/// A CA, and what it signed for `localhost`: a server's certificate and a client's.
fn certificates() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write("ca.crt", params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    for name in ["server", "client"] {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.crt"), params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    folder
}

/// A client that shows its certificate.
fn client(certificates: &Path) -> TlsClientSettings {
    let file = |name: &str| Some(certificates.join(name));
    TlsClientSettings {
        common: TlsSettings {
            cert_file: file("client.crt"),
            key_file: file("client.key"),
            ..TlsSettings::default()
        },
        ca_file: file("ca.crt"),
        server_name_override: Some("localhost".to_owned()),
        ..TlsClientSettings::default()
    }
}

/// A far side that is itself an engine, and wants certificates.
fn guarded(certificates: &Path) -> Near {
    let files = certificates.display();
    let tls = format!(
        "{{cert_file: '{files}/server.crt', key_file: '{files}/server.key', client_ca_file: '{files}/ca.crt'}}"
    );
    Near::relaying(&listener("grpc", &format!("tls: {tls}")), "nop:")
}

fn files(certificates: &Path) -> Vec<(String, Checked)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/configs/wild");
    let read = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = read.collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let check = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        (
            file.file_name().unwrap().to_str().unwrap().to_owned(),
            check(&text, &|name| environment(name, certificates)),
        )
    };
    files.into_iter().map(check).collect()
}

#[test]
fn configurations_in_the_wild_are_taken_unchanged() {
    let certificates = certificates();
    for (name, checked) in files(certificates.path()) {
        assert!(!checked.problems.has_errors(), "{name}: {:#?}", checked.problems);
    }
}

#[test]
fn configurations_in_the_wild_carry_telemetry_to_every_exporter() {
    let certificates = certificates();
    for (name, checked) in files(certificates.path()) {
        let (far, guarded) = (Far::taking(), guarded(certificates.path()));
        let written = Receiver::start(false, &[]);
        let mut graph = checked.graph;
        let settings = graph.receivers.values_mut().chain(graph.exporters.values_mut());
        let settings = settings.chain(graph.extensions.values_mut());
        settings.for_each(|settings| relocate(settings, &far, &guarded, &written));
        let readers = graph.telemetry.readers.iter_mut().flatten();
        readers.for_each(|reader| reader.endpoint = "127.0.0.1:0".to_owned());
        let spans = graph.telemetry.traces.iter_mut();
        spans.for_each(|spans| spans.exporter.endpoint = format!("http://{}", far.address(Protocol::Http)));
        let engine = Engine::start(&graph, Options { shards: 1, ..Options::default() });
        let engine = engine.unwrap_or_else(|error| panic!("{name}: {error}"));
        block_on(carry(&name, &graph, &engine, certificates.path()));
        tells_of_itself(&name, &graph, &engine);
        if name == "file_export.yaml" {
            let lines = fs::read_to_string(certificates.path().join("telemetry.jsonl")).unwrap();
            assert_eq!(lines.lines().count(), 3, "a request of each signal: {lines}");
        }
        if name == "remote_write.yaml" {
            let (head, _) = written.got().remove(0);
            assert!(head.contains("x-scope-orgid: shop\r\n"), "{head}");
        }
        let report = engine.shutdown(Instant::now() + PATIENCE);
        assert!(report.is_complete(), "{name}: {report:#?}");
        assert_eq!(report.stats.check(), Ok(()), "{name}");
        if name == "observed.yaml" {
            let own = |batch: &Batch| batch.raw().windows(15).any(|bytes| bytes == b"aldis.telemetry");
            assert!(far.batches().iter().any(own), "the spans of its own work have come");
        }
    }
}

/// Asks the pages that a file wants.
fn tells_of_itself(name: &str, graph: &Graph, engine: &Engine) {
    let page = |protocol: &str, path: &str| {
        let bound = engine.addresses().iter().find(|bound| bound.protocol == protocol);
        get(bound.unwrap_or_else(|| panic!("{name}: no {protocol}")).address, path)
    };
    if graph.telemetry.readers.as_ref().is_some_and(|readers| !readers.is_empty()) {
        let (status, body) = page("metrics", "/metrics");
        assert!(status == 200 && body.contains("otelcol_receiver_accepted_spans{"), "{name}: {body}");
    }
    for settings in graph.extensions.values() {
        if let Settings::HealthCheck(settings) = settings {
            // Whether it is well is a matter of the whole process, in which other tests run.
            let (status, body) = page("health", &settings.path);
            assert!(matches!(status, 200 | 503) && body.contains("upSince"), "{name}: {status} {body}");
        }
    }
}

/// Sends a record of every signal to every receiver that takes it, until all exporters have delivered some.
async fn carry(name: &str, graph: &Graph, engine: &Engine, certificates: &Path) {
    for (id, settings) in &graph.receivers {
        let bound = engine.addresses().iter().find(|bound| bound.receiver == id.to_string());
        let bound = bound.unwrap_or_else(|| panic!("{name}: {id} does not listen"));
        let protocol = if bound.protocol == "grpc" { Protocol::Grpc } else { Protocol::Http };
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            if graph.fed_by(id, signal).next().is_none() {
                continue;
            }
            let mut config = OtlpConfig {
                endpoint: format!("http://{}", bound.address),
                timeout: PATIENCE,
                ..OtlpConfig::default().with_protocol(protocol).with_bearer_token(TOKEN)
            };
            if listeners(settings).iter().any(|listener| listener.transport == Transport::MutualTls) {
                config.endpoint = format!("https://{}", bound.address);
                config.tls = client(certificates);
            }
            if name == "pipelines.yaml" && protocol == Protocol::Http {
                config.traces_endpoint = Some(format!("http://{}/otlp/traces", bound.address));
            }
            let sender = OtlpExporter::try_new(config).unwrap().open();
            let end = Instant::now() + PATIENCE;
            loop {
                match sender.send(&Item::new(record(signal))).await {
                    // Memory is a matter of the whole process, too.
                    Outcome::Retry { overloaded: true, .. } if Instant::now() < end => {
                        tokio::time::sleep(A_WHILE).await;
                    }
                    outcome => break assert_eq!(outcome, Outcome::DELIVERED, "{name}: {id} {signal}"),
                }
            }
        }
    }
    for plan in &graph.pipelines {
        for exporter in &plan.exporters {
            let what = format!("{name}: {exporter} delivers {}", plan.signal);
            let delivered = || {
                let stats = engine.stats();
                let of = |row: &&pipeline::stats::ExporterStats| {
                    *row.name == exporter.to_string() && row.signal == plan.signal
                };
                stats.exporters.iter().find(of).is_some_and(|row| row.delivered > 0)
            };
            eventually(&what, delivered).await;
        }
    }
}

/// A record that no filter in these files takes out: a failed request.
fn record(signal: Signal) -> Batch {
    let attributes = vec![("url.path".to_owned(), AttributeValue::String("/api/checkout".to_owned()))];
    let event = match signal {
        Signal::Traces => Span {
            name: "POST /api/checkout".into(),
            attributes,
            status: SpanStatus::Error,
            ..Span::default()
        }
        .into(),
        Signal::Logs => LogRecord { attributes, severity_number: 17, ..LogRecord::default() }.into(),
        _ => Metric { attributes, name: "orders".into(), time_ns: 5_000_000_000, ..Metric::default() }.into(),
    };
    request(&[event])
}

/// Listens on free ports, and sends to the far side.
fn relocate(settings: &mut Settings, far: &Far, guarded: &Near, written: &Receiver) {
    let free = || "127.0.0.1:0".to_owned();
    match settings {
        Settings::OtlpReceiver(settings) => {
            settings.grpc.iter_mut().for_each(|grpc| grpc.endpoint = free());
            settings.http.iter_mut().for_each(|http| http.endpoint = free());
        }
        Settings::OtlpExporter(settings) => {
            let config = &mut settings.config;
            let is_plain =
                config.endpoint.starts_with("http:") || config.endpoint.is_empty() || config.tls.is_plain();
            let base = match is_plain {
                true => format!("http://{}", far.address(config.protocol)),
                false => format!("https://{}", guarded.address("grpc")),
            };
            let own = [
                (&mut config.traces_endpoint, "traces"),
                (&mut config.logs_endpoint, "logs"),
                (&mut config.metrics_endpoint, "metrics"),
            ];
            for (endpoint, signal) in own {
                endpoint.iter_mut().for_each(|endpoint| *endpoint = format!("{base}/v1/{signal}"));
            }
            if !config.endpoint.is_empty() {
                config.endpoint = base;
            }
        }
        Settings::Prometheus(settings) => settings.server.endpoint = free(),
        Settings::HealthCheck(settings) => settings.server.endpoint = free(),
        Settings::RemoteWrite(settings) => {
            settings.config.endpoint = format!("http://{}/api/v1/push", written.address);
        }
        _ => {}
    }
}
