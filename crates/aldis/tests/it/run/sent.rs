//! Episodes that are sent to an OTLP endpoint, here an engine that writes what it receives to a file.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::script;
use crate::{
    process::{Running, aldis, text, wait_until},
    stub::Stub,
};

/// An engine, and the file of what it received.
struct Far {
    engine: Running,
    folder: TempDir,
}

impl Far {
    fn start() -> Far {
        let folder = TempDir::new().unwrap();
        let config = "
receivers:
  otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}
exporters:
  file: {path: 'DIR/all.jsonl'}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [file]}
    metrics: {receivers: [otlp], exporters: [file]}
";
        let engine = Running::serve(&config.replace("DIR", folder.path().to_str().unwrap()), &[]);
        Far { engine, folder }
    }

    /// What came until it ended: spans, and the points of each metric.
    fn received(self) -> (Vec<Value>, BTreeMap<String, Vec<Value>>) {
        assert_eq!(self.engine.stop().code, Some(0));
        let text = fs::read_to_string(self.folder.path().join("all.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (mut spans, mut points) = (Vec::new(), BTreeMap::<String, Vec<Value>>::new());
        for resource in lines.iter().flat_map(|line| list(&line["resourceSpans"])) {
            for mut span in list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
                span["service"] = attribute(&resource["resource"], "service.name");
                spans.push(span);
            }
        }
        for resource in lines.iter().flat_map(|line| list(&line["resourceMetrics"])) {
            for metric in list(&resource["scopeMetrics"]).iter().flat_map(|scope| list(&scope["metrics"])) {
                let kind = if metric["sum"].is_object() { "sum" } else { "gauge" };
                for mut point in list(&metric[kind]["dataPoints"]) {
                    point["monotonic"] = metric["sum"]["isMonotonic"].clone();
                    points.entry(metric["name"].as_str().unwrap().to_owned()).or_default().push(point);
                }
            }
        }
        (spans, points)
    }
}

fn attribute(of: &Value, key: &str) -> Value {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.map_or(Value::Null, |attribute| {
        attribute["value"].as_object().unwrap().values().next().unwrap().clone()
    })
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn samples_are_metrics_and_the_whole_is_a_span_above_the_commands_own() {
    for protocol in ["grpc", "http"] {
        let far = Far::start();
        let address = far.engine.address(protocol);
        let folder = TempDir::new().unwrap();
        let frames = folder.path().join("frames.jsonl");
        let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $TRACEPARENT; exit 3";
        let flags = [
            "--otlp",
            &address,
            "--otlp-protocol",
            protocol,
            "--otlp-grace",
            "10m",
            "--service",
            "build",
            "--every",
            "10ms",
            "--json",
            frames.to_str().unwrap(),
        ];
        let output = script(&flags, burn);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(!text(&output.stderr).contains("warning"), "{output:?}");
        let (spans, points) = far.received();
        let [span] = &spans[..] else { panic!("{spans:?}") };

        let frames = fs::read_to_string(frames).unwrap();
        let frames: Vec<Value> = frames.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, frames) = frames.split_last().unwrap();
        assert_eq!((&span["name"], &span["service"]), (&"sh".into(), &"build".into()));
        assert_eq!((&span["traceId"], &span["spanId"]), (&summary["trace_id"], &summary["span_id"]));
        let handed = text(&output.stdout);
        let parts: Vec<&str> = handed.trim().split('-').collect();
        assert_eq!(parts, ["00", span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap(), "03"]);
        assert_eq!(span["traceId"], summary["episode_id"].as_str().unwrap().replace('-', ""));
        assert_eq!(span["status"]["code"], 2, "{span}");
        assert_eq!(attribute(span, "error.type"), "exit_3");
        assert_eq!(number(&attribute(span, "process.exit.code")), 3.0);
        let took = number(&span["endTimeUnixNano"]) - number(&span["startTimeUnixNano"]);
        assert!((took - number(&summary["wall_ns"])).abs() < 1e3, "{took} {summary}");

        // Every sample is there, and the last is the whole.
        let of = |name: &str, key: &str, value: &str| -> Vec<f64> {
            let mut of: Vec<&Value> =
                points[name].iter().filter(|point| attribute(point, key) == value).collect();
            of.sort_by_key(|point| point["timeUnixNano"].as_str().unwrap().parse::<u64>().unwrap());
            of.iter().map(|point| number(point.get("asDouble").or(point.get("asInt")).unwrap())).collect()
        };
        let user = of("process.cpu.time", "cpu.mode", "user");
        assert_eq!(user.len(), frames.len());
        let told: Vec<f64> = frames.iter().map(|frame| number(&frame["cpu_user_ns"]) / 1e9).collect();
        assert_eq!(user, told);
        assert_eq!(user.last().copied().unwrap(), number(&attribute(span, "aldis.episode.cpu.user")));
        let system = of("process.cpu.time", "cpu.mode", "system");
        assert_eq!(system.len(), frames.len());
        for point in &points["process.cpu.time"] {
            assert_eq!(
                (&point["monotonic"], &point["startTimeUnixNano"]),
                (&true.into(), &span["startTimeUnixNano"])
            );
            assert_eq!(attribute(point, "aldis.episode.id"), summary["episode_id"]);
        }
        for (name, what) in [("rss", "process.memory.usage"), ("peak", "aldis.episode.memory.peak")] {
            let is_measured = summary["metrics"][format!("memory.{name}_bytes")]["value"].is_u64();
            assert_eq!(points.contains_key(what), is_measured, "{what}");
        }
    }
}

