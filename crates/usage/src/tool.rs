//! The tool whose commands are counted: everything that differs between tools is an argument.

use std::path::{Path, PathBuf};

use crate::{
    config::TelemetryConfig,
    limits::{TIMEOUT_MAX, TIMEOUT_MIN},
};

/// How an invocation leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// A detached process of the same executable sends it: the command opens no socket, starts no thread and waits for nothing; and
    /// the invocation is counted however short the command is. [`Usage::start`](crate::Usage::start) must be called at the beginning of
    /// `main`, before threads and files of the tool's own: in that process it never returns.
    #[default]
    Detached,
    /// A thread sends it. Where the process ends sooner than that thread the invocation may not be counted: for programs that run for a
    /// while, or must not start processes.
    Inline,
}

/// A command-line tool, and what it is called by whoever receives its counts.
///
/// ```
/// use aldis_usage::Tool;
///
/// let tool = Tool::new("trix", "0.19.3").service_name("trix-cli").directory(Tool::in_home(".tx3/trix"));
/// assert_eq!(tool.variable(), "TRIX_TELEMETRY");
/// ```
#[derive(Clone, Debug)]
pub struct Tool {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) service_name: String,
    pub(crate) metric_prefix: String,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) delivery: Delivery,
    pub(crate) defaults: TelemetryConfig,
    variable: String,
}

impl Tool {
    /// A tool by the name that its users type. Unless said otherwise it is the service of that name, its metric is
    /// `<name>_command_invocation`, its variable `<NAME>_TELEMETRY`, its directory `<name>` among the user's configurations; and
    /// nothing is counted until the user enables it.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let name = name.into();
        let word: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        Self {
            version: version.into(),
            service_name: name.clone(),
            metric_prefix: word.to_ascii_lowercase(),
            directory: Self::in_config_home(&name),
            delivery: Delivery::default(),
            defaults: TelemetryConfig::default(),
            variable: format!("{}_TELEMETRY", word.to_ascii_uppercase()),
            name,
        }
    }

    /// What `service.name` says.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    /// What the metric's name has before `_command_invocation`.
    #[must_use]
    pub fn metric_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metric_prefix = prefix.into();
        self
    }

    /// Where `config.toml`, `fingerprint` and the rest are. Without a directory nothing is ever counted.
    #[must_use]
    pub fn directory(mut self, directory: Option<PathBuf>) -> Self {
        self.directory = directory;
        self
    }

    /// How invocations leave the process.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// What holds for users whose configuration says nothing. With `enabled` the tool says on the first terminal that it runs on what it
    /// counts and how to stop it, and counts from the run after that.
    #[must_use]
    pub fn defaults(mut self, defaults: TelemetryConfig) -> Self {
        // What is written down at a first run has to be read again at the next.
        let timeout = defaults.timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        self.defaults = TelemetryConfig { timeout, ..defaults };
        self
    }

    /// The variable by which users say `off`, `log` or `on` for one run.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// A folder below the user's home, if there is one.
    pub fn in_home(path: impl AsRef<Path>) -> Option<PathBuf> {
        absolute("HOME").map(|home| home.join(path))
    }

    /// A folder among the user's configurations, `$XDG_CONFIG_HOME` or `~/.config` (XDG Base Directory Specification).
    pub fn in_config_home(path: impl AsRef<Path>) -> Option<PathBuf> {
        Some(absolute("XDG_CONFIG_HOME").or_else(|| Self::in_home(".config"))?.join(path))
    }

    /// What a user is told before anything is counted.
    pub(crate) fn notice(&self) -> String {
        let Self { name, variable, .. } = self;
        format!(
            "{name} counts which of its commands are run, to learn which of them are used. One number is sent for each: the\n\
             command's name, the version of {name}, and a random pseudonym of this installation; no arguments, paths or results.\n\
             `{name} telemetry show` prints what is sent; `{name} telemetry disable`, {variable}=off or DO_NOT_TRACK=1 stop it.\n"
        )
    }

    /// The variable that tells a process that it is to send, and what.
    pub(crate) fn sender_variable(&self) -> String {
        format!("{}_SENDER", self.variable)
    }
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
