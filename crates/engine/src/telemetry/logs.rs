//! The engine's own log: what happened, as lines for people or for machines.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

mod event;

pub use event::Event;

use super::{
    settings::{LogSettings, Sampling},
    time::rfc3339,
};

/// How serious an event is. Ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For those who look for a fault.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What may need somebody.
    Warn,
    /// What needs somebody.
    Error,
}

impl LogLevel {
    /// Every level.
    pub const ALL: [LogLevel; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// Its name in lines and configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Time, level, message and, as JSON, everything else, with tabs between them.
    #[default]
    Console,
    /// One JSON object.
    Json,
}

/// Writes events.
pub(crate) struct Log {
    settings: LogSettings,
    outputs: Vec<Mutex<Output>>,
    counts: Mutex<Counts>,
}

/// Lines of a message in the current tick. There are as many messages as kinds of events.
type Counts = HashMap<&'static str, Count>;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    since_ns: u64,
    lines: u64,
    suppressed: u64,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// Its path, until it was told that it cannot be written.
    untold: Option<String>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens what it writes to. `resource` are fields of every line.
    ///
    /// # Errors
    /// The path of a file that cannot be opened, and why.
    pub(crate) fn open(
        mut settings: LogSettings,
        resource: BTreeMap<String, String>,
    ) -> Result<Log, (String, io::Error)> {
        let outputs = settings.output_paths.iter().map(|path| {
            let writer: Box<dyn Write + Send> = match path.as_str() {
                "stderr" => Box::new(io::stderr()),
                "stdout" => Box::new(io::stdout()),
                path => {
                    let file = path.strip_prefix("file://").unwrap_or(path);
                    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
                    Box::new(opened.map_err(|error| (path.to_owned(), error))?)
                }
            };
            Ok(Mutex::new(Output { writer, untold: Some(path.clone()) }))
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        for (key, value) in resource {
            settings.initial_fields.entry(key).or_insert(value);
        }
        Ok(Log { settings, outputs, counts: Mutex::default() })
    }

    /// Writes an event that happened at `now_ns`, unless its level or sampling says no.
    pub(crate) fn write(&self, event: &Event, now_ns: u64) {
        if event.level() < self.settings.level {
            return;
        }
        let Some(suppressed) = self.sample(event.message(), now_ns) else { return };
        let line = line(&self.settings, event, suppressed, now_ns);
        for output in &self.outputs {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            // One write, so that lines of several writers do not mix.
            let written = output.writer.write_all(line.as_bytes()).and_then(|()| output.writer.flush());
            if let Err(error) = written
                && let Some(path) = output.untold.take()
            {
                // Where standard error is gone too there is nobody left to tell.
                let _ = writeln!(io::stderr(), "warning: the log cannot be written to {path}: {error}");
            }
        }
    }

    /// How many lines of this message were left out since the last; `None` if this one is to be left out.
    fn sample(&self, message: &'static str, now_ns: u64) -> Option<u64> {
        let Some(sampling) = self.settings.sampling else { return Some(0) };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(message).or_default().next(sampling, now_ns)
    }
}

impl Count {
    fn next(&mut self, sampling: Sampling, now_ns: u64) -> Option<u64> {
        if u128::from(now_ns.saturating_sub(self.since_ns)) >= sampling.tick.as_nanos() {
            (self.since_ns, self.lines) = (now_ns, 0);
        }
        self.lines += 1;
        let after = self.lines.saturating_sub(sampling.initial);
        let told = after == 0 || sampling.thereafter > 0 && after.is_multiple_of(sampling.thereafter);
        if !told {
            self.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// An event as a line.
fn line(settings: &LogSettings, event: &Event, suppressed: u64, now_ns: u64) -> String {
    let mut fields = Map::new();
    if settings.encoding == Encoding::Json {
        fields.insert("level".to_owned(), json!(event.level().name()));
        fields.insert("ts".to_owned(), json!(rfc3339(now_ns)));
        fields.insert("msg".to_owned(), json!(event.message()));
    }
    fields.extend(event.component().map(|component| ("component".to_owned(), json!(component))));
    fields.extend(event.fields().into_iter().map(|(key, value)| (key.to_owned(), value)));
    if suppressed > 0 {
        fields.insert("suppressed".to_owned(), json!(suppressed));
    }
    for (key, value) in &settings.initial_fields {
        fields.entry(key.clone()).or_insert_with(|| json!(value));
    }
    match settings.encoding {
        Encoding::Json => format!("{}\n", Value::Object(fields)),
        Encoding::Console => {
            let (time, level) = (rfc3339(now_ns), event.level().name());
            let rest = if fields.is_empty() { String::new() } else { format!("\t{}", Value::Object(fields)) };
            format!("{time}\t{level}\t{}{rest}\n", event.message())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn settings(encoding: Encoding) -> LogSettings {
        LogSettings {
            level: LogLevel::Info,
            encoding,
            output_paths: Vec::new(),
            initial_fields: [("host".to_owned(), "a".to_owned())].into(),
            sampling: None,
        }
    }

    #[test]
    fn a_line_says_when_how_serious_what_and_where() {
        let event = Event::Failing { component: "otlp".into(), what: "503 \"busy\"\n".into(), dead: false };
        assert_eq!(
            line(&settings(Encoding::Console), &event, 3, SECOND),
            "1970-01-01T00:00:01.000Z\twarn\ta component fails\t\
             {\"component\":\"otlp\",\"error\":\"503 \\\"busy\\\"\\n\",\"host\":\"a\",\"suppressed\":3}\n"
        );
        let text = line(&settings(Encoding::Json), &event, 0, SECOND);
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "level": "warn", "ts": "1970-01-01T00:00:01.000Z", "msg": "a component fails", "component": "otlp",
            "error": "503 \"busy\"\n", "host": "a",
        });
        assert_eq!((read, text.matches('\n').count()), (expected, 1));
        let bare = LogSettings { initial_fields: BTreeMap::new(), ..settings(Encoding::Console) };
        assert_eq!(line(&bare, &Event::Draining, 0, 0), "1970-01-01T00:00:00.000Z\tinfo\tdraining\n");
    }

    #[test]
    fn equal_messages_are_bounded_and_what_is_left_out_is_counted() {
        let sampling = Sampling { tick: Duration::from_secs(10), initial: 2, thereafter: 3 };
        let mut count = Count::default();
        let mut told = |at: u64| count.next(sampling, at * SECOND);
        let first: Vec<_> = (0..8).map(|_| told(100)).collect();
        assert_eq!(first, [Some(0), Some(0), None, None, Some(2), None, None, Some(2)]);
        assert_eq!((told(109), told(110), told(110)), (None, Some(1), Some(0)));
        let never = Sampling { thereafter: 0, ..sampling };
        assert_eq!((0..9).filter_map(|_| count.next(never, 200 * SECOND)).count(), 2);
    }

    #[test]
    fn files_are_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log").display().to_string();
        for _ in 0..2 {
            let to_file = LogSettings { output_paths: vec![path.clone()], ..settings(Encoding::Json) };
            let log = Log::open(to_file, [("host".to_owned(), "b".to_owned())].into()).unwrap();
            log.write(&Event::Draining, 0);
            log.write(
                &Event::Listening { component: "x".into(), protocol: "y".into(), address: "z".into() },
                0,
            );
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "what is below the level is not told: {text}");
        assert!(text.lines().all(|line| line.contains("\"host\":\"a\"")), "{text}");
        let nowhere = LogSettings { output_paths: vec![format!("{path}/x")], ..settings(Encoding::Json) };
        assert_eq!(Log::open(nowhere, BTreeMap::new()).unwrap_err().0, format!("{path}/x"));
    }
}
