//! `load` and `sink` over TLS.

use std::{fs, path::Path, process::Command};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, aldis, load, text, wait_until};

/// A CA, and what it signed for this machine: `ca.pem`, `own.pem`, `own-key.pem`.
pub(crate) fn certificates() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.path().join("own.pem"), own.pem()).unwrap();
    fs::write(folder.path().join("own-key.pem"), key.serialize_pem()).unwrap();
    folder
}

pub(crate) fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn delivered(report: &Value) -> u64 {
    report["delivered_requests"].as_u64().unwrap()
}

#[test]
fn load_and_sink_speak_tls_and_show_certificates() {
    let folder = certificates();
    let [ca, cert, key] = ["ca.pem", "own.pem", "own-key.pem"].map(|name| file(&folder, name));
    let open = Running::sink(&["--cert", &cert, "--key", &key]);
    let mutual = Running::sink(&["--cert", &cert, "--key", &key, "--ca", &ca]);
    for (sink, flags, gets_through) in [
        (&open, vec!["--ca", &*ca], true),
        (&open, vec!["--insecure-skip-verify"], true),
        (&open, vec!["--tls"], false),
        (&open, vec![], false),
        (&mutual, vec!["--ca", &*ca, "--cert", &*cert, "--key", &*key], true),
        (&mutual, vec!["--ca", &*ca], false),
    ] {
        for protocol in ["grpc", "http"] {
            let endpoint = sink.address(protocol);
            // Over HTTP an endpoint is host and port as well.
            let common =
                ["--endpoint", &endpoint, "--protocol", protocol, "--requests", "2", "--timeout", "1m"];
            let (code, report) = load(&[&common[..], &flags[..]].concat());
            let expected = if gets_through { (Some(0), 2) } else { (Some(5), 0) };
            assert_eq!((code, delivered(&report)), expected, "{protocol} {flags:?} {report}");
        }
    }
    assert_eq!(open.stop().json()["requests"], 8);
    assert_eq!(mutual.stop().json()["requests"], 4);
}

#[test]
fn a_certificate_that_cannot_be_read_is_a_file_that_cannot_be_read() {
    let folder = certificates();
    let [missing, key] = ["missing.pem", "own-key.pem"].map(|name| file(&folder, name));
    for command in [&["sink"][..], &["load", "--endpoint", "127.0.0.1:1", "--requests", "1"]] {
        let ended = Command::new(env!("CARGO_BIN_EXE_aldis"))
            .args(command)
            .args(["--cert", &missing, "--key", &key])
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        let said = text(&ended.stderr);
        assert!(said.contains(&format!("--cert {missing}: No such file")), "{said}");
    }
}

/// Where no CA is named those of the system are trusted, wherever it keeps them.
#[test]
fn the_systems_cas_are_trusted_where_none_is_named() {
    let folder = certificates();
    let sink = Running::sink(&["--cert", &file(&folder, "own.pem"), "--key", &file(&folder, "own-key.pem")]);
    let endpoint = format!("https://{}", sink.address("grpc"));
    let sent = |cas: &Path| {
        Command::new(env!("CARGO_BIN_EXE_aldis"))
            .args(["load", "--endpoint", &endpoint, "--requests", "1"])
            .env("SSL_CERT_FILE", cas)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap()
    };
    assert_eq!(sent(&folder.path().join("ca.pem")).status.code(), Some(0));
    let none = sent(&folder.path().join("own-key.pem"));
    assert!(text(&none.stderr).contains("this system has no certificates of CAs"), "{none:?}");
}

/// An engine that takes logs over TLS.
fn listening(cert: &str, key: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0', tls: {{cert_file: '{cert}', key_file: '{key}'}}}}}}}}}}
exporters: {{nop: }}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}}}
"
    )
}

/// A certificate that cannot be used any more is told to who reloads, and the old one stays in use.
#[test]
fn a_reload_that_finds_a_broken_certificate_is_no_success() {
    let folder = certificates();
    let [ca, cert, key] = ["ca.pem", "own.pem", "own-key.pem"].map(|name| file(&folder, name));
    let socket = file(&folder, "control.sock");
    let serve = Running::serve(&listening(&cert, &key), &["--control", &socket]);
    let sends = || {
        let endpoint = serve.address("grpc");
        let (code, report) = load(&["--endpoint", &endpoint, "--requests", "1", "--ca", &ca]);
        assert_eq!(code, Some(0), "{report}");
    };
    let reload = || aldis(&["reload", "--json", "--control", &socket]);
    let told: Value = serde_json::from_slice(&reload().stdout).unwrap();
    assert_eq!((&told["ok"], &told["certificates"]), (&true.into(), &serde_json::json!([])));
    fs::write(&cert, "no certificate").unwrap();
    let failed = reload();
    let told: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&told["ok"], failed.status.code()), (&false.into(), Some(1)), "{told}");
    let line = told["certificates"][0].as_str().unwrap();
    assert!(line.starts_with("receiver otlp grpc: ") && line.contains(&cert), "{told}");
    sends();
    fs::copy(folder.path().join("own-key.pem"), &cert).unwrap();
    assert_eq!(reload().status.code(), Some(1));
    sends();
}

/// Who runs the engine hears that a certificate has ended before its clients do.
#[test]
fn a_certificate_that_has_expired_is_warned_of() {
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let pair = KeyPair::generate().unwrap();
    let [cert, key] = ["own.pem", "own-key.pem"].map(|name| file(&folder, name));
    fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    let serve = Running::serve(&listening(&cert, &key), &[]);
    let warned = || {
        let lines = serve.stderr();
        let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["event"] == "warning")
            .map(|event| event["message"].to_string())
            .collect::<Vec<_>>()
    };
    wait_until("it is told", || !warned().is_empty());
    assert!(warned()[0].starts_with("\"receiver otlp grpc: the certificate expired "), "{:?}", warned());
    let checked = aldis(&["check", serve.file().to_str().unwrap()]);
    assert!(text(&checked.stderr).contains("warning: the certificate expired"), "{}", text(&checked.stderr));
}
