//! What a user is told when asking.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    config::{self, duration_text},
    consent::{self, Environment, Mode, Reason},
    fingerprint::Fingerprint,
    json::Escaped,
    sender::{self, LastResult},
    usage::Usage,
};

/// Everything that there is to know about counting, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What becomes of the next invocation.
    pub mode: Mode,
    /// Why.
    pub reason: Reason,
    /// The configuration file, which need not be there.
    pub config_file: Option<PathBuf>,
    /// Why a decision was not kept in that file as usual, and where it is, if that is so.
    pub config_note: Option<String>,
    /// Where it is sent, if there is a place that can be used.
    pub endpoint: Option<String>,
    /// How long that may take.
    pub timeout: Duration,
    /// The pseudonym of this installation, if there is one yet.
    pub fingerprint: Option<Fingerprint>,
    /// How long ago it was made.
    pub fingerprint_age: Option<Duration>,
    /// What came of the last invocation that was sent.
    pub last_result: Option<LastResult>,
    /// Invocations that were not sent, because [`SENDERS_MAX`](crate::limits::SENDERS_MAX) were under way or nothing could be started.
    pub skipped: u64,
}

impl Usage {
    /// Asks everything that [`Usage::track`] asks, and what was noted.
    pub fn status(&self) -> Status {
        let read = self.configuration();
        let (mode, reason) = match (self.environment(), &self.storage) {
            (Environment::Decides(mode, reason), _) => (mode, reason),
            (Environment::Silent, None) => (Mode::Off, Reason::NoDirectory),
            (Environment::Silent, Some(_)) => consent::configuration(&read),
        };
        let said = read.map_or_else(|_| self.tool.defaults.clone(), |said| said.config);
        let storage = self.storage.as_ref();
        Status {
            mode,
            reason,
            config_file: storage.map(|storage| storage.path(config::FILE)),
            config_note: storage.and_then(config::Note::stored).map(|note| note.to_string()),
            // One that cannot be used may have a password in it; the reason says what is wrong.
            endpoint: said.endpoint().and_then(Result::ok).map(|endpoint| endpoint.to_string()),
            timeout: said.timeout,
            fingerprint: storage.and_then(Fingerprint::stored),
            fingerprint_age: storage.and_then(Fingerprint::age),
            last_result: storage.and_then(sender::last_result),
            skipped: storage.map_or(0, sender::skipped),
        }
    }
}

impl Status {
    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        let text = |text: Option<String>| {
            text.map_or_else(|| "null".to_owned(), |text| format!("\"{}\"", Escaped(&text)))
        };
        let number =
            |number: Option<u64>| number.map_or_else(|| "null".to_owned(), |number| number.to_string());
        let last = self.last_result.as_ref();
        format!(
            "{{\"state\": \"{}\", \"reason\": {}, \"config_file\": {}, \"config_note\": {}, \"endpoint\": {}, \"timeout\": \"{}\", \
             \"fingerprint\": {}, \"fingerprint_age_seconds\": {}, \"last_result\": {}, \
             \"last_result_unix_seconds\": {}, \"skipped\": {}}}",
            self.mode.name(),
            text(Some(self.reason.to_string())),
            text(self.config_file.as_ref().map(|path| path.display().to_string())),
            text(self.config_note.clone()),
            text(self.endpoint.clone()),
            duration_text(self.timeout),
            text(self.fingerprint.as_ref().map(ToString::to_string)),
            number(self.fingerprint_age.map(|age| age.as_secs())),
            text(last.map(|last| last.text.clone())),
            number(last.map(|last| last.unix_seconds)),
            self.skipped,
        )
    }
}

/// Lines for people.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.mode.name(), self.reason)?;
        match &self.endpoint {
            Some(endpoint) => {
                writeln!(f, "endpoint: {endpoint}, for at most {}", duration_text(self.timeout))?;
            }
            None => writeln!(f, "endpoint: none")?,
        }
        match (&self.fingerprint, self.fingerprint_age) {
            (Some(fingerprint), Some(age)) => {
                writeln!(f, "fingerprint: {fingerprint}, made {} ago", Rough(age))?;
            }
            (Some(fingerprint), None) => writeln!(f, "fingerprint: {fingerprint}")?,
            (None, _) => writeln!(f, "fingerprint: none")?,
        }
        match &self.last_result {
            Some(last) => {
                let then = UNIX_EPOCH + Duration::from_secs(last.unix_seconds);
                let ago = SystemTime::now().duration_since(then).unwrap_or_default();
                writeln!(f, "last result: {}, {} ago", last.text, Rough(ago))?;
            }
            None => writeln!(f, "last result: none")?,
        }
        writeln!(f, "skipped: {}", self.skipped)?;
        match &self.config_file {
            Some(path) => writeln!(f, "configuration: {}", path.display())?,
            None => writeln!(f, "configuration: none")?,
        }
        self.config_note.as_ref().map_or(Ok(()), |note| writeln!(f, "note: {note}"))
    }
}

/// A time, to its largest unit.
struct Rough(Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (number, unit) = match seconds {
            0..60 => (seconds, "second"),
            60..3600 => (seconds / 60, "minute"),
            3600..86400 => (seconds / 3600, "hour"),
            _ => (seconds / 86400, "day"),
        };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_people_are_told_the_same() {
        let status = Status {
            mode: Mode::Send,
            reason: Reason::Enabled,
            config_file: Some("/a \"b\"/config.toml".into()),
            config_note: Some("kept elsewhere".to_owned()),
            endpoint: Some("http://a/v1/metrics".to_owned()),
            timeout: Duration::from_millis(1500),
            fingerprint: Some(Fingerprint::generate().unwrap()),
            fingerprint_age: Some(Duration::from_secs(3 * 86400)),
            last_result: Some(LastResult { unix_seconds: 1, text: "delivered".to_owned() }),
            skipped: 7,
        };
        let json: serde_json::Value = serde_json::from_str(&status.to_json()).unwrap();
        let fingerprint = status.fingerprint.as_ref().unwrap().to_string();
        assert_eq!(
            json,
            serde_json::json!({
                "state": "on", "reason": "it is enabled", "config_file": "/a \"b\"/config.toml",
                "config_note": "kept elsewhere",
                "endpoint": "http://a/v1/metrics", "timeout": "1500ms", "fingerprint": fingerprint,
                "fingerprint_age_seconds": 259_200, "last_result": "delivered", "last_result_unix_seconds": 1,
                "skipped": 7,
            })
        );
        let text = status.to_string();
        let lines = [
            "on: it is enabled",
            "endpoint: http://a/v1/metrics, for at most 1500ms",
            ", made 3 days ago",
            "last result: delivered, ",
            "skipped: 7",
            "configuration: /a \"b\"/config.toml\nnote: kept elsewhere\n",
        ];
        assert!(lines.iter().all(|line| text.contains(line)), "{text}");
    }
}
