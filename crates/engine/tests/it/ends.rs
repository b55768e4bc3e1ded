//! Both ends of a test: a far side that answers as it is told, and an engine, started from a file, between it and a client.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use aldis_engine::{DrainReport, Engine, Options, check};
use connect::otlp::{
    GrpcSettings, HttpSettings, Inlets, Listening, OtlpConfig, OtlpExporter, Protocol, Receiver,
    ReceiverSettings,
};
use otlp::{
    AttributeValue, Batch, Check, Checker, Depth, LogRecord, Signal, Span, TelemetryEvent,
    event::{Metric, RequestBuilder},
};
use pipeline::{Budget, Exporter, Inlet, Item, Outcome, Shards, Share};
use tokio::task::JoinHandle;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for what must not happen to happen where it could.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

/// Where clients and exporters under test send to: remembers what came and holds its answers back, or gives them.
pub(crate) struct Far {
    inbox: Arc<Inbox>,
    listening: Option<Listening>,
    shards: Shards,
}

/// What a far side was sent, and what it says to it.
struct Inbox {
    budget: Budget,
    /// `None` holds the answers back.
    answer: Mutex<Option<Outcome>>,
    batches: Mutex<Vec<Batch>>,
    headers: Mutex<Vec<(String, String)>>,
    held: Mutex<Vec<Share>>,
}

impl Inlet for Inbox {
    fn offer(&self, item: Item, _now_ns: u64) {
        self.batches.lock().unwrap().push(item.batch);
        self.headers.lock().unwrap().extend(item.context.headers.iter().flat_map(|all| all.iter()).cloned());
        let answer = self.answer.lock().unwrap().clone();
        for share in item.context.shares {
            match &answer {
                Some(outcome) => share.resolve(outcome.clone()),
                None => self.held.lock().unwrap().push(share),
            }
        }
    }

    fn depth(&self) -> Depth {
        Depth::Attributes
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Far {
    /// A far side that takes everything.
    pub(crate) fn taking() -> Far {
        Far::answering(Some(Outcome::DELIVERED))
    }

    /// A far side that holds its answers back until it is told to give them.
    pub(crate) fn holding() -> Far {
        Far::answering(None)
    }

    /// A far side that says that it is busy.
    pub(crate) fn busy() -> Far {
        Far::answering(Some(busy()))
    }

    fn answering(answer: Option<Outcome>) -> Far {
        let free = "127.0.0.1:0".to_owned();
        let settings = ReceiverSettings {
            grpc: Some(GrpcSettings {
                endpoint: free.clone(),
                include_metadata: true,
                ..GrpcSettings::default()
            }),
            http: Some(HttpSettings { endpoint: free, include_metadata: true, ..HttpSettings::default() }),
            ..ReceiverSettings::default()
        };
        let inbox = Arc::new(Inbox {
            budget: Budget::new(64 << 20),
            answer: Mutex::new(answer),
            batches: Mutex::default(),
            headers: Mutex::default(),
            held: Mutex::default(),
        });
        let shards = Shards::start(1, "far").unwrap();
        let with = |inlets: Inlets, signal| inlets.with(signal, inbox.clone());
        let inlets = Signal::ALL.into_iter().fold(Inlets::new(), with);
        let listening = Some(Receiver::bind(settings).unwrap().start(&shards, vec![inlets]));
        Far { inbox, listening, shards }
    }

    /// The address of a protocol.
    pub(crate) fn address(&self, protocol: Protocol) -> SocketAddr {
        let listening = self.listening.as_ref().unwrap();
        match protocol {
            Protocol::Grpc => listening.grpc_addr().unwrap(),
            Protocol::Http => listening.http_addr().unwrap(),
        }
    }

    /// An exporter that sends here, `otlp` or `otlphttp`, with these settings. Unless they say it themselves no attempt ends by
    /// itself: what is held would be sent again, and what comes late, twice.
    pub(crate) fn exporter(&self, kind: &str, settings: &str) -> String {
        let protocol = if kind == "otlp" { Protocol::Grpc } else { Protocol::Http };
        let says_it = settings.split(", ").any(|setting| setting.starts_with("timeout:"));
        let timeout = if says_it { "" } else { "timeout: 10m, " };
        format!("{kind}: {{endpoint: 'http://{}', {timeout}{settings}}}", self.address(protocol))
    }

    /// What came so far.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.inbox.batches.lock().unwrap().clone()
    }

    /// How many records the requests had that came so far.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Batch::len).collect()
    }

