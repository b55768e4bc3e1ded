#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::print_stdout, clippy::unwrap_used)]
use aldis_connect::otlp::{load::*, sink::*, *};
use otlp::*;
use pipeline::*;
use std::{sync::Arc, time::*};
use tokio::sync::mpsc;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
struct Relay {
    budget: Budget,
    exporter: Arc<dyn Exporter>,
    tx: std::sync::OnceLock<mpsc::Sender<Item>>,
}
impl Inlet for Relay {
    fn offer(&self, item: Item, _n: u64) {
        let tx = self.tx.get_or_init(|| {
            let (tx, mut rx) = mpsc::channel::<Item>(1000);
            let sender: Arc<dyn Sender> = self.exporter.open().into();
            tokio::spawn(async move {
                while let Some(mut item) = rx.recv().await {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        let o = sender.send(&item).await;
                        let shares = std::mem::take(&mut item.context.shares);
                        pipeline::receipt::resolve_all(shares, o);
                    });
                }
            });
            tx
        });
        if let Err(e) = tx.try_send(item) {
            e.into_inner().resolve(Outcome::Retry {
                after: None,
                maybe_delivered: false,
                reason: "full".into(),
            });
        }
    }
    fn depth(&self) -> Depth {
        match std::env::var("DEPTH").as_deref() {
            Ok("records") => Depth::Records,
            _ => Depth::Counts,
        }
    }
    fn budget(&self) -> &Budget {
        &self.budget
    }
}
fn codec(s: &str) -> Option<Codec> {
    aldis_connect::codec::by_name(s)
}
fn proto(s: &str) -> Protocol {
    if s == "http" { Protocol::Http } else { Protocol::Grpc }
}
fn rs(addr: &str, p: Protocol, check: Check) -> ReceiverSettings {
    let mut r = ReceiverSettings { check, grpc: None, http: None, ..Default::default() };
    match p {
        Protocol::Grpc => {
            r.grpc =
                Some(GrpcSettings { endpoint: addr.into(), max_recv_msg_size_mib: 64, ..Default::default() })
        }
        Protocol::Http => {
            r.http = Some(HttpSettings {
                endpoint: addr.into(),
                max_request_body_size: 64 << 20,
                ..Default::default()
            })
        }
    }
    r
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let secs = |s: &str| Duration::from_secs_f64(s.parse().unwrap());
    match a[1].as_str() {
        "sink" => {
            let shards = Shards::start(1, "s").unwrap();
            let s = Sink::start(
                SinkSettings { receiver: rs(&a[2], proto(&a[3]), Check::Framing), ..Default::default() },
                &shards,
            )
            .unwrap();
            std::thread::sleep(secs(&a[4]));
            println!("sink {:?}", s.stop(Instant::now() + Duration::from_millis(300)));
        }
        "relay" => {
            let shards = Shards::start(1, "r").unwrap();
            let check =
                if std::env::var("CHECK").as_deref() == Ok("framing") { Check::Framing } else { Check::Full };
            let cfg = OtlpConfig {
                endpoint: format!("http://{}", a[3]),
                protocol: proto(&a[4]),
                compression: codec(&a[5]),
                connections: if a[4] == "http" { 32 } else { 1 },
                ..Default::default()
            };
            let r = Receiver::bind(rs(&a[2], proto(&a[4]), check)).unwrap();
            let inlet: Arc<dyn Inlet> = Arc::new(Relay {
                budget: Budget::new(1 << 30),
                exporter: Arc::new(OtlpExporter::new(cfg)),
                tx: Default::default(),
            });
            let i = Signal::ALL.into_iter().fold(Inlets::new(), |i, s| i.with(s, inlet.clone()));
            let l = r.start(&shards, vec![i]);
            std::thread::sleep(secs(&a[6]));
            let c = l.counts();
            let n: u64 = c.signals.iter().map(|s| s.records_admitted).sum();
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
            let f: Vec<u64> = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .skip(11)
                .take(2)
                .map(|x| x.parse().unwrap())
                .collect();
            println!(
                "relay records {} user {} sys {} => {:.4} us/record",
                n,
                f[0],
                f[1],
                (f[0] + f[1]) as f64 * 1e4 / n as f64
            );
        }
        "load" => {
            let corpus = match a[6].as_str() {
                "logs" => Corpus::logs(64, 1000),
                f => {
                    let c = Corpus::read(Signal::Traces, std::path::Path::new(f)).unwrap();
                    c.regroup(1000).unwrap()
                }
            };
            println!(
                "corpus {} requests {} records {} B/record",
                corpus.len(),
                corpus.records(),
                corpus.bytes() / corpus.records()
            );
            let l = Load {
                target: OtlpConfig {
                    endpoint: format!("http://{}", a[2]),
                    protocol: proto(&a[3]),
                    compression: codec(&a[4]),
                    ..Default::default()
                },
                connections: 8,
                in_flight: 2,
                duration: secs(&a[5]),
                stamp_every: 0,
                ..Default::default()
            };
            let r = load::run(&l, &corpus).unwrap();
            println!("{r:?}\n{} rec/s", r.records_per_second());
        }
        _ => {}
    }
}
