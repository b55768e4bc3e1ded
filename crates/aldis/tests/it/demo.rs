//! `aldis demo`: a real process that shows itself at work.

use serde_json::Value;

use crate::process::{Running, aldis, load, text};

/// The lines of a run for programs.
fn events(arguments: &[&str]) -> Vec<Value> {
    let output = aldis(&[&["demo", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_books_of_a_demo_close_and_agree_with_the_truth() {
    let events = events(&["--duration", "2s", "--rate", "60", "--seed", "3"]);
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
    let output = aldis(&["demo", "--duration", "3s", "--rate", "50"]);
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
    // Another shop says something else.
    let sink = Running::sink(&[]);
    let (_, other) = load(&["--workload", "8", "--requests", "60", "--endpoint", &sink.address("grpc")]);
    assert_ne!(other["delivered_records"], report["delivered_records"]);
}
