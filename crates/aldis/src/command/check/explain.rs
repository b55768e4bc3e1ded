//! What a configuration becomes when it runs, as a tree for readers and as JSON for programs.

use std::time::Duration;

use engine::{
    components::{Id, listeners::Listener},
    explain::{Destination, Does, Explanation, Extension, Lead, Own, Pipe, Requests, Source},
    settings::duration,
};
use otlp::Depth;
use pipeline::{
    BatcherSettings, ExporterSettings, RetrySettings,
    queue::{Policy, Sizer},
};
use serde_json::{Value, json};

use super::super::plural;
use crate::terminal::{bytes, count};

/// The tree. Lines are as long as what they say.
pub(super) fn as_text(explained: &Explanation, unicode: bool) -> String {
    let mut tree = Tree { out: String::new(), unicode };
    tree.root(&format!(
        "memory: {} of {} may be taken up by telemetry where no memory limiter says it",
        bytes(explained.budget_bytes as u64),
        bytes(explained.machine_bytes)
    ));
    for receiver in &explained.receivers {
        tree.root(&format!("\nreceiver {}", receiver.id));
        tree.leaves("", &source(receiver));
    }
    for pipe in &explained.pipelines {
        tree.root(&format!("\npipeline {}", pipe.name));
        let mut branches: Vec<(String, Vec<String>)> = Vec::new();
        branches.extend(heads(pipe).into_iter().map(|line| (line, Vec::new())));
        branches.extend(
            pipe.steps.iter().map(|step| (format!("{}: {}", step.name, does(&step.does)), Vec::new())),
        );
        branches.extend(pipe.leads.iter().map(|lead| (lead_title(lead), lead_lines(lead))));
        tree.branches(&branches);
    }
    for extension in &explained.extensions {
        tree.root(&format!("\nextension {}", extension.id));
        let listening: Vec<String> = extension.listeners.iter().map(listens).collect();
        tree.leaves("", &if listening.is_empty() { vec![extension.purpose.to_owned()] } else { listening });
    }
    tree.root("\nthe engine's own telemetry");
    tree.leaves("", &own(&explained.own));
    tree.out
}

fn own(own: &Own) -> Vec<String> {
    let mut lines = match &own.metrics {
        None => vec![format!("metrics ({}) where `aldis serve --metrics` says", own.level)],
        Some(listeners) if listeners.is_empty() => vec!["no metrics".to_owned()],
        Some(listeners) => listeners.iter().map(listens).collect(),
    };
    lines.push(match own.log.is_empty() {
        true => "no log but the lines of `aldis serve`".to_owned(),
        false => format!("a log to {}", own.log.join(" and ")),
    });
    if let Some((to, rate)) = &own.spans {
        let to = sends_to(to);
        lines.push(format!(
            "spans of at most {} request{} in a second: {to}",
            count(u64::from(*rate)),
            plural(*rate as usize)
        ));
    }
    lines
}

fn sends_to(Destination { endpoint, transport, credentials }: &Destination) -> String {
    let credentials = credentials.map_or_else(String::new, |by| format!(", known by {by}"));
    format!("sends to {endpoint} over {}{credentials}", transport.name())
}

/// Who is charged: memory limiters, or the process.
fn charged(limiters: &[Option<Id>]) -> String {
    let name = |limiter: &Option<Id>| match limiter {
        Some(limiter) => format!("`{limiter}`"),
        None => "the process's memory".to_owned(),
    };
    limiters.iter().map(name).collect::<Vec<_>>().join(" and ")
}

/// Lines below one another.
struct Tree {
    out: String,
    unicode: bool,
}

