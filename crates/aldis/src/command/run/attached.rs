//! A process that runs already.

use std::time::Duration;

use host::{Attached, EndReason, EpisodeId, WhenExhausted, monotonic_ns};

use super::{RunArgs, job::Meanwhile, said, summary::Ending, watching::Watching};
use crate::{exit::Exit, signals::Signals};

/// How often samples are taken over, and signals are looked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a process that was killed may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

/// Watches it until it has ended, a budget is used up, or a signal comes; which then ends the watching alone.
pub(super) fn watch(args: &RunArgs, pid: u32) -> Result<Exit, String> {
    let attached = Attached::to(pid).map_err(|error| format!("--pid: {error}"))?;
    if args.kill && attached.command().first().is_some_and(|word| word.as_encoded_bytes().starts_with(b"[")) {
        return Err(format!("--kill: process {pid} is a thread of the kernel, which nothing ends"));
    }
    let id = EpisodeId::random().map_err(said)?;
    let mut watching = Watching::prepare(args, id, attached.command())?;
    let signals = Signals::listen().map_err(|error| format!("signals cannot be listened for: {error}"))?;
    let when = if args.kill { WhenExhausted::Kill } else { WhenExhausted::LetGo };
    let watch = attached.watch(id, when).map_err(|error| format!("--pid: {error}"))?;
    watching.begin(watch, pid, monotonic_ns())?;
    let reason = loop {
        if attached.wait(Some(PATIENCE)).map_err(said)? {
            break EndReason::Ended;
        }
        if watching.look() == Meanwhile::Stopped || signals.came() {
            break EndReason::Stopped;
        }
    };
    watching.finish(reason, None);
    let goes_on = !(args.kill && attached.wait(Some(KILLED)).map_err(said)?);
    let no_cgroup = attached.cgroup().err().map(ToString::to_string);
    Ok(watching.told(&Ending { goes_on, no_cgroup, ..Ending::default() }, 0, &|| signals.came()))
}
