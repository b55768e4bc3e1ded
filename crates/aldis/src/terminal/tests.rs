//! Pictures, as files. `ALDIS_BLESS=1` writes them anew.

use std::{fs, path::PathBuf, sync::Arc};

use connect::otlp::ReceiverCounts;
use engine::Seen;
use operators::summary::{
    Branch, ErrorRow, ErrorSource, OperationRow, RecentRow, ServiceRow, SignalRow, Snapshot, Tree,
};
use otlp::{Signal, SpanId, TraceId};
use pipeline::{Stats, stats::ExporterStats};

use super::*;

const PLAIN: Style = Style { color: false, unicode: true };
const ASCII: Style = Style { color: false, unicode: false };
const COLOR: Style = Style { color: true, unicode: true };

fn recent(spans: u64, errors: u64) -> RecentRow {
    RecentRow {
        spans,
        errors,
        per_second: spans as f64 / 15.0,
        p50_ns: 1_500_000,
        p90_ns: 20_000_000,
        p99_ns: 178_000_000,
        longest_ns: 1_200_000_000,
    }
}

fn service(name: &str, spans: u64, errors: u64) -> ServiceRow {
    ServiceRow {
        name: name.into(),
        spans,
        errors,
        logs: 3,
        points: 4,
        per_second: spans as f64 / 4.0,
        history: vec![0, spans, spans / 2, spans / 3],
        asked: recent(spans / 2, errors),
    }
}

fn operation(service: &str, name: &str, kind: i32) -> OperationRow {
    OperationRow {
        service: service.into(),
        name: name.into(),
        kind,
        spans: 10,
        errors: 1,
        recent: recent(10, 1),
    }
}

/// A branch: its parent, service and name, and milliseconds of its offset, duration and critical path. A name with `!` failed.
type Drawn = (Option<usize>, &'static str, &'static str, u64, u64, u64);

fn tree(branches: &[Drawn]) -> Tree {
    let mut tree = Tree { trace_id: TraceId([0xab; 16]), duration_ns: 100_000_000, ..Tree::default() };
    for (i, &(parent, service, name, offset, duration, critical)) in branches.iter().enumerate() {
        tree.branches.push(Branch {
            span_id: SpanId([i as u8 + 1; 8]),
            parent,
            is_orphan: name == "lost",
            depth: parent.map_or(0, |parent| tree.branches[parent].depth + 1),
            service: service.into(),
            name: name.into(),
            kind: 1,
            offset_ns: offset * 1_000_000,
            duration_ns: duration * 1_000_000,
            error: name.contains('!'),
            critical_ns: critical * 1_000_000,
        });
    }
    tree
}

const BRANCHES: &[Drawn] = &[
    (None, "frontend", "POST /api/checkout!", 0, 100, 10),
    (Some(0), "checkout", "PlaceOrder", 5, 90, 40),
    (Some(1), "cart", "GetCart", 6, 14, 14),
    (Some(1), "payment", "Charge!", 20, 50, 36),
    (Some(3), "payment", "POST", 30, 30, 0),
    (Some(0), "email", "process orders", 96, 4, 0),
    (None, "nobody", "lost", 50, 1, 0),
];

fn snapshot() -> Snapshot {
    let error = |text: &str, source, count, ago: u64| ErrorRow {
        service: "payment".into(),
        source,
        operation: "Charge".into(),
        text: text.into(),
        count,
        last_ns: (1_000 - ago) * 1_000_000_000,
    };
    let signal = |signal, records: u64| SignalRow {
        signal,
        requests: 3,
        records,
        bytes: 4_096,
        per_second: records as f64 / 60.0,
        history: (0..60).map(|second| second % 7 * records / 60).collect(),
    };
    Snapshot {
        at_ns: 1_000 * 1_000_000_000,
        began_ns: 940 * 1_000_000_000,
        signals: vec![
            signal(Signal::Traces, 1_234_567),
            signal(Signal::Logs, 890),
            signal(Signal::Metrics, 0),
            signal(Signal::Profiles, 0),
        ],
        services: vec![
            service("cart", 120, 0),
            service("", 4, 0),
            service("frontend with a name that is too long", 400, 2),
            service("payment", 60, 27),
            service("quiet", 0, 0),
        ],
        operations: vec![
            operation("frontend", "POST /api/checkout", 2),
            operation("checkout", "Charge", 3),
            operation("payment", "Charge", 2),
        ],
        errors: vec![
            error("refused\u{1b}[2J by the bank", ErrorSource::Span, 12, 1),
            error("", ErrorSource::Log, 1, 75),
        ],
        trace: Some(Arc::new(tree(BRANCHES))),
        ..Snapshot::default()
    }
}

fn scene() -> Scene {
    let mut counts = ReceiverCounts::default();
    (counts.signals[0].records_offered, counts.signals[0].records_admitted) = (1_235_467, 1_235_457);
    let exporter = ExporterStats {
        name: "summary".into(),
        signal: Signal::Traces,
        refused: 0,
        enqueued: 1_235_457,
        delivered: 1_235_400,
        rejected: Vec::new(),
        refused_whole: 0,
        dropped: vec![("shutdown".into(), 7)],
        handed_back: 0,
        queued: 40,
        in_flight: 10,
        maybe_duplicate: 0,
    };
    Scene {
        title: "demo: on 127.0.0.1:4317".into(),
        seconds: 60,
        news: vec!["payment fails for 45.0 % of its requests".into()],
        seen: Seen { snapshot: snapshot(), skipped: 12 },
        stats: Stats { exporters: vec![exporter], ..Stats::default() },
        receivers: vec![("otlp".into(), counts)],
        hints: vec!["Ctrl-C ends it".into()],
        ..Scene::default()
    }
}

