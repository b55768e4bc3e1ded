//! Steps about collectors, streams and storages.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use collect::{
    Aggregation, EventType, FileSettings, FileStorage, Function, MemoryStorage, Overflow, Record, Sampling,
    SubscriberId, TelemetryCollector, TelemetryConfig, TelemetryData, TelemetryStorage, TelemetryStream,
    ValueRef, json,
};
use serde_json::Value;
use sqlite::DatabaseStorage;

use crate::{
    parity::{text, without},
    scripted::{self, Scripted, Within},
};

/// What steps act upon.
pub(crate) struct Collecting {
    folder: PathBuf,
    files: usize,
    collector: Option<TelemetryCollector>,
    storage: Option<Arc<dyn TelemetryStorage>>,
    file: Option<Arc<FileStorage>>,
    path: PathBuf,
    scripted: Option<Arc<Scripted>>,
    stream: Option<Arc<TelemetryStream>>,
    listeners: Vec<SubscriberId>,
    consumers: Vec<SubscriberId>,
    within: Within,
}

impl Collecting {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            files: 0,
            collector: None,
            storage: None,
            file: None,
            path: PathBuf::new(),
            scripted: None,
            stream: None,
            listeners: Vec::new(),
            consumers: Vec::new(),
            within: Within::default(),
        }
    }

    pub(crate) fn step(&mut self, what: &str, step: &Value) -> String {
        match what {
            "collector" => self.collector(&step["settings"]),
            "event" | "metric" | "counter" | "gauge" => self.record(what, step),
            "flush" => match self.own().flush_within(patience(step)) {
                Ok(data) => without(&json::of_data(&data), "time_ns"),
                Err(error) => format!("error {}", error.code()),
            },
            "close" => {
                self.own().close();
                "ok".to_owned()
            }
            "stats" => self.stats(),
            "storage" => self.open(step),
            "store" => {
                let data = json::data(text(step, "lines")).unwrap();
                self.storage.as_ref().unwrap().store(&data).map_or("error storage".into(), |()| "ok".into())
            }
            "retrieve" => self.retrieve(step),
            "scan" => self.scan(),
            "file" => std::fs::read_to_string(&self.path).unwrap(),
            "stream" => self.stream(step),
            "start" | "second_stream" | "stop" => self.run(what, step),
            "listener" | "consumer" => self.subscribe(what, step),
            "remove_listener" => self.own().remove_listener(self.listeners[number(step)]).to_string(),
            "remove_consumer" => self.own_stream().remove_consumer(self.consumers[number(step)]).to_string(),
            "heard" => self.heard(step),
            // What was not taken when a stream is stopped stays in the collector.
            "storing" => {
                let is_called = || self.scripted.as_ref().unwrap().is_called();
                if wait_until(is_called) { "ok".to_owned() } else { "never".to_owned() }
            }
            "let_go" => {
                self.scripted.as_ref().unwrap().let_go();
                "ok".to_owned()
            }
            "settled" => {
                let is_settled = || self.own().stats().buffered == step["buffered"].as_u64().unwrap();
                if wait_until(is_settled) { self.stats() } else { "never".to_owned() }
            }
            "told" => self.told(),
            _ => panic!("there is no step {what}"),
        }
    }

    fn own(&self) -> &TelemetryCollector {
        self.collector.as_ref().unwrap()
    }

    /// What code that the library called was told, by threads that come in any order.
    fn told(&self) -> String {
        let mut told = self.within.inside(|inside| std::mem::take(&mut inside.told));
        told.sort();
        told.join(", ")
    }

    fn own_stream(&self) -> &TelemetryStream {
        self.stream.as_ref().unwrap()
    }

    /// Adds one that does what the step says, or so many of them.
    fn subscribe(&mut self, what: &str, step: &Value) -> String {
        let mut last = String::new();
        for _ in 0..step["times"].as_u64().unwrap_or(1) {
            let subscriber = self.within.subscriber(step);
            let (added, all) = match what {
                "listener" => (self.own().add_listener(subscriber), &mut self.listeners),
                _ => (self.stream.as_ref().unwrap().add_consumer(subscriber), &mut self.consumers),
            };
            last = match added {
                Ok(id) => {
                    all.push(id);
                    id.to_string()
                }
                Err(error) => format!("error {}", error.code()),
            };
        }
        last
    }

    /// What became of so many records that a subscriber was offered, once it has taken them.
    fn heard(&self, step: &Value) -> String {
        let stats = || match step["listener"].as_u64() {
            Some(_) => self.own().listener_stats(self.listeners[number(step)]),
            None => self.own_stream().consumer_stats(self.consumers[number(step)]),
        };
        let offered = step["offered"].as_u64().unwrap();
        wait_until(|| stats().is_none_or(|stats| stats.offered == offered && stats.pending == 0));
        let error = match step["listener"].as_u64() {
            Some(_) => self.own().listener_error(self.listeners[number(step)]),
            None => self.own_stream().consumer_error(self.consumers[number(step)]),
        };
        format!("{} error={}", scripted::stats(stats()), error.as_deref().unwrap_or("none"))
    }

    fn collector(&mut self, settings: &Value) -> String {
        let mut config = TelemetryConfig::default();
        let set = |name: &str, to: &mut usize| {
            if let Some(number) = settings[name].as_u64() {
                *to = number as usize;
            }
        };
        set("buffer_size", &mut config.buffer_size);
        set("max_items", &mut config.max_items);
        set("max_bytes", &mut config.max_bytes);
        config.enabled = settings["enabled"].as_bool().unwrap_or(true);
        config.realtime_mode = settings["realtime_mode"].as_bool().unwrap_or(false);
        config.storage_path = settings["storage_path"].as_str().map(PathBuf::from);
        if let Some(seconds) = settings["flush_interval"].as_f64() {
            config.flush_interval = Duration::from_secs_f64(seconds);
        }
        if let Some(backend) = settings["storage_backend"].as_str() {
            match backend.parse() {
                Ok(backend) => config.storage_backend = backend,
                Err(error) => return format!("error config {error}"),
            }
        }
        config.overflow = match text(settings, "overflow") {
            "drop_newest" => Overflow::DropNewest,
            "block" => Overflow::Block(Duration::from_secs_f64(settings["block_timeout"].as_f64().unwrap())),
            _ => Overflow::DropOldest,
        };
        match TelemetryCollector::new(config) {
            Ok(collector) => {
                self.within.inside(|inside| inside.collector = Some(collector.clone()));
                self.listeners.clear();
                self.collector = Some(collector);
            }
            Err(error) => return format!("error config {error}"),
        }
        let config = self.own().config();
        let (overflow, wait) = match config.overflow {
            Overflow::DropOldest => ("drop_oldest", "none".to_owned()),
            Overflow::DropNewest => ("drop_newest", "none".to_owned()),
            Overflow::Block(wait) => ("block", wait.as_millis().to_string()),
        };
        let path = config.storage_path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        format!(
            "enabled={} buffer_size={} flush_interval={} realtime_mode={} storage_backend={} storage_path={path} overflow={overflow} block_timeout={wait} max_items={} max_bytes={}",
            u8::from(config.enabled),
            config.buffer_size,
            config.flush_interval.as_millis(),
            u8::from(config.realtime_mode),
            config.storage_backend.as_str(),
            config.max_items,
            config.max_bytes,
        )
    }

    fn record(&self, what: &str, step: &Value) -> String {
        let tags = json::tags(&step.get("tags").map_or("{}".to_owned(), Value::to_string)).unwrap();
        let tags: Vec<(&str, &str)> = tags.iter().map(|(key, tag)| (key.as_str(), tag.as_str())).collect();
        let (name, unit) = (text(step, "name"), text(step, "unit"));
        match what {
            "event" => {
                let fields = step.get("metadata").map_or("{}".to_owned(), Value::to_string);
                let fields = json::fields(&fields).unwrap();
                let fields: Vec<(&str, ValueRef<'_>)> =
                    fields.iter().map(|(key, value)| (key.as_str(), value.into())).collect();
                let event_type = EventType::from_text(step["event_type"].as_str().unwrap_or("info")).unwrap();
                let (source, message) = (text(step, "source"), text(step, "message"));
                self.own().collect_event(source, message, event_type, &fields).to_string()
            }
            "metric" => {
                self.own().collect_metric(name, step["value"].as_f64().unwrap(), unit, &tags).to_string()
            }
            "counter" => {
                let counter = self.own().counter(name, unit, &tags);
                step["add"].as_array().unwrap().iter().for_each(|count| counter.add(count.as_u64().unwrap()));
                counter.pending().to_string()
            }
            _ => {
                let gauge = self.own().gauge(name, unit, &tags);
                step["set"].as_array().unwrap().iter().for_each(|value| gauge.set(value.as_f64().unwrap()));
                "ok".to_owned()
            }
        }
    }

    fn stats(&self) -> String {
        let stats = self.own().stats();
        let dropped: Vec<String> =
            stats.dropped.by_reason().iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        format!(
            "emitted={} delivered={} sampled_out={} aggregated={} buffered={} {} listeners_active={} is_closed_sum={}",
            stats.emitted,
            stats.delivered,
            stats.sampled_out,
            stats.aggregated,
            stats.buffered,
            dropped.join(" "),
            u8::from(stats.listeners_active),
            u8::from(stats.is_closed_sum()),
        )
    }

    fn open(&mut self, step: &Value) -> String {
        let kind = text(step, "kind");
        self.files += 1;
        self.path = self.folder.join(self.files.to_string());
        self.file = None;
        let compression = (kind == "zstd").then_some(3);
        let settings = FileSettings { compression, ..FileSettings::default() };
        self.storage = Some(match kind {
            "memory" => Arc::new(MemoryStorage::new()),
            "sqlite" => Arc::new(DatabaseStorage::open(&self.path).unwrap()),
            "scripted" => {
                let scripted = Arc::new(Scripted::new(step, self.within.clone()));
                self.scripted = Some(scripted.clone());
                scripted
            }
            "folder" => match FileStorage::open(&self.folder) {
                Ok(file) => Arc::new(file),
                Err(_) => return "error storage".to_owned(),
            },
            _ => {
                let file = Arc::new(FileStorage::with_settings(&self.path, settings).unwrap());
                self.file = Some(file.clone());
                file
            }
        });
        "ok".to_owned()
    }

    /// Times of what a collector recorded are none that two runs have in common.
    fn lines(&self, data: &TelemetryData) -> String {
        let lines = json::of_data(data);
        if self.stream.is_some() { without(&lines, "time_ns") } else { lines }
    }

    fn retrieve(&self, step: &Value) -> String {
        let limit = step["limit"].as_u64().map(|limit| limit as usize);
        let storage = self.storage.as_ref().unwrap();
        match storage.retrieve(step["start_ns"].as_u64(), step["end_ns"].as_u64(), limit) {
            Ok(data) => self.lines(&data),
            Err(_) => "error storage".to_owned(),
        }
    }

    fn scan(&self) -> String {
        let mut lines = String::new();
        let put = |record: Record| {
            let mut data = TelemetryData::default();
            match record {
                Record::Event(event) => data.events.push(event),
                Record::Metric(metric) => data.metrics.push(metric),
            }
            lines += &json::of_data(&data);
        };
        self.file.as_ref().unwrap().scan(None, None, put).unwrap();
        lines
    }

    fn stream(&mut self, step: &Value) -> String {
        let mut stream = TelemetryStream::new(self.own(), self.storage.clone().unwrap());
        if let Some(shares) = step["sampling"].as_object() {
            let keep = |sampling: Sampling, (of, share): (&String, &Value)| {
                sampling.keep(EventType::from_text(of).unwrap(), share.as_f64().unwrap())
            };
            stream = stream.with_sampling(shares.iter().fold(Sampling::default(), keep));
        }
        if let Some(window) = step["aggregation"]["window"].as_f64() {
            use Function::{Count, Last, Max, Mean, Min, Sum};
            let names = step["aggregation"]["functions"].as_array().unwrap().iter();
            let function = |name: &Value| {
                let all = [Count, Sum, Min, Max, Mean, Last];
                all.into_iter().find(|function| Some(function.as_str()) == name.as_str()).unwrap()
            };
            match Aggregation::every(Duration::from_secs_f64(window)).of(names.map(function)) {
                Ok(aggregation) => stream = stream.with_aggregation(aggregation),
                Err(error) => return format!("error config {error}"),
            }
        }
        self.stream = Some(Arc::new(stream));
        self.consumers.clear();
        self.within.inside(|inside| inside.stream.clone_from(&self.stream));
        "ok".to_owned()
    }

    fn run(&self, what: &str, step: &Value) -> String {
        let stream = self.own_stream();
        match what {
            "start" => {
                stream.start().map_or_else(|error| format!("error {}", error.code()), |()| "ok".into())
            }
            "stop" => {
                let stopped = stream.stop_within(patience(step));
                stopped.map_or_else(|error| format!("error {}", error.code()), |()| "ok".into())
            }
            _ => {
                let second = TelemetryStream::new(self.own(), MemoryStorage::new());
                second.start().map_or_else(|error| format!("error {}", error.code()), |()| "ok".into())
            }
        }
    }
}

/// How long what is to come may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a step waits.
fn patience(step: &Value) -> Duration {
    step["timeout"].as_f64().map_or(PATIENCE, Duration::from_secs_f64)
}

/// The place of a subscriber among those of its kind.
fn number(step: &Value) -> usize {
    let number = step["listener"].as_u64().or(step["consumer"].as_u64()).unwrap();
    number as usize - 1
}

/// Waits for what is to come.
fn wait_until(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !is_so() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    is_so()
}
