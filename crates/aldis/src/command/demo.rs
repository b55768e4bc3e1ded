//! `aldis demo`.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use clap::Args;
use connect::otlp::{
    OtlpConfig,
    load::{self, Load, LoadError, LoadReport},
};
use engine::{DrainReport, Engine, Options, settings::duration};
use otlp::Signal;
use serde_json::json;
use workload::{Fault, Incident, Settings, Totals};

use super::{builtin, fail};
use crate::{
    addresses,
    exit::Exit,
    output, report,
    shop::Shop,
    signals::Signals,
    terminal::{Scene, TICK, View, count, print},
};

const EXAMPLES: &str = "\
Examples:
  aldis demo                             until Ctrl-C or q
  aldis demo --rate 500 --seed 7         a busier shop, and another one
  aldis demo --duration 30s --json       half a minute, for programs";

/// Flags of `aldis demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// From which every choice in the shop follows.
    #[arg(long, value_name = "N", default_value_t = 1917)]
    seed: u64,
    /// How many traces begin in a second, on average.
    #[arg(long, value_name = "PER-SECOND", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// For how long [default: until Ctrl-C].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Write the summary every few seconds, and the books at the end, to standard output as JSON, an object on each line.
    #[arg(long)]
    json: bool,
}

/// How long everything may take to leave at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// Requests of the shop in flight at once.
const IN_FLIGHT: usize = 4;

/// Shows the engine at work on the telemetry of a modelled shop, until a signal comes or the time is over.
pub(crate) fn run(args: &DemoArgs) -> Exit {
    let running = match Running::start(args) {
        Ok(running) => running,
        Err(message) => return fail(args.json, Exit::Unavailable, &message),
    };
    let begun = Instant::now();
    let Running { signals, engine, moved, shop, sending } = running;
    let endpoints = Endpoints::of(&engine, moved);
    let mut view = View::open(args.json);
    if args.json {
        output::show_line(format_args!("{}", addresses::started(engine.addresses(), engine.shards())));
    } else if !view.is_live() {
        output::show_line(format_args!("{}\n{}\n", endpoints.title(), endpoints.hints().join("\n")));
    }
    let scene = || Scene {
        title: endpoints.title(),
        seconds: begun.elapsed().as_secs(),
        news: news(&shop, &engine),
        seen: engine.summary().unwrap_or_default(),
        stats: engine.stats(),
        receivers: engine.receivers(),
        hints: endpoints.hints(),
        ..Scene::default()
    };
    while !signals.wait_for(TICK) && !sending.is_finished() {
        if args.duration.is_some_and(|duration| begun.elapsed() >= duration) {
            break;
        }
        if view.show(scene) {
            break;
        }
    }
    shop.close();
    let sent = sending.join();
    drop(view);
    let report = engine.shutdown(Instant::now() + DRAIN);
    let sent = match sent {
        Ok(Ok(sent)) => sent,
        Ok(Err(error)) => return fail(args.json, Exit::Unavailable, &error.to_string()),
        Err(_) => return fail(args.json, Exit::Unavailable, "the shop itself failed; please report it"),
    };
    let books = Books::of(&shop.totals(), &sent, &report);
    if args.json {
        output::show_line(format_args!("{}", books.as_json(&report)));
    } else {
        print(&Scene {
            title: endpoints.title(),
            seconds: begun.elapsed().as_secs(),
            seen: report.summary.clone().unwrap_or_default(),
            stats: report.stats.clone(),
            receivers: report.receivers.clone(),
            ..Scene::default()
        });
        output::show_line(format_args!("{}\n\n{}", books.as_text(), NEXT.join("\n")));
    }
    if books.close() && report.is_complete() { Exit::Success } else { Exit::Undelivered }
}

/// What can be done after the demo.
const NEXT: [&str; 5] = [
    "What next:",
    "  aldis serve                      the same for your own services: point their SDKs at it",
    "  aldis serve -c config.yaml       filter, edit, batch and send on; a Collector's file works",
    "  aldis load --workload 7          this shop as a load, as fast as it is taken",
    "  docs/cli.md, docs/configuration.md, ARCHITECTURE.md",
];

