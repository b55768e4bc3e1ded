//! What is sent: one point of one counter.

use std::fmt;

use crate::json::Escaped;

/// One execution of one command, as one point of a monotonic cumulative sum (OTLP metrics data model, § Sums).
///
/// Every point is a series of its own life: it starts where nothing was counted and ends at one. A backend that follows the data model
/// sees the start move on, and adds one for each; so the sums of three processes sum to three.
///
/// ```
/// use aldis_usage::CommandMetric;
///
/// let metric = CommandMetric {
///     service_name: "trix-cli",
///     service_version: "0.19.3",
///     metric_prefix: "trix",
///     fingerprint: "abc123...",
///     command_name: "build",
///     start_time_unix_nano: 1_640_995_200_000_000_000,
///     time_unix_nano: 1_640_995_200_000_000_001,
/// };
/// assert!(metric.to_string().contains(r#""name": "trix_command_invocation""#));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandMetric<'a> {
    /// `service.name`.
    pub service_name: &'a str,
    /// `service.version`.
    pub service_version: &'a str,
    /// What the metric's name begins with: `trix` is `trix_command_invocation`.
    pub metric_prefix: &'a str,
    /// `user.fingerprint`.
    pub fingerprint: &'a str,
    /// `command_name`.
    pub command_name: &'a str,
    /// When counting began, Unix nanoseconds: before [`Self::time_unix_nano`], or nothing is counted.
    pub start_time_unix_nano: u64,
    /// When the command was run, Unix nanoseconds.
    pub time_unix_nano: u64,
}

/// What the specification has at the end of the line of the time.
const SPACE: &str = " ";

/// The request, as OTLP/JSON, in the layout that the specification of the counter shows.
impl fmt::Display for CommandMetric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute =
            |key, value| format!(r#"{{"key": "{key}", "value": {{"stringValue": "{}"}}}}"#, Escaped(value));
        write!(
            f,
            r#"{{
  "resourceMetrics": [{{
    "resource": {{
      "attributes": [
        {service_name},
        {service_version},
        {fingerprint}
      ]
    }},
    "scopeMetrics": [{{
      "scope": {{}},
      "metrics": [{{
        "name": "{prefix}_command_invocation",
        "sum": {{
          "dataPoints": [{{
            "attributes": [
              {command_name}
            ],
            "startTimeUnixNano": "{start}",
            "timeUnixNano": "{time}",{SPACE}
            "asInt": "1"
          }}],
          "aggregationTemporality": 2,
          "isMonotonic": true
        }}
      }}]
    }}]
  }}]
}}"#,
            service_name = attribute("service.name", self.service_name),
            service_version = attribute("service.version", self.service_version),
            fingerprint = attribute("user.fingerprint", self.fingerprint),
            prefix = Escaped(self.metric_prefix),
            command_name = attribute("command_name", self.command_name),
            start = self.start_time_unix_nano,
            time = self.time_unix_nano,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIX: CommandMetric<'static> = CommandMetric {
        service_name: "trix-cli",
        service_version: "0.19.3",
        metric_prefix: "trix",
        fingerprint: "abc123...",
        command_name: "build",
        start_time_unix_nano: 1_640_995_200_000_000_000,
        time_unix_nano: 1_640_995_200_000_000_000,
    };

    #[test]
    fn a_tool_called_trix_sends_the_specifications_bytes() {
        assert_eq!(format!("{TRIX}\n"), include_str!("../testdata/trix.json"));
    }

    #[test]
    fn what_is_quoted_stays_in_its_quotes() {
        let text = "a\"}],\\\u{1}\n";
        let metric = CommandMetric { service_name: text, command_name: text, metric_prefix: text, ..TRIX };
        let read: serde_json::Value = serde_json::from_str(&metric.to_string()).unwrap();
        let resource = &read["resourceMetrics"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], text);
        let metric = &resource["scopeMetrics"][0]["metrics"][0];
        assert_eq!(metric["name"], format!("{text}_command_invocation"));
        assert_eq!(metric["sum"]["dataPoints"][0]["attributes"][0]["value"]["stringValue"], text);
    }
}
