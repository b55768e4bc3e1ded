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
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The binary with these arguments, run to its end.
pub(crate) fn aldis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aldis")).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

/// What was written, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The end of a pipe whose other end is closed.
pub(crate) fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A process that works meanwhile. Killed when dropped.
pub(crate) struct Meanwhile(pub(crate) Child);

impl Drop for Meanwhile {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        Running::serve_within(config, arguments, &[])
    }

    /// The same, with these variables.
    pub(crate) fn serve_within(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        let mut all = vec!["serve", "--json", "--stats-on-exit", "--config", file.to_str().unwrap()];
        if !arguments.contains(&"--metrics") {
            // Tests run side by side: the usual port is there only once.
            all.extend(["--metrics", "none"]);
        }
        all.extend(arguments);
        Running::start_within(folder, &all, variables)
    }

    /// The same, with nobody to read what it writes.
    pub(crate) fn serve_unread(config: &str) -> Running {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        for name in ["stdout", "stderr"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let all = ["serve", "--stats-on-exit", "--metrics", "none", "--config", file.to_str().unwrap()];
        Running::start_into(folder, &all, &[], (nobody(), nobody()))
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
        Running::start_within(folder, arguments, &[])
    }

    fn start_within(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let file = |name: &str| Stdio::from(fs::File::create(folder.path().join(name)).unwrap());
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        Running::start_into(folder, arguments, variables, (stdout, stderr))
    }

    fn start_into(
        folder: TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
        (stdout, stderr): (Stdio, Stdio),
    ) -> Running {
        let addresses = folder.path().join("addresses.json");
        let child = Command::new(env!("CARGO_BIN_EXE_aldis"))
            .args(arguments)
            .envs(variables.iter().copied())
            .arg("--addresses-file")
            .arg(&addresses)
            .stdout(stdout)
            .stderr(stderr)
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

    /// Its configuration file.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Kills it: it does nothing more.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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
    if !arguments.contains(&"--timeout") {
        // Where nobody says how long a request may take it may take as long as it needs.
        all.extend(["--timeout", "10m"]);
    }
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
