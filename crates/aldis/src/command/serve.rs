//! `aldis serve`.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::ControlFlow,
    path::PathBuf,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    time::{Duration, Instant},
};

use clap::Args;
use engine::{DrainReport, Engine, Graph, Options, settings::Address};
use pipeline::health::Problem;
use serde_json::json;

use super::{
    builtin, check, fail, plural,
    reload::{Reloaded, reload},
};
use crate::{
    addresses,
    color::color,
    control::{
        Request, place,
        server::{self, Asked, Server},
    },
    exit::Exit,
    output, report,
    service_manager::ServiceManager,
    signals::{self, Signal},
    terminal::{Scene, TICK, View, print},
};

/// Seconds: the longest drain that can be asked for, a day.
const MAX_DRAIN_SECONDS: u64 = 24 * 3600;

const EXAMPLES: &str = "\
Examples:
  aldis serve                                  take OTLP in on 4317 and 4318, and show what comes
  aldis serve --grpc 0.0.0.0:4317 --http 0.0.0.0:4318
                                               the same for other machines
  aldis serve -c config.yaml --stats-on-exit   run a file; tell at the end what became of every record
  aldis serve -c config.yaml --control /run/aldis/aldis.sock
                                               for `aldis reload --control …`: read the file again without losing anything
  aldis serve -c config.yaml --drain-timeout 120 --json
                                               for a supervisor: lines of JSON, and two minutes to drain";

/// Flags of `aldis serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The configuration: YAML in the shape of the OpenTelemetry Collector's. Without it, OTLP is taken in and a summary shown.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a configuration: where to listen for gRPC; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317", value_parser = Address::parse, conflicts_with = "config")]
    grpc: Address,
    /// Without a configuration: where to listen for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318", value_parser = Address::parse, conflicts_with = "config")]
    http: Address,
    /// Where the engine's own metrics are shown, unless the configuration says it: an address, or `none`
    /// [default with a configuration: 127.0.0.1:8888; without: none].
    #[arg(long, value_name = "ADDRESS", value_parser = metrics_address)]
    metrics: Option<MetricsAddress>,
    /// Write the addresses that are listened on to this file, as JSON, once the engine has started.
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<PathBuf>,
    /// How long what was accepted may take to leave after SIGTERM, in seconds. A second signal ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=MAX_DRAIN_SECONDS))]
    drain_timeout: u64,
    /// Where `aldis reload` finds the engine [default: $XDG_RUNTIME_DIR/aldis-<pid>.sock, without it
    /// /tmp/aldis-<uid>/<pid>.sock].
    #[arg(long, value_name = "PATH", requires = "config")]
    control: Option<PathBuf>,
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shards: usize,
    /// Write what became of all telemetry to standard error when the engine ends.
    #[arg(long)]
    stats_on_exit: bool,
    /// Write the lines on standard error as JSON.
    #[arg(long)]
    json: bool,
}

/// Where own metrics are shown; `None` is nowhere.
#[derive(Clone, Copy, Debug)]
struct MetricsAddress(Option<SocketAddr>);

fn metrics_address(text: &str) -> Result<MetricsAddress, String> {
    match text {
        "none" => Ok(MetricsAddress(None)),
        text => text
            .parse()
            .map(|address| MetricsAddress(Some(address)))
            .map_err(|_| "write an IP address and a port, such as 127.0.0.1:8888, or `none`".to_owned()),
    }
}

/// Signals and requests that wait to be looked at.
const MAX_EVENTS: usize = 8;

/// How often it is looked whether certificates end.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(1);

/// What the engine is told while it runs.
enum Event {
    Signal(Signal),
    Asked(Asked),
}

/// Runs the engine until it is told to end.
pub(crate) fn run(args: &ServeArgs) -> Exit {
    let graph = match graph(args) {
        Ok(graph) => graph,
        Err(exit) => return exit,
    };
    // Before anything runs: a signal that comes now must not be lost.
    let (tell, events) = mpsc::sync_channel(MAX_EVENTS);
    let on_signal = tell.clone();
    // A full channel holds the thread of signals up, nothing else.
    if let Err(error) =
        signals::listen(args.config.is_some(), move |signal, _| drop(on_signal.send(Event::Signal(signal))))
    {
        return fail(args.json, Exit::Unavailable, &format!("signals cannot be listened for: {error}"));
    }
    let mut engine = match Engine::start(&graph, options(args)) {
        Ok(engine) => engine,
        Err(error) => return fail(args.json, Exit::Unavailable, &error.to_string()),
    };
    let started = addresses::started(engine.addresses(), engine.shards());
    if args.json {
        output::say_line(format_args!("{started}"));
    } else if !is_quiet(args, &engine) {
        let (listed, shards) = (addresses::listed(engine.addresses()), engine.shards());
        output::say_line(format_args!(
            "aldis {} started: {listed}; {shards} shard{}",
            env!("CARGO_PKG_VERSION"),
            plural(shards)
        ));
    }
    let _control = match control(args, tell) {
        Ok(control) => control,
        Err(error) => {
            return fail(
                args.json,
                Exit::Unavailable,
                &format!("the control socket cannot be opened: {error}"),
            );
        }
    };
    // Whoever waits for this file may ask for a reload as soon as it is there.
    if let Some(file) = &args.addresses_file
        && let Err(error) = addresses::write(file, &started)
    {
        return fail(args.json, Exit::File, &format!("cannot write {}: {error}", file.display()));
    }
    let manager = manager(args);
    manager.ready();
    watch((args, &manager), &mut engine, &events);
    manager.stopping();
    drain(args, engine, &events)
}

