//! The tool in a home of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tool's executable. Cargo builds the examples with the tests of a crate.
pub(crate) fn executable() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples/tool");
    assert!(built.exists(), "{} is not there: run `cargo test -p aldis-usage`", built.display());
    built
}

/// A configuration that enables this endpoint.
pub(crate) fn configuration(url: &str, timeout: &str) -> String {
    format!("[telemetry]\nenabled = true\notlp_endpoint = \"{url}\"\ntimeout = \"{timeout}\"\n")
}

/// A user's home.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A home whose user has enabled this endpoint, and has as much time as a user may have.
    pub(crate) fn enabled(url: &str) -> Self {
        let home = Self::new();
        home.configure(&configuration(url, "10s"));
        home
    }

    /// As [`Self::enabled`], by a user who has little time.
    pub(crate) fn hurried(url: &str) -> Self {
        let home = Self::new();
        home.configure(&configuration(url, "2s"));
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the tool's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(".tool").join(name)
    }

    pub(crate) fn configure(&self, text: &str) {
        fs::create_dir_all(self.file("")).unwrap();
        fs::write(self.file("config.toml"), text).unwrap();
    }

    /// The names of all files in the tool's directory.
    pub(crate) fn all_files(&self) -> Vec<String> {
        let listed = fs::read_dir(self.file("")).map(|all| all.flatten().collect::<Vec<_>>());
        let names = listed.unwrap_or_default().into_iter();
        let mut names: Vec<String> = names.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The processes that send for this home.
    pub(crate) fn senders(&self) -> Vec<i32> {
        let home = format!("HOME={}", self.path().display());
        let is_sender = |pid: &i32| {
            let Ok(variables) = fs::read(format!("/proc/{pid}/environ")) else { return false };
            let mut variables = variables.split(|byte| *byte == 0);
            let has = |text: &str| variables.clone().any(|variable| variable.starts_with(text.as_bytes()));
            has("TOOL_TELEMETRY_SENDER=") && variables.any(|variable| variable == home.as_bytes())
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_sender).collect()
    }

    /// The names of the files in the tool's directory that tell something.
    pub(crate) fn files(&self) -> Vec<String> {
        self.all_files().into_iter().filter(|name| !name.ends_with(".lock")).collect()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(executable());
        command.args(words).env_clear().env("HOME", self.folder.path());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs it and wants success; what it wrote to standard output.
    pub(crate) fn told(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        text(&output.stdout)
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.told(&["telemetry", "status", "--json"])).unwrap()
    }

    /// What came of the last sending, once there is one.
    pub(crate) fn last_result(&self) -> String {
        let mut last = Value::Null;
        wait_until("something came of it", || {
            last = self.status()["last_result"].take();
            !last.is_null()
        });
        last.as_str().unwrap().to_owned()
    }
}

/// What was written, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits for something to become true.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}
