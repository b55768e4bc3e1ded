//! `aldis demo`: a real process that shows itself at work.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::process::{Running, aldis, load, text, wait_until};

/// The lines of a run for programs.
fn events(arguments: &[&str]) -> Vec<Value> {
    let output = aldis(&[&["demo", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_books_of_a_demo_close_and_agree_with_the_truth() {
    let events = events(&["--duration", "5s", "--rate", "60", "--seed", "3"]);
    assert_eq!(events.first().unwrap()["event"], "started");
    let ended = events.last().unwrap();
    assert_eq!((&ended["close"], &ended["complete"]), (&true.into(), &true.into()), "{ended}");
    for row in ended["books"].as_array().unwrap() {
        assert!(row["sent"].as_u64() > Some(0), "{row}");
        for other in ["admitted", "delivered", "seen"] {
            assert_eq!(row["sent"], row[other], "{row}");
        }
    }
    let truth = &ended["truth"];
    assert_eq!((&truth["services"], &truth["services_that_agree"]), (&11.into(), &11.into()), "{truth}");
    assert_eq!(truth["errors"], truth["errors_seen"]);
    assert_eq!(ended["stats"]["violation"], Value::Null);
    assert_eq!(ended["summary"]["skipped"], 0);
}

/// What happens follows from the seed, how much of it from the rate.
#[test]
fn a_demo_without_a_terminal_prints_what_it_has_seen() {
    let output = aldis(&["demo", "--duration", "5s", "--rate", "50"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for service in workload::Settings::services() {
        assert!(told.lines().any(|line| line.starts_with(service)), "no {service} in {told}");
    }
    for part in [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "SLOWEST OPERATIONS",
        "A TRACE",
        "11 of 11 services agree",
        "they close",
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    assert!(!told.contains('\x1b'), "{told}");
}

#[test]
fn load_sends_the_shop() {
    let sink = Running::sink(&[]);
    let flags = ["--workload", "7", "--requests", "60", "--endpoint", &sink.address("grpc")];
    let (code, report) = load(&flags);
    assert_eq!((code, &report["delivered_requests"]), (Some(0), &60.into()), "{report}");
    let arrived = sink.stop().json();
    assert_eq!(arrived["records"], report["delivered_records"]);
    assert_eq!(arrived["stamps"], 0);
    // Every fifth request says when it was sent.
    let sink = Running::sink(&[]);
    let (_, stamped) =
        load(&[&flags[..4], &["--endpoint", &sink.address("grpc"), "--stamp-every", "5"]].concat());
    assert_eq!(
        stamped["delivered_records"], report["delivered_records"],
        "a time is written over, nothing else"
    );
    assert_eq!(sink.stop().json()["stamps"], 12);
    // Another shop says something else.
    let sink = Running::sink(&[]);
    let (_, other) = load(&["--workload", "8", "--requests", "60", "--endpoint", &sink.address("grpc")]);
    assert_ne!(other["delivered_records"], report["delivered_records"]);
}

#[test]
fn serve_without_a_file_summarises_what_comes() {
    let serve = Running::summary(&[]);
    let mut sent = 0;
    for (protocol, seed) in [("grpc", "7"), ("http", "8")] {
        let endpoint = serve.address(protocol);
        let flags =
            ["--protocol", protocol, "--endpoint", &endpoint, "--workload", seed, "--requests", "200"];
        let (code, report) = load(&flags);
        assert_eq!(code, Some(0), "{report}");
        sent += report["delivered_records"].as_u64().unwrap();
    }
    let ended = serve.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let summary = &last["summary"];
    let signals = summary["signals"].as_array().unwrap();
    assert_eq!(signals.iter().map(|row| row["records"].as_u64().unwrap()).sum::<u64>(), sent);
    let services = summary["services"].as_array().unwrap();
    assert_eq!(services.len(), workload::Settings::services().count(), "{summary}");
    assert_eq!((&summary["skipped"], &summary["unseen"]["unread"]), (&0.into(), &0.into()));
    let exporters = ended.event("ended")["stats"]["exporters"].as_array().unwrap().clone();
    assert_eq!(exporters.iter().map(|row| row["delivered"].as_u64().unwrap()).sum::<u64>(), sent);
}

#[test]
fn a_configuration_says_itself_where_to_listen() {
    for flag in ["--grpc", "--http"] {
        let output = aldis(&["serve", "-c", "x.yaml", flag, "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
}

/// In a pseudo-terminal the picture is drawn on the other screen, and what was there before comes back.
#[test]
fn the_screen_is_restored() {
    for (signal, arguments) in
        [("INT", "demo --rate 50"), ("TERM", "serve --grpc 127.0.0.1:0 --http 127.0.0.1:0")]
    {
        let folder = tempfile::TempDir::new().unwrap();
        let typescript = folder.path().join("typescript");
        let pid = folder.path().join("pid");
        let command = format!(
            "stty cols 100 rows 30; echo $$ > {}; exec {} {arguments}",
            pid.display(),
            env!("CARGO_BIN_EXE_aldis")
        );
        let script = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &command])
            .arg(&typescript)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(mut script) = script else {
            eprintln!("skipped: `script` of util-linux is not installed");
            return;
        };
        let drawn = || String::from_utf8_lossy(&fs::read(&typescript).unwrap_or_default()).into_owned();
        wait_until("it has drawn", || drawn().matches("\x1b[H").count() > 3);
        let pid = fs::read_to_string(&pid).unwrap();
        assert!(Command::new("kill").args([&format!("-{signal}"), pid.trim()]).status().unwrap().success());
        wait_until("it ends", || script.try_wait().unwrap().is_some());
        assert_eq!(script.wait().unwrap().code(), Some(0));
        let drawn = drawn();
        let (before, after) = drawn.split_once("\x1b[?1049h").expect("the other screen");
        assert!(!before.contains("aldis 00:00"), "{before}");
        let (picture, after) = after.split_once("\x1b[?1049l").expect("back to the first screen");
        assert!(picture.contains("\x1b[1maldis\x1b[0m 00:0") && picture.ends_with("\x1b[?25h"), "{picture}");
        assert!(!after.contains("\x1b[H") && after.contains("records"), "{after}");
        let one = picture.split("\x1b[H").nth(2).unwrap();
        assert_eq!(one.split("\r\n").count(), 30, "as many lines as the terminal has: {one}");
    }
}
