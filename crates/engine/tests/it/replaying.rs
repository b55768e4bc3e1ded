//! Files through a configuration on the time of the telemetry: the same files, the same records.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aldis_engine::{
    DrainReport, Engine, ReplayError, ReplayReport, ReplaySettings, Route, check, components::Id,
};
use bytes::Bytes;
use connect::file::{Next, ReadSettings, RecordFile};
use otlp::{Check, Checker, Depth, Signal, event::RequestBuilder};

/// Spans of a minute, a few of each resource, deterministic.
fn spans(count: usize) -> Bytes {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Counts);
    for i in 0..count as u64 {
        let start_time_ns = 1_600_000_000_000_000_000 + i * 60_000_000_000 / count as u64;
        let span = otlp::Span {
            name: if i % 5 == 0 { "noise".into() } else { format!("work {i}") },
            trace_id: format!("{:032x}", i / 7 + 1),
            span_id: format!("{:016x}", i + 1),
            start_time_ns,
            end_time_ns: start_time_ns + i % 1000,
            ..otlp::Span::default()
        };
        builder.push_span(&span).unwrap();
    }
    builder.finish().to_wire()
}

/// The same records in requests of at most so many.
fn divided(request: &Bytes, most: usize) -> Vec<Bytes> {
    let batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(request.clone()).unwrap();
    otlp::split(batch, most, 0).iter().map(otlp::Batch::to_wire).collect()
}

fn write(path: &Path, requests: &[Bytes]) {
    let frame = |request: &Bytes| [&(request.len() as u32).to_be_bytes()[..], request].concat();
    fs::write(path, requests.iter().flat_map(frame).collect::<Vec<u8>>()).unwrap();
}

/// Every record of a file of JSON lines with its resource and scope, as bytes in order.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Records);
    let mut file = RecordFile::open(path, ReadSettings::default()).unwrap();
    let mut all = Vec::new();
    loop {
        match file.read().unwrap() {
            Next::Record(record) => {
                let batch = checker.check(record.request.wire).unwrap();
                let index = batch.index();
                for at in &index.records.at {
                    let scope = &index.scopes[at.scope as usize];
                    let resource = &index.resources[scope.resource as usize];
                    let parts = [resource.resource, scope.scope, at.body];
                    all.push(parts.iter().flat_map(|part| &batch.raw()[part.range()]).copied().collect());
                }
            }
            Next::End => break,
            other => panic!("{other:?}"),
        }
    }
    all.sort_unstable();
    all
}

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replays files of traces through a filter, an edit and a batch into `out`.
    fn replay(&self, files: &[PathBuf], shards: usize, batch: &str) -> (ReplayReport, DrainReport) {
        let out = self.path("out");
        let text = format!(
            "
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 'localhost:1'}}}}}}
processors:
  filter: {{traces: {{span: ['name == \"noise\"']}}}}
  attributes: {{actions: [{{key: replayed, value: true, action: insert}}]}}
  batch: {{{batch}}}
exporters:
  file: {{path: '{}'}}
service:
  pipelines:
    traces: {{receivers: [otlp], processors: [filter, attributes, batch], exporters: [file]}}
    traces/other: {{receivers: [otlp], exporters: [nop]}}
",
            out.display()
        );
        let text = text.replace("exporters:\n  file:", "exporters:\n  nop:\n  file:");
        let checked = check(&text, &|_| None);
        assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
        let settings = ReplaySettings {
            key: None,
            files: files.to_vec(),
            signal: Some(Signal::Traces),
            into: Route::Pipeline("traces".into()),
            shards,
            drain_timeout: Duration::from_secs(60),
        };
        let (report, drained) = Engine::replay(&checked.graph, &settings, &mut |_| true).unwrap();
        assert!(drained.is_complete() && report.failed == 0, "{report:?} {drained:?}");
        drained.stats.check().unwrap();
        (report, drained)
    }
}

