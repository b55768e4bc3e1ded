//! Records as lines of JSON, and key-values as JSON: for storages that keep them as text.

use crate::{Fields, Name, Record, TelemetryData, name::NameCache, storage::line};

/// An object with these keys, in their order.
///
/// ```
/// use aldis_collect::json;
///
/// let fields = vec![("pid".into(), 42.into()), ("share".into(), 0.5.into())];
/// let text = json::of_fields(&fields);
/// assert_eq!(text, r#"{"pid":42,"share":0.5}"#);
/// assert_eq!(json::fields(&text), Some(fields));
/// ```
pub fn of_fields(fields: &Fields) -> String {
    line::fields_text(fields)
}

/// Whether readers of JSON take these: no value has more levels than [`MAX_LINE_DEPTH`](crate::limits::MAX_LINE_DEPTH). Storages refuse
/// events with others, and keep the rest of their batch.
///
/// ```
/// use aldis_collect::{Value, json, limits::MAX_LINE_DEPTH};
///
/// let of_levels = |levels| (0..levels).fold(Value::Null, |inner, _| Value::List(vec![inner]));
/// assert!(json::is_shallow(&vec![("deep".into(), of_levels(MAX_LINE_DEPTH))]));
/// assert!(!json::is_shallow(&vec![("deep".into(), of_levels(MAX_LINE_DEPTH + 1))]));
/// ```
pub fn is_shallow(fields: &Fields) -> bool {
    line::is_shallow(fields)
}

/// Reads an object. `None`: it is none. Numbers without a fraction that fit are integers.
pub fn fields(text: &str) -> Option<Fields> {
    line::read_fields(text)
}

/// An object with these keys, whose values are texts.
///
/// ```
/// use aldis_collect::json;
///
/// let tags = vec![("core".into(), "0".into())];
/// assert_eq!(json::of_tags(&tags), r#"{"core":"0"}"#);
/// assert_eq!(json::tags(r#"{"core":"0"}"#), Some(tags));
/// ```
pub fn of_tags(tags: &[(Name, Name)]) -> String {
    line::tags_text(tags)
}

/// Reads an object whose values are texts. `None`: it is none.
pub fn tags(text: &str) -> Option<Vec<(Name, Name)>> {
    line::read_tags(text)
}

/// Events, then metrics, a line of JSON for each, as [`crate::FileStorage`] writes them.
///
/// ```
/// use aldis_collect::{TelemetryData, TelemetryMetric, json};
///
/// let metric = TelemetryMetric { time_ns: 18, name: "cpu".into(), value: 45.2, ..TelemetryMetric::default() };
/// let data = TelemetryData { events: vec![], metrics: vec![metric] };
/// let text = json::of_data(&data);
/// assert!(text.starts_with(r#"{"time_ns":18,"type":"metric","name":"cpu","value":45.2,"#));
/// assert_eq!(json::data(&text), Ok(data));
/// ```
pub fn of_data(data: &TelemetryData) -> String {
    let mut out = Vec::new();
    data.events.iter().for_each(|event| line::write_event(event, &mut out));
    data.metrics.iter().for_each(|metric| line::write_metric(metric, &mut out));
    String::from_utf8(out).unwrap_or_default()
}

/// Reads lines of records; empty ones are passed over.
///
/// # Errors
/// The number, from 0, of the first line that is no record.
pub fn data(lines: &str) -> Result<TelemetryData, usize> {
    let (mut names, mut data) = (NameCache::new(), TelemetryData::default());
    for (number, text) in lines.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match line::read(text.as_bytes(), &mut names) {
            Some(Record::Event(event)) => data.events.push(event),
            Some(Record::Metric(metric)) => data.metrics.push(metric),
            None => return Err(number),
        }
    }
    Ok(data)
}