impl Tree {
    fn root(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn branches(&mut self, branches: &[(String, Vec<String>)]) {
        for (i, (line, below)) in branches.iter().enumerate() {
            let last = i + 1 == branches.len();
            self.leaf("", line, last);
            let under = match (last, self.unicode) {
                (true, _) => "   ",
                (false, true) => "│  ",
                (false, false) => "|  ",
            };
            self.leaves(under, below);
        }
    }

    fn leaves(&mut self, under: &str, lines: &[String]) {
        for (i, line) in lines.iter().enumerate() {
            self.leaf(under, line, i + 1 == lines.len());
        }
    }

    fn leaf(&mut self, under: &str, line: &str, last: bool) {
        let mark = match (last, self.unicode) {
            (true, true) => "└─ ",
            (false, true) => "├─ ",
            (_, false) => "`- ",
        };
        self.root(&format!("{under}{mark}{line}"));
    }
}

fn source(receiver: &Source) -> Vec<String> {
    let mut lines: Vec<String> = receiver.listeners.iter().map(listens).collect();
    for feed in &receiver.feeds {
        lines.push(format!(
            "{}: to {}; {}; charged to {}",
            feed.signal,
            feed.pipelines.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and "),
            depth(feed.depth),
            charged(&feed.charged)
        ));
    }
    lines
}

fn listens(listener: &Listener) -> String {
    let largest = listener.largest_bytes;
    let largest = largest.map_or_else(String::new, |most| format!("; requests up to {}", bytes(most as u64)));
    let senders = listener.senders.map_or_else(String::new, |by| format!("; senders are known by {by}"));
    format!(
        "{} on {} over {}{senders}{largest}",
        listener.protocol,
        listener.endpoint,
        listener.transport.name()
    )
}

/// What is said of a pipeline before its stages.
fn heads(pipe: &Pipe) -> Vec<String> {
    let from: Vec<String> = pipe.receivers.iter().map(|id| format!("`{id}`")).collect();
    let mut lines = vec![format!("from {}", from.join(" and "))];
    lines.push(match &pipe.limiter {
        Some(limit) => format!(
            "memory: `{}` gives out {}; refuses everything while the process has more than {}, looked at every {}",
            limit.id,
            bytes(limit.budget_bytes as u64),
            bytes(limit.limit_bytes),
            duration::write(limit.check_interval)
        ),
        None => "memory: the process's, as there is no memory limiter".to_owned(),
    });
    let steps = pipe.steps.iter().map(|step| (step.name.clone(), step.depth));
    let leads = pipe.leads.iter().map(|lead| (lead.exporter.to_string(), lead.depth));
    let why = steps.chain(leads).find(|(_, needs)| *needs == pipe.depth && *needs > Depth::Counts);
    lines.push(match why {
        Some((name, _)) => format!("index: {}, because `{name}` needs it", depth(pipe.depth)),
        None => format!("index: {}, because nothing reads them", depth(pipe.depth)),
    });
    if !pipe.headers.is_empty() {
        lines.push(format!("request headers that travel on: {}", pipe.headers.join(", ")));
    }
    lines
}

fn depth(depth: Depth) -> &'static str {
    match depth {
        Depth::Counts => "records are counted",
        Depth::Records => "records are indexed",
        Depth::Attributes => "records and their attributes are indexed",
    }
}

fn does(does: &Does) -> String {
    match does {
        Does::Edit(1) => "changes attributes, in one copy".to_owned(),
        Does::Edit(processors) => format!("{processors} processors change attributes, in one copy"),
        Does::Filter(conditions) => {
            format!("takes out records, by {conditions} condition{}", plural(*conditions))
        }
        Does::Gaps(senders) => {
            format!("counts gaps in the numbers of events, of up to {senders} senders")
        }
        Does::Batch(settings) => format!("joins requests {}", bounds(settings)),
    }
}

/// `to at least 8,192 records, for at most 200ms`.
fn bounds(settings: &BatcherSettings) -> String {
    let size = |records: usize, of_bytes: usize| match (records, of_bytes) {
        (0, 0) => None,
        (0, of_bytes) => Some(bytes(of_bytes as u64)),
        (records, _) => Some(format!("{} records", count(records as u64))),
    };
    let mut parts = Vec::new();
    parts.push(match size(settings.min_records, settings.min_bytes) {
        Some(least) => format!("to {least}"),
        None => "of any size".to_owned(),
    });
    if let Some(most) = size(settings.max_records, settings.max_bytes) {
        parts.push(format!("at most {most}"));
    }
    parts.push(match settings.flush_interval {
        Duration::ZERO => "without waiting".to_owned(),
        interval => format!("for at most {}", duration::write(interval)),
    });
    if settings.eager {
        parts.push("sooner while an exporter has nothing to do".to_owned());
    }
    parts.push(format!("{} groups at once", count(settings.max_groups as u64)));
    parts.join(", ")
}

