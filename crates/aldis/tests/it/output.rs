//! Output that nobody takes: its reader has gone, or the disk is full.

use std::{fs::File, process::Command};

use tempfile::TempDir;

use crate::process::{Running, aldis, load, nobody, text};

const CONFIG: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}\nexporters: {nop: }\n\
    service: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}\n";

fn file(content: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let (_folder, path) = file(CONFIG);
    let check = ["check", &path, "--explain"];
    let demo = ["demo", "--duration", "60s"];
    let demo_json = ["demo", "--duration", "60s", "--json"];
    for arguments in [&check[..], &["check", &path, "--json"], &["config", "schema"], &demo, &demo_json] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_aldis")).args(arguments).stdout(nobody()).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(
            (output.status.code(), stderr.contains("panic")),
            (Some(0), false),
            "{arguments:?}: {stderr}"
        );
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let (_folder, path) = file(CONFIG);
    for arguments in [&["check", &path][..], &["config", "docs"], &["completions", "bash"], &["man"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_aldis")).args(arguments).stdout(full).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
        assert!(stderr.contains("cannot write the result"), "{stderr}");
    }
}

#[test]
fn an_engine_goes_on_without_a_reader() {
    let serve = Running::serve_unread(CONFIG);
    for _ in 0..2 {
        let (code, report) = load(&["--endpoint", &serve.address("grpc"), "--requests", "2"]);
        assert_eq!(code, Some(0), "{report}");
    }
    assert_eq!(serve.stop().code, Some(0));
}

#[test]
fn wrong_command_lines_are_objects_too_where_objects_are_asked_for() {
    for arguments in [
        &["serve", "--bogus", "--json"][..],
        &["sink", "--grpc", "bad", "--json"],
        &["reload", "--json", "--control", "/nowhere/at/all"],
        &["load", "--json", "--duration", "0s"],
        &["sink", "--json", "--refuse", "nan"],
        &["sink", "--json", "--max-request-mib", "0"],
    ] {
        let output = aldis(arguments);
        let told: serde_json::Value =
            serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(told["event"], "error", "{arguments:?}");
        let expected = if arguments[0] == "reload" { 4 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{told}");
    }
    assert_eq!(aldis(&["--help", "--json"]).status.code(), Some(0));
}