#[test]
fn a_span_below_another_joins_its_trace_and_follows_its_decision() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (flags, is_sent) in [("-01", true), ("-00", false)] {
        let far = Far::start();
        let run = format!(
            "exec \"{}\" run -q --otlp {} --otlp-grace 10m -- sh -c 'echo $TRACEPARENT $TRACESTATE'",
            env!("CARGO_BIN_EXE_aldis"),
            far.engine.address("grpc")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &run])
            .env("TRACEPARENT", parent.replace("-01", flags))
            .env("TRACESTATE", "vendor=1")
            .output()
            .unwrap();
        let handed = text(&output.stdout);
        assert!(handed.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{output:?}");
        assert!(handed.ends_with(&format!("{flags} vendor=1\n")) && !handed.contains("b7ad6b7169203331"));
        let (spans, points) = far.received();
        assert!(points.contains_key("process.cpu.time"));
        assert_eq!(spans.len(), usize::from(is_sent));
        if let [span] = &spans[..] {
            assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
            assert!(handed.contains(span["spanId"].as_str().unwrap()));
        }
    }
}

#[test]
fn headers_go_with_every_request() {
    let stub = Stub::start();
    // One request is all that it answers: a second one fails, and is told of.
    let address = format!("http://{}", stub.address);
    script(&["-q", "--otlp", &address, "--otlp-protocol", "http", "--otlp-header", "x-key=secret"], "true");
    let (head, body) = stub.heard();
    assert!(
        head.contains("\r\nx-key: secret\r\n") && head.starts_with("post /v1/") && !body.is_empty(),
        "{head}"
    );
}

/// Who sends nothing changes nothing of the command's environment.
#[test]
fn without_an_endpoint_the_trace_stays_the_callers() {
    let run =
        format!("TRACEPARENT=x exec \"{}\" run -q -- sh -c 'echo $TRACEPARENT'", env!("CARGO_BIN_EXE_aldis"));
    let output = std::process::Command::new("sh").args(["-c", &run]).output().unwrap();
    assert_eq!(text(&output.stdout), "x\n");
}

#[test]
fn an_endpoint_that_is_not_there_costs_a_warning() {
    // Port 9 is "discard", where nobody listens.
    let output = script(&["-q", "--otlp", "127.0.0.1:9", "--otlp-grace", "10ms"], "echo run; exit 4");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(4), "run\n".to_owned()));
    let said = text(&output.stderr);
    assert!(said.contains("aldis run: warning: --otlp: ") && said.contains("not delivered"), "{said}");
    for wrong in ["", "ftp://example.org", "http://"] {
        let output = aldis(&["run", "--otlp", wrong, "--", "echo", "run"]);
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(125), &[][..]),
            "{wrong}: {output:?}"
        );
        assert!(text(&output.stderr).contains("--otlp: "), "{output:?}");
    }
}

#[test]
fn an_endpoint_of_the_other_protocol_is_told_so() {
    let far = Far::start();
    let place = format!("http://{}", far.engine.address("http"));
    let output = script(&["-q", "--otlp", &place, "--otlp-protocol", "grpc", "--otlp-grace", "1m"], "exit 4");
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stderr);
    assert!(said.contains("not delivered") && said.contains("--otlp-protocol"), "{said}");
}

/// It is waited for as long as was asked for. Nobody has to wait for one that never answers.
#[test]
fn a_signal_ends_the_waiting_for_an_endpoint() {
    /// What is waited unless something else is asked for.
    const DEFAULT: Duration = Duration::from_secs(5);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut running = std::process::Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "-q", "--otlp", &address, "--otlp-grace", "1h", "--", "sh", "-c", "echo begun; exit 4"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&running);
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    std::thread::sleep(DEFAULT + Duration::from_secs(1));
    assert!(running.try_wait().unwrap().is_none());
    // Again and again: one that comes before the command has ended is the command's, which does not heed it.
    wait_until("it has ended", || {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::USR1);
        running.try_wait().unwrap().is_some()
    });
    let output = running.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(4) || output.status.code() == Some(128 + 10), "{output:?}");
    assert!(said.contains("left behind, as a signal came") || said.contains("not delivered"), "{said}");
}

/// What does not end may be looked at meanwhile.
#[test]
fn samples_are_sent_while_the_command_runs() {
    let far = Far::start();
    let mut running = std::process::Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "-q", "--otlp", &far.engine.address("grpc"), "--", "sleep", "1000"])
        .spawn()
        .unwrap();
    let file = far.folder.path().join("all.jsonl");
    wait_until("points come", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("process.cpu.time"))
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&running), rustix::process::Signal::TERM)
        .unwrap();
    running.wait().unwrap();
}
