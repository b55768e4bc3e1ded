//! Who may send, and who an exporter says it is: `bearertokenauth` and `basicauth`.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use aldis_engine::check;
use connect::otlp::{Code, ReceiverCounts};
use otlp::Signal;
use pipeline::Outcome;

use crate::ends::{Far, Near, PATIENCE, answer, block_on, eventually, logs};

const TOKEN: &str = "0123456789abcdef";

/// A file with an authenticator at a listener of this protocol, and pipelines of logs to an exporter.
fn guarded(protocol: &str, name: &str, extension: &str, exporter: &str) -> String {
    let kind = exporter.split(':').next().unwrap_or_default();
    format!(
        "extensions:\n  {name}: {extension}
receivers:
  otlp: {{protocols: {{{protocol}: {{endpoint: '127.0.0.1:0', include_metadata: true, auth: {{authenticator: {name}}}}}}}}}
processors:
  attributes: {{actions: [{{key: who, action: insert, from_context: auth.tenant}}, {{key: said, action: insert, from_context: metadata.authorization}}]}}
exporters:
  {exporter}
service:
  extensions: [{name}]
  pipelines:
    logs: {{receivers: [otlp], processors: [attributes], exporters: [{kind}]}}
"
    )
}

fn counts(near: &Near) -> ReceiverCounts {
    near.engine().receivers()[0].1.clone()
}

/// What is said to a request of logs with this credential.
fn ask(near: &Near, credential: Option<&str>) -> Outcome {
    let headers: Vec<_> = credential.map(|value| ("authorization", value)).into_iter().collect();
    block_on(async { answer(near.send_as(logs(1), &headers)).await })
}

#[test]
fn a_listener_lets_in_whom_its_authenticator_knows() {
    // `printf anna:open | base64`
    let right = [format!("Bearer {TOKEN}"), "Basic YW5uYTpvcGVu".to_owned()];
    let extensions = [
        ("bearertokenauth", format!("{{token: {TOKEN}}}"), "token "),
        ("basicauth/in", "{htpasswd: {inline: 'anna:open'}}".to_owned(), "anna"),
    ];
    for protocol in ["grpc", "http"] {
        for (right, (name, extension, who)) in right.iter().zip(&extensions) {
            let far = Far::taking();
            let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
            let near = Near::running(&guarded(protocol, name, extension, &exporter));
            for wrong in [None, Some("Bearer 0123456789abcdee"), Some("Basic YW5uYTpzaHV0")] {
                let outcome = ask(&near, wrong);
                let Outcome::Permanent { code, reason } = &outcome else { panic!("{outcome:?}") };
                assert!(matches!(code.as_ref(), "UNAUTHENTICATED" | "401"), "{outcome:?}");
                assert!(
                    reason.contains("the right credentials are needed here"),
                    "the same for all: {reason}"
                );
            }
            assert_eq!(ask(&near, Some(right)), Outcome::DELIVERED, "{protocol} {name}");
            let batch = far.batches().remove(0);
            let said = batch.attributes_of(0).text("who");
            assert!(said.is_some_and(|said| said.starts_with(who)), "{protocol} {name}: {said:?}");
            assert_eq!(batch.attributes_of(0).text("said"), None, "the credential stays behind");
            let counts = counts(&near);
            assert_eq!((counts.auth_missing, counts.auth_wrong, counts.auth_busy), (1, 2, 0));
            let logs = counts.signal(Signal::Logs);
            assert_eq!((logs.requests_offered, logs.requests_admitted), (4, 1));
            assert_eq!((logs.requests_refused(Code::Unauthenticated), logs.records_offered), (3, 1));
            assert_eq!(logs.bytes_received, logs.bytes_decompressed, "bodies of strangers are not read");
        }
    }
}

/// The answer to what was written, up to the end of the connection.
fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("the receiver closes the connection");
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_stranger_learns_nothing_but_that_it_is_one() {
    let near = Near::running(&guarded("http", "bearertokenauth", &format!("{{token: {TOKEN}}}"), "nop: "));
    for (line, more, body) in [
        ("POST /v1/logs", "", "12345"),
        ("POST /v1/nothing", "", "12345"),
        ("GET /v1/logs", "", ""),
        // It is not asked for a body that nobody reads.
        ("POST /v1/logs", "expect: 100-continue\r\ncontent-length: 100000000\r\n", ""),
    ] {
        let length =
            if more.is_empty() { format!("content-length: {}\r\n", body.len()) } else { String::new() };
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-type: text/html\r\nconnection: close\r\n");
        let said = talk(near.address("http"), &format!("{head}{length}{more}\r\n{body}"));
        assert!(said.starts_with("HTTP/1.1 401"), "{line}: {said}");
        assert!(said.to_lowercase().contains("www-authenticate: bearer"), "{said}");
    }
    assert_eq!(counts(&near).unrouted, 1);
}

