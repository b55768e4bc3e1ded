//! Whether the engine is well, and why not: a machine that is told the time.

use std::{collections::BTreeMap, time::Duration};

use pipeline::{
    health::{Problem, Severity},
    stats::Stats,
};
use serde_json::{Value, json};

use super::{sources::Sources, time::rfc3339};
use crate::limits::{FAILING_PATIENCE, FULL_PATIENCE, LOSS_WINDOW};

/// What is looked at, as plain values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observation {
    /// What components say of themselves.
    pub(crate) problems: BTreeMap<String, Problem>,
    /// Records lost since the start, by component.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Shares of receipts that were dropped without an answer since the process began.
    pub(crate) unresolved: u64,
    /// Exporters whose queue is full now.
    pub(crate) full: Vec<String>,
    /// Memory limiters that refuse now.
    pub(crate) refusing: Vec<String>,
}

impl Observation {
    /// What is so now.
    pub(crate) fn of(sources: &Sources) -> Self {
        let full = sources.queues.iter().filter(|(_, _, queue)| {
            let fill = queue.fill();
            fill.items() >= fill.bounds.items
                || fill.waiting.bytes + fill.in_flight.bytes >= fill.bounds.bytes
        });
        let refusing = sources.limiters.iter().filter(|(_, limiter)| limiter.is_over());
        let stats = sources.ledger.stats();
        Self {
            problems: sources.health.problems(),
            lost: lost(&stats),
            unresolved: stats.unresolved,
            full: full.map(|(name, signal, _)| format!("{name} ({signal})")).collect(),
            refusing: refusing.map(|(name, _)| name.clone()).collect(),
        }
    }
}

fn lost(stats: &Stats) -> BTreeMap<String, u64> {
    let stages = stats.stages.iter().map(|row| (&row.name, row.dropped.iter().map(|(_, n)| n).sum::<u64>()));
    // What a far side leaves out of a request that it takes is a matter of that data, and what was handed back is its sender's.
    let exporters = stats.exporters.iter().map(|row| (&row.name, row.lost() + row.refused_whole));
    let mut lost = BTreeMap::new();
    for (name, records) in stages.chain(exporters).filter(|(_, records)| *records > 0) {
        *lost.entry(name.to_string()).or_default() += records;
    }
    lost
}

/// Why the engine is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is not well.
    pub component: String,
    /// What is wrong, for people.
    pub what: String,
    /// Since when, Unix nanoseconds.
    pub since_ns: u64,
    /// Whether only a restart helps.
    pub is_final: bool,
}

/// Whether the engine is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is shutting down.
    pub draining: bool,
    /// What is wrong; nothing where all is well.
    pub reasons: Vec<Reason>,
    /// What fails, but not for long enough, or with nothing that waits for it: no reason to send telemetry elsewhere.
    pub failing: Vec<Reason>,
    /// Since when it is well, or not, Unix nanoseconds.
    pub since_ns: u64,
}

impl Verdict {
    /// Whether it should be sent telemetry.
    pub fn is_ready(&self) -> bool {
        !self.draining && self.reasons.is_empty()
    }

    /// Whether a restart would not help.
    pub fn is_alive(&self) -> bool {
        !self.reasons.iter().any(|reason| reason.is_final)
    }

    /// As the health page shows it.
    pub(crate) fn as_json(&self, is_good: bool, started_ns: u64, now_ns: u64) -> Value {
        let state = match (self.draining, self.reasons.is_empty()) {
            (true, _) => "draining",
            (false, true) => "well",
            (false, false) => "unwell",
        };
        let all = |reasons: &[Reason]| {
            let one = |reason: &Reason| {
                json!({
                    "component": reason.component, "what": reason.what, "since": rfc3339(reason.since_ns),
                    "final": reason.is_final,
                })
            };
            reasons.iter().map(one).collect::<Vec<_>>()
        };
        json!({
            "status": if is_good { "Server available" } else { "Server not available" },
            "upSince": rfc3339(started_ns),
            "uptime": format!("{}s", now_ns.saturating_sub(started_ns) / 1_000_000_000),
            "state": state,
            "since": rfc3339(self.since_ns),
            "reasons": all(&self.reasons),
            "failing": all(&self.failing),
        })
    }
}

/// What was seen before: losses and full queues count only over time.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    before: Option<Observation>,
    /// Records lost by component, since when, and when the last was.
    losses: BTreeMap<String, Loss>,
    /// Since when a queue is full.
    full_since: BTreeMap<String, u64>,
    refusing_since: BTreeMap<String, u64>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
struct Loss {
    records: u64,
    since_ns: u64,
    last_ns: u64,
}

/// Where receipts that were dropped are told.
const RECEIPTS: &str = "receipts";

