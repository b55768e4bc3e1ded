//! What `aldis serve` tells of itself.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use tempfile::TempDir;

use crate::process::{Running, aldis, text};

const CONFIG: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}\nexporters: {nop: }\n\
    service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}\n";

pub(crate) fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The sum of the samples of a name on the page of an engine that shows its metrics.
pub(crate) fn counted(serve: &Running, name: &str) -> f64 {
    let page = get(&serve.address("metrics"));
    let of = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[test]
fn serve_shows_its_metrics_where_it_is_told_to() {
    let serve = Running::serve(CONFIG, &["--metrics", "127.0.0.1:0"]);
    let page = get(&serve.address("metrics"));
    assert!(page.contains("\notelcol_process_uptime "), "{page}");
    // The file goes before the flag.
    let silent = CONFIG.replace("service: {", "service: {telemetry: {metrics: {level: none}}, ");
    let none = Running::serve(&silent, &["--metrics", "127.0.0.1:0"]);
    assert_eq!(none.addresses()["addresses"].as_array().unwrap().len(), 1);
    // Without a file there are none unless they are asked for.
    assert_eq!(Running::summary(&[]).addresses()["addresses"].as_array().unwrap().len(), 2);
    let asked = Running::summary(&["--metrics", "127.0.0.1:0"]);
    assert!(get(&asked.address("metrics")).contains("\naldis_ready 1\n"));
}

#[test]
fn a_port_that_is_taken_ends_the_start_and_the_error_says_what_to_write() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, CONFIG).unwrap();
    let output = aldis(&["serve", "-c", file.to_str().unwrap(), "--metrics", &taken.to_string()]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("service.telemetry.metrics"), "{said}");
    assert!(said.contains("level: none"), "{said}");
    drop(holder);
}

#[test]
fn the_log_takes_the_place_of_the_lines_for_people() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let telemetry =
        format!("service: {{telemetry: {{logs: {{encoding: json, output_paths: ['{}']}}}}, ", log.display());
    // The lines of `--json`, with which this is started, are for programs and stay.
    let serve = Running::serve(&CONFIG.replace("service: {", &telemetry), &[]);
    let ended = serve.stop();
    assert!(ended.stderr.contains("\"event\":\"ended\""), "{}", ended.stderr);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("\"msg\":\"started\"") && log.contains("\"msg\":\"draining\""), "{log}");
}

#[test]
fn top_shows_an_engine_and_says_where_there_is_none() {
    let all = "pipelines: {logs: {receivers: [otlp], exporters: [nop]}, metrics: {receivers: [otlp], exporters: [nop]}, ";
    let serve = Running::serve(&CONFIG.replace("pipelines: {", all), &["--metrics", "127.0.0.1:0"]);
    let loaded = aldis(&["load", "--endpoint", &serve.address("grpc"), "--workload", "7", "--requests", "3"]);
    assert!(loaded.status.success(), "{}", text(&loaded.stderr));
    let endpoint = format!("http://{}", serve.address("metrics"));
    let seen = aldis(&["top", "--endpoint", &endpoint, "--once", "--json"]);
    assert!(seen.status.success(), "{}", text(&seen.stderr));
    let picture: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(picture["ready"], true, "{picture}");
    for (part, name) in [("receivers", "otlp grpc logs"), ("exporters", "nop logs")] {
        let rows = picture[part].as_array().unwrap();
        assert!(rows.iter().any(|row| row["name"] == name), "no {name} in {picture}");
    }
    let drawn = text(&aldis(&["top", "--endpoint", &endpoint, "--once"]).stdout);
    assert!(drawn.starts_with("aldis ") && drawn.contains("EXPORTERS"), "{drawn}");
    // Port 9 is "discard", where nobody listens.
    let failed = aldis(&["top", "--endpoint", "http://127.0.0.1:9"]);
    let said = text(&failed.stderr);
    assert!(failed.status.code() == Some(4) && said.contains("nothing answers at"), "{said}");
}
