//! `aldis telemetry`, and the counting of the other commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Running, text, wait_until},
    secure::{certificates, file},
};

/// Every point that comes becomes a line of a file.
fn receiver(folder: &TempDir, tls: &str) -> (Running, PathBuf) {
    let lines = folder.path().join("points.jsonl");
    let config = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'{tls}}}}}}}}}\n\
         exporters: {{file: {{path: '{}'}}}}\n\
         service: {{pipelines: {{metrics: {{receivers: [otlp], exporters: [file]}}}}}}\n",
        lines.display()
    );
    (Running::serve(&config, &[]), lines)
}

/// `aldis` of a user with this home, whom no variable speaks for.
fn of_user(home: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
    command.args(arguments).env_clear().env("HOME", home.path()).envs(variables.iter().copied());
    command.output().unwrap()
}

fn told(home: &TempDir, arguments: &[&str]) -> String {
    let output = of_user(home, arguments, &[]);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

/// Enabled, for this endpoint, and with as much patience as there may be.
fn enabled(home: &TempDir, url: &str) -> String {
    let told = told(home, &["telemetry", "enable", "--endpoint", url]);
    let file = PathBuf::from(status(home)["config_file"].as_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + "timeout = \"10s\"\n").unwrap();
    assert_eq!(status(home)["timeout"], "10s");
    told
}

fn status(home: &TempDir) -> Value {
    serde_json::from_str(&told(home, &["telemetry", "status", "--json"])).unwrap()
}

/// The sums of a backend: every series has a start of its own, and its last value adds to those of its command.
fn sums(lines: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeSet::new();
    let mut sums = BTreeMap::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        for resource in request["resourceMetrics"].as_array().unwrap() {
            let attributes = resource["resource"]["attributes"].as_array().unwrap();
            let keys: Vec<_> =
                attributes.iter().map(|attribute| attribute["key"].as_str().unwrap()).collect();
            assert_eq!(keys, ["service.name", "service.version", "user.fingerprint"]);
            let metric = &resource["scopeMetrics"][0]["metrics"][0];
            assert_eq!(metric["name"], "aldis_command_invocation");
            let sum = &metric["sum"];
            assert_eq!((&sum["aggregationTemporality"], &sum["isMonotonic"]), (&2.into(), &true.into()));
            let point = &sum["dataPoints"][0];
            let label = &point["attributes"][0];
            assert_eq!(label["key"], "command_name");
            let command = label["value"]["stringValue"].as_str().unwrap().to_owned();
            let start = point["startTimeUnixNano"].as_str().unwrap().to_owned();
            assert!(seen.insert((command.clone(), start)), "two points of one series: {line}");
            *sums.entry(command).or_insert(0) += point["asInt"].as_str().unwrap().parse::<u64>().unwrap();
        }
    }
    sums
}