/// The columns that a line takes up.
fn width(line: &str) -> usize {
    let mut columns = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => drop(rest.by_ref().find(|c| c.is_ascii_alphabetic())),
            _ => columns += 1,
        }
    }
    columns
}

#[test]
fn pictures_are_as_they_are_drawn_in_the_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/frames");
    let mut quiet = scene();
    quiet.news.clear();
    quiet.seen = Seen::default();
    (quiet.stats, quiet.receivers) = (Stats::default(), Vec::new());
    let cases: [(&str, Scene, usize, Option<usize>, Style); 6] = [
        ("usual.txt", scene(), 80, Some(24), PLAIN),
        ("wide.txt", scene(), 120, Some(45), PLAIN),
        ("endless.txt", scene(), 110, None, PLAIN),
        ("ascii.txt", scene(), 100, Some(35), ASCII),
        ("color.txt", scene(), 90, Some(30), COLOR),
        ("nothing.txt", quiet, 80, Some(10), PLAIN),
    ];
    for (name, scene, width, height, style) in cases {
        let drawn = lines(&scene, Size { width, height }, style).join("\n") + "\n";
        let file = folder.join(name);
        if std::env::var_os("ALDIS_BLESS").is_some() {
            fs::write(&file, &drawn).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), drawn, "{name}: ALDIS_BLESS=1 writes it anew");
    }
}

/// Names of services and texts of errors are whatever somebody sent.
#[test]
fn nothing_that_was_sent_moves_the_cursor_or_turns_the_line() {
    let evil = "a\u{1b}]0;title\u{7}\u{1b}[2J\r\n\u{9b}31m\u{202e}z\u{200b}\u{2066}";
    let mut scene = scene();
    scene.title = evil.into();
    scene.news = vec![evil.into()];
    scene.receivers[0].0 = evil.into();
    let snapshot = &mut scene.seen.snapshot;
    snapshot.services.push(service(evil, 1000, 3));
    snapshot.operations.insert(0, operation(evil, evil, 2));
    for error in &mut snapshot.errors {
        (error.service, error.operation, error.text) = (evil.into(), evil.into(), evil.into());
    }
    for style in [PLAIN, ASCII, COLOR] {
        let drawn = lines(&scene, Size { width: 200, height: None }, style).concat();
        let own = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"];
        let rest = own.iter().fold(drawn.clone(), |rest, code| rest.replace(code, ""));
        let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
        let bad = rest.chars().find(|c| c.is_control() || turns(*c));
        assert_eq!(bad, None, "{drawn:?}");
        assert!(rest.contains("title"), "the text is there");
    }
}

#[test]
fn a_picture_fits_whatever_the_size() {
    for style in [PLAIN, ASCII, COLOR] {
        for columns in [0, 1, 7, 20, 37, 80, 200] {
            for rows in [0, 1, 2, 5, 9, 14, 24, 70] {
                let size = Size { width: columns, height: Some(rows) };
                let lines = lines(&scene(), size, style);
                assert_eq!(lines.len(), rows, "{columns} x {rows}");
                assert!(lines.iter().all(|line| width(line) <= columns), "{columns} x {rows}: {lines:?}");
                assert!(style.unicode || lines.iter().all(|line| line.is_ascii()), "{lines:?}");
                assert!(style.color || lines.iter().all(|line| !line.contains('\x1b')), "{lines:?}");
            }
        }
    }
}

/// The rows of a picture that stands alone: its head and foot are those of the whole.
#[test]
fn one_part_has_all_the_room_and_help_stands_instead_of_all() {
    let size = Size { width: 100, height: Some(30) };
    for (part, heading) in [
        (Part::Services, "SERVICES"),
        (Part::Operations, "SLOWEST"),
        (Part::Errors, "ERRORS"),
        (Part::Trace, "A TRACE"),
    ] {
        let picture = lines(&Scene { part: Some(part), ..scene() }, size, PLAIN).join("\n");
        let shown = ["SERVICES", "SLOWEST", "ERRORS", "A TRACE"].into_iter().filter(|h| picture.contains(h));
        assert_eq!(shown.collect::<Vec<_>>(), [heading], "{picture}");
    }
    let help = vec!["q ends it".to_owned()];
    let picture = lines(&Scene { help, ..scene() }, size, PLAIN).join("\n");
    assert!(picture.contains("q ends it") && !picture.contains("SERVICES"), "{picture}");
}

#[test]
fn no_picture_is_larger_than_its_window() {
    for width in 0..12 {
        for height in 1..12 {
            let picture = lines(&scene(), Size { width, height: Some(height) }, PLAIN);
            assert_eq!(picture.len(), height, "{width} x {height}");
            assert!(
                picture.iter().all(|line| line.chars().count() <= width),
                "{width} x {height}: {picture:?}"
            );
        }
    }
}
