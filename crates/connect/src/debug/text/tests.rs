use otlp::{Checker, json};

use super::*;

const NOW_NS: u64 = 1_795_237_334_173_000_000;

/// Requests as OTLP/JSON and what is shown of them, at every verbosity.
const CASES: [(&str, Signal, &str); 4] = [
    ("traces", Signal::Traces, include_str!("../../../testdata/debug/traces.json")),
    ("logs", Signal::Logs, include_str!("../../../testdata/debug/logs.json")),
    ("metrics", Signal::Metrics, include_str!("../../../testdata/debug/metrics.json")),
    ("profiles", Signal::Profiles, include_str!("../../../testdata/debug/profiles.json")),
];

fn batch(signal: Signal, text: &str) -> Batch {
    let wire = json::to_wire(signal, text.as_bytes()).unwrap();
    Checker::new(signal, Check::Full, Depth::Counts).check(wire.into()).unwrap()
}

#[test]
fn every_signal_reads_as_its_picture() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/debug");
    for (name, signal, text) in CASES {
        let batch = batch(signal, text);
        for verbosity in [Verbosity::Basic, Verbosity::Normal, Verbosity::Detailed] {
            let style = Style { name: "debug/x".into(), verbosity, colors: false };
            let shown = render(&batch, &style, NOW_NS);
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            let file = folder.join(format!("{name}.{}.txt", format!("{verbosity:?}").to_lowercase()));
            if std::env::var_os("ALDIS_BLESS").is_some() {
                std::fs::write(&file, &shown).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(shown, expected, "{}: if that is meant, set ALDIS_BLESS=1", file.display());
            let colored = render(&batch, &Style { colors: true, ..style }, NOW_NS);
            let plain: String =
                ["\x1b[0m", BOLD, RED, DIM].iter().fold(colored, |text, code| text.replace(code, ""));
            assert_eq!(plain, shown, "colours change nothing else");
        }
    }
    // A request and three pictures for each signal: no picture is left of what is not drawn any more.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), CASES.len() * 4);
}

#[test]
fn what_was_filtered_out_is_not_shown() {
    let mut batch = batch(Signal::Traces, CASES[0].2);
    batch.deepen(Depth::Records);
    let before = batch.len();
    assert_eq!((batch.retain(|batch, i| batch.span(i).name().starts_with("GET")), before), (1, 3));
    let style = Style { verbosity: Verbosity::Normal, ..Style::default() };
    let shown = render(&batch, &style, NOW_NS);
    assert!(shown.contains("GET") && !shown.contains("SELECT"), "{shown}");
}

#[test]
fn text_about_a_record_and_a_batch_is_bounded() {
    let attributes: Vec<String> = (0..200)
        .map(|i| format!(r#"{{"key":"k{i}","value":{{"stringValue":"{}"}}}}"#, "é".repeat(3000)))
        .collect();
    let log = format!(r#"{{"attributes":[{}]}}"#, attributes.join(","));
    let logs = vec![log; 100].join(",");
    let batch =
        batch(Signal::Logs, &format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{logs}]}}]}}]}}"#));
    for verbosity in [Verbosity::Normal, Verbosity::Detailed] {
        let shown = render(&batch, &Style { verbosity, ..Style::default() }, NOW_NS);
        let most = DEBUG_BATCH_BYTES + DEBUG_RECORD_BYTES + 1000;
        assert!(shown.len() > DEBUG_BATCH_BYTES && shown.len() < most, "{}", shown.len());
        assert!(shown.contains(" bytes more\n") && shown.ends_with(" more\n"));
    }
    let nested = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(20), "]}}".repeat(20));
    let deep = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{nested}}}]}}]}}]}}"#);
    let shown = render(
        &self::batch(Signal::Logs, &deep),
        &Style { verbosity: Verbosity::Normal, ..Style::default() },
        NOW_NS,
    );
    assert!(shown.contains("[[[[[[[[…]]]]]]]]"), "{shown}");
}
