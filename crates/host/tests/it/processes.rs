//! Processes of `/proc`, and jobs for tests.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aldis_host::{MetricSource, ProcReader};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what happens sooner or later.
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A shell that waits for a word, then runs a script. Its descriptor 3 is a pipe that nothing is written to, for what is to wait forever:
/// until the job is dropped.
pub(crate) struct Job(Child);

impl Job {
    pub(crate) fn shell(script: &str) -> Self {
        let script = format!("exec 3<&0; read go; {script}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn wait(&mut self) {
        self.0.wait().unwrap();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn children_belong_to_the_tree_and_stay_when_their_parent_ends() {
    // A child and its child, of which the former ends: the latter is given to another parent.
    let mut job = Job::shell(
        "sh -c 'sh -c \"read forever\" <&3 & read forever <&3' & child=$!; read end; kill $child; read forever <&3",
    );
    let mut reader = ProcReader::of_tree(job.pid()).unwrap();
    job.go();
    eventually("three processes", || reader.read().unwrap().pids.get() == Some(3));
    let before: Vec<u32> = reader.processes().map(|process| process.pid).collect();
    job.go();
    eventually("its child ends", || reader.read().unwrap().pids.get() == Some(2));
    let after: Vec<u32> = reader.processes().map(|process| process.pid).collect();
    assert!(after.iter().all(|pid| before.contains(pid)), "{after:?} of {before:?}");
    let orphan = after.iter().find(|pid| **pid != job.pid()).copied();
    // Nobody else ends it: its pipe is still open in this process.
    drop(job);
    eventually("all have ended", || reader.read().unwrap().pids.get() == Some(0));
    assert!(orphan.is_some());
}

/// `/proc` tells whole ticks; a budget needs more.
#[test]
fn cpu_time_of_a_process_that_lives_is_finer_than_ticks() {
    let job = Job::shell("read forever");
    let mut reader = ProcReader::of_tree(job.pid()).unwrap();
    let mut used = || reader.read().unwrap().cpu.usage_ns.get().unwrap();
    eventually("it has used a part of a tick", || used() % 10_000_000 != 0);
}

#[test]
fn what_a_process_used_is_there_when_it_has_ended() {
    let mut job = Job::shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read end");
    let mut reader = ProcReader::of_tree(job.pid()).unwrap();
    job.go();
    eventually("it has used a tick or more", || reader.read().unwrap().cpu.usage_ns.get() > Some(0));
    let lived = reader.read().unwrap();
    assert_eq!(lived.cpu.usage_ns.source(), MetricSource::Proc);
    assert!(lived.io.read_chars.get() > Some(0) && lived.memory.peak_bytes.get() > Some(0));
    drop(job);
    let ended = reader.read().unwrap();
    assert_eq!(ended.pids.get(), Some(0));
    assert!(ended.cpu.usage_ns.get() >= lived.cpu.usage_ns.get());
    assert_eq!(ended.memory.rss_bytes.get(), Some(0));
    assert_eq!(reader.read().unwrap().cpu, ended.cpu, "and stays");
}
