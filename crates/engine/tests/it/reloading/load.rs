//! Reloads under load.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use connect::otlp::{OtlpConfig, OtlpExporter};
use otlp::LogRecord;
use pipeline::{Exporter, Item};

use super::*;
use crate::ends::request;

/// Clients that send log records, each with a number of its own in the place of its time, until they are told to end.
pub(super) struct Clients {
    end: Arc<AtomicBool>,
    told: Arc<Told>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
    refused: Mutex<Vec<String>>,
}

impl Clients {
    pub(super) fn start(ports: &[(Protocol, u16)]) -> Clients {
        let (end, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Told::default()));
        let threads = ports
            .iter()
            .map(|(protocol, port)| {
                let config = OtlpConfig {
                    endpoint: format!("http://127.0.0.1:{port}"),
                    timeout: 2 * PATIENCE,
                    ..OtlpConfig::default().with_protocol(*protocol)
                };
                let (end, told) = (end.clone(), told.clone());
                thread::spawn(move || block_on(send(config, &end, &told)))
            })
            .collect();
        Clients { end, told, threads }
    }

    pub(super) fn sent(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    /// The numbers that were acknowledged, and what was said of those that were not.
    pub(super) fn end(self) -> (Vec<u64>, Vec<String>) {
        self.end.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let told = Arc::into_inner(self.told).unwrap();
        (told.acknowledged.into_inner().unwrap(), told.refused.into_inner().unwrap())
    }
}

async fn send(config: OtlpConfig, end: &AtomicBool, told: &Told) {
    let sender = OtlpExporter::try_new(config).unwrap().open();
    while !end.load(Relaxed) {
        let number = told.next.fetch_add(1, Relaxed) + 1;
        let record = LogRecord { time_ns: number, ..LogRecord::default() };
        match sender.send(&Item::new(request(&[record.into()]))).await {
            Outcome::Delivered { rejected: 0 } => told.acknowledged.lock().unwrap().push(number),
            other => told.refused.lock().unwrap().push(format!("{number}: {other:?}")),
        }
    }
}

/// How often each number arrived.
pub(super) fn arrived(far: &[&Far]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for batch in far.iter().flat_map(|far| far.batches()) {
        (0..batch.len()).for_each(|i| *counts.entry(batch.log(i).time_ns()).or_default() += 1);
    }
    counts
}

pub(super) fn assert_arrived_once(acknowledged: &[u64], arrived: &BTreeMap<u64, usize>) {
    let wrong: Vec<_> =
        acknowledged.iter().map(|n| (n, arrived.get(n))).filter(|(_, times)| *times != Some(&1)).collect();
    assert!(wrong.is_empty(), "of {}: {wrong:?}", acknowledged.len());
}

/// A row of configurations that differ in everything that can differ; each record goes to one exporter in each of them.
fn row(grpc: u16, http: u16, one: &Far, two: &Far) -> Vec<String> {
    let base = both(grpc, http, "");
    let narrow = both(grpc, http, "max_request_body_size: 100000");
    let beside = format!("{base}, otlp/2: {BOTH}");
    let processors = "batch: {timeout: 5ms}, batch/large: {timeout: 20ms, eager: false, send_batch_size: 50}, \
        memory_limiter: {check_interval: 1s, limit_mib: 4000}, \
        attributes: {actions: [{key: a, value: b, action: insert}]}, \
        filter: {logs: {log_record: ['attributes[\"never\"] == \"there\"']}}";
    let (to_one, to_two) = (one.exporter("otlp", ""), two.exporter("otlp", "compression: gzip"));
    let over_http = two.exporter("otlphttp", "sending_queue: {wait_for_result: true}");
    let joined = one.exporter("otlp", "sending_queue: {batch: {flush_timeout: 10ms}}");
    let few = one.exporter("otlp", "compression: zstd, sending_queue: {num_consumers: 1}");
    let logs = |name: &str, processors: &str, exporter: &str| {
        format!("{name}: {{receivers: [otlp], processors: [{processors}], exporters: [{exporter}]}}")
    };
    let plain = logs("logs", "batch", "otlp");
    let traces = "traces: {receivers: [otlp, otlp/2], exporters: [otlp]}";
    vec![
        file(&base, processors, &to_one, &plain),
        file(&base, processors, &to_two, &plain),
        file(&base, processors, &to_two, &logs("logs", "batch/large", "otlp")),
        file(&narrow, processors, &to_two, &logs("logs", "batch/large", "otlp")),
        file(&narrow, processors, &to_two, &logs("logs/2", "attributes, filter", "otlp")),
        file(&beside, processors, &few, &format!("{}, {traces}", logs("logs/2", "", "otlp"))),
        file(&base, processors, &over_http, &logs("logs/2", "", "otlphttp")),
        file(&base, processors, &joined, &logs("logs", "memory_limiter, attributes", "otlp")),
        file(&narrow, processors, &joined, &logs("logs", "filter, batch", "otlp")),
    ]
}

/// Every record that was acknowledged arrives once, whatever the engine was turned into meanwhile; nobody who connects or sends
/// is refused; and every record is in the books.
#[test]
fn nothing_is_lost_while_everything_changes() {
    let (one, two) = (Far::taking(), Far::taking());
    let (grpc, http) = (free_port(), free_port());
    let row = row(grpc, http, &one, &two);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let impossible = file(
        &both(grpc, taken.local_addr().unwrap().port(), ""),
        "",
        &one.exporter("otlp", ""),
        "logs: {receivers: [otlp], exporters: [otlp]}",
    );
    let mut near = Near::running(&row[0]);
    let clients = Clients::start(&[
        (Protocol::Grpc, grpc),
        (Protocol::Http, http),
        (Protocol::Grpc, grpc),
        (Protocol::Http, http),
    ]);
    let mut reloads = 0;
    for i in (1..row.len()).chain(0..row.len()).chain((0..row.len()).rev()) {
        let before = clients.sent();
        block_on(eventually("more is sent", || clients.sent() > before + 20));
        if i % 3 == 0 {
            assert!(near.engine_mut().reload(&graph(&impossible), PATIENCE).is_err());
        }
        reloads += usize::from(reload(&mut near, &row[i]).any());
    }
    assert!(reloads >= 20, "{reloads}");
    let before = clients.sent();
    block_on(eventually("more is sent", || clients.sent() > before + 20));
    let (acknowledged, refused) = clients.end();
    let report = near.shutdown(PATIENCE);
    assert!(report.is_complete(), "{:?}", report.undelivered);
    report.stats.check().unwrap();
    assert_arrived_once(&acknowledged, &arrived(&[&one, &two]));
    assert!(refused.is_empty(), "{refused:#?}");
    let counts = report.receivers[0].1.signal(Signal::Logs);
    assert_eq!(counts.records_admitted, acknowledged.len() as u64);
    let exported: u64 = report.stats.exporters.iter().map(|row| row.delivered).sum();
    assert_eq!(exported, acknowledged.len() as u64);
}