#[test]
fn the_same_files_give_the_same_records() {
    let scene = Scene::new();
    let request = spans(5000);
    let mut expected = None;
    for (most, shards, batch) in [
        (5000, 1, "send_batch_size: 8192"),
        (1, 3, "send_batch_size: 700, send_batch_max_size: 900"),
        (13, 1, "send_batch_size: 1, timeout: 0s"),
        (999, 2, "send_batch_size: 100000, timeout: 1s"),
        (77, 2, "send_batch_size: 50, send_batch_max_size: 50, timeout: 10m"),
    ] {
        let input = scene.path("input");
        write(&input, &divided(&request, most));
        let (report, drained) = scene.replay(&[input], shards, batch);
        assert_eq!((report.records, report.faults, report.unrouted), (5000, 0, 0));
        let first = 1_600_000_000_000_000_000;
        assert_eq!(report.event_time.unwrap().0, first);
        assert_eq!(drained.stats.exporter("file", Signal::Traces).unwrap().delivered, 4000);
        let found = records(&scene.path("out"));
        assert_eq!(found.len(), 4000);
        assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{most} {shards} {batch}");
    }
}

/// A batch waits by the time of the telemetry, not by the clock, and not for an idle exporter.
#[test]
fn batches_leave_when_event_time_says_so() {
    let scene = Scene::new();
    let input = scene.path("input");
    // A minute of spans, ten in a second; all of it passes in a moment.
    write(&input, &divided(&spans(600), 1));
    let requests = |batch: &str| {
        scene.replay(std::slice::from_ref(&input), 1, batch);
        fs::read_to_string(scene.path("out")).unwrap().lines().count()
    };
    assert_eq!(requests("send_batch_size: 100000, timeout: 1h"), 1);
    let each_second = requests("send_batch_size: 100000, timeout: 1s");
    assert!((50..=60).contains(&each_second), "{each_second}");
    let again = requests("send_batch_size: 100000, timeout: 1s");
    assert_eq!(each_second, again);
}

#[test]
fn what_is_no_request_or_has_no_pipeline_is_told() {
    let scene = Scene::new();
    let input = scene.path("input.jsonl");
    let text = concat!(
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"a\"}]}]}]}\n",
        "{\"resourceSpans\":[{\"torn\n",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}, {}]}]}]}\n",
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"b\"}]}]}]}",
    );
    fs::write(&input, text).unwrap();
    let file = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\nservice: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}\n";
    let graph = check(file, &|_| None).graph;
    let settings = |into| ReplaySettings {
        key: None,
        files: vec![input.clone()],
        signal: None,
        into,
        shards: 1,
        drain_timeout: Duration::from_secs(60),
    };
    let receiver = Route::Receiver(Id::parse("otlp").unwrap());
    let (report, _) = Engine::replay(&graph, &settings(receiver), &mut |_| true).unwrap();
    assert_eq!((report.records, report.unrouted, report.faults), (2, 2, 1));
    assert!(report.told[0].contains("input.jsonl: line 2"), "{:?}", report.told);
    let only = ReplaySettings { signal: Some(Signal::Logs), ..settings(Route::All) };
    let (report, _) = Engine::replay(&graph, &only, &mut |_| true).unwrap();
    assert_eq!((report.records, report.unrouted), (0, 2));
    let (report, _) = Engine::replay(&graph, &settings(Route::All), &mut |_| false).unwrap();
    assert!(report.is_cut_short && report.records == 1, "{report:?}");
    let error = Engine::replay(&graph, &settings(Route::Pipeline("logs".into())), &mut |_| true).unwrap_err();
    assert_eq!(error.to_string(), "there is no pipeline `logs`");
    let missing = ReplaySettings { files: vec![scene.path("nothing")], ..settings(Route::All) };
    let error = Engine::replay(&graph, &missing, &mut |_| true).unwrap_err();
    assert!(matches!(error, ReplayError::File { .. }), "{error}");
}

/// Real traces: one request of 86,583 spans, whole and in pieces.
#[test]
fn real_traces_are_the_same_however_they_are_divided() {
    let shared = std::env::var_os("ALDIS_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = shared.join("otlp/hipstershop-traces.zst");
    if !path.exists() {
        return eprintln!("SKIPPED: {} is not there", path.display());
    }
    let scene = Scene::new();
    let (report, _) =
        scene.replay(std::slice::from_ref(&path), 1, "send_batch_size: 8192, send_batch_max_size: 8192");
    assert_eq!(report.records, 86_583);
    let whole = records(&scene.path("out"));
    assert_eq!(whole.len(), 86_583);
    let mut file = RecordFile::open(&path, ReadSettings::default()).unwrap();
    let Next::Record(record) = file.read().unwrap() else { panic!("it has a request") };
    let pieces = scene.path("pieces");
    write(&pieces, &divided(&record.request.wire, 500));
    scene.replay(&[pieces], 3, "send_batch_size: 3000, timeout: 5s");
    assert!(records(&scene.path("out")) == whole);
}