/// Writes a file that looks another one than before.
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn an_exporter_sends_its_credentials_and_reads_their_files_again() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, name, password) =
        (folder.path().join("tokens"), folder.path().join("name"), folder.path().join("password"));
    write(&tokens, "first-token\n");
    write(&name, "anna\n");
    write(&password, "open\n");
    let rows = [
        (format!("bearertokenauth: {{token: {TOKEN}, header: X-Key, scheme: ''}}"), "x-key", TOKEN),
        (
            format!("bearertokenauth: {{tokens: [{TOKEN}, another-one-of-them], scheme: Token}}"),
            "authorization",
            "Token 0123456789abcdef",
        ),
        (
            format!("bearertokenauth: {{filename: '{}'}}", tokens.display()),
            "authorization",
            "Bearer first-token",
        ),
        (
            "basicauth: {client_auth: {username: anna, password: open}}".to_owned(),
            "authorization",
            "Basic YW5uYTpvcGVu",
        ),
        (
            format!(
                "basicauth: {{client_auth: {{username_file: '{}', password_file: '{}'}}}}",
                name.display(),
                password.display()
            ),
            "authorization",
            "Basic YW5uYTpvcGVu",
        ),
    ];
    for kind in ["otlp", "otlphttp"] {
        for (extension, header, expected) in &rows {
            let far = Far::taking();
            let named = extension.split(':').next().unwrap();
            let exporter = far.exporter(
                kind,
                &format!("auth: {{authenticator: {named}}}, sending_queue: {{enabled: false}}"),
            );
            let near = Near::running(&format!(
                "extensions: {{{extension}}}\nreceivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}\nexporters: {{{exporter}}}\n\
                 service: {{extensions: [{named}], pipelines: {{logs: {{receivers: [otlp], exporters: [{kind}]}}}}}}\n"
            ));
            assert_eq!(block_on(near.ask(logs(1))), Outcome::DELIVERED, "{extension}");
            assert_eq!(far.header(header), [*expected], "{kind} {extension}");
            if extension.contains("filename") {
                write(&tokens, "the-second-token\n");
                block_on(eventually("the file is read again", || {
                    std::thread::sleep(A_MOMENT);
                    let _ = block_on_thread(&near);
                    far.header(header).last().is_some_and(|value| value == "Bearer the-second-token")
                }));
                write(&tokens, "first-token\n");
            }
        }
    }
}

const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(100);

/// Sends one request from a thread of its own.
fn block_on_thread(near: &Near) -> Outcome {
    std::thread::scope(|scope| scope.spawn(|| block_on(near.ask(logs(1)))).join().unwrap())
}

#[test]
fn a_file_of_passwords_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    write(&file, "anna:shut\nbert:open\n");
    let extension = format!("{{htpasswd: {{file: '{}', inline: 'carl:open'}}}}", file.display());
    let near = Near::running(&guarded("grpc", "basicauth", &extension, "nop: "));
    let with = |name: &str| {
        let value = format!("Basic {}", base64(&format!("{name}:open")));
        std::thread::scope(|scope| scope.spawn(|| ask(&near, Some(&value))).join().unwrap())
            == Outcome::DELIVERED
    };
    assert_eq!(["anna", "bert", "carl"].map(with), [false, true, true]);
    write(&file, "anna:open\n");
    block_on(eventually("the file is read again", || {
        std::thread::sleep(A_MOMENT);
        ["anna", "bert", "carl"].map(with) == [true, false, true]
    }));
}

/// Three names are all that is needed.
fn base64(text: &str) -> &'static str {
    match text {
        "anna:open" => "YW5uYTpvcGVu",
        "bert:open" => "YmVydDpvcGVu",
        _ => "Y2FybDpvcGVu",
    }
}

/// Errors of a file whose ends name authenticators: what each points at, and what it says.
fn file(listed: &str, receiver: &str, exporter: &str) -> Vec<(String, String)> {
    let text = format!(
        "extensions:
  bearertokenauth: {{token: {TOKEN}}}
  basicauth/in: {{htpasswd: {{inline: 'a:b'}}}}
  basicauth/out: {{client_auth: {{username: a, password: b}}}}
receivers:
  otlp:
    protocols: {{grpc: {{auth: {{{receiver}}}}}}}
exporters:
  otlp:
    endpoint: http://localhost:1
    auth: {{{exporter}}}
service:
  extensions: [{listed}]
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp]}}}}
"
    );
    let problems = check(&text, &|_| None).problems;
    let told = problems.iter().filter(|problem| problem.severity == aldis_engine::Severity::Error);
    let said = |problem: &aldis_engine::Diagnostic| {
        let line = text.lines().nth(problem.place.line as usize - 1).unwrap();
        let at = problem.place.column as usize - 1;
        (line[at..at + problem.place.width as usize].to_owned(), problem.to_string())
    };
    told.map(said).collect()
}

#[test]
fn an_authenticator_that_is_not_there_or_not_able_is_told_with_its_place() {
    const ALL: &str = "bearertokenauth, basicauth/in, basicauth/out";
    assert_eq!(file(ALL, "authenticator: basicauth/in", "authenticator: basicauth/out"), []);
    for (listed, receiver, exporter, place, says) in [
        (
            "basicauth/in",
            "authenticator: bearertokenauth",
            "authenticator: basicauth/out",
            "bearertokenauth",
            "list it in `service.extensions`",
        ),
        (
            ALL,
            "authenticator: bearertokenauht",
            "authenticator: basicauth/out",
            "bearertokenauht",
            "did you mean `bearertokenauth`?",
        ),
        (
            ALL,
            "authenticator: basicauth/out",
            "authenticator: basicauth/out",
            "basicauth/out",
            "has `htpasswd`",
        ),
        (
            ALL,
            "authenticator: basicauth/in",
            "authenticator: basicauth/in",
            "basicauth/in",
            "has `client_auth`",
        ),
        (ALL, "authenticator: basicauth/in", "", "auth", "`authenticator` is missing"),
        (
            ALL,
            "authenticator: basicauth/in, request_params: [key]",
            "authenticator: basicauth/out",
            "request_params",
            "URLs end up in logs",
        ),
        (
            "bearertokenauth, beaertokenauth",
            "authenticator: bearertokenauth",
            "authenticator: bearertokenauth",
            "beaertokenauth",
            "did you mean",
        ),
    ] {
        let told = file(listed, receiver, exporter);
        assert!(told.iter().any(|(at, text)| at == place && text.contains(says)), "{says}: {told:#?}");
    }
}
