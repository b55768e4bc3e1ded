//! `tls` of what listens and what connects, each key by what it changes.

mod pages;

use std::fs;

use aldis_engine::check;
use otlp::Signal;
use pipeline::Outcome;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{
    ends::{BOTH, Far, Near, block_on, eventually, logs},
    remote_writing,
};

const KINDS: [(&str, &str); 3] = [("otlp", "grpc"), ("otlphttp", "http"), ("prometheusremotewrite", "http")];

/// A CA, and a folder for what it signs.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The settings that name its own certificate.
    fn ca(&self, key: &str) -> String {
        format!("{key}: '{}'", self.file("ca.pem"))
    }

    /// Signs a certificate, and returns the settings that name it.
    fn pair(&self, name: &str, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (certificate_file, key_file) = (format!("{name}.pem"), format!("{name}-key.pem"));
        fs::write(self.file(&certificate_file), certificate.pem()).unwrap();
        fs::write(self.file(&key_file), key.serialize_pem()).unwrap();
        format!("cert_file: '{}', key_file: '{}'", self.file(&certificate_file), self.file(&key_file))
    }

    /// A file as a text of YAML.
    fn text(&self, key: &str, name: &str) -> String {
        format!("{key}: {:?}", fs::read_to_string(self.file(name)).unwrap())
    }
}

/// An engine that listens with this `tls`.
fn listening(protocol: &str, tls: &str, far: &Far) -> Near {
    let receiver = format!("{{protocols: {{{protocol}: {{endpoint: '127.0.0.1:0', tls: {{{tls}}}}}}}}}");
    Near::relaying(&receiver, &far.exporter("otlp", "sending_queue: {enabled: false}"))
}

/// An engine that sends there with this `tls`.
fn sending(kind: &str, to: &Near, tls: &str) -> Near {
    let address = to.engine().addresses()[0].address;
    let (signals, path, queue) = match kind {
        "prometheusremotewrite" => (&[Signal::Metrics][..], "/v1/metrics", "remote_write_queue"),
        _ => (&Signal::ALL[..], "", "sending_queue"),
    };
    let off = format!("{queue}: {{enabled: false}}, retry_on_failure: {{enabled: false}}");
    let exporter = format!("{kind}: {{endpoint: 'https://{address}{path}', tls: {{{tls}}}, {off}}}");
    Near::carrying(signals, BOTH, "", &exporter)
}

/// What becomes of a request from this engine. Who receives OTLP answers what Prometheus is sent with 415: then it got there.
async fn asked(kind: &str, near: &Near) -> Outcome {
    if kind != "prometheusremotewrite" {
        return near.ask(logs(1)).await;
    }
    match near.ask(remote_writing::batch([remote_writing::orders("me", 5)])).await {
        refused if format!("{refused:?}").contains("HTTP 415") => Outcome::DELIVERED,
        outcome => outcome,
    }
}

/// What becomes of a request from one engine to another.
fn relayed((kind, protocol): (&str, &str), server: &str, client: &str) -> Outcome {
    let far = Far::taking();
    let secure = listening(protocol, server, &far);
    block_on(asked(kind, &sending(kind, &secure, client)))
}

fn gets_through(server: &str, client: &str) {
    for ways in KINDS {
        assert_eq!(relayed(ways, server, client), Outcome::DELIVERED, "{ways:?} {server} {client}");
    }
}

fn is_refused(server: &str, client: &str, says: &str) {
    for ways in KINDS {
        let told = format!("{:?}", relayed(ways, server, client));
        assert!(told.contains(says), "{ways:?} {server} {client}: {told}");
    }
}

#[test]
fn certificates_are_named_as_files_or_stand_in_the_configuration() {
    let ca = Authority::new();
    let (server, client) = (ca.pair("server", &["127.0.0.1"]), ca.pair("client", &["agent"]));
    let of = |name: &str| {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
        format!("{}, {}", ca.text("cert_pem", &certificate), ca.text("key_pem", &key))
    };
    let trust = ca.ca("ca_file");
    let mutual = ca.ca("client_ca_file");
    gets_through(&server, &trust);
    gets_through(&of("server"), &ca.text("ca_pem", "ca.pem"));
    gets_through(&format!("{server}, {mutual}"), &format!("{trust}, {client}"));
    gets_through(&format!("{server}, {mutual}"), &format!("{trust}, {}", of("client")));
    is_refused(&format!("{server}, {mutual}"), &trust, "set `tls.cert_file`");
    is_refused(&server, "", "name its CA in `tls.ca_file`");
}

