//! What a command used, for people and for programs.

use std::{ffi::OsString, os::unix::process::ExitStatusExt, process::ExitStatus};

use host::{
    BudgetKind, EndReason, Exhausted, Metric, MetricSource, TelemetryHandleSnapshot, stream::StreamCounts,
};
use serde_json::{Value, json};

use super::{job::LeftOver, story::Story, trace_context::TraceContext};
use crate::terminal::{Style, bytes, count, duration, sparkline};

/// Columns of the drawing.
const DRAWN: usize = 48;
/// Columns in front of the sources.
const COLUMN: usize = 50;
/// Characters of the command that are shown.
const COMMAND_MAX: usize = 60;

pub(super) struct Summary<'a> {
    pub(super) command: &'a [OsString],
    pub(super) snapshot: &'a TelemetryHandleSnapshot,
    pub(super) wall_ns: u64,
    pub(super) story: &'a Story,
    pub(super) ending: &'a Ending,
    /// Of the span that was sent.
    pub(super) context: Option<TraceContext>,
    pub(super) stream: Option<StreamCounts>,
}

/// What became of the processes.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Of the command, where it was started here.
    pub(super) status: Option<ExitStatus>,
    pub(super) left_over: LeftOver,
    /// Nothing ends it where a budget is used up.
    pub(super) goes_on: bool,
    /// Why there is no cgroup.
    pub(super) no_cgroup: Option<String>,
}

impl Ending {
    fn signal(&self) -> Option<i32> {
        self.status.and_then(|status| status.signal())
    }
}

