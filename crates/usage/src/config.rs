//! What the user has decided: a table in the tool's `config.toml`.

mod document;
mod note;

use std::{fmt, io, time::Duration};

use document::{Document, Value};
pub(crate) use note::{FILE as NOTE, Kind, Note};

use crate::{
    client::{Endpoint, EndpointError},
    limits::{CONFIG_BYTES_MAX, TIMEOUT_DEFAULT, TIMEOUT_MAX},
    storage::{MODE_PLAIN, Storage, Written},
};

/// The file.
pub(crate) const FILE: &str = "config.toml";
/// Its table; the rest of the file is the tool's.
const TABLE: &str = "telemetry";

/// Whether invocations are counted, and where they are sent.
///
/// ```toml
/// [telemetry]
/// enabled = true
/// otlp_endpoint = "http://127.0.0.1:4318"
/// timeout = "2s"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Whether the user wants it; `false` unless the tool says otherwise.
    pub enabled: bool,
    /// Base URL of an OTLP/HTTP receiver; `/v1/metrics` is added unless it ends so. Without one nothing is ever sent.
    pub otlp_endpoint: Option<String>,
    /// How long sending may take, name resolution included: 2 s; more than 0, at most [`TIMEOUT_MAX`].
    pub timeout: Duration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { enabled: false, otlp_endpoint: None, timeout: TIMEOUT_DEFAULT }
    }
}

/// A configuration that cannot be read: while it is so, nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

fn wrong(message: impl fmt::Display) -> ConfigError {
    ConfigError { message: message.to_string() }
}

impl TelemetryConfig {
    /// What a file says, over these defaults.
    ///
    /// # Errors
    /// The text is not TOML, or a key of the table has another type or no meaning; keys of others do not matter.
    pub fn parse(text: &str, defaults: &Self) -> Result<Self, ConfigError> {
        Said::parse(text, defaults).map(|said| said.config)
    }

    /// The endpoint, if there is one.
    pub(crate) fn endpoint(&self) -> Option<Result<Endpoint, EndpointError>> {
        self.otlp_endpoint.as_deref().map(Endpoint::parse)
    }

    /// Where it goes, in a sentence.
    pub(crate) fn destination(&self) -> String {
        match self.endpoint() {
            Some(Ok(endpoint)) => format!("It goes to {endpoint}."),
            Some(Err(error)) => format!("The endpoint cannot be used, so nothing is sent: {error}."),
            None => "No endpoint is set, so nothing is sent.".to_owned(),
        }
    }

    /// The text of a file with this in it; all else in it stays as it is.
    fn written_into(&self, text: &str) -> Result<String, ConfigError> {
        let endpoint = self.otlp_endpoint.clone().unwrap_or_default();
        let mut text = text.to_owned();
        for (key, value, default) in [
            ("enabled", Value::Boolean(self.enabled), None),
            ("otlp_endpoint", Value::Text(endpoint), Some(Value::Text(String::new()))),
            (
                "timeout",
                Value::Text(duration_text(self.timeout)),
                Some(Value::Text(duration_text(TIMEOUT_DEFAULT))),
            ),
        ] {
            let document = Document::parse(&text, TABLE).map_err(wrong)?;
            let is = document.get(key).or(default.as_ref());
            if is != Some(&value) {
                text = document.with(key, &value);
            }
        }
        Ok(text)
    }
}

/// What is known of a user's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// What the file says, and of what it does not say the defaults.
    pub(crate) config: TelemetryConfig,
    /// The file says `enabled`, yes or no: the user has decided, or has been told and said nothing.
    pub(crate) decided: bool,
}

impl Said {
    /// As of a user who has said nothing.
    pub(crate) fn nothing(defaults: &TelemetryConfig) -> Self {
        Self { config: defaults.clone(), decided: false }
    }

