//! A command that goes on when it is told to, and the frames that are written of it meanwhile.

use std::{
    fs,
    io::Write,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A script of the shell under `aldis run --json`; its `read` waits for [`Held::go_on`].
pub(super) struct Held {
    running: Child,
    folder: TempDir,
}

impl Held {
    pub(super) fn start(flags: &[&str], script: &str) -> Held {
        let folder = TempDir::new().unwrap();
        let running = Command::new(env!("CARGO_BIN_EXE_aldis"))
            .args(["run", "--json"])
            .arg(folder.path().join("frames.jsonl"))
            .args(flags)
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Held { running, folder }
    }

    /// What is written of it so far.
    pub(super) fn frames(&self) -> Vec<Value> {
        frames_in(&self.folder)
    }

    /// A line of what it has said.
    pub(super) fn says(&mut self) -> String {
        let stdout = self.running.stdout.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') && std::io::Read::read(stdout, &mut byte).unwrap() == 1 {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Lets it go on, to its end: what it said since, the frames, and the summary.
    pub(super) fn go_on(mut self) -> (Output, Vec<Value>, Value) {
        self.running.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = self.running.wait_with_output().unwrap();
        let mut frames = frames_in(&self.folder);
        let summary = frames.pop().unwrap();
        assert_eq!(summary["record"], "summary");
        (output, frames, summary)
    }
}

/// Lines that are written to their end.
fn frames_in(folder: &TempDir) -> Vec<Value> {
    let written = fs::read_to_string(folder.path().join("frames.jsonl")).unwrap_or_default();
    let whole = written.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
