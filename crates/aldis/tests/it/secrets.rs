//! No byte that the program writes is a secret's, whatever it is told and whatever fails.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use tempfile::TempDir;

use crate::process::{Running, aldis, text};

const CANARY: &str = "canary-4711-sesame";

/// A file with the canary in every sensitive place, which listens here and sends there.
fn config(listen: &str, send: &str, more: &str) -> String {
    format!(
        "extensions:
  bearertokenauth: {{token: {CANARY}}}
  basicauth/in: {{htpasswd: {{inline: 'anna:{CANARY}'}}}}
  basicauth/out: {{client_auth: {{username: anna, password: {CANARY}}}}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '127.0.0.1:0', auth: {{authenticator: basicauth/in}}}}
      http: {{endpoint: '{listen}', include_metadata: true, auth: {{authenticator: bearertokenauth}}}}
exporters:
  otlp:
    endpoint: http://{send}
    auth: {{authenticator: basicauth/out}}
    headers: {{x-key: {CANARY}}}
    retry_on_failure: {{initial_interval: 10ms}}
{more}
service:
  extensions: [bearertokenauth, basicauth/in, basicauth/out]
  pipelines:
    logs: {{receivers: [otlp], exporters: [otlp]}}
"
    )
}

fn assert_hidden(what: &str, told: &str) {
    let shown = told.lines().find(|line| line.contains("4711"));
    assert_eq!(shown, None, "{what}");
}

#[test]
fn a_refused_configuration_is_told_without_its_secrets() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let url = format!("  otlphttp: {{endpoint: 'http://anna:{CANARY}@localhost:1', headers: [{CANARY}]}}");
    let rows = [
        ("a URL with a user", config("127.0.0.1:0", "localhost:1", &url)),
        (
            "a syntax error",
            config("127.0.0.1:0", "localhost:1", &format!("  otlp/b: {{headers: {{a: \"{CANARY}}}}}")),
        ),
        ("a misspelt key", config("127.0.0.1:0", "localhost:1", "").replace("password:", "pasword:")),
        (
            "no authenticator",
            config("127.0.0.1:0", "localhost:1", "")
                .replace("extensions: [bearertokenauth,", "extensions: ["),
        ),
        ("a port in use", config(&listen, "localhost:1", "")),
        (
            "no file",
            config("127.0.0.1:0", "localhost:1", "")
                .replace(&format!("inline: 'anna:{CANARY}'"), "file: /nowhere/users"),
        ),
    ];
    for (what, config) in rows {
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        let file = file.to_str().unwrap();
        for arguments in [
            &["check", file][..],
            &["check", file, "--json"],
            &["serve", "-c", file],
            &["serve", "--json", "-c", file],
        ] {
            let output = aldis(arguments);
            let is_refused = output.status.code() != Some(0);
            assert_eq!(
                is_refused,
                arguments[0] == "serve" || !what.starts_with("a port") && what != "no file",
                "{what} {arguments:?}"
            );
            assert_hidden(what, &(text(&output.stdout) + &text(&output.stderr)));
        }
    }
}

/// The status that a request of one log record with this token is answered with.
fn post(address: &str, token: &str) -> String {
    // resource_logs { scope_logs { log_records { severity_text: "x" } } }
    let body = [0x0a, 7, 0x12, 5, 0x12, 3, 0x1a, 1, b'x'];
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_hidden("an answer", &answer);
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_running_engine_tells_no_secret_while_it_runs_and_when_it_ends() {
    // Nobody listens there, so that what is sent fails.
    let running = Running::serve(&config("127.0.0.1:0", "127.0.0.1:9", ""), &["--drain-timeout", "1"]);
    let address = running.address("http");
    assert_eq!(post(&address, CANARY), "200");
    assert_eq!(post(&address, "canary-4711-sesamf"), "401");
    let addresses = running.addresses().to_string();
    let ended = running.stop();
    assert!(
        ended.stderr.contains("undelivered") || ended.code != Some(0),
        "it was not delivered: {}",
        ended.stderr
    );
    assert_hidden("what was written", &(addresses + &ended.stdout + &ended.stderr));
}