#[test]
fn whom_to_believe_can_be_widened_and_names_can_be_set() {
    let (ca, other) = (Authority::new(), Authority::new());
    let elsewhere = ca.pair("server", &["collector.example"]);
    let trust = ca.ca("ca_file");
    is_refused(&elsewhere, &trust, "tls.server_name_override");
    gets_through(&elsewhere, &format!("{trust}, server_name_override: collector.example"));
    gets_through(&elsewhere, "insecure_skip_verify: true");
    // The system's are added; what is named is believed all the same, and others are not.
    let here = ca.pair("here", &["127.0.0.1"]);
    let client = ca.pair("client", &["agent"]);
    let widened = format!("{here}, {}, include_system_ca_certs_pool: true", ca.ca("client_ca_file"));
    gets_through(&widened, &format!("{trust}, {client}, include_system_ca_certs_pool: true"));
    let stranger = other.pair("client", &["agent"]);
    is_refused(&widened, &format!("{trust}, {stranger}"), "does not believe");
    let strange = format!("{}, include_system_ca_certs_pool: true", other.ca("ca_file"));
    is_refused(&here, &strange, "tls.ca_file");
}

#[test]
fn versions_suites_and_curves_must_be_had_by_both() {
    let ca = Authority::new();
    let (server, trust) = (ca.pair("server", &["127.0.0.1"]), ca.ca("ca_file"));
    let rows = [
        ("min_version: '1.3'", "max_version: '1.2'"),
        ("max_version: '1.2'", "min_version: '1.3'"),
        (
            "max_version: '1.2', cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
        ),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", "cipher_suites: [TLS_AES_256_GCM_SHA384]"),
        ("curve_preferences: [P384]", "curve_preferences: [X25519, P256]"),
    ];
    for (one, other) in rows {
        gets_through(&format!("{server}, {one}"), &trust);
        gets_through(&server, &format!("{trust}, {other}"));
        is_refused(&format!("{server}, {one}"), &format!("{trust}, {other}"), "TLS: ");
    }
}

#[test]
fn files_are_read_again_by_both_sides_and_faults_are_a_matter_of_health() {
    let ca = Authority::new();
    let (server, client) = (ca.pair("server", &["127.0.0.1"]), ca.pair("client", &["agent"]));
    let far = Far::taking();
    let soon = "reload_interval: 1ms";
    let clients = format!("client_ca_file: '{}', client_ca_file_reload: true", ca.file("clients.pem"));
    fs::copy(ca.file("ca.pem"), ca.file("clients.pem")).unwrap();
    for (kind, protocol) in KINDS {
        let secure = listening(protocol, &format!("{server}, {clients}, {soon}"), &far);
        let outcome = |client: &str| block_on(asked(kind, &sending(kind, &secure, client)));
        let good = format!("{}, {client}, {soon}", ca.ca("ca_file"));
        assert_eq!(outcome(&good), Outcome::DELIVERED);
        let keep = fs::read(ca.file("server.pem")).unwrap();
        fs::write(ca.file("server.pem"), "nothing").unwrap();
        assert_eq!(outcome(&good), Outcome::DELIVERED, "the old one is shown");
        let told = format!("{:?}", secure.engine().health().problems());
        assert!(
            told.contains("still the old ones") && told.contains("server.pem has no certificate"),
            "{told}"
        );
        assert!(told.contains(&format!("receiver otlp {protocol} certificates")), "{told}");
        let counts = secure.engine().receivers()[0].1.clone();
        assert!(counts.certificates.failed > 0, "{counts:?}");
        fs::write(ca.file("server.pem"), keep).unwrap();
        block_on(eventually("all is well again", || {
            outcome_again(kind, &secure, &good);
            secure.engine().health().problems().is_empty()
        }));
    }
}