fn lead_title(lead: &Lead) -> String {
    match (&lead.destination, &lead.listener) {
        (Some(to), _) => format!("{}: {}", lead.exporter, sends_to(to)),
        (None, Some(listener)) => format!("{}: {}", lead.exporter, listens(listener)),
        (None, None) => lead.exporter.to_string(),
    }
}

fn lead_lines(lead: &Lead) -> Vec<String> {
    let ExporterSettings { consumers, bounds: room, policy, retry, timeout, .. } = &lead.queue;
    let mut lines: Vec<String> =
        lead.joins.iter().map(|joins| format!("joins requests {}", bounds(joins))).collect();
    let of = match room.sizer {
        Sizer::Requests => "requests",
        Sizer::Records => "records",
    };
    let items = match room.items {
        u64::MAX => String::new(),
        items => format!("{} {of}, ", count(items)),
    };
    let full = match policy {
        Policy::Refuse => "senders are refused while it is full",
        Policy::Block => "senders wait while it is full",
        Policy::DropOldest => "the oldest go while it is full",
        Policy::DropNewest => "the newest go while it is full",
    };
    let (most, of) = (bytes(lead.queue_bytes), charged(&lead.charged));
    lines.push(format!("queue: {items}{most} of {of}; {full}"));
    if lead.is_asked() {
        lines.push("sends nothing: it keeps the last of each series for whoever asks".to_owned());
    } else {
        lines.push(match lead.requests {
            None => format!(
                "{consumers} send{} at once, each for at most {}",
                plural(*consumers),
                duration::write(*timeout)
            ),
            Some(Requests { at_once, timeout }) => format!(
                "batches one after the other, each as up to {at_once} request{} at once, each for at most {}",
                plural(at_once),
                duration::write(timeout)
            ),
        });
        lines.push(retries(retry));
    }
    lines.push(match lead.exported {
        true => "senders have their answer when the far side has answered".to_owned(),
        false => "senders have their answer here: what this process's memory then holds is lost if it dies"
            .to_owned(),
    });
    lines
}

fn retries(retry: &RetrySettings) -> String {
    if !retry.enabled {
        return "what fails is not sent again".to_owned();
    }
    let end = match retry.max_elapsed_time {
        Duration::ZERO => "without end".to_owned(),
        end => format!("for at most {}", duration::write(end)),
    };
    format!(
        "what fails is sent again after {}, then {} times as long up to {}, each give or take {} %; {end}",
        duration::write(retry.initial_interval),
        retry.multiplier,
        duration::write(retry.max_interval),
        retry.randomization_factor * 100.0
    )
}

/// The same as JSON: sizes in bytes, times in seconds.
pub(super) fn as_json(explained: &Explanation) -> Value {
    json!({
        "machine_bytes": explained.machine_bytes,
        "budget_bytes": explained.budget_bytes,
        "receivers": explained.receivers.iter().map(source_as_json).collect::<Vec<_>>(),
        "pipelines": explained.pipelines.iter().map(pipe_as_json).collect::<Vec<_>>(),
        "extensions": explained.extensions.iter().map(extension_as_json).collect::<Vec<_>>(),
        "telemetry": own_as_json(&explained.own),
    })
}

fn extension_as_json(extension: &Extension) -> Value {
    json!({
        "name": extension.id.to_string(),
        "listeners": extension.listeners.iter().map(listener_as_json).collect::<Vec<_>>(),
    })
}

fn own_as_json(own: &Own) -> Value {
    let listeners = own.metrics.as_ref().map(|all| all.iter().map(listener_as_json).collect::<Vec<_>>());
    json!({
        "metrics": {"level": own.level, "listeners": listeners},
        "log": own.log,
        "spans": own.spans.as_ref().map(|(to, rate)| {
            json!({"destination": destination_as_json(to), "requests_per_second": rate})
        }),
    })
}

fn destination_as_json(to: &Destination) -> Value {
    json!({"endpoint": to.endpoint, "transport": to.transport.name(), "credentials": to.credentials})
}

fn depth_name(depth: Depth) -> &'static str {
    match depth {
        Depth::Counts => "counts",
        Depth::Records => "records",
        Depth::Attributes => "attributes",
    }
}