/// What the engine's log says is not said twice.
fn is_quiet(args: &ServeArgs, engine: &Engine) -> bool {
    !args.json && engine.has_log()
}

/// Listens for `aldis reload`, where there is a file that could be read again. Where nobody said where, it may not be possible,
/// and is not needed: SIGHUP does the same.
fn control(args: &ServeArgs, tell: SyncSender<Event>) -> io::Result<Option<Server>> {
    if args.config.is_none() {
        return Ok(None);
    }
    let path = args.control.clone().map_or_else(|| place::of(std::process::id()), Ok);
    let hand = move |asked| {
        if let Err(
            TrySendError::Full(Event::Asked(asked)) | TrySendError::Disconnected(Event::Asked(asked)),
        ) = tell.try_send(Event::Asked(asked))
        {
            asked.answer(server::refused("the engine has other things to do; try again"));
        }
    };
    match path.and_then(|path| Server::start(path, hand)) {
        Ok(server) => {
            if args.json {
                output::say_line(format_args!(
                    "{}",
                    json!({"event": "control", "path": server.path().display().to_string()})
                ));
            }
            Ok(Some(server))
        }
        Err(error) if args.control.is_some() => Err(error),
        Err(error) => {
            warn(args, &format!("`aldis reload` will not find this engine: {error}"));
            Ok(None)
        }
    }
}

fn warn(args: &ServeArgs, message: &str) {
    if args.json {
        output::say_line(format_args!("{}", json!({"event": "warning", "message": message})));
    } else {
        output::say_line(format_args!("warning: {message}"));
    }
}

/// Where the Collector shows its own metrics.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8888);

fn options(args: &ServeArgs) -> Options {
    let unsaid = args.config.as_ref().map(|_| METRICS);
    let metrics = args.metrics.map_or(unsaid, |said| said.0);
    Options { shards: args.shards, metrics }
}

/// Who started us and waits to hear that all is well. Where that is somebody who cannot be reached, we work all the same.
fn manager(args: &ServeArgs) -> ServiceManager {
    ServiceManager::of_this_process().unwrap_or_else(|error| {
        warn(args, &format!("the service manager cannot be told the state: NOTIFY_SOCKET: {error}"));
        ServiceManager::nobody()
    })
}

/// The graph of the configuration, or the one that needs none. Problems are told.
fn graph(args: &ServeArgs) -> Result<Graph, Exit> {
    let Some(file) = &args.config else {
        return Ok(builtin::graph(&args.grpc.to_string(), &args.http.to_string()));
    };
    let (text, checked) = check::load(file, args.json)?;
    if args.json {
        for problem in checked.problems.iter() {
            output::say_line(format_args!(
                "{}",
                json!({"event": "problem", "problem": check::problem(problem)})
            ));
        }
    } else {
        check::tell(file, &text, &checked);
    }
    if checked.problems.has_errors() { Err(Exit::Configuration) } else { Ok(checked.graph) }
}

/// Reads the file again, and tells what came of it.
fn reload_now((args, manager): (&ServeArgs, &ServiceManager), engine: &mut Engine) -> Reloaded {
    let Some(file) = &args.config else { return Reloaded::without_file() };
    manager.reloading();
    let before = engine.addresses().to_vec();
    let color = !args.json && color(&io::stderr());
    let mut reloaded = reload(engine, file, Duration::from_secs(args.drain_timeout), color);
    reloaded.add_certificates(&engine.reload_certificates());
    if args.json {
        output::say_line(format_args!("{}", reloaded.as_json()));
    } else {
        output::say(format_args!("{}", reloaded.text));
    }
    if before != engine.addresses()
        && let Some(file) = &args.addresses_file
        && let Err(error) = addresses::write(file, &addresses::started(engine.addresses(), engine.shards()))
    {
        warn(args, &format!("cannot write {}: {error}", file.display()));
    }
    manager.ready_again(&reloaded.text);
    reloaded
}

/// Waits a little for what is to be done, and does it; breaks off where that is to end.
fn turn(
    told: (&ServeArgs, &ServiceManager),
    engine: &mut Engine,
    events: &Receiver<Event>,
) -> ControlFlow<()> {
    match events.recv_timeout(TICK) {
        Ok(Event::Signal(Signal::End)) => return ControlFlow::Break(()),
        Ok(Event::Signal(Signal::Reload)) => drop(reload_now(told, engine)),
        Ok(Event::Asked(asked)) => match asked.request {
            Request::Reload => asked.answer(reload_now(told, engine).as_json()),
        },
        Err(_) => {}
    }
    ControlFlow::Continue(())
}