    /// The values of a header in all that came so far.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let headers = self.inbox.headers.lock().unwrap();
        headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// How many answers are held back.
    pub(crate) fn held(&self) -> usize {
        self.inbox.held.lock().unwrap().len()
    }

    /// Gives one answer that was held back.
    pub(crate) fn answer_one(&self) {
        let share = self.inbox.held.lock().unwrap().remove(0);
        share.resolve(Outcome::DELIVERED);
    }

    /// Takes everything from now on, and what was held back.
    pub(crate) fn take_all(&self) {
        *self.inbox.answer.lock().unwrap() = Some(Outcome::DELIVERED);
        self.inbox.held.lock().unwrap().drain(..).for_each(|share| share.resolve(Outcome::DELIVERED));
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(listening) = self.listening.take() {
            listening.stop(now);
        }
        self.shards.stop(now + Duration::from_millis(200));
        // Shares that nobody resolves are counted for the whole process, in which other tests look at their health.
        self.take_all();
    }
}

/// What a far side says that may have time later, whenever that is.
pub(crate) fn busy() -> Outcome {
    Outcome::Retry { after: None, maybe_delivered: false, overloaded: false, reason: "busy".to_owned() }
}

/// A receiver of both protocols on free ports.
pub(crate) const BOTH: &str =
    "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0', include_metadata: true}}}";

/// A receiver of one protocol on a free port, with these settings.
pub(crate) fn listener(protocol: &str, settings: &str) -> String {
    format!("{{protocols: {{{protocol}: {{endpoint: '127.0.0.1:0', {settings}}}}}}}")
}

/// An engine between a client and a far side.
pub(crate) struct Near {
    engine: Option<Engine>,
}

impl Near {
    /// Starts an engine that carries every signal from this receiver to this exporter.
    pub(crate) fn relaying(receiver: &str, exporter: &str) -> Near {
        Near::carrying(&Signal::ALL, receiver, "", exporter)
    }

    /// Starts an engine that carries logs through this processor: `type: {settings}`.
    pub(crate) fn processing(processor: &str, exporter: &str) -> Near {
        Near::carrying(&[Signal::Logs], BOTH, processor, exporter)
    }

    /// Starts an engine with a pipeline for each of these signals.
    pub(crate) fn carrying(signals: &[Signal], receiver: &str, processor: &str, exporter: &str) -> Near {
        let kind = |component: &str| component.split(':').next().unwrap().to_owned();
        let pipeline = |signal: &Signal| {
            format!(
                "    {signal}: {{receivers: [otlp], processors: [{}], exporters: [{}]}}\n",
                kind(processor),
                kind(exporter)
            )
        };
        let pipelines: String = signals.iter().map(pipeline).collect();
        let text = format!(
            "receivers:\n  otlp: {receiver}\nprocessors:\n  {processor}\nexporters:\n  {exporter}\nservice:\n  pipelines:\n{pipelines}"
        );
        Near::running(&text)
    }

