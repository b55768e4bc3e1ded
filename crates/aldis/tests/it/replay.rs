//! `aldis replay`.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{aldis, text, wait_until};

const CONFIG: &str = "
receivers:
  otlp: {protocols: {grpc: {endpoint: 'localhost:1'}}}
  otlp/other: {protocols: {grpc: {endpoint: 'localhost:2'}}}
processors:
  filter: {traces: {span: ['name == \"noise\"']}}
exporters:
  file/spans: {path: 'DIR/spans.out'}
  file/logs: {path: 'DIR/logs.out', format: proto}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [filter], exporters: [file/spans]}
    logs: {receivers: [otlp/other], exporters: [file/logs]}
";

const INPUT: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"work","endTimeUnixNano":"7"},{"name":"noise"}]}]}]}
{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{},{}]}]}]}
"#;

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new(input: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = CONFIG.replace("DIR", folder.path().to_str().unwrap());
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        fs::write(folder.path().join("input"), input).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap().lines().count()
    }

    /// Replays the input; the exit code and the result.
    fn replay(&self, flags: &[&str]) -> (Option<i32>, Value, String) {
        let (input, config) = (self.path("input"), self.path("config.yaml"));
        let mut all = vec!["replay", &input, "--config", &config, "--json"];
        all.extend(flags);
        let output = aldis(&all);
        let result = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), result, text(&output.stderr))
    }
}

#[test]
fn a_file_is_replayed_and_told() {
    let scene = Scene::new(INPUT);
    let (code, result, stderr) = scene.replay(&["--shards", "2", "--stats", "--drain-timeout", "10"]);
    assert_eq!(
        (code, result["records"].as_u64(), result["requests"].as_u64()),
        (Some(0), Some(5), Some(2)),
        "{stderr}"
    );
    assert_eq!((result["last_ns"].as_u64(), result["complete"].as_bool()), (Some(7), Some(true)));
    assert!(stderr.contains("stage traces:filter traces: in 2 + made 0 = out 1 + removed 1"), "{stderr}");
    let spans = fs::read_to_string(scene.path("spans.out")).unwrap();
    assert!(spans.contains("work") && !spans.contains("noise"), "{spans}");
    assert_eq!(fs::read(scene.path("logs.out")).unwrap()[..3], [0, 0, 0]);
    let (input, config) = (scene.path("input"), scene.path("config.yaml"));
    let output = aldis(&["replay", &input, &input, "-c", &config]);
    let told = text(&output.stdout);
    assert!(told.starts_with("replayed 10 records in 4 requests in "), "{told}");
    assert!(told.contains("file/spans traces: delivered 2"), "{told}");

    let torn = Scene::new(&format!("{INPUT}{{\"resourceSpans\":["));
    let (code, result, stderr) = torn.replay(&[]);
    assert_eq!((code, result["faults"].as_u64(), result["records"].as_u64()), (Some(3), Some(1), Some(5)));
    assert!(stderr.contains("line 3"), "{stderr}");
    assert_eq!(aldis(&["replay", "/nowhere/file", "-c", &config]).status.code(), Some(3));
    assert_eq!(aldis(&["replay", "-c", &config]).status.code(), Some(2));
}

#[test]
fn only_what_is_chosen_is_replayed() {
    let scene = Scene::new(INPUT);
    let counts = |flags: &[&str]| {
        let (code, result, stderr) = scene.replay(flags);
        assert_eq!(code, Some(0), "{stderr}");
        (result["records"].as_u64().unwrap(), result["unrouted_records"].as_u64().unwrap())
    };
    assert_eq!(counts(&["--pipeline", "traces"]), (2, 3));
    assert_eq!(scene.lines("spans.out"), 1);
    assert_eq!(counts(&["--receiver", "otlp/other"]), (3, 2));
    assert_eq!(counts(&["--signal", "logs"]), (3, 0));
    assert_eq!(counts(&["--signal", "logs", "--pipeline", "traces"]), (0, 3));
    let (code, _, stderr) = scene.replay(&["--pipeline", "metrics"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("there is no pipeline `metrics`"), "{stderr}");
}

/// A file that has nothing but faults is left when a signal comes.
#[test]
fn a_signal_ends_a_replay_of_faults() {
    let scene = Scene::new("");
    // Frames without bytes, 64 GiB of them, on no disk.
    let zeros = scene.path("zeros.bin");
    fs::File::create(&zeros).unwrap().set_len(64 << 30).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["replay", &zeros, "--signal", "traces", "--config", &scene.path("config.yaml"), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its exporters' files are there before it reads.
    wait_until("it has begun", || fs::exists(scene.path("spans.out")).unwrap());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["complete"]), (Some(5), &Value::Bool(false)), "{told}");
    assert!(text(&output.stderr).contains("ended by a signal"));
}