impl Watch {
    /// What is to be said at `now_ns`.
    pub(crate) fn look(&mut self, seen: Observation, draining: bool, now_ns: u64) -> Verdict {
        self.note_losses(&seen, now_ns);
        keep_since(&mut self.full_since, &seen.full, now_ns);
        keep_since(&mut self.refusing_since, &seen.refusing, now_ns);
        let waited = |since_ns: u64, patience| waited(since_ns, patience, now_ns);
        let (mut reasons, failing): (Vec<Reason>, Vec<Reason>) = seen
            .problems
            .iter()
            .map(|(component, problem)| {
                let is_final = problem.severity == Severity::Dead;
                let (what, since_ns) = (problem.what.clone(), problem.since_ns);
                Reason { component: component.clone(), what, since_ns, is_final }
            })
            .partition(|reason| is_red(&seen.problems[&reason.component], now_ns));
        for (component, loss) in &self.losses {
            let what = match component.as_str() {
                RECEIPTS => format!("{} receipts were never answered; please report it", loss.records),
                _ => match why(&seen.problems, component) {
                    Some(why) => format!("{} records were lost: {why}", loss.records),
                    None => format!("{} records were lost", loss.records),
                },
            };
            let (component, since_ns) = (component.clone(), loss.since_ns);
            reasons.push(Reason { component, what, since_ns, is_final: false });
        }
        for (component, since_ns) in
            self.full_since.iter().filter(|(_, since)| waited(**since, FULL_PATIENCE))
        {
            let what = "its queue is full".to_owned();
            reasons.push(Reason { component: component.clone(), what, since_ns: *since_ns, is_final: false });
        }
        for (component, since_ns) in &self.refusing_since {
            let what = "memory is short, so telemetry is refused".to_owned();
            reasons.push(Reason { component: component.clone(), what, since_ns: *since_ns, is_final: false });
        }
        let mut verdict = Verdict { draining, reasons, failing, since_ns: self.verdict.since_ns };
        if self.before.is_none() || verdict.is_ready() != self.verdict.is_ready() {
            verdict.since_ns = now_ns;
        }
        self.before = Some(seen);
        self.verdict = verdict.clone();
        verdict
    }

    fn note_losses(&mut self, seen: &Observation, now_ns: u64) {
        if let Some(before) = &self.before {
            let unresolved = (RECEIPTS, seen.unresolved.saturating_sub(before.unresolved));
            let records = seen.lost.iter().map(|(component, lost)| {
                let known = before.lost.get(component).copied().unwrap_or_default();
                (component.as_str(), lost.saturating_sub(known))
            });
            for (component, more) in records.chain([unresolved]).filter(|(_, more)| *more > 0) {
                let new = Loss { records: 0, since_ns: now_ns, last_ns: now_ns };
                let loss = self.losses.entry(component.to_owned()).or_insert(new);
                loss.records += more;
                loss.last_ns = now_ns;
            }
        }
        self.losses
            .retain(|_, loss| u128::from(now_ns.saturating_sub(loss.last_ns)) < LOSS_WINDOW.as_nanos());
    }
}

fn waited(since_ns: u64, patience: Duration, now_ns: u64) -> bool {
    u128::from(now_ns.saturating_sub(since_ns)) >= patience.as_nanos()
}

/// Whether a problem is a reason to send telemetry elsewhere. Where nothing has waited for a while it is none: nobody who stays away
/// because of it could show that it has passed.
fn is_red(problem: &Problem, now_ns: u64) -> bool {
    let is_idle = problem.idle_since_ns.is_some_and(|since_ns| waited(since_ns, LOSS_WINDOW, now_ns));
    problem.severity == Severity::Dead || waited(problem.since_ns, FAILING_PATIENCE, now_ns) && !is_idle
}

/// What is wrong with a component, or with one of the queues of an exporter, which have its name and a signal.
fn why<'a>(problems: &'a BTreeMap<String, Problem>, component: &str) -> Option<&'a str> {
    let is_its = |name: &str| {
        name.strip_prefix(component).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    };
    problems.iter().find(|(name, _)| is_its(name)).map(|(_, problem)| problem.what.as_str())
}