    /// Starts an engine from a whole file.
    pub(crate) fn running(text: &str) -> Near {
        let checked = check(text, &|_| None);
        assert!(!checked.problems.has_errors(), "{text}{:#?}", checked.problems);
        let engine = Engine::start(&checked.graph, Options { shards: 1, ..Options::default() }).unwrap();
        Near { engine: Some(engine) }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    /// Shuts the engine down within this time.
    pub(crate) fn shutdown(mut self, within: Duration) -> DrainReport {
        self.engine.take().unwrap().shutdown(Instant::now() + within)
    }

    /// The address of a protocol: `grpc` or `http`.
    pub(crate) fn address(&self, protocol: &str) -> SocketAddr {
        self.engine().addresses().iter().find(|bound| bound.protocol == protocol).unwrap().address
    }

    /// Sends a request, over gRPC where that is listened to, and tells what became of it once the answer is there.
    pub(crate) fn send(&self, batch: Batch) -> JoinHandle<Outcome> {
        self.send_as(batch, &[])
    }

    /// Sends a request with these headers, over HTTP where that is listened to.
    pub(crate) fn send_as(&self, batch: Batch, headers: &[(&str, &str)]) -> JoinHandle<Outcome> {
        let bound = self.engine().addresses();
        let http = bound.iter().find(|bound| bound.protocol == "http").filter(|_| !headers.is_empty());
        let bound = http.unwrap_or(&bound[0]);
        let protocol = if bound.protocol == "grpc" { Protocol::Grpc } else { Protocol::Http };
        let mut config = OtlpConfig {
            endpoint: format!("http://{}", bound.address),
            timeout: 2 * PATIENCE,
            ..OtlpConfig::default().with_protocol(protocol)
        };
        for (name, value) in headers {
            config = config.with_header(*name, *value);
        }
        let sender = OtlpExporter::try_new(config).unwrap().open();
        tokio::spawn(async move { sender.send(&Item::new(batch)).await })
    }

    /// Sends a request and waits for the answer.
    pub(crate) async fn ask(&self, batch: Batch) -> Outcome {
        answer(self.send(batch)).await
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.shutdown(Instant::now() + Duration::from_millis(200));
        }
    }
}

/// A port that nobody listens on now, and that nobody is given who does not ask for it: what the system gives by itself is above these.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests that run at the same time as another process begin elsewhere.
    let first = 10_000 + (std::process::id() % 160) as u16 * 125;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(is_free).unwrap()
}

/// Waits for the answer to a request.
pub(crate) async fn answer(sent: JoinHandle<Outcome>) -> Outcome {
    tokio::time::timeout(PATIENCE, sent).await.expect("an answer").unwrap()
}

/// Runs what a client does.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(6 * PATIENCE, future).await.unwrap() })
}

/// Waits for what happens on other threads.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A request of these records, all of one signal.
pub(crate) fn request(records: &[TelemetryEvent]) -> Batch {
    let mut builder = RequestBuilder::new(records[0].signal(), Depth::Records);
    records.iter().for_each(|record| builder.push(record).unwrap());
    builder.finish()
}

/// A record with these attributes; a metric has the name `up`.
pub(crate) fn record(signal: Signal, attributes: &[(&str, &str)]) -> TelemetryEvent {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), AttributeValue::String((*value).to_owned()));
    let attributes = attributes.iter().map(text).collect();
    match signal {
        Signal::Traces => Span { attributes, ..Span::default() }.into(),
        Signal::Logs => LogRecord { attributes, severity_number: 9, ..LogRecord::default() }.into(),
        Signal::Metrics => Metric { attributes, name: "up".into(), ..Metric::default() }.into(),
        Signal::Profiles => panic!("profiles are not made of records"),
    }
}

/// So many log records.
pub(crate) fn logs(count: usize) -> Batch {
    request(&vec![record(Signal::Logs, &[]); count])
}

/// One log record of about so many bytes.
pub(crate) fn large(bytes: usize) -> Batch {
    request(&[record(Signal::Logs, &[("text", &"x".repeat(bytes))])])
}

/// One record of any signal.
pub(crate) fn one(signal: Signal) -> Batch {
    // ExportProfilesServiceRequest, ResourceProfiles, ScopeProfiles: each holds the next; the last holds an empty profile.
    const PROFILE: &[u8] = &[0x0a, 4, 0x12, 2, 0x12, 0];
    match signal {
        Signal::Profiles => Checker::new(signal, Check::Full, Depth::Counts).check(PROFILE.into()).unwrap(),
        _ => request(&[record(signal, &[])]),
    }
}