#[test]
fn commands_are_counted_by_an_engine_of_ours() {
    let folder = TempDir::new().unwrap();
    let (engine, lines) = receiver(&folder, "");
    let home = TempDir::new().unwrap();
    let url = format!("http://{}", engine.address("http"));
    let enabled = enabled(&home, &url);
    assert!(enabled.contains(&format!("It goes to {url}/v1/metrics")), "{enabled}");
    for _ in 0..3 {
        told(&home, &["config", "schema"]);
    }
    let wrong = of_user(&home, &["check", "/nowhere/at/all"], &[]);
    assert_eq!(wrong.status.code(), Some(3));
    // Neither help, nor what shells ask for, nor a command line that is wrong is a command.
    for arguments in
        [&["--help"][..], &["--version"], &["check", "--help"], &["completions", "bash"], &["man"], &["x"]]
    {
        of_user(&home, arguments, &[]);
    }
    let read = || fs::read_to_string(&lines).unwrap_or_default();
    wait_until("all have come", || read().lines().count() >= 4);
    assert_eq!(sums(&read()), [("check".to_owned(), 1), ("config schema".to_owned(), 3)].into());
    let status = status(&home);
    assert_eq!((&status["state"], &status["reason"]), (&"on".into(), &"it is enabled".into()));
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn a_users_decision_is_kept_and_told() {
    let home = TempDir::new().unwrap();
    assert_eq!(status(&home)["state"], "off");
    let people = told(&home, &["telemetry", "status"]);
    assert!(people.starts_with("off: it is not enabled\n"), "{people}");
    let shown: Value = serde_json::from_str(&told(&home, &["telemetry", "show"])).unwrap();
    let service = "/resourceMetrics/0/resource/attributes/0/value/stringValue";
    assert_eq!(shown.pointer(service), Some(&"aldis".into()));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "asking writes nothing");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    std::thread::spawn(move || silent.incoming().for_each(drop));
    enabled(&home, &url);
    let enabled = status(&home);
    assert_eq!(
        (&enabled["state"], &enabled["endpoint"], &enabled["fingerprint"]),
        (&"on".into(), &format!("{url}/v1/metrics").into(), &Value::Null)
    );
    told(&home, &["config", "schema"]);
    wait_until("something came of it", || status(&home)["last_result"] == "the connection broke off");
    let fingerprint = status(&home)["fingerprint"].clone();
    assert_eq!(fingerprint.as_str().map(str::len), Some(64));
    told(&home, &["telemetry", "reset"]);
    assert_eq!(status(&home)["fingerprint"], Value::Null);
    let quiet = of_user(&home, &["telemetry", "status"], &[("DO_NOT_TRACK", "1")]);
    assert!(text(&quiet.stdout).starts_with("off: DO_NOT_TRACK is set"), "{quiet:?}");
    let logged = of_user(&home, &["config", "schema"], &[("ALDIS_TELEMETRY", "log")]);
    assert!(text(&logged.stderr).contains("\"stringValue\": \"config schema\""), "{logged:?}");
    told(&home, &["telemetry", "disable"]);
    assert_eq!((&status(&home)["state"], &status(&home)["last_result"]), (&"off".into(), &Value::Null));
    let wrong = of_user(&home, &["telemetry", "enable", "--endpoint", "ftp://a"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    let nowhere =
        Command::new(env!("CARGO_BIN_EXE_aldis")).args(["telemetry", "disable"]).env_clear().output();
    assert_eq!(nowhere.unwrap().status.code(), Some(3));
}

#[test]
fn counts_go_over_tls_to_whom_the_system_trusts() {
    let folder = certificates();
    let [ca, cert, key] = ["ca.pem", "own.pem", "own-key.pem"].map(|name| file(&folder, name));
    let (engine, lines) = receiver(&folder, &format!(", tls: {{cert_file: '{cert}', key_file: '{key}'}}"));
    let home = TempDir::new().unwrap();
    let url = format!("https://{}", engine.address("http"));
    enabled(&home, &url);
    of_user(&home, &["config", "schema"], &[]);
    wait_until("it was not believed", || status(&home)["last_result"] == "no TLS with a trusted certificate");
    of_user(&home, &["config", "schema"], &[("SSL_CERT_FILE", &ca)]);
    wait_until("it has come", || status(&home)["last_result"] == "delivered");
    assert_eq!(sums(&fs::read_to_string(&lines).unwrap()), [("config schema".to_owned(), 1)].into());
    assert_eq!(engine.stop().code, Some(0));
}

/// Whatever the network does, it is not the command that it happens to.
#[test]
fn the_command_itself_opens_no_socket() {
    let home = TempDir::new().unwrap();
    told(&home, &["telemetry", "enable", "--endpoint", "http://127.0.0.1:9"]);
    let trace = home.path().join("trace");
    let strace = std::env::var_os("ALDIS_STRACE").unwrap_or_else(|| "strace".into());
    let mut command = Command::new(strace);
    // With its threads, and what it starts until that begins its own program.
    command.args(["-f", "-q", "-b", "execve", "-e", "trace=execve,socket,connect,sendto", "-o"]).arg(&trace);
    command.args([env!("CARGO_BIN_EXE_aldis"), "config", "schema"]).env_clear().env("HOME", home.path());
    if let Some(libraries) = std::env::var_os("ALDIS_STRACE_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let output = command.output();
    let lines = fs::read_to_string(&trace).unwrap_or_default();
    if !lines.contains("execve(") {
        eprintln!("skipped: the_command_itself_opens_no_socket: strace does not work here: {output:?}");
        return;
    }
    assert!(output.unwrap().status.success());
    wait_until("a sender has tried", || status(&home)["last_result"] == "cannot connect");
    let network = ["socket(", "connect(", "sendto("];
    let used: Vec<&str> =
        lines.lines().filter(|line| network.iter().any(|call| line.contains(call))).collect();
    assert!(used.is_empty(), "{used:#?}");
}
