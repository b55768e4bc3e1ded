//! The command and the process that sends for it have nothing to do with each other.

use std::{
    fs,
    io::{self, Read},
    process::{Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    receiver::{Manner, Receiver},
    tool::{Home, executable, wait_until},
};

/// Most senders at once, as the documentation says.
const SENDERS_MAX: usize = 8;

/// `strace` of the command and of everything that it starts: a line for each system call, with the process in front.
fn traced(home: &Home, words: &[&str]) -> Result<Vec<String>, String> {
    let trace = home.path().join("trace");
    // Below a process that lives as long as the command and leads all of them: whoever runs the tests may have ended.
    let mut strace = Command::new("setsid");
    strace.arg("--wait").arg(std::env::var_os("ALDIS_STRACE").unwrap_or_else(|| "strace".into()));
    strace.args(["-f", "-q", "-e", "trace=execve,socket,connect,setsid,exit_group,clone,clone3", "-o"]);
    strace.arg(&trace).arg(executable()).args(words).env_clear().env("HOME", home.path());
    if let Some(libraries) = std::env::var_os("ALDIS_STRACE_LIBRARIES") {
        strace.env("LD_LIBRARY_PATH", libraries);
    }
    let output = strace.output().map_err(|error| format!("there is no strace: {error}"))?;
    let text = fs::read_to_string(trace).unwrap_or_default();
    if text.contains("execve") {
        Ok(text.lines().map(str::to_owned).collect())
    } else {
        Err(format!("strace does not work here: {output:?}"))
    }
}

/// Senders that stand still, so that their time is not over before a test has seen what it wants; they end with this.
#[derive(Default)]
struct Still(Vec<Pid>);

impl Still {
    /// Those that do not.
    fn others(&self, home: &Home) -> Vec<Pid> {
        let all = home.senders().into_iter().map(Pid::from_raw);
        all.filter(|sender| !self.0.contains(sender)).collect()
    }

    fn hold(&mut self, home: &Home) {
        let others = self.others(home);
        self.0.extend(others.into_iter().filter(|sender| kill(*sender, Signal::SIGSTOP).is_ok()));
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        for sender in &self.0 {
            let _ = kill(*sender, Signal::SIGKILL);
        }
    }
}

#[test]
fn the_command_opens_no_socket() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let lines = match traced(&home, &["noop"]) {
        Ok(lines) => lines,
        Err(reason) => {
            eprintln!("skipped: the_command_opens_no_socket: {reason}");
            return;
        }
    };
    let pid = |line: &String| line.split_whitespace().next().unwrap_or_default().to_owned();
    let command = pid(&lines[0]);
    let of = |line: &&String, call: &str| line.contains(&format!(" {call}("));
    let (own, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| pid(line) == command);
    assert!(!own.iter().any(|line| of(line, "socket") || of(line, "connect")), "{own:#?}");
    for call in ["execve", "setsid", "socket", "connect"] {
        let well = |line: &&String| of(line, call) && (!line.contains("= -1") || call == "connect");
        assert!(others.iter().any(well), "the sender has no {call}: {others:#?}");
    }
}

/// Who counts nothing starts nothing either: no process, no thread, no socket.
#[test]
fn a_command_that_is_not_counted_starts_nothing() {
    let off = Home::enabled("http://127.0.0.1:9");
    off.told(&["telemetry", "disable"]);
    for home in [off, Home::new()] {
        let lines = match traced(&home, &["noop"]) {
            Ok(lines) => lines,
            Err(reason) => {
                eprintln!("skipped: a_command_that_is_not_counted_starts_nothing: {reason}");
                return;
            }
        };
        let calls = ["socket(", "connect(", "clone(", "clone3(", "setsid("];
        let started: Vec<_> =
            lines.iter().filter(|line| calls.iter().any(|call| line.contains(call))).collect();
        assert!(started.is_empty(), "{started:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("execve(")).count(), 1, "{lines:#?}");
    }
}

/// A reader of a pipe that the command has inherited is not held up.
#[test]
fn no_open_file_outlives_the_command() {
    let receiver = Receiver::with_manner(Manner::Waits);
    let home = Home::enabled(&receiver.url);
    let (mut reader, writer) = io::pipe().unwrap();
    let line = format!("{} noop 3>&1 4>&1 5>&1", executable().display());
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", &line]).env_clear().env("HOME", home.path());
    let mut running = shell.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    // Our own copy of the far end.
    shell.stdout(Stdio::null());
    receiver.requests(1);
    let mut sender = Still::default();
    sender.hold(&home);
    let reading = thread::spawn(move || reader.read_to_end(&mut Vec::new()).unwrap());
    wait_until("there is nothing more to read", || reading.is_finished());
    assert!(running.wait().unwrap().success());
    assert_eq!(home.status()["last_result"], Value::Null, "the sender is still there");
    drop(sender);
}

#[test]
fn senders_are_few_and_what_is_skipped_is_counted() {
    let receiver = Receiver::with_manner(Manner::Waits);
    let home = Home::enabled(&receiver.url);
    let skipped = || home.status()["skipped"].as_u64().unwrap();
    let mut still = Still::default();
    // Each takes a place and keeps it, but where it took so long to hold it that its time was over.
    for _ in 0..10 * SENDERS_MAX {
        if skipped() == 3 {
            break;
        }
        let before = receiver.count();
        assert!(home.run(&["noop"]).status.success());
        wait_until("it has sent, or is gone", || receiver.count() > before || still.others(&home).is_empty());
        if receiver.count() > before {
            still.hold(&home);
        }
        assert!(home.senders().len() <= SENDERS_MAX);
    }
    assert_eq!((skipped(), home.senders().len()), (3, SENDERS_MAX));
}

/// A command is over when it is over, also with a thread that sends.
#[test]
fn a_command_does_not_wait_for_its_thread() {
    let receiver = Receiver::with_manner(Manner::Held);
    let home = Home::enabled(&receiver.url);
    let output = home.command(&["echo", "a"]).env("TOOL_DELIVERY", "inline").output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(home.status()["last_result"], Value::Null, "nothing came of it before the command was over");
}

/// A process that is told to send something that is no point goes on as what it is.
#[test]
fn a_variable_that_means_nothing_does_nothing() {
    let home = Home::new();
    let output = home.command(&["echo", "a"]).env("TOOL_TELEMETRY_SENDER", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(7));
}

/// A terminal that is closed, or a `kill` of everything in it: what has been started arrives.
#[test]
fn a_sender_outlives_its_terminal() {
    let receiver = Receiver::with_manner(Manner::Held);
    let home = Home::enabled(&receiver.url);
    home.run(&["noop"]);
    receiver.requests(1);
    let [sender] = home.senders()[..] else { panic!("one sender: {:?}", home.senders()) };
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP] {
        kill(Pid::from_raw(sender), signal).unwrap();
    }
    receiver.release();
    assert_eq!(home.last_result(), "delivered");
}

/// Whoever starts a sender by hand is asked as every invocation is.
#[test]
fn a_sender_hears_variables_too() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let sender = |name: &str, value: &str| {
        let mut command = home.command(&["noop"]);
        command.env("TOOL_TELEMETRY_SENDER", "1 2 by-hand").env(name, value).output().unwrap()
    };
    for (name, value) in [("DO_NOT_TRACK", "1"), ("TOOL_TELEMETRY", "log"), ("CI", "1")] {
        let output = sender(name, value);
        assert!(output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
    }
    sender("TOOL_TELEMETRY", "on");
    assert_eq!(receiver.requests(1).len(), 1);
    assert_eq!(receiver.count(), 1);
}