impl Summary<'_> {
    /// Lines for a person.
    pub(super) fn as_text(&self) -> String {
        let stats = &self.snapshot.stats;
        let style = Style::of_stderr();
        let mut out = format!("\n{}: {}\n", self.command_line(), self.ending());
        let mut line = |name: &str, text: &str, source: Option<MetricSource>| {
            let text = format!("  {name:<10} {text}");
            let source = source.map_or(String::new(), |source| source.to_string());
            out += format!("{text:<COLUMN$} {source}").trim_end();
            out.push('\n');
        };
        line("time", &duration(self.wall_ns), None);
        let cpu = stats.cpu;
        let ns = |metric: Metric| metric.get().map_or("unknown".to_owned(), duration);
        let share = cpu.usage_ns.get().unwrap_or(0) as f64 / self.wall_ns.max(1) as f64;
        let text = format!("{} user, {} system, {share:.2} CPUs", ns(cpu.user_ns), ns(cpu.system_ns));
        line("CPU", &text, Some(cpu.usage_ns.source()));
        let size = |metric: Metric| metric.get().map_or("unknown".to_owned(), bytes);
        // Everything has memory: it did not live long enough.
        let memory = |metric: Metric| match metric.get() {
            Some(0) | None => "not seen".to_owned(),
            // What was there between two samples nobody saw.
            _ if metric.source() == MetricSource::Proc => format!("{} at most, as seen", size(metric)),
            _ => format!("{} at most", size(metric)),
        };
        line("memory", &memory(stats.memory.peak_bytes), Some(stats.memory.peak_bytes.source()));
        let resident = format!("{} resident, as samples saw", bytes(self.story.rss_bytes));
        line("", &resident, Some(stats.memory.rss_bytes.source()));
        let io = format!("{} read, {} written", size(stats.io.read_bytes), size(stats.io.write_bytes));
        line("devices", &io, Some(stats.io.read_bytes.source().and(stats.io.write_bytes.source())));
        line(
            "processes",
            &self.story.processes.map_or_else(
                || "not seen".to_owned(),
                |most| format!("{} at once, as samples saw", count(most)),
            ),
            Some(stats.pids.source()),
        );
        if self.story.points() > 2 {
            line("CPU/time", &sparkline(&self.story.cpu_by_time(DRAWN), DRAWN, style.unicode), None);
        }
        let measuring = duration(self.snapshot.budget.used(BudgetKind::SamplerCpuMs));
        let samples = count(self.snapshot.seq);
        line("measuring", &format!("{measuring} of CPU time, {samples} samples"), None);
        if let Some(context) = self.context {
            line("trace", &context.trace_id(), None);
        }
        for note in self.notes() {
            out += &format!("  {note}\n");
        }
        out
    }

    /// An object for programs; times are nanoseconds.
    pub(super) fn as_json(&self, exit: u8) -> Value {
        let metrics: serde_json::Map<String, Value> = self
            .snapshot
            .stats
            .metrics()
            .into_iter()
            .map(|(name, metric)| {
                (name.to_owned(), json!({"value": metric.get(), "source": metric.source().as_str()}))
            })
            .collect();
        let exhausted = self.exhausted().map(|exhausted| {
            json!({
                "budget": exhausted.kind.as_str(), "limit": exhausted.granted(), "used": exhausted.used,
                "overshoot": exhausted.overshoot(),
            })
        });
        json!({
            "record": "summary",
            "episode_id": self.snapshot.episode_id.to_string(),
            "command": self.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>(),
            "exit_code": exit,
            "signal": self.ending.signal(),
            "end": self.snapshot.ended.map(EndReason::as_str),
            "exhausted": exhausted,
            "wall_ns": self.wall_ns,
            "metrics": metrics,
            "rss_bytes_seen": self.story.rss_bytes,
            "processes_seen": self.story.processes,
            "samples": self.snapshot.seq,
            "samples_missed": self.story.missed,
            "measuring_cpu_ns": self.snapshot.budget.used(BudgetKind::SamplerCpuMs),
            "measuring_written_bytes": self.snapshot.budget.used(BudgetKind::SamplerBytes),
            "no_cgroup": self.ending.no_cgroup,
            "left_over_ended": self.ending.left_over.ended,
            "stream": self.stream.map(|counts| json!({
                "readers": counts.readers, "refused": counts.refused, "frames_missed": counts.missed,
                "cut_off": counts.cut_off,
            })),
            "trace_id": self.context.map(|context| context.trace_id()),
            "span_id": self.context.map(|context| context.span_id()),
        })
    }

    fn exhausted(&self) -> Option<Exhausted> {
        match self.snapshot.ended {
            Some(EndReason::BudgetExhausted(exhausted)) => Some(exhausted),
            _ => None,
        }
    }

    fn command_line(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let whole: String = words.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match whole.char_indices().nth(COMMAND_MAX) {
            Some((at, _)) => format!("{}...", &whole[..at]),
            None => whole,
        }
    }

    fn ending(&self) -> String {
        if let Some(exhausted) = self.exhausted().filter(|exhausted| !exhausted.kind.is_of_sampler()) {
            let told = told(&exhausted);
            return match self.ending.goes_on {
                true => format!("its budget is used up, and it goes on: {told}"),
                false => format!("ended, as its budget is used up: {told}"),
            };
        }
        match (self.ending.status, self.ending.signal()) {
            (_, Some(signal)) => format!("ended by signal {signal}"),
            (Some(status), None) => format!("ended with {}", status.code().unwrap_or_default()),
            (None, None) if self.snapshot.ended == Some(EndReason::Stopped) => {
                "goes on, unwatched".to_owned()
            }
            (None, None) => "ended".to_owned(),
        }
    }

    /// What else a person should know.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(exhausted) = self.exhausted().filter(|exhausted| exhausted.kind.is_of_sampler()) {
            notes.push(format!("not measured to its end: {}", told(&exhausted)));
        }
        if let Some(why) = &self.ending.no_cgroup {
            notes.push(format!("no cgroup ({why}): what lived between two samples may be missing"));
        }
        if self.ending.left_over.ended {
            notes.push("processes that it left behind were ended".to_owned());
        }
        notes.extend(
            self.ending.left_over.stays.iter().map(|why| format!("its cgroup is still there: {why}")),
        );
        notes.extend(self.snapshot.not_ended.iter().map(|why| format!("it could not be ended: {why}")));
        if self.story.missed > 0 {
            notes.push(format!("{} samples were lost before they were written", count(self.story.missed)));
        }
        notes
    }
}

/// `1.00 s of CPU time, and 2.1 ms more`.
fn told(exhausted: &Exhausted) -> String {
    let time = |what: &str| {
        let (limit, over) = (duration(exhausted.granted()), duration(exhausted.overshoot()));
        format!("{limit} of {what}, and {over} more")
    };
    let size = |what: &str| {
        format!("{} of {what}, and {} more", bytes(exhausted.limit), bytes(exhausted.overshoot()))
    };
    match exhausted.kind {
        BudgetKind::CpuMs => time("CPU time"),
        BudgetKind::WallMs => time("time"),
        BudgetKind::SamplerCpuMs => time("CPU time for the measuring"),
        BudgetKind::BytesIo => size("reading and writing"),
        BudgetKind::MemPeakBytes => size("memory"),
        BudgetKind::SamplerBytes => size("what the measuring writes"),
        BudgetKind::Processes => {
            format!("{} processes, and {} more", count(exhausted.limit), count(exhausted.overshoot()))
        }
    }
}
