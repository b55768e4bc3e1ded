//! The same messages as JSON, for senders that speak OTLP/JSON.

use otlp::Signal;

use super::{PartialSuccess, RETRY_INFO_URL, Status};

impl PartialSuccess {
    /// The whole response message.
    pub(in crate::otlp) fn json(&self, signal: Signal) -> String {
        if self.rejected == 0 {
            return "{}".to_owned();
        }
        let name = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Profiles => "rejectedProfiles",
        };
        let message = quoted(&self.message);
        // 64-bit integers are strings in proto3 JSON.
        format!(r#"{{"partialSuccess":{{"{name}":"{}","errorMessage":{message}}}}}"#, self.rejected)
    }
}

impl Status {
    pub(in crate::otlp) fn json(&self) -> String {
        let mut out = format!(r#"{{"code":{},"message":{}"#, self.code, quoted(&self.message));
        if let Some(after) = self.retry_after {
            let delay = format!("{}.{:09}s", after.as_secs(), after.subsec_nanos());
            out.push_str(&format!(r#","details":[{{"@type":"{RETRY_INFO_URL}","retryDelay":"{delay}"}}]"#));
        }
        out.push('}');
        out
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use otlp::Signal;

    use super::{PartialSuccess, Status};

    #[test]
    fn answers_as_json() {
        assert_eq!(PartialSuccess::default().json(Signal::Traces), "{}");
        let partial = PartialSuccess { rejected: 2, message: "say \"no\"\n".into() };
        assert_eq!(
            partial.json(Signal::Logs),
            r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"say \"no\"\u000a"}}"#
        );
        let mut status = Status { code: 3, message: "bad \\".into(), retry_after: None };
        assert_eq!(status.json(), r#"{"code":3,"message":"bad \\"}"#);
        status.retry_after = Some(Duration::from_millis(1500));
        assert!(status.json().ends_with(r#"RetryInfo","retryDelay":"1.500000000s"}]}"#), "{}", status.json());
    }
}
