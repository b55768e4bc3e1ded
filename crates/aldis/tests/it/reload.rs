//! `aldis serve` is told to read its file again: by a signal, and by `aldis reload`.

use std::{fs, process::Command};

use serde_json::Value;

use crate::process::{Running, aldis, load, text, wait_until};

fn config(sink: &Running, processors: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}
processors: {{batch: , resource: {{attributes: [{{key: a, value: b, action: insert}}]}}}}
exporters: {{otlp: {{timeout: 10m, endpoint: '{}', tls: {{insecure: true}}}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], processors: [{processors}], exporters: [otlp]}}}}}}
",
        sink.address("grpc")
    )
}

fn reloads(running: &Running) -> Vec<Value> {
    let lines = running.stderr();
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "reload").collect()
}

fn sends(running: &Running) {
    let (code, told) = load(&["--endpoint", &running.address("grpc"), "--requests", "20"]);
    assert_eq!(code, Some(0), "{told}");
}

/// A file that is right is run from then on; one that is wrong, or cannot be read, changes nothing and says why.
#[test]
fn a_signal_has_the_file_read_again() {
    let sink = Running::sink(&[]);
    let serve = Running::serve(&config(&sink, "batch"), &[]);
    let hang_up = || {
        let before = reloads(&serve).len();
        assert!(Command::new("kill").arg("-HUP").arg(serve.pid().to_string()).status().unwrap().success());
        wait_until("it has reloaded", || reloads(&serve).len() > before);
        reloads(&serve).pop().unwrap()
    };
    sends(&serve);
    assert_eq!(
        hang_up()["text"].as_str().unwrap().lines().last().unwrap().rsplit(": ").next(),
        Some("nothing has changed")
    );
    fs::write(serve.file(), config(&sink, "batch, resource")).unwrap();
    let told = hang_up();
    assert_eq!((&told["ok"], &told["changes"]["pipelines"]["changed"][0]), (&true.into(), &"logs".into()));
    assert_eq!(told["changes"]["processors"]["added"][0], "resource");
    sends(&serve);
    fs::write(serve.file(), config(&sink, "bath")).unwrap();
    let told = hang_up();
    assert_eq!((&told["ok"], &told["exit"]), (&false.into(), &1.into()));
    let problems = told["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["message"] == "there is no processor `bath`"), "{told}");
    assert!(told["text"].as_str().unwrap().contains("everything runs on as before"), "{told}");
    fs::remove_file(serve.file()).unwrap();
    assert_eq!(hang_up()["exit"], 3);
    sends(&serve);
    let ended = serve.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sent = ended.event("ended")["stats"]["receivers"][0]["admitted"].as_u64().unwrap();
    assert!(sent > 0);
    let arrived = sink.stop().json();
    assert_eq!(arrived["records"].as_u64(), Some(sent), "{arrived}");
}

/// Who asks is answered with what `aldis check` would say, and with its exit code.
#[test]
fn reload_asks_the_engine_and_tells_its_answer() {
    let sink = Running::sink(&[]);
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("control.sock");
    let socket = socket.to_str().unwrap();
    let serve = Running::serve(&config(&sink, "batch"), &["--control", socket]);
    let reload = |arguments: &[&str]| aldis(&[&["reload", "--control", socket], arguments].concat());
    fs::write(serve.file(), config(&sink, "")).unwrap();
    let done = reload(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(
        text(&done.stdout).ends_with("processors: removed batch; pipelines: changed logs\n"),
        "{}",
        text(&done.stdout)
    );
    fs::write(serve.file(), "receivers: [").unwrap();
    let wrong = reload(&[]);
    assert_eq!((wrong.status.code(), text(&wrong.stdout).as_str()), (Some(1), ""));
    assert!(text(&wrong.stderr).contains("runs on as before"), "{}", text(&wrong.stderr));
    let checked = aldis(&["check", serve.file().to_str().unwrap()]);
    let first = text(&checked.stderr).lines().next().unwrap().to_owned();
    assert!(text(&wrong.stderr).starts_with(&first), "{}", text(&wrong.stderr));
    let json: Value = serde_json::from_slice(&reload(&["--json"]).stdout).unwrap();
    assert_eq!((&json["ok"], json["problems"].as_array().unwrap().is_empty()), (&false.into(), false));
    sends(&serve);
    serve.stop();
    assert!(!std::path::Path::new(socket).exists());
    let gone = reload(&[]);
    assert_eq!(gone.status.code(), Some(4), "{}", text(&gone.stderr));
}

/// Without flags the only engine is found; of several, one must be chosen.
#[test]
fn engines_are_found_by_their_process() {
    let sink = Running::sink(&[]);
    let folder = tempfile::TempDir::new().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let within = [("XDG_RUNTIME_DIR", folder.path().to_str().unwrap())];
    let reload = |arguments: &[&str]| {
        let all = [&["reload"], arguments].concat();
        Command::new(env!("CARGO_BIN_EXE_aldis")).args(all).envs(within).output().unwrap()
    };
    let one = Running::serve_within(&config(&sink, "batch"), &[], &within);
    let sockets = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(sockets(), 1);
    let (first, pid) = (reload(&["--pid", &one.pid().to_string()]), one.pid().to_string());
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let two = Running::serve_within(&config(&sink, "batch"), &[], &within);
    let both = reload(&[]);
    assert_eq!(both.status.code(), Some(2));
    for pid in [&pid, &two.pid().to_string()] {
        assert!(text(&both.stderr).contains(&format!("--pid {pid}")), "{}", text(&both.stderr));
    }
    two.stop();
    // Others of this user may run elsewhere.
    let chosen = reload(&["--pid", &pid]);
    assert_eq!(chosen.status.code(), Some(0), "{}", text(&chosen.stderr));
    one.stop();
    assert_eq!(sockets(), 0);
}
