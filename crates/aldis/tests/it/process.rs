//! Real processes: `aldis` started with port 0, told to end, and what it said.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary with these arguments, run to its end.
pub(crate) fn aldis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aldis")).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

/// What was written, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A process that listens. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
    addresses: Value,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// `aldis serve --json --stats-on-exit` with this configuration.
    pub(crate) fn serve(config: &str, arguments: &[&str]) -> Running {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        let mut all = vec!["serve", "--json", "--stats-on-exit", "--config", file.to_str().unwrap()];
        all.extend(arguments);
        Running::start(folder, &all)
    }

    /// `aldis serve --json` without a configuration, on free ports.
    pub(crate) fn summary(arguments: &[&str]) -> Running {
        let mut all =
            vec!["serve", "--json", "--stats-on-exit", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        all.extend(arguments);
        Running::start(TempDir::new().unwrap(), &all)
    }

    /// `aldis sink --json` on free ports.
    pub(crate) fn sink(arguments: &[&str]) -> Running {
        let mut all = vec!["sink", "--json", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        all.extend(arguments);
        Running::start(TempDir::new().unwrap(), &all)
    }

    fn start(folder: TempDir, arguments: &[&str]) -> Running {
        let addresses = folder.path().join("addresses.json");
        let pipe = |name: &str| Stdio::from(fs::File::create(folder.path().join(name)).unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_aldis"))
            .args(arguments)
            .arg("--addresses-file")
            .arg(&addresses)
            .stdout(pipe("stdout"))
            .stderr(pipe("stderr"))
            .spawn()
            .unwrap();
        let mut running = Running { child, folder, addresses: Value::Null };
        wait_until("it listens", || addresses.exists() || running.child.try_wait().unwrap().is_some());
        let told = fs::read_to_string(&addresses).unwrap_or_else(|_| panic!("{}", running.stderr()));
        running.addresses = serde_json::from_str(&told).unwrap();
        running
    }

    /// The address of a protocol, `grpc` or `http`.
    pub(crate) fn address(&self, protocol: &str) -> String {
        let all = self.addresses["addresses"].as_array().unwrap();
        let entry = all.iter().find(|entry| entry["protocol"] == protocol).unwrap();
        entry["address"].as_str().unwrap().to_owned()
    }

    /// What it wrote into `--addresses-file`.
    pub(crate) fn addresses(&self) -> &Value {
        &self.addresses
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(self) -> Ended {
        self.terminate();
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Ended {
        wait_until("it ends", || self.child.try_wait().unwrap().is_some());
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout: self.read("stdout"), stderr: self.stderr() }
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(Path::new(self.folder.path()).join(name)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where a test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The line on standard error with this event.
    pub(crate) fn event(&self, name: &str) -> Value {
        let lines = self.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.into_iter().find(|line| line["event"] == name).unwrap_or_else(|| panic!("{}", self.stderr))
    }

    /// What it wrote to standard output, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// `aldis load --json` with these arguments, run to its end.
pub(crate) fn load(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["load", "--json"];
    all.extend(arguments);
    let output = aldis(&all);
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (output.status.code(), report)
}

/// Waits for something to become true.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}