/// Keeps when each of `now` began.
fn keep_since(since: &mut BTreeMap<String, u64>, now: &[String], now_ns: u64) {
    since.retain(|name, _| now.contains(name));
    for name in now {
        since.entry(name.clone()).or_insert(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use pipeline::stats::ExporterStats;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn whole_requests_that_are_refused_for_good_are_losses() {
        let mut row = ExporterStats::none("otlp", otlp::Signal::Logs);
        row.rejected = vec![("partial_success".into(), 3), ("UNAUTHENTICATED".into(), 4), ("400".into(), 2)];
        row.refused_whole = 4;
        row.dropped = vec![("no_retry".into(), 5), ("deadline".into(), 7)];
        row.handed_back = 7;
        let handed_back = ExporterStats {
            dropped: vec![("deadline".into(), 1)],
            handed_back: 1,
            ..ExporterStats::none("file", otlp::Signal::Logs)
        };
        let stats = Stats { exporters: vec![row, handed_back], ..Stats::default() };
        assert_eq!(lost(&stats), [("otlp".to_owned(), 9)].into());
    }

    fn says(watch: &mut Watch, seen: &Observation, second: u64) -> Vec<String> {
        let verdict = watch.look(seen.clone(), false, second * SECOND);
        verdict.reasons.iter().map(|reason| format!("{}: {}", reason.component, reason.what)).collect()
    }

    #[test]
    fn losses_are_red_for_a_while() {
        let mut watch = Watch::default();
        let mut seen =
            Observation { lost: [("otlp".to_owned(), 7)].into(), unresolved: 2, ..Observation::default() };
        assert_eq!(says(&mut watch, &seen, 0), [""; 0], "what was lost before is not news");
        seen.lost.insert("otlp".to_owned(), 10);
        assert_eq!(says(&mut watch, &seen, 1), ["otlp: 3 records were lost"]);
        assert_eq!(says(&mut watch, &seen, 60), ["otlp: 3 records were lost"]);
        seen.unresolved = 3;
        seen.lost.insert("otlp".to_owned(), 11);
        let both =
            ["otlp: 4 records were lost", "receipts: 1 receipts were never answered; please report it"];
        assert_eq!(says(&mut watch, &seen, 60), both);
        assert_eq!(says(&mut watch, &seen, 119), both);
        assert_eq!(says(&mut watch, &seen, 120), [""; 0]);
        assert_eq!(watch.verdict.since_ns, 120 * SECOND);
    }

    #[test]
    fn what_may_pass_is_red_only_when_it_lasts() {
        let mut watch = Watch::default();
        let mut seen = Observation { full: vec!["otlp (traces)".to_owned()], ..Observation::default() };
        let problem = degraded(0);
        seen.problems.insert("otlp".to_owned(), problem);
        assert_eq!(says(&mut watch, &seen, 0), [""; 0]);
        assert_eq!(says(&mut watch, &seen, 30), ["otlp (traces): its queue is full"]);
        assert_eq!(says(&mut watch, &seen, 60), ["otlp: 503", "otlp (traces): its queue is full"]);
        seen.full.clear();
        assert_eq!(says(&mut watch, &seen, 61), ["otlp: 503"]);
        seen.full.push("otlp (traces)".to_owned());
        assert_eq!(says(&mut watch, &seen, 90), ["otlp: 503"], "it is full anew");
    }

    fn degraded(since_ns: u64) -> Problem {
        Problem { severity: Severity::Degraded, what: "503".to_owned(), since_ns, idle_since_ns: None }
    }

    #[test]
    fn what_nothing_waits_for_is_told_and_not_red() {
        let mut watch = Watch::default();
        let mut seen = Observation::default();
        seen.problems.insert("otlp (logs)".to_owned(), degraded(0));
        assert_eq!(says(&mut watch, &seen, 59), [""; 0]);
        assert_eq!(watch.verdict.failing[0].what, "503");
        let page = watch.verdict.as_json(true, 0, 59 * SECOND);
        assert_eq!(
            (&page["failing"][0]["component"], &page["state"]),
            (&json!("otlp (logs)"), &json!("well"))
        );
        seen.problems.get_mut("otlp (logs)").unwrap().idle_since_ns = Some(40 * SECOND);
        assert_eq!(says(&mut watch, &seen, 99), ["otlp (logs): 503"], "it failed a moment ago");
        assert_eq!(
            says(&mut watch, &seen, 100),
            [""; 0],
            "whoever stays away could not find out that it is well"
        );
        assert_eq!(watch.verdict.failing.len(), 1);
        seen.problems.insert("otlp (logs)".to_owned(), degraded(0));
        seen.lost.insert("otlp".to_owned(), 3);
        assert_eq!(says(&mut watch, &seen, 101), ["otlp (logs): 503", "otlp: 3 records were lost: 503"]);
    }

    #[test]
    fn what_will_not_pass_is_red_at_once_and_final() {
        let mut watch = Watch::default();
        let mut seen = Observation { refusing: vec!["memory_limiter".to_owned()], ..Observation::default() };
        let verdict = watch.look(seen.clone(), false, SECOND);
        assert!(!verdict.is_ready() && verdict.is_alive());
        seen.refusing.clear();
        assert!(watch.look(seen.clone(), false, 2 * SECOND).is_ready());
        assert!(!watch.look(seen.clone(), true, 3 * SECOND).is_ready(), "it is draining");
        let dead = Problem { severity: Severity::Dead, ..degraded(SECOND) };
        let problem = Problem { what: "panicked".to_owned(), ..dead };
        seen.problems.insert("traces:filter".to_owned(), problem);
        let verdict = watch.look(seen, false, 4 * SECOND);
        assert!(!verdict.is_ready() && !verdict.is_alive());
        let page = verdict.as_json(verdict.is_ready(), 0, 5 * SECOND);
        assert_eq!((&page["status"], &page["uptime"]), (&json!("Server not available"), &json!("5s")));
        assert_eq!(page["reasons"][0]["since"], "1970-01-01T00:00:01.000Z");
    }
}