/// Makes a new connection, from a thread of its own: the caller is in a runtime.
fn outcome_again(kind: &str, secure: &Near, client: &str) {
    let near = sending(kind, secure, client);
    std::thread::scope(|scope| {
        scope.spawn(|| block_on(asked(kind, &near)));
    });
}

/// As for the Collector: a scheme decides, else the settings.
#[test]
fn tls_is_spoken_unless_something_says_otherwise() {
    let ca = Authority::new();
    let far = Far::taking();
    let secure = listening("grpc", &ca.pair("server", &["127.0.0.1"]), &far);
    let address = secure.engine().addresses()[0].address;
    let off = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
    for (endpoint, tls, is_tls) in [
        (format!("{address}"), ca.ca("ca_file"), true),
        (format!("https://{address}"), format!("insecure: true, {}", ca.ca("ca_file")), true),
        (format!("{address}"), format!("insecure: true, {}", ca.ca("ca_file")), true),
        (format!("{address}"), "insecure: true".to_owned(), false),
        (format!("http://{address}"), ca.ca("ca_file"), false),
    ] {
        let near = Near::relaying(BOTH, &format!("otlp: {{endpoint: '{endpoint}', tls: {{{tls}}}, {off}}}"));
        let delivered = block_on(near.ask(logs(1))) == Outcome::DELIVERED;
        assert_eq!(delivered, is_tls, "{endpoint} {tls}");
    }
    // Whom Prometheus' remote write goes to has a scheme always.
    let http = listening("http", &ca.pair("server", &["127.0.0.1"]), &far);
    let insecure = format!("insecure: true, {}", ca.ca("ca_file"));
    let writing = sending("prometheusremotewrite", &http, &insecure);
    assert_eq!(block_on(asked("prometheusremotewrite", &writing)), Outcome::DELIVERED);
}

#[test]
fn what_weakens_or_has_no_effect_is_a_warning() {
    let ca = Authority::new();
    let server = ca.pair("server", &["localhost"]);
    let warned = |section: &str, component: &str| {
        let checked = check(&format!("{section}:\n  {component}\n"), &|_| None);
        let told: Vec<_> = checked.problems.iter().map(|problem| problem.message.clone()).collect();
        told.join("\n")
    };
    let exporter = |endpoint: &str, tls: &str| {
        warned("exporters", &format!("otlp: {{endpoint: '{endpoint}', tls: {{{tls}}}}}"))
    };
    assert!(exporter("a:1", "insecure_skip_verify: true").contains("is not verified"));
    assert!(exporter("http://a:1", &ca.ca("ca_file")).contains("`ca_file` has no effect"));
    assert!(
        exporter("a:1", &format!("insecure: true, {}", ca.ca("ca_file")))
            .contains("`insecure` has no effect")
    );
    let receiver =
        format!("otlp: {{protocols: {{grpc: {{tls: {{{server}, client_ca_file_reload: true}}}}}}}}");
    assert!(warned("receivers", &receiver).contains("`client_ca_file_reload` has no effect"));
}

/// Where TLS is dropped nothing is wrong with its certificates any more.
#[test]
fn what_was_wrong_with_certificates_goes_with_them() {
    let ca = Authority::new();
    let far = Far::taking();
    let tls = ca.pair("server", &["127.0.0.1"]);
    let mut near = listening("grpc", &tls, &far);
    fs::write(ca.file("server.pem"), "nothing").unwrap();
    assert_eq!(near.engine().reload_certificates().len(), 1);
    let health = near.engine().health().clone();
    assert_eq!(health.problems().into_keys().collect::<Vec<_>>(), ["receiver otlp grpc certificates"]);
    let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
    let text = format!(
        "receivers: {{otlp: {BOTH}}}\nexporters: {{{exporter}}}\nservice: {{pipelines: {{logs: {{receivers: [otlp], exporters: [otlp]}}}}}}\n"
    );
    let graph = check(&text, &|_| None).graph;
    near.engine_mut().reload(&graph, crate::ends::PATIENCE).unwrap();
    assert!(health.problems().is_empty());
}
