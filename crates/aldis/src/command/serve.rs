//! `aldis serve`.

use std::{
    io,
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use engine::{DrainReport, Engine, Options, run::Bound};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{ServeArgs, check, color};
use crate::{exit::Exit, report};

/// Runs the engine until it is told to end.
pub(crate) fn run(args: &ServeArgs) -> Exit {
    let (text, checked) = match check::load(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if args.json {
        for problem in checked.problems.iter() {
            eprintln!("{}", json!({"event": "problem", "problem": check::problem(problem)}));
        }
    } else {
        check::tell(&args.config, &text, &checked);
    }
    if checked.problems.has_errors() {
        return Exit::Configuration;
    }
    // Before anything runs: a signal that comes now must not be lost.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return fail(args, Exit::Unavailable, &format!("signals cannot be listened for: {error}"));
        }
    };
    let engine = match Engine::start(&checked.graph, Options { shards: args.shards }) {
        Ok(engine) => engine,
        Err(error) => return fail(args, Exit::Unavailable, &error.to_string()),
    };
    let started = started(&engine);
    if args.json {
        eprintln!("{started}");
    } else {
        eprintln!(
            "aldis {} started: {}",
            env!("CARGO_PKG_VERSION"),
            listening(engine.addresses(), engine.shards())
        );
    }
    if let Some(file) = &args.addresses_file
        && let Err(error) = write_whole(file, &format!("{started}\n"))
    {
        return fail(args, Exit::File, &format!("cannot write {}: {error}", file.display()));
    }
    signals.wait();
    drain(args, engine, &signals)
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

fn started(engine: &Engine) -> Value {
    let address = |bound: &Bound| {
        json!({
            "receiver": bound.receiver,
            "protocol": bound.protocol,
            "address": bound.address.to_string(),
            "port": bound.address.port(),
        })
    };
    json!({
        "event": "started",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "shards": engine.shards(),
        "addresses": engine.addresses().iter().map(address).collect::<Vec<_>>(),
    })
}

fn listening(addresses: &[Bound], shards: usize) -> String {
    let one = |bound: &Bound| format!("{} {} on {}", bound.receiver, bound.protocol, bound.address);
    let all = addresses.iter().map(one).collect::<Vec<_>>().join(", ");
    format!(
        "{}; {shards} shard{}",
        if all.is_empty() { "no listener".into() } else { all },
        super::plural(shards)
    )
}

/// Writes a file that is either absent or whole.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, file)
}

/// SIGTERM and SIGINT, on a thread of their own.
struct Signals {
    came: mpsc::Receiver<()>,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut term, mut int) = {
            let _entered = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let (tell, came) = mpsc::sync_channel(2);
        std::thread::Builder::new().name("aldis-signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = term.recv() => {}
                        _ = int.recv() => {}
                    }
                    // Full or gone: further signals change nothing.
                    let _ = tell.try_send(());
                }
            });
        })?;
        Ok(Signals { came })
    }

    /// Waits for a signal.
    fn wait(&self) {
        // The sender lives as long as the process.
        let _ = self.came.recv();
    }

    /// Whether another signal came.
    fn came(&self) -> bool {
        self.came.try_recv().is_ok()
    }
}