/// What runs during a demo.
struct Running {
    signals: Signals,
    engine: Engine,
    /// Whether the usual ports were taken.
    moved: bool,
    shop: Shop,
    sending: JoinHandle<Result<LoadReport, LoadError>>,
}

impl Running {
    fn start(args: &DemoArgs) -> Result<Running, String> {
        // Before anything runs: a signal that comes now must not be lost.
        let signals =
            Signals::listen().map_err(|error| format!("signals cannot be listened for: {error}"))?;
        let usual = Engine::start(&builtin::graph("127.0.0.1:4317", "127.0.0.1:4318"), Options::default());
        let (engine, moved) = match usual {
            Ok(engine) => (engine, false),
            Err(error) if error.is_address_in_use() => (
                Engine::start(&builtin::graph("127.0.0.1:0", "127.0.0.1:0"), Options::default())
                    .map_err(|error| error.to_string())?,
                true,
            ),
            Err(error) => return Err(error.to_string()),
        };
        let shop = Shop::open(settings(args)).map_err(|error| error.to_string())?;
        let grpc = engine.addresses().iter().find(|bound| bound.protocol == "grpc");
        let load = Load {
            target: OtlpConfig::default()
                .with_endpoint(grpc.map_or_else(String::new, |bound| bound.address.to_string())),
            in_flight: IN_FLIGHT,
            duration: Duration::MAX,
            ..Load::default()
        };
        let source = shop.clone();
        let sending = std::thread::Builder::new()
            .name("aldis-shop".into())
            .spawn(move || load::play(&load, move || source.next_on_time()))
            .map_err(|error| format!("a thread could not be started: {error}"))?;
        Ok(Running { signals, engine, moved, shop, sending })
    }
}

/// The shop as it is shown: something goes wrong early, and something else soon after.
fn settings(args: &DemoArgs) -> Settings {
    const SECOND_NS: u64 = 1_000_000_000;
    let incident = |service: &str, fault, after: u64| Incident {
        service: service.to_owned(),
        fault,
        after_ns: after * SECOND_NS,
        lasts_ns: 20 * SECOND_NS,
        every_ns: 105 * SECOND_NS,
    };
    Settings {
        seed: args.seed,
        traces_per_second: args.rate,
        // A viewer waits for none of it.
        batch_delay_ns: SECOND_NS / 4,
        metric_interval_ns: 2 * SECOND_NS,
        truths_max: 0,
        incidents: vec![
            incident("payment", Fault::Failing { per_million: 450_000 }, 12),
            incident("catalogue", Fault::ColdCache, 47),
            incident("recommendation", Fault::Slow { factor: 40 }, 82),
        ],
        ..Settings::default()
    }
}

fn news(shop: &Shop, engine: &Engine) -> Vec<String> {
    let problems = engine.health().problems();
    let told = problems.iter().map(|(component, problem)| format!("{component}: {problem}"));
    shop.incidents().into_iter().chain(told).collect()
}

/// Where the demo listens.
struct Endpoints {
    grpc: String,
    http: String,
    moved: bool,
}

impl Endpoints {
    fn of(engine: &Engine, moved: bool) -> Endpoints {
        let of = |protocol: &str| {
            let bound = engine.addresses().iter().find(|bound| bound.protocol == protocol);
            bound.map_or_else(String::new, |bound| bound.address.to_string())
        };
        Endpoints { grpc: of("grpc"), http: of("http"), moved }
    }

    fn title(&self) -> String {
        let why = if self.moved { " (4317 or 4318 is taken)" } else { "" };
        format!(
            "demo: a shop of 11 services sends OTLP to {} (gRPC); HTTP is on {}{why}",
            self.grpc, self.http
        )
    }

    fn hints(&self) -> Vec<String> {
        vec![
            format!("your own service, too: OTEL_EXPORTER_OTLP_ENDPOINT=http://{}", self.grpc),
            "Ctrl-C ends it and closes the books".to_owned(),
        ]
    }
}

