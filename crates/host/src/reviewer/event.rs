//! What happened to a run, and the line that says so.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{LINE_BYTES_MAX, NAME_BYTES_MAX, REASON_BYTES_MAX};

/// The version of the lines that are written, and the only one that is read.
pub const SCHEMA_VERSION: u32 = 1;
/// Digits of the name of a commit: SHA-1, or SHA-256.
const SHA_DIGITS: [usize; 2] = [40, 64];

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewerEventKind {
    /// It started.
    RunStart,
    /// It came to its end.
    RunComplete,
    /// It ended otherwise.
    RunCrash,
    /// Nothing was heard of it for too long.
    StallDetected,
    /// It goes on with another model.
    ModelFallback,
    /// The commit under review is no longer the newest. Read as `sha_update` too.
    #[serde(alias = "sha_update")]
    ShaDrift,
}

impl ReviewerEventKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::RunStart,
        Self::RunComplete,
        Self::RunCrash,
        Self::StallDetected,
        Self::ModelFallback,
        Self::ShaDrift,
    ];

    /// Whether nothing comes after it in its run.
    pub fn ends_the_run(self) -> bool {
        matches!(self, Self::RunComplete | Self::RunCrash)
    }
}

/// What a writer is told. Time and sequence number are the writer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewerEvent {
    /// What happened.
    pub kind: ReviewerEventKind,
    /// The kind of review: a name, see [`run_id`](Self::run_id).
    pub review_type: String,
    /// The number of the pull request, from 1.
    pub pr_number: u64,
    /// The commit under review: 40 or 64 hexadecimal digits.
    pub head_sha: String,
    /// The run: a name, which is 1 to [`NAME_BYTES_MAX`] letters, digits and `-_.:` of ASCII.
    pub run_id: String,
    /// How often the run was started again.
    pub restart_count: u32,
    /// Why, in words, at most [`REASON_BYTES_MAX`] bytes.
    pub reason: Option<String>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewerProjectionEvent {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When: RFC 3339, UTC, to the millisecond when written.
    pub ts: String,
    /// What happened.
    pub event: ReviewerEventKind,
    /// The kind of review.
    pub review_type: String,
    /// The number of the pull request.
    pub pr_number: u64,
    /// The commit under review.
    pub head_sha: String,
    /// The run.
    pub run_id: String,
    /// From 1. It rises from line to line of a run; the writer numbers all lines of a file without a gap.
    pub seq: u64,
    /// How often the run was started again.
    pub restart_count: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ReviewerProjectionEvent {
    pub(super) fn new(event: &ReviewerEvent, seq: u64, now: SystemTime) -> Result<Self, String> {
        let line = Self {
            schema_version: SCHEMA_VERSION,
            // Before 1970 there was no reviewer; a clock that says so is off.
            ts: humantime::format_rfc3339_millis(now.max(SystemTime::UNIX_EPOCH)).to_string(),
            event: event.kind,
            review_type: event.review_type.clone(),
            pr_number: event.pr_number,
            head_sha: event.head_sha.clone(),
            run_id: event.run_id.clone(),
            seq,
            restart_count: event.restart_count,
            reason: event.reason.clone(),
        };
        line.check()?;
        Ok(line)
    }

    /// The line with its end.
    pub(super) fn to_line(&self) -> String {
        // Text, numbers and names: there is nothing in it that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads a line without its end, strictly: every field is there, none is unknown, each keeps its bounds.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() >= LINE_BYTES_MAX {
            return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
        }
        let event: Self = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        event.check()?;
        Ok(event)
    }

    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!("schema_version is {}, and {SCHEMA_VERSION} is known", self.schema_version));
        }
        if humantime::parse_rfc3339(&self.ts).is_err() {
            return Err(format!("ts is {:?}: write it as 2026-11-21T10:59:59.670Z", self.ts));
        }
        for (field, name) in [("review_type", &self.review_type), ("run_id", &self.run_id)] {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain {
                return Err(format!(
                    "{field} is no name: 1 to {NAME_BYTES_MAX} letters, digits and -_.: of ASCII"
                ));
            }
        }
        let hexadecimal = self.head_sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal || !SHA_DIGITS.contains(&self.head_sha.len()) {
            return Err("head_sha is no commit: 40 or 64 hexadecimal digits".to_owned());
        }
        for (field, number) in [("seq", self.seq), ("pr_number", self.pr_number)] {
            if number == 0 {
                return Err(format!("{field} is 0: it counts from 1"));
            }
        }
        if self.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            return Err(format!("reason is longer than {REASON_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"schema_version":1,"ts":"2026-11-21T10:59:59.670Z","event":"run_start","review_type":"security","pr_number":42,"head_sha":"c982109c982109c982109c982109c982109c9821","run_id":"r","seq":1,"restart_count":0}"#;

    #[test]
    fn a_line_is_written_as_it_was_read() {
        let event = ReviewerProjectionEvent::parse(LINE.as_bytes()).unwrap();
        assert_eq!(event.to_line(), format!("{LINE}\n"));
    }

    #[test]
    fn the_older_name_is_read_and_the_newer_one_written() {
        let event =
            ReviewerProjectionEvent::parse(LINE.replace("run_start", "sha_update").as_bytes()).unwrap();
        assert_eq!(event.event, ReviewerEventKind::ShaDrift);
        assert!(event.to_line().contains(r#""event":"sha_drift""#));
    }

    #[test]
    fn what_is_not_exactly_a_line_is_refused() {
        for (from, to, said) in [
            (r#""schema_version":1"#, r#""schema_version":2"#, "schema_version is 2"),
            ("2026-11-21T10", "2026-11-21 at 10", "ts is"),
            ("run_start", "run_begin", "unknown variant"),
            ("security", "", "review_type is no name"),
            (r#""run_id":"r""#, r#""run_id":"a b""#, "run_id is no name"),
            (":42", ":0", "pr_number is 0"),
            (":42", ":-1", "invalid value"),
            ("c982109c98", "c982109g98", "head_sha is no commit"),
            ("c982109c98", "", "head_sha is no commit"),
            (r#""seq":1"#, r#""seq":0"#, "seq is 0"),
            (r#""seq":1,"#, "", "missing field `seq`"),
            (r#""seq":1"#, r#""seq":1,"seq":2"#, "duplicate field `seq`"),
            (r#""seq":1"#, r#""seq":1,"color":"red""#, "unknown field `color`"),
            ("}", "", "EOF"),
            ("}", "}{}", "trailing characters"),
        ] {
            let line = LINE.replacen(from, to, 1);
            let error = ReviewerProjectionEvent::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{to}: {error}");
        }
        let long = LINE.replace('}', &format!(r#","reason":"{}"}}"#, "a".repeat(REASON_BYTES_MAX + 1)));
        assert!(ReviewerProjectionEvent::parse(long.as_bytes()).unwrap_err().contains("reason"));
        let longer = LINE.replace('}', &format!(r#","reason":"{}"}}"#, "a".repeat(LINE_BYTES_MAX)));
        assert!(ReviewerProjectionEvent::parse(longer.as_bytes()).unwrap_err().contains("line is longer"));
    }
}