    fn parse(text: &str, defaults: &TelemetryConfig) -> Result<Self, ConfigError> {
        let document = Document::parse(text, TABLE).map_err(wrong)?;
        let mut config = defaults.clone();
        match document.get("enabled") {
            Some(Value::Boolean(enabled)) => config.enabled = *enabled,
            Some(_) => return Err(wrong("`telemetry.enabled` must be true or false")),
            None => {}
        }
        match document.get("otlp_endpoint") {
            Some(Value::Text(endpoint)) => {
                config.otlp_endpoint = Some(endpoint.clone()).filter(|endpoint| !endpoint.is_empty());
            }
            Some(_) => return Err(wrong("`telemetry.otlp_endpoint` must be text")),
            None => {}
        }
        let timeout = document.get("timeout").map(|value| match value {
            Value::Text(text) => duration(text),
            Value::Boolean(_) | Value::Other => None,
        });
        match timeout {
            Some(Some(timeout)) => config.timeout = timeout,
            Some(None) => {
                let most = duration_text(TIMEOUT_MAX);
                return Err(wrong(format_args!(
                    "`telemetry.timeout` must be text such as \"500ms\" or \"2s\", at most \"{most}\""
                )));
            }
            None => {}
        }
        Ok(Self { config, decided: document.get("enabled").is_some() })
    }
}

/// Reads what the user has decided.
pub(crate) fn load(storage: &Storage, defaults: &TelemetryConfig) -> Result<Said, ConfigError> {
    let in_file = |error: &dyn fmt::Display| wrong(format_args!("{}: {error}", storage.path(FILE).display()));
    let mut said = match storage.read(FILE, CONFIG_BYTES_MAX).map_err(|error| in_file(&error))? {
        Some(text) => Said::parse(&text, defaults).map_err(|error| in_file(&error))?,
        None => Said::nothing(defaults),
    };
    // Somebody else's no, in a file that this user cannot write, stands whatever is noted.
    let note = if said.config.enabled { Note::stored(storage) } else { None };
    match note.map(|note| note.kind) {
        Some(Kind::No) => (said.config.enabled, said.decided) = (false, true),
        Some(Kind::Told) => said.decided = true,
        Some(Kind::InPlace) | None => {}
    }
    Ok(said)
}

/// Writes the configuration into its file, whole or not at all, if this agrees; in place, with a note, if that file cannot be replaced.
pub(crate) fn save(
    storage: &Storage,
    config: &TelemetryConfig,
    agree: impl FnOnce() -> io::Result<()>,
) -> Result<(), ConfigError> {
    let in_file = |error: &dyn fmt::Display| wrong(format_args!("{}: {error}", storage.path(FILE).display()));
    let before = storage.read(FILE, CONFIG_BYTES_MAX).map_err(|error| in_file(&error))?.unwrap_or_default();
    let text = config.written_into(&before).map_err(|error| in_file(&error))?;
    if text == before {
        agree().map_err(|error| in_file(&error))?;
        // How it came to be what it is may be told still.
        let is_of_another = Note::stored(storage).is_some_and(|note| note.kind != Kind::InPlace);
        return if is_of_another { Note::remove(storage).map_err(|error| in_file(&error)) } else { Ok(()) };
    }
    match storage.write(FILE, &text, MODE_PLAIN, agree).map_err(|error| in_file(&error))? {
        Written::Whole => Note::remove(storage).map_err(|error| in_file(&error)),
        Written::InPlace(why) => match Note::store(storage, Kind::InPlace, &why.to_string()) {
            Ok(()) => Ok(()),
            // Where that cannot be told another note must not stand.
            Err(_) => Note::remove(storage).map_err(|error| in_file(&error)),
        },
    }
}

/// Keeps a decision beside the configuration, which could not be written.
pub(crate) fn note(storage: &Storage, kind: Kind, error: &ConfigError) -> io::Result<()> {
    let file = format!("{}: ", storage.path(FILE).display());
    Note::store(storage, kind, error.message.strip_prefix(&file).unwrap_or(&error.message))
}

/// Reads `500ms` or `2s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, of_one): (&str, fn(u64) -> Duration) = match text.strip_suffix("ms") {
        Some(number) => (number, Duration::from_millis),
        None => (text.strip_suffix('s')?, Duration::from_secs),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let time = digits.then(|| number.parse().ok().map(of_one))??;
    (!time.is_zero() && time <= TIMEOUT_MAX).then_some(time)
}

/// Writes a time as [`duration`] reads it.
pub(crate) fn duration_text(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests;