/// Tells what goes wrong, and shows the summary where there is one, until it is to end.
fn watch((args, manager): (&ServeArgs, &ServiceManager), engine: &mut Engine, events: &Receiver<Event>) {
    let begun = Instant::now();
    let mut view = engine.summary().map(|_| View::open(args.json));
    let is_live = view.as_ref().is_some_and(View::is_live);
    let (mut told, mut ending, mut looked) = (BTreeMap::new(), BTreeMap::new(), None::<Instant>);
    while turn((args, manager), engine, events).is_continue() {
        let is_due = looked.is_none_or(|looked| looked.elapsed() >= CERTIFICATE_LOOK);
        if is_due && !is_live && !is_quiet(args, engine) {
            looked = Some(Instant::now());
            tell_endings(args, &mut ending, engine.expiring_certificates());
        }
        let now = engine.health().problems();
        if !is_live && !is_quiet(args, engine) {
            tell_health(args, &told, &now);
        }
        told = now;
        let is_over = view.as_mut().is_some_and(|view| view.show(|| scene(engine, begun, &told)));
        if is_over {
            break;
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
        ..Scene::default()
    }
}

/// Tells which certificates end soon, each once a day.
fn tell_endings(args: &ServeArgs, told: &mut BTreeMap<String, String>, now: Vec<(String, String)>) {
    let now: BTreeMap<String, String> = now.into_iter().collect();
    for (component, what) in now.iter().filter(|(component, what)| told.get(*component) != Some(*what)) {
        warn(args, &format!("{component}: {what}"));
    }
    *told = now;
}

/// Tells what has changed since `before`; what is the same is not told again.
fn tell_health(args: &ServeArgs, before: &BTreeMap<String, Problem>, now: &BTreeMap<String, Problem>) {
    let began = now.iter().filter(|(component, _)| !before.contains_key(*component));
    let began = began.map(|(component, problem)| (component, problem.to_string(), "warning: "));
    let ended = before.keys().filter(|component| !now.contains_key(*component));
    let ended = ended.map(|component| (component, "well again".to_owned(), ""));
    for (component, state, mark) in began.chain(ended) {
        if args.json {
            output::say_line(format_args!(
                "{}",
                json!({"event": "health", "component": component, "state": state})
            ));
        } else {
            output::say_line(format_args!("{mark}{component}: {state}"));
        }
    }
}

/// Lets everything leave; a second signal ends at once.
fn drain(args: &ServeArgs, engine: Engine, events: &Receiver<Event>) -> Exit {
    let quiet = is_quiet(args, &engine);
    let patience = Duration::from_secs(args.drain_timeout);
    if args.json {
        output::say_line(format_args!("{}", json!({"event": "draining", "seconds": args.drain_timeout})));
    } else if !quiet {
        output::say_line(format_args!(
            "draining, for at most {} s; a second signal ends at once",
            args.drain_timeout
        ));
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
            Err(mpsc::RecvTimeoutError::Timeout) if is_to_end(events) => {
                return fail(
                    args.json,
                    Exit::Undelivered,
                    "ended at once by a second signal; what had not left is lost",
                );
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return fail(args.json, Exit::Undelivered, "the shutdown itself failed; please report it");
            }
        }
    };
    tell_end(args, &report, quiet);
    if report.is_complete() { Exit::Success } else { Exit::Undelivered }
}

/// Whether a further signal to end has come; whatever else is asked for comes too late.
fn is_to_end(events: &Receiver<Event>) -> bool {
    let is_end = |event| match event {
        Event::Signal(signal) => signal == Signal::End,
        Event::Asked(asked) => {
            asked.answer(server::refused("the engine ends"));
            false
        }
    };
    events.try_iter().any(is_end)
}

fn tell_end(args: &ServeArgs, report: &DrainReport, quiet: bool) {
    if args.json {
        if let Some(seen) = &report.summary {
            output::show_line(format_args!(
                "{}",
                json!({"event": "summary", "news": [], "summary": report::summary_as_json(seen)})
            ));
        }
        let stats = args.stats_on_exit.then(|| report::as_json(report));
        output::say_line(format_args!(
            "{}",
            json!({
                "event": "ended", "complete": report.is_complete(), "undelivered": report::undelivered(report),
                "lost": report::lost(report), "stats": stats,
            })
        ));
        return;
    }
    if args.stats_on_exit {
        output::say(format_args!("{}", report::as_table(report, color(&io::stderr()))));
    }
    for undelivered in report.undelivered.iter().filter(|undelivered| !undelivered.is_empty()) {
        output::say_line(format_args!("warning: {undelivered}"));
    }
    if report.held > 0 {
        output::say_line(format_args!("warning: stages still held {} records", report.held));
    }
    for loss in report.losses() {
        output::say_line(format_args!("warning: {loss}"));
    }
    if !quiet {
        output::say_line(format_args!("ended: {}", report::end(report)));
    }
}