/// What the shop says it has sent, and what became of it.
struct Books {
    rows: Vec<Row>,
    /// Spans that failed, as the shop says and as the summary counted.
    errors: (u64, u64),
    /// Services, as the shop says and those with the same numbers in the summary.
    services: (usize, usize),
    refused: u64,
}

/// The books of one signal, in records.
struct Row {
    signal: Signal,
    sent: u64,
    others: u64,
    admitted: u64,
    refused: u64,
    delivered: u64,
    seen: u64,
}

impl Books {
    fn of(truth: &Totals, sent: &LoadReport, report: &DrainReport) -> Books {
        let snapshot = report.summary.clone().unwrap_or_default().snapshot;
        let row = |signals: &workload::truth::SignalTotals| {
            let signal = signals.signal;
            let counts = report.receivers.iter().map(|(_, counts)| counts.signals[signal as usize].clone());
            let (offered, admitted) = counts.fold((0, 0), |(offered, admitted), counts| {
                (offered + counts.records_offered, admitted + counts.records_admitted)
            });
            let exporters = report.stats.exporters.iter().filter(|row| row.signal == signal);
            Row {
                signal,
                sent: signals.records,
                others: offered.saturating_sub(signals.records),
                admitted,
                refused: offered - admitted.min(offered),
                delivered: exporters.map(|row| row.delivered).sum(),
                seen: snapshot.signal(signal).records,
            }
        };
        let agrees = |of: &&workload::truth::ServiceTotals| {
            snapshot.services.iter().any(|row| {
                *row.name == *of.service
                    && (row.spans, row.errors, row.logs, row.points)
                        == (of.spans - of.missing, of.errors, of.logs, of.points)
            })
        };
        Books {
            rows: truth.signals.iter().map(row).collect(),
            errors: (
                truth.services.iter().map(|service| service.errors).sum(),
                snapshot.services.iter().map(|service| service.errors).sum(),
            ),
            services: (truth.services.len(), truth.services.iter().filter(agrees).count()),
            refused: sent.refused_records() + sent.rejected_records,
        }
    }

    /// Whether everything that the shop sent was delivered and is in the summary.
    fn close(&self) -> bool {
        let closes = |row: &Row| row.sent + row.others == row.admitted && row.admitted == row.delivered;
        self.refused == 0 && self.rows.iter().all(closes)
    }

    fn as_text(&self) -> String {
        let mut lines = vec!["The books, in records:".to_owned()];
        for row in &self.rows {
            let others = if row.others > 0 {
                format!(" + {} sent by others", count(row.others))
            } else {
                String::new()
            };
            lines.push(format!(
                "  {:8} {} sent by the shop{others} = {} admitted + {} refused; {} delivered; {} in the summary",
                row.signal.name(),
                count(row.sent),
                count(row.admitted),
                count(row.refused),
                count(row.delivered),
                count(row.seen)
            ));
        }
        let ((failed, counted), (services, agree)) = (self.errors, self.services);
        lines.push(format!(
            "  the shop knows the truth: {} of its spans failed, the summary counted {}; {agree} of {services} services agree in every count",
            count(failed),
            count(counted)
        ));
        lines.push(match self.close() {
            true => "  they close: nothing was lost".to_owned(),
            false => "  they do not close: not everything arrived".to_owned(),
        });
        lines.join("\n")
    }

    fn as_json(&self, report: &DrainReport) -> serde_json::Value {
        let row = |row: &Row| {
            json!({
                "signal": row.signal.name(), "sent": row.sent, "others": row.others, "admitted": row.admitted,
                "refused": row.refused, "delivered": row.delivered, "seen": row.seen,
            })
        };
        json!({
            "event": "ended",
            "complete": report.is_complete(),
            "close": self.close(),
            "books": self.rows.iter().map(row).collect::<Vec<_>>(),
            "truth": {
                "errors": self.errors.0, "errors_seen": self.errors.1,
                "services": self.services.0, "services_that_agree": self.services.1,
            },
            "summary": report::summary_as_json(&report.summary.clone().unwrap_or_default()),
            "stats": report::as_json(report),
        })
    }
}