fn source_as_json(receiver: &Source) -> Value {
    let feed = |feed: &engine::explain::Feed| {
        let charged = feed.charged.iter().map(|limiter| limiter.as_ref().map(ToString::to_string));
        json!({
            "signal": feed.signal.name(), "pipelines": feed.pipelines, "depth": depth_name(feed.depth),
            "charged": charged.collect::<Vec<_>>(),
        })
    };
    json!({
        "name": receiver.id.to_string(),
        "listeners": receiver.listeners.iter().map(listener_as_json).collect::<Vec<_>>(),
        "feeds": receiver.feeds.iter().map(feed).collect::<Vec<_>>(),
    })
}

fn listener_as_json(listener: &Listener) -> Value {
    json!({
        "protocol": listener.protocol, "endpoint": listener.endpoint, "transport": listener.transport.name(),
        "senders": listener.senders, "largest_bytes": listener.largest_bytes,
    })
}

fn pipe_as_json(pipe: &Pipe) -> Value {
    let step = |step: &engine::explain::Step| {
        let (kind, detail) = match &step.does {
            Does::Edit(processors) => ("edit", json!({"processors": processors})),
            Does::Filter(conditions) => ("filter", json!({"conditions": conditions})),
            Does::Gaps(senders) => ("gaps", json!({"max_senders": senders})),
            Does::Batch(settings) => ("batch", batch_as_json(settings)),
        };
        json!({"name": step.name, "depth": depth_name(step.depth), kind: detail})
    };
    let limit = pipe.limiter.as_ref().map(|limit| {
        json!({
            "name": limit.id.to_string(), "budget_bytes": limit.budget_bytes, "limit_bytes": limit.limit_bytes,
            "check_interval_seconds": limit.check_interval.as_secs_f64(),
        })
    });
    json!({
        "name": pipe.name,
        "signal": pipe.signal.name(),
        "receivers": pipe.receivers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "memory_limiter": limit,
        "depth": depth_name(pipe.depth),
        "headers": pipe.headers,
        "stages": pipe.steps.iter().map(step).collect::<Vec<_>>(),
        "exporters": pipe.leads.iter().map(lead_as_json).collect::<Vec<_>>(),
    })
}

fn batch_as_json(settings: &BatcherSettings) -> Value {
    json!({
        "min_records": settings.min_records, "max_records": settings.max_records, "min_bytes": settings.min_bytes,
        "max_bytes": settings.max_bytes, "flush_seconds": settings.flush_interval.as_secs_f64(),
        "eager": settings.eager, "groups": settings.max_groups,
    })
}

fn lead_as_json(lead: &Lead) -> Value {
    let ExporterSettings { consumers, bounds, policy, retry, timeout, .. } = &lead.queue;
    let policy = match policy {
        Policy::Refuse => "refuse",
        Policy::Block => "wait",
        Policy::DropOldest => "drop oldest",
        Policy::DropNewest => "drop newest",
    };
    let sizer = match bounds.sizer {
        Sizer::Requests => "requests",
        Sizer::Records => "records",
    };
    // What has no bound has no number.
    let items = Some(bounds.items).filter(|items| *items < u64::MAX);
    json!({
        "name": lead.exporter.to_string(),
        "destination": lead.destination.as_ref().map(destination_as_json),
        "listener": lead.listener.as_ref().map(listener_as_json),
        "depth": depth_name(lead.depth),
        "batch": lead.joins.as_ref().map(batch_as_json),
        "queue": {"items": items, "sizer": sizer, "bytes": lead.queue_bytes, "when_full": policy, "consumers": consumers},
        "charged": lead.charged.iter().map(|limiter| limiter.as_ref().map(ToString::to_string)).collect::<Vec<_>>(),
        "requests_at_once": lead.requests.map(|requests| requests.at_once),
        "timeout_seconds": (!lead.is_asked()).then(|| {
            lead.requests.map_or(*timeout, |requests| requests.timeout).as_secs_f64()
        }),
        "retry": (retry.enabled && !lead.is_asked()).then(|| json!({
            "initial_seconds": retry.initial_interval.as_secs_f64(), "multiplier": retry.multiplier,
            "max_seconds": retry.max_interval.as_secs_f64(), "randomization_factor": retry.randomization_factor,
            "max_elapsed_seconds": retry.max_elapsed_time.as_secs_f64(),
        })),
        "answered": if lead.exported { "exported" } else { "accepted" },
    })
}

#[cfg(test)]
mod tests;
