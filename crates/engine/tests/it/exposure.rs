//! What a file opens to others, and what comes into it from outside.

use aldis_engine::{Graph, check, components::Settings};

fn file(http: &str) -> String {
    format!(
        "extensions: {{bearertokenauth: {{token: 0123456789abcdef}}}}
receivers: {{otlp: {{protocols: {{grpc: , http: {http}}}}}}}
exporters: {{nop: , prometheus: }}
service:
  extensions: [bearertokenauth]
  pipelines:
    logs: {{receivers: [otlp], exporters: [nop]}}
    metrics: {{receivers: [otlp], exporters: [prometheus]}}
"
    )
}

/// The addresses of all listeners of a graph.
fn listeners(graph: &Graph) -> Vec<&str> {
    let mut addresses = Vec::new();
    for settings in graph.receivers.values().chain(graph.exporters.values()) {
        match settings {
            Settings::OtlpReceiver(settings) => {
                addresses.extend(settings.grpc.as_ref().map(|grpc| grpc.endpoint.as_str()));
                addresses.extend(settings.http.as_ref().map(|http| http.endpoint.as_str()));
            }
            Settings::Prometheus(settings) => addresses.push(settings.server.endpoint.as_str()),
            _ => {}
        }
    }
    addresses
}

#[test]
fn a_listener_on_every_interface_is_warned_of() {
    let checked = check(&file(""), &|_| None);
    assert_eq!(checked.problems.iter().next(), None);
    let addresses = listeners(&checked.graph);
    assert_eq!(addresses.len(), 3);
    assert!(addresses.iter().all(|address| address.starts_with("localhost:")), "{addresses:?}");
    for (endpoint, is_told) in [
        ("endpoint: '0.0.0.0:4318'", true),
        ("endpoint: ':4318'", true),
        ("endpoint: '[::]:4318'", true),
        ("endpoint: '0.0.0.0:4318', auth: {authenticator: bearertokenauth}", false),
        ("endpoint: '10.0.0.1:4318'", false),
        ("endpoint: '127.0.0.1:4318'", false),
    ] {
        let problems = check(&file(&format!("{{{endpoint}}}")), &|_| None).problems;
        let told =
            problems.iter().any(|problem| problem.message.starts_with("everybody who reaches this machine"));
        assert_eq!((told, problems.has_errors()), (is_told, false), "{endpoint}: {problems:?}");
    }
}

/// A variable is read as YAML, but it is one value: it closes nothing that it stands in, and no key is looked up.
#[test]
fn a_variable_brings_a_value_and_no_keys_beside_it() {
    let evil = "x}\nexporters: {nop: }\nservice: {pipelines: {}}\n#";
    let lookup = |name: &str| (name == "EVIL").then(|| evil.to_owned());
    let text = file("{traces_url_path: '/${env:EVIL}', endpoint: 'localhost:0'}");
    let checked = check(&text, &lookup);
    assert!(!checked.problems.has_errors(), "{:?}", checked.problems);
    let Some(Settings::OtlpReceiver(settings)) = checked.graph.receivers.values().next() else { panic!() };
    assert_eq!(settings.http.as_ref().unwrap().traces_url_path, format!("/{evil}"));
    assert_eq!(checked.graph.pipelines.len(), 2);
    let named = check(&text.replace("traces_url_path: '/${env:EVIL}'", "'${env:EVIL}': 1"), &lookup);
    assert!(named.problems.iter().any(|problem| problem.message == "unknown key `${env:EVIL}`"));
}

/// What is told of credentials in plain text, with these components.
fn told_of_credentials(http: &str, exporter: &str) -> Vec<String> {
    let text = format!(
        "extensions: {{bearertokenauth: {{token: 0123456789abcdef}}, basicauth: {{client_auth: {{username: a, password: b}}}}, \
         health_check: {{endpoint: '0.0.0.0:13133', auth: {{authenticator: bearertokenauth}}}}}}
receivers: {{otlp: {{protocols: {{http: {{{http}}}}}}}}}
exporters: {{{exporter}}}
service:
  extensions: [bearertokenauth, basicauth, health_check]
  pipelines: {{metrics: {{receivers: [otlp], exporters: [{}]}}}}
",
        exporter.split(':').next().unwrap()
    );
    let problems = check(&text, &|_| None).problems;
    assert!(!problems.has_errors(), "{text}{problems:?}");
    let told = problems.iter().filter(|problem| problem.message.starts_with("credentials "));
    let told: Vec<String> = told.map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    let health = "extensions.health_check: credentials come to 0.0.0.0:13133 in plain text";
    assert!(told.iter().any(|said| said.starts_with(health)), "{told:?}");
    told.into_iter().filter(|said| !said.starts_with(health)).collect()
}

#[test]
fn credentials_in_plain_text_are_warned_of() {
    let auth = "auth: {authenticator: bearertokenauth}";
    for (endpoint, is_told) in
        [("10.0.0.1:4318", true), (":4318", true), ("localhost:4318", false), ("[::1]:4318", false)]
    {
        let told = told_of_credentials(&format!("endpoint: '{endpoint}', {auth}"), "nop: ");
        assert_eq!(!told.is_empty(), is_told, "{endpoint}: {told:?}");
        assert!(
            told_of_credentials(&format!("endpoint: '{endpoint}'"), "nop: ").is_empty(),
            "nobody is asked"
        );
    }
    for (exporter, is_told) in [
        ("otlp: {endpoint: 'far:4317', PLAIN, AUTH}", true),
        ("otlp: {endpoint: 'http://far:4317', auth: {authenticator: basicauth}}", true),
        ("otlphttp: {metrics_endpoint: 'http://10.1.2.3/v1/metrics', AUTH}", true),
        ("otlphttp: {endpoint: 'http://far', headers: {X-Api-Key: abc}}", true),
        ("prometheusremotewrite: {endpoint: 'http://far/write', headers: {Authorization: Bearer abc}}", true),
        ("prometheusremotewrite: {endpoint: 'http://far/write', AUTH}", true),
        ("otlp: {endpoint: 'far:4317', PLAIN}", false),
        ("otlphttp: {endpoint: 'http://far', headers: {X-Scope-OrgID: abc}}", false),
        ("otlp: {endpoint: 'far:4317', AUTH}", false),
        ("otlphttp: {endpoint: 'https://far', AUTH}", false),
        ("otlp: {endpoint: '127.0.0.1:4317', PLAIN, AUTH}", false),
        ("otlphttp: {endpoint: 'http://LOCALHOST:4318', AUTH}", false),
        ("otlphttp: {endpoint: 'http://[::1]:4318', AUTH}", false),
        // Nothing leads to the one that is plain.
        ("otlphttp: {metrics_endpoint: 'https://far', traces_endpoint: 'http://far', AUTH}", false),
    ] {
        let exporter = exporter.replace("AUTH", auth).replace("PLAIN", "tls: {insecure: true}");
        let told = told_of_credentials("endpoint: 'localhost:4318'", &exporter);
        assert_eq!(!told.is_empty(), is_told, "{exporter}: {told:?}");
        assert!(!format!("{told:?}").contains("abc"), "{told:?}");
    }
}
