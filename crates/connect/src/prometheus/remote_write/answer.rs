//! What an answer means: <https://prometheus.io/docs/specs/prw/remote_write_spec/#retries--backoff> and, of 2.0,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/#required-written-response-headers>.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use super::{RemoteWriteMessage, request::Content};
use crate::{limits::MAX_REASON_BYTES, otlp::reply::retry_after};

/// What a far side that knows 2.0 says to have written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken; `Some` where the far side says how much of it.
    Taken(Option<Written>),
    /// It was refused for good, but for what was written.
    Refused { code: String, reason: String, written: Written },
    /// Trying again may help.
    Again { after: Option<Duration>, maybe_delivered: bool, overloaded: bool, reason: String },
    /// The far side does not know this message.
    Unknown,
}

impl Answer {
    /// Reads an answer to a message.
    pub(super) fn read(
        message: RemoteWriteMessage,
        (status, headers, body): (StatusCode, &HeaderMap, &[u8]),
        now: SystemTime,
    ) -> Self {
        let written = Written::read(headers);
        let is_v2 = message == RemoteWriteMessage::V2;
        if status.is_success() {
            // One that says nothing took it for 1.0, in which it is empty.
            return match written {
                None if is_v2 => Answer::Unknown,
                written => Answer::Taken(written.filter(|_| is_v2)),
            };
        }
        let reason = || format!("HTTP {status}: {}", readable(body));
        match status.as_u16() {
            429 | 500..=599 => {
                let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
                // A gateway that gave up does not know what became of the request behind it.
                let maybe_delivered = matches!(status.as_u16(), 502 | 504);
                let overloaded = status.as_u16() == 429;
                Answer::Again { after, maybe_delivered, overloaded, reason: reason() }
            }
            415 if is_v2 => Answer::Unknown,
            400 | 406 if is_v2 && written.is_none() => Answer::Unknown,
            code => Answer::Refused {
                code: code.to_string(),
                reason: reason(),
                written: written.filter(|_| is_v2).unwrap_or_default(),
            },
        }
    }
}

impl Written {
    /// `None` where the answer has none of the headers.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let header = |what: &str| {
            let value = headers.get(format!("x-prometheus-remote-write-{what}-written"))?;
            value.to_str().ok()?.trim().parse::<u64>().ok()
        };
        let (samples, histograms, exemplars) = (header("samples"), header("histograms"), header("exemplars"));
        samples.or(histograms).or(exemplars)?;
        Some(Written {
            samples: samples.unwrap_or_default(),
            histograms: histograms.unwrap_or_default(),
            exemplars: exemplars.unwrap_or_default(),
        })
    }

    /// How many data points of a request were not written: as many as samples and histograms are missing, where every point
    /// is one. Of the several samples of a histogram any may be the missing one; each is counted as a point, up to all.
    pub(super) fn missing_records(self, content: &Content) -> u64 {
        let samples = content.samples.saturating_sub(self.samples);
        let histograms = content.histograms.saturating_sub(self.histograms);
        samples.saturating_add(histograms).min(content.records)
    }
}

/// The first line of an answer that can be shown to people: short, and without what terminals and logs take for commands.
pub(super) fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_REASON_BYTES)]);
    let line = text.trim().lines().next().unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        // Directions of writing are no control characters and can hide text all the same.
        let is_hidden = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match is_hidden {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
        if out.len() >= MAX_REASON_BYTES {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const V1: RemoteWriteMessage = RemoteWriteMessage::V1;
    const V2: RemoteWriteMessage = RemoteWriteMessage::V2;

    fn read(message: RemoteWriteMessage, status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        Answer::read(message, (status, &headers.collect(), b"so\x1b[2J\nit is"), SystemTime::UNIX_EPOCH)
    }

    const WRITTEN: (&str, &str) = ("x-prometheus-remote-write-samples-written", "3");

    #[test]
    fn what_answers_mean() {
        let written = Written { samples: 3, ..Written::default() };
        assert_eq!(read(V1, 204, &[]), Answer::Taken(None));
        assert_eq!(read(V1, 200, &[WRITTEN]), Answer::Taken(None));
        assert_eq!(read(V2, 204, &[WRITTEN]), Answer::Taken(Some(written)));
        for (status, headers) in [(204, &[][..]), (415, &[]), (415, &[WRITTEN]), (400, &[]), (406, &[])] {
            assert_eq!(read(V2, status, headers), Answer::Unknown, "{status}");
        }
        for (message, status, headers, expected) in [
            (V1, 400, &[][..], Written::default()),
            (V1, 415, &[], Written::default()),
            (V1, 404, &[WRITTEN], Written::default()),
            (V1, 301, &[], Written::default()),
            (V2, 400, &[WRITTEN], written),
            (V2, 413, &[], Written::default()),
        ] {
            match read(message, status, headers) {
                Answer::Refused { code, reason, written } => {
                    assert_eq!((code, written), (status.to_string(), expected));
                    assert!(reason.ends_with(": so\\u{1b}[2J"), "{reason}");
                }
                other => panic!("{status}: {other:?}"),
            }
        }
        for (status, headers, seconds, maybe, busy) in [
            (500, &[][..], None, false, false),
            (503, &[("retry-after", "7")], Some(7), false, false),
            (504, &[], None, true, false),
            (429, &[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")], Some(60), false, true),
        ] {
            for message in [V1, V2] {
                let Answer::Again { after, maybe_delivered, overloaded, .. } = read(message, status, headers)
                else {
                    panic!("{status}");
                };
                assert_eq!(after, seconds.map(Duration::from_secs));
                assert_eq!((maybe_delivered, overloaded), (maybe, busy), "{status}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_counted_in_points() {
        let content = Content { records: 4, samples: 9, histograms: 1, ..Content::default() };
        for (samples, histograms, missing) in [(9, 1, 0), (8, 1, 1), (9, 0, 1), (0, 0, 4), (99, 99, 0)] {
            let written = Written { samples, histograms, exemplars: 0 };
            assert_eq!(written.missing_records(&content), missing);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_answered_the_reason_is_short_and_can_be_shown(
            body in prop::collection::vec(any::<u8>(), 0..4000),
            text in any::<String>(),
            written in prop::collection::vec(b' '..=b'~', 0..30),
            status in 100_u16..600,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("x-prometheus-remote-write-samples-written", HeaderValue::from_bytes(&written).unwrap());
            headers.insert(RETRY_AFTER, HeaderValue::from_bytes(&written).unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            for body in [&body[..], text.as_bytes()] {
                let line = readable(body);
                // One escaped character more than the limit at most.
                prop_assert!(line.len() < MAX_REASON_BYTES + 10, "{}", line.len());
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
                for message in [V1, V2] {
                    Answer::read(message, (status, &headers, body), SystemTime::UNIX_EPOCH);
                }
            }
        }
    }
}
