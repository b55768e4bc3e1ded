//! `aldis serve`.

use std::{
    collections::BTreeMap,
    io,
    sync::mpsc,
    time::{Duration, Instant},
};

use engine::{DrainReport, Engine, Graph, Options};
use pipeline::health::Problem;
use serde_json::json;

use super::{ServeArgs, builtin, check, color, plural};
use crate::{
    addresses,
    exit::Exit,
    report,
    signals::Signals,
    terminal::{PERIOD, Scene, View, print},
};

/// Runs the engine until it is told to end.
pub(crate) fn run(args: &ServeArgs) -> Exit {
    let graph = match graph(args) {
        Ok(graph) => graph,
        Err(exit) => return exit,
    };
    // Before anything runs: a signal that comes now must not be lost.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return fail(args, Exit::Unavailable, &format!("signals cannot be listened for: {error}"));
        }
    };
    let engine = match Engine::start(&graph, Options { shards: args.shards }) {
        Ok(engine) => engine,
        Err(error) => return fail(args, Exit::Unavailable, &error.to_string()),
    };
    let started = addresses::started(engine.addresses(), engine.shards());
    if args.json {
        eprintln!("{started}");
    } else {
        let (listed, shards) = (addresses::listed(engine.addresses()), engine.shards());
        eprintln!("aldis {} started: {listed}; {shards} shard{}", env!("CARGO_PKG_VERSION"), plural(shards));
    }
    if let Some(file) = &args.addresses_file
        && let Err(error) = addresses::write(file, &started)
    {
        return fail(args, Exit::File, &format!("cannot write {}: {error}", file.display()));
    }
    watch(args, &engine, &signals);
    drain(args, engine, &signals)
}

/// The graph of the configuration, or the one that needs none. Problems are told.
fn graph(args: &ServeArgs) -> Result<Graph, Exit> {
    let Some(file) = &args.config else {
        return Ok(builtin::graph(&args.grpc.to_string(), &args.http.to_string()));
    };
    let (text, checked) = check::load(file)?;
    if args.json {
        for problem in checked.problems.iter() {
            eprintln!("{}", json!({"event": "problem", "problem": check::problem(problem)}));
        }
    } else {
        check::tell(file, &text, &checked);
    }
    if checked.problems.has_errors() { Err(Exit::Configuration) } else { Ok(checked.graph) }
}

/// Tells what goes wrong, and shows the summary where there is one, until a signal comes.
fn watch(args: &ServeArgs, engine: &Engine, signals: &Signals) {
    let begun = Instant::now();
    let mut view = engine.summary().map(|_| View::open(args.json));
    let is_live = view.as_ref().is_some_and(View::is_live);
    let mut told = BTreeMap::new();
    while !signals.wait_for(PERIOD) {
        let now = engine.health().problems();
        if !is_live {
            tell_health(args, &told, &now);
        }
        told = now;
        if let Some(view) = &mut view {
            view.show(|| scene(engine, begun, &told));
        }
    }
    drop(view);
    if is_live {
        // What was drawn is gone with the screen: the last picture stays.
        print(&scene(engine, begun, &told));
    }
}

fn scene(engine: &Engine, begun: Instant, problems: &BTreeMap<String, Problem>) -> Scene {
    let of = |protocol: &str| engine.addresses().iter().find(|bound| bound.protocol == protocol);
    let hint = match (of("grpc"), of("http")) {
        (Some(grpc), Some(http)) => format!(
            "point an SDK here: OTEL_EXPORTER_OTLP_ENDPOINT=http://{} (gRPC) or http://{} (HTTP)",
            grpc.address, http.address
        ),
        _ => addresses::listed(engine.addresses()),
    };
    Scene {
        title: format!("serve: {}", addresses::listed(engine.addresses())),
        seconds: begun.elapsed().as_secs(),
        news: problems.iter().map(|(component, problem)| format!("{component}: {problem}")).collect(),
        seen: engine.summary().unwrap_or_default(),
        stats: engine.stats(),
        receivers: engine.receivers(),
        hints: vec![hint, "or try `aldis load --workload 7`; Ctrl-C ends it".to_owned()],
    }
}

/// Tells what has changed since `before`; what is the same is not told again.
fn tell_health(args: &ServeArgs, before: &BTreeMap<String, Problem>, now: &BTreeMap<String, Problem>) {
    let began = now.iter().filter(|(component, _)| !before.contains_key(*component));
    let began = began.map(|(component, problem)| (component, problem.to_string()));
    let ended = before.keys().filter(|component| !now.contains_key(*component));
    let ended = ended.map(|component| (component, "well again".to_owned()));
    for (component, state) in began.chain(ended) {
        if args.json {
            eprintln!("{}", json!({"event": "health", "component": component, "state": state}));
        } else {
            eprintln!("warning: {component}: {state}");
        }
    }
}

/// Lets everything leave; a second signal ends at once.
fn drain(args: &ServeArgs, engine: Engine, signals: &Signals) -> Exit {
    let patience = Duration::from_secs(args.drain_timeout);
    if args.json {
        eprintln!("{}", json!({"event": "draining", "seconds": args.drain_timeout}));
    } else {
        eprintln!("draining, for at most {} s; a second signal ends at once", args.drain_timeout);
    }
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let report = engine.shutdown(Instant::now() + patience);
        // Nobody listens any more only after a second signal.
        let _ = tell.send(report);
    });
    let report = loop {
        match told.recv_timeout(Duration::from_millis(10)) {
            Ok(report) => break report,
            Err(mpsc::RecvTimeoutError::Timeout) if signals.came() => {
                return fail(
                    args,
                    Exit::Undelivered,
                    "ended at once by a second signal; what had not left is lost",
                );
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return fail(args, Exit::Undelivered, "the shutdown itself failed; please report it");
            }
        }
    };
    tell_end(args, &report);
    if report.is_complete() { Exit::Success } else { Exit::Undelivered }
}

fn tell_end(args: &ServeArgs, report: &DrainReport) {
    if args.json {
        if let Some(seen) = &report.summary {
            println!("{}", json!({"event": "summary", "news": [], "summary": report::summary_as_json(seen)}));
        }
        let stats = args.stats_on_exit.then(|| report::as_json(report));
        let undelivered = report::undelivered(report);
        eprintln!(
            "{}",
            json!({"event": "ended", "complete": report.is_complete(), "undelivered": undelivered, "stats": stats})
        );
        return;
    }
    if args.stats_on_exit {
        eprint!("{}", report::as_table(report, color(&io::stderr())));
    }
    for undelivered in report.undelivered.iter().filter(|undelivered| !undelivered.is_empty()) {
        eprintln!("warning: {undelivered}");
    }
    if report.held > 0 {
        eprintln!("warning: stages still held {} records", report.held);
    }
    eprintln!(
        "ended: {}",
        if report.is_complete() { "everything that was accepted left" } else { "not everything left" }
    );
}

fn fail(args: &ServeArgs, exit: Exit, message: &str) -> Exit {
    if args.json {
        eprintln!("{}", json!({"event": "error", "message": message}));
    } else {
        eprintln!("error: {message}");
    }
    exit
}
