//! What pages and the log have in common: what there is to read, and what was made of it last.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use connect::otlp::Code;
use otlp::Signal;
use pipeline::{
    clock::now_ns,
    health::{Problem, Severity},
};

use super::{
    health::{Observation, Verdict, Watch},
    lifetime,
    logs::{Event, Log},
    sources::Sources,
};
use crate::limits::{LOOK_PERIOD, REFUSAL_LOG_PERIOD};

/// Everything that is told of an engine comes from here.
pub(super) struct Desk {
    lasting: Arc<Lasting>,
    /// The engine's resource, sorted.
    pub(super) resource: Vec<(String, String)>,
    log: Option<Arc<Log>>,
}

/// What stays the same when something else is to be told of the same engine.
struct Lasting {
    started_ns: u64,
    instance_id: String,
    draining: AtomicBool,
    seen: Mutex<Seen>,
}

struct Seen {
    sources: Option<Arc<Sources>>,
    watch: Watch,
    verdict: Verdict,
    problems: BTreeMap<String, Problem>,
    refusals: Refusals,
    /// What was said of certificates, by component.
    endings: BTreeMap<String, String>,
    rejections: Rejections,
}

/// Requests and records refused by a receiver, of a signal, with a code; when they were told last.
type Refusals = BTreeMap<(String, Signal, &'static str), (u64, u64, u64)>;

/// Records that an exporter's far side refused for good, and when that was told last.
type Rejections = BTreeMap<String, (u64, u64)>;

impl Desk {
    /// Tells of an engine that starts now. Without `log` there is none.
    pub(super) fn new(attributes: &BTreeMap<String, Option<String>>, log: Option<Arc<Log>>) -> Self {
        let seen = Seen {
            sources: None,
            watch: Watch::default(),
            verdict: Verdict::default(),
            problems: BTreeMap::new(),
            refusals: BTreeMap::new(),
            endings: BTreeMap::new(),
            rejections: BTreeMap::new(),
        };
        let lasting = Lasting {
            started_ns: now_ns(),
            instance_id: instance_id(),
            draining: AtomicBool::new(false),
            seen: Mutex::new(seen),
        };
        Self::of(Arc::new(lasting), attributes, log)
    }

    /// Tells of the same engine as this one, with other attributes and into another log.
    pub(super) fn telling(
        &self,
        attributes: &BTreeMap<String, Option<String>>,
        log: Option<Arc<Log>>,
    ) -> Self {
        Self::of(self.lasting.clone(), attributes, log)
    }

    fn of(
        lasting: Arc<Lasting>,
        attributes: &BTreeMap<String, Option<String>>,
        log: Option<Arc<Log>>,
    ) -> Self {
        Self { resource: resource(attributes, &lasting.instance_id), lasting, log }
    }

    pub(super) fn started_ns(&self) -> u64 {
        self.lasting.started_ns
    }

    pub(super) fn log(&self) -> Option<&Arc<Log>> {
        self.log.as_ref()
    }

    /// From now on this is what runs.
    pub(super) fn observe(&self, sources: Sources) {
        self.seen().sources = Some(Arc::new(sources));
        self.look(now_ns());
    }

    pub(super) fn sources(&self) -> Option<Arc<Sources>> {
        self.seen().sources.clone()
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.seen().verdict.clone()
    }

    pub(super) fn tell(&self, event: &Event) {
        if let Some(log) = &self.log {
            log.write(event, now_ns());
        }
    }

    pub(super) fn drain(&self) {
        self.lasting.draining.store(true, Ordering::Relaxed);
        self.look(now_ns());
        self.tell(&Event::Draining);
    }

    /// Looks every [`LOOK_PERIOD`], for as long as it is there.
    pub(super) async fn watch(this: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK_PERIOD).await;
            match this.upgrade() {
                Some(desk) => desk.look(now_ns()),
                None => return,
            }
        }
    }

    /// Looks whether all is well, and logs what has changed.
    pub(super) fn look(&self, now_ns: u64) {
        let draining = self.lasting.draining.load(Ordering::Relaxed);
        let mut events = Vec::new();
        {
            let seen = &mut *self.seen();
            let Some(sources) = seen.sources.clone() else { return };
            let observation = Observation::of(&sources);
            events.extend(changes(&seen.problems, &observation.problems, now_ns));
            seen.problems = observation.problems.clone();
            if self.log.is_some() {
                refusals(&sources, &mut seen.refusals, now_ns, &mut events);
                let endings = lifetime::endings(&sources, now_ns);
                events.extend(lifetime::news(&seen.endings, &endings));
                seen.endings = endings;
                rejections(&sources, &mut seen.rejections, now_ns, &mut events);
            }
            let verdict = seen.watch.look(observation, draining, now_ns);
            if verdict.is_ready() != seen.verdict.is_ready() && !draining {
                let reasons = verdict.reasons.iter();
                let reasons =
                    reasons.map(|reason| format!("{}: {}", reason.component, reason.what)).collect();
                events.push(Event::Health { ready: verdict.is_ready(), reasons });
            }
            seen.verdict = verdict;
        }
        events.iter().for_each(|event| self.tell(event));
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.lasting.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Components that began to fail, died, or work again.
fn changes(before: &BTreeMap<String, Problem>, now: &BTreeMap<String, Problem>, now_ns: u64) -> Vec<Event> {
    let is_new = |(component, problem): &(&String, &Problem)| {
        before.get(*component).is_none_or(|known| known.severity < problem.severity)
    };
    let failing = now.iter().filter(is_new).map(|(component, problem)| Event::Failing {
        component: component.clone(),
        what: problem.what.clone(),
        dead: problem.severity == Severity::Dead,
    });
    let over = before.iter().filter(|(component, _)| !now.contains_key(*component));
    let recovered = over.map(|(component, problem)| {
        let seconds = now_ns.saturating_sub(problem.since_ns) / 1_000_000_000;
        Event::Recovered { component: component.clone(), seconds }
    });
    failing.chain(recovered).collect()
}

/// Receivers that refused requests since it was told last, if that is long enough ago.
fn refusals(sources: &Sources, told: &mut Refusals, now_ns: u64, events: &mut Vec<Event>) {
    for (name, meter) in &sources.receivers {
        let counts = meter.counts();
        for (signal, row) in Signal::ALL.into_iter().zip(&counts.signals) {
            for code in Code::ALL {
                let (requests, records) = (row.requests_refused(code), row.records_refused(code));
                if requests == 0 {
                    continue;
                }
                let known = told.entry((name.clone(), signal, code.name())).or_default();
                let is_due = u128::from(now_ns.saturating_sub(known.2)) >= REFUSAL_LOG_PERIOD.as_nanos();
                if requests > known.0 && is_due {
                    events.push(Event::Refusing {
                        component: name.clone(),
                        signal: signal.name(),
                        code: code.name(),
                        requests: requests - known.0,
                        records: records.saturating_sub(known.1),
                    });
                    *known = (requests, records, now_ns);
                }
            }
        }
    }
}

/// Exporters whose far side refused records for good since it was told last, if that is long enough ago. Those of remote write say
/// why also where the rest of a batch was taken.
fn rejections(sources: &Sources, told: &mut Rejections, now_ns: u64, events: &mut Vec<Event>) {
    for (name, exporter) in &sources.remote_writes {
        let stats = exporter.stats();
        let known = told.entry(name.clone()).or_default();
        let is_due = u128::from(now_ns.saturating_sub(known.1)) >= REFUSAL_LOG_PERIOD.as_nanos();
        // It is less where another exporter has taken its place.
        let records = stats.refused.checked_sub(known.0).unwrap_or(stats.refused);
        if records > 0 && is_due {
            events.push(Event::Rejected { component: name.clone(), records, why: stats.last_refusal });
            *known = (stats.refused, now_ns);
        }
    }
}

/// What the engine says it is: its name, version and a number of its own, and what is configured on top.
fn resource(configured: &BTreeMap<String, Option<String>>, instance_id: &str) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = BTreeMap::from([
        ("service.name".to_owned(), "aldis".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id".to_owned(), instance_id.to_owned()),
    ]);
    for (key, value) in configured {
        match value {
            Some(value) => drop(all.insert(key.clone(), value.clone())),
            None => drop(all.remove(key)),
        }
    }
    all.into_iter().collect()
}

/// A random UUID (RFC 9562, version 4). The standard library seeds its hashes with what it needs.
fn instance_id() -> String {
    let half = || RandomState::new().build_hasher().finish();
    let (high, low) = (half() & !0xf000 | 0x4000, half() & !(0b11 << 62) | 0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_told_once() {
        let since_ns = 1_000_000_000;
        let problem = |severity| Problem { severity, what: "503".to_owned(), since_ns, idle_since_ns: None };
        let failing = |dead| Event::Failing { component: "otlp".into(), what: "503".into(), dead };
        let well = BTreeMap::new();
        let degraded = BTreeMap::from([("otlp".to_owned(), problem(Severity::Degraded))]);
        let dead = BTreeMap::from([("otlp".to_owned(), problem(Severity::Dead))]);
        assert_eq!(changes(&well, &degraded, 0), [failing(false)]);
        assert_eq!(changes(&degraded, &degraded, 0), []);
        assert_eq!(changes(&degraded, &dead, 0), [failing(true)]);
        let recovered = Event::Recovered { component: "otlp".into(), seconds: 4 };
        assert_eq!(changes(&degraded, &well, 5_000_000_000), [recovered]);
    }

    #[test]
    fn the_resource_is_what_it_is_and_what_is_configured() {
        let id = instance_id();
        assert_eq!((id.len(), &id[14..15], id == instance_id()), (36, "4", false), "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
        let configured = BTreeMap::from([
            ("service.instance.id".to_owned(), None),
            ("service.name".to_owned(), Some("edge".to_owned())),
            ("zone".to_owned(), Some("b".to_owned())),
        ]);
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let version = text("service.version", env!("CARGO_PKG_VERSION"));
        assert_eq!(resource(&configured, "id"), [text("service.name", "edge"), version, text("zone", "b")]);
    }
}
