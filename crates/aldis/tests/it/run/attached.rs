//! Processes that run already.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::is_alive;
use crate::process::{aldis, text, wait_until};

/// A shell that burns time once it is told to, in itself and in a child.
fn somebody(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_runs_is_watched_to_its_end() {
    // It lives until it was seen to burn: what ends between two looks has used what was seen of it.
    let mut burning = somebody(
        "echo ready; read line; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read line; exit 9",
    );
    let pid = burning.id().to_string();
    let mut said = BufReader::new(burning.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("frames.jsonl");
    let watching = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "--every", "10ms", "--json", file.to_str().unwrap(), "--pid", &pid])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("it is watched", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("initial")));
    let mut stdin = burning.stdin.take().unwrap();
    stdin.write_all(b"burn\n").unwrap();
    wait_until("it is seen to burn", || {
        let told = std::fs::read_to_string(&file).unwrap();
        let mut frames = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        frames.next_back().is_some_and(|frame| frame["cpu_ns"].as_u64() > Some(0))
    });
    drop(stdin);
    assert_eq!(burning.wait().unwrap().code(), Some(9));
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "how it ended is its parent's to know");
    let told = std::fs::read_to_string(&file).unwrap();
    let summary: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["end"], &summary["signal"]), (&"ended".into(), &Value::Null));
    assert_eq!((&summary["command"][0], &summary["exit_code"]), (&"sh".into(), &0.into()));
    let frames: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = &frames[frames.len() - 2];
    assert!(last["cpu_ns"].as_u64() > Some(0), "{last}");
    for (metric, field) in
        [("cpu.usage_ns", "cpu_ns"), ("cpu.user_ns", "cpu_user_ns"), ("io.read_bytes", "io_read_bytes")]
    {
        // What it had used before does not count.
        assert_eq!(summary["metrics"][metric]["value"], last[field], "{summary}");
    }
    assert!(text(&output.stderr).contains(": ended\n"), "{output:?}");
}

#[test]
fn a_signal_ends_the_watching_alone() {
    let mut sleeping = somebody("read line");
    let watching = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "--pid", &sleeping.id().to_string(), "--json", "/dev/stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&watching);
    let mut watching = watching;
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("initial"));
    kill_process(pid, Signal::TERM).unwrap();
    assert!(lines.last().unwrap().unwrap().contains(r#""end":"stopped""#));
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("goes on, unwatched"), "{output:?}");
    assert!(is_alive(&sleeping.id().to_string()));
    drop(sleeping.stdin.take());
    sleeping.wait().unwrap();
}

#[test]
fn a_budget_of_what_runs_ends_it_only_where_that_is_asked_for() {
    for (flags, lives) in [(&[][..], true), (&["--kill"][..], false)] {
        let mut burning = somebody("while :; do :; done");
        let pid = burning.id().to_string();
        let budget = ["run", "--budget-cpu", "50ms", "--every", "10ms", "--pid", &pid];
        let output = aldis(&[&budget[..], flags].concat());
        assert_eq!(output.status.code(), Some(124), "{output:?}");
        let said = text(&output.stderr);
        assert_eq!(said.contains("its budget is used up, and it goes on: "), lives, "{said}");
        assert_eq!(said.contains("ended, as its budget is used up: "), !lives, "{said}");
        match lives {
            true => assert!(is_alive(&pid)),
            // It may have to wait for its turn before it can end.
            false => wait_until("it has ended", || !is_alive(&pid)),
        }
        burning.kill().unwrap();
        burning.wait().unwrap();
    }
}

#[test]
fn what_cannot_be_watched_is_told() {
    for (flags, code, said) in [
        (&["--pid", "99999999999"][..], 2, "invalid value"),
        (&["--pid", "2147483647"], 125, "there is no process 2147483647"),
        (&["--pid", "1", "--", "true"], 2, "cannot be used with"),
        (&["--pid", "1", "--limit-memory", "1GiB"], 2, "cannot be used with"),
        (&["--kill", "--", "true"], 2, "cannot be used with"),
    ] {
        let output = aldis(&[&["run"], flags].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
}
