//! What an engine tells of its reloads and of its certificates.

use std::{fs, time::SystemTime};

use aldis_engine::check;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::{
    ends::{BOTH, Near, PATIENCE},
    telling::{get, readers},
};

/// The settings that name a certificate that holds up to the end of a year.
fn certificate(folder: &TempDir, name: &str, until: i32) -> String {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 12, 31);
    let key = KeyPair::generate().unwrap();
    let [cert_file, key_file] = ["", "-key"].map(|end| folder.path().join(format!("{name}{end}.pem")));
    fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    format!("cert_file: '{}', key_file: '{}'", cert_file.display(), key_file.display())
}

/// The value of a sample, which has one line.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series}\n{page}")).trim().parse().unwrap()
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn reloads_are_counted_and_the_last_good_one_is_known() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let text = |receiver: &str| {
        let logs = format!("logs: {{output_paths: ['{}']}}", log.display());
        format!(
            "receivers: {{otlp: {receiver}}}\nexporters: {{nop: }}\nservice: {{telemetry: {{{}, {logs}}}, pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}}}\n",
            readers("basic")
        )
    };
    let began = seconds();
    let mut near = Near::running(&text(BOTH));
    let counts = |near: &Near| {
        let page = get(near.address("metrics"), "/metrics").1;
        [
            "aldis_reloads{result=\"good\"}",
            "aldis_reloads{result=\"failed\"}",
            "aldis_last_reload_successful",
            "aldis_last_reload_success_timestamp_seconds",
        ]
        .map(|series| value(&page, series))
    };
    let [good, failed, is_good, start] = counts(&near);
    assert_eq!((good, failed, is_good), (0.0, 0.0, 1.0));
    assert!(start >= began && start <= seconds(), "{start}");
    let reload = |near: &mut Near, text: &str| {
        let graph = check(text, &|_| None).graph;
        near.engine_mut().reload(&graph, PATIENCE).is_ok()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let impossible = format!("{{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}}}}}");
    assert!(!reload(&mut near, &text(&impossible)));
    assert_eq!(counts(&near), [0.0, 1.0, 0.0, start]);
    near.engine().note_failed_reload("the file has 2 errors");
    assert_eq!(counts(&near), [0.0, 2.0, 0.0, start]);
    assert!(reload(&mut near, &text(BOTH)), "nothing has changed, and that is right");
    let [good, failed, is_good, last] = counts(&near);
    assert_eq!((good, failed, is_good), (1.0, 2.0, 1.0));
    assert!(last > start && last <= seconds(), "{last}");
    near.shutdown(PATIENCE);
    let log = fs::read_to_string(&log).unwrap();
    for said in ["the file has 2 errors", "nothing has changed", &port.to_string()] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[test]
fn the_end_of_certificates_is_told() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let (old, new) = (certificate(&folder, "old", 2020), certificate(&folder, "new", 2099));
    let text = format!(
        "extensions: {{health_check: {{endpoint: '127.0.0.1:0', tls: {{{old}}}}}}}
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0', tls: {{{new}}}}}, http: {{endpoint: '127.0.0.1:0'}}}}}}}}
exporters: {{otlp: {{endpoint: 'https://127.0.0.1:9', tls: {{{old}, insecure_skip_verify: true}}}}}}
service:
  telemetry: {{{}, logs: {{output_paths: ['{}']}}}}
  extensions: [health_check]
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp]}}}}
",
        readers("normal"),
        log.display()
    );
    let checked = check(&text, &|_| None);
    assert!(!checked.problems.has_errors(), "{:?}", checked.problems);
    let told =
        checked.problems.iter().filter(|problem| problem.message.starts_with("the certificate expired"));
    let told: Vec<_> = told.map(|problem| problem.path.clone()).collect();
    assert_eq!(told, ["extensions.health_check.tls", "exporters.otlp.tls"]);
    let near = Near::running(&text);
    let page = || get(near.address("metrics"), "/metrics").1;
    // 2020-12-31 and 2099-12-31, both at midnight.
    for (component, end) in [
        ("extension health_check", 1_609_372_800.0),
        ("exporter otlp", 1_609_372_800.0),
        ("receiver otlp grpc", 4_102_358_400.0),
    ] {
        let series = format!("aldis_certificate_not_after_seconds{{component=\"{component}\"}}");
        assert_eq!(value(&page(), &series), end, "{component}");
    }
    assert!(!page().contains("receiver otlp http"), "it has none");
    let expiring = near.engine().expiring_certificates();
    let names: Vec<&str> = expiring.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["exporter otlp", "extension health_check"]);
    let ended = |name: &str| {
        let lines = fs::read_to_string(&log).unwrap();
        lines.lines().filter(|line| line.contains("a certificate ends") && line.contains(name)).count()
    };
    assert_eq!(["exporter otlp", "extension health_check", "receiver"].map(ended), [1, 1, 0]);
    // Renewed, it is not spoken of any more.
    for end in ["", "-key"] {
        fs::copy(folder.path().join(format!("new{end}.pem")), folder.path().join(format!("old{end}.pem")))
            .unwrap();
    }
    assert!(near.engine().reload_certificates().is_empty());
    assert!(near.engine().expiring_certificates().is_empty());
    let page = page();
    for (component, result, count) in [("exporter otlp", "good", 1.0), ("exporter otlp", "failed", 0.0)] {
        let series = format!("aldis_certificate_reloads{{component=\"{component}\",result=\"{result}\"}}");
        assert_eq!(value(&page, &series), count);
    }
    fs::write(folder.path().join("new.pem"), "nothing").unwrap();
    near.engine().reload_certificates();
    let series = "aldis_certificate_reloads{component=\"receiver otlp grpc\",result=\"failed\"}";
    assert_eq!(value(&get(near.address("metrics"), "/metrics").1, series), 1.0);
}
