//! What changes while an engine runs: its configuration, and the certificates that it shows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use connect::tls::{ClientTls, ReloadCounts, ServerTls};
use pipeline::clock::now_ns;

use super::{logs::Event, points::Points, sources::Sources, table::*};
use crate::limits::CERTIFICATE_WARNING;

/// What came of reloads. Clones count in the same.
#[derive(Clone, Debug)]
pub(crate) struct Reloads(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    good: AtomicU64,
    failed: AtomicU64,
    last_failed: AtomicBool,
    /// Unix nanoseconds.
    last_good_ns: AtomicU64,
}

impl Reloads {
    /// None yet; the start is as good as one.
    pub(crate) fn since(now_ns: u64) -> Self {
        Self(Arc::new(Counts {
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_failed: AtomicBool::new(false),
            last_good_ns: AtomicU64::new(now_ns),
        }))
    }

    pub(crate) fn count(&self, is_good: bool) {
        self.0.last_failed.store(!is_good, Relaxed);
        if is_good {
            self.0.good.fetch_add(1, Relaxed);
            self.0.last_good_ns.store(now_ns(), Relaxed);
        } else {
            self.0.failed.fetch_add(1, Relaxed);
        }
    }
}

/// What a component shows to prove who it is.
#[derive(Clone, Debug)]
pub(crate) enum Certificate {
    Listening(ServerTls),
    Connecting(ClientTls),
}

impl Certificate {
    /// Unix seconds; `None` where there is none.
    pub(crate) fn not_after(&self) -> Option<i64> {
        match self {
            Certificate::Listening(tls) => tls.not_after(),
            Certificate::Connecting(tls) => tls.not_after(),
        }
    }

    fn counts(&self) -> ReloadCounts {
        match self {
            Certificate::Listening(tls) => tls.counts(),
            Certificate::Connecting(tls) => tls.counts(),
        }
    }
}

/// What there is to say of a certificate that holds up to this Unix second; nothing while there is time enough.
pub(crate) fn ending(not_after: i64, now_ns: u64) -> Option<String> {
    const DAY: i64 = 24 * 3600;
    let left = not_after.saturating_sub((now_ns / 1_000_000_000) as i64);
    let days = |seconds: i64| match seconds / DAY {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    match left {
        _ if left <= -DAY => Some(format!("the certificate expired {} ago", days(-left))),
        ..0 => Some("the certificate has expired".to_owned()),
        _ if left < DAY => Some("the certificate expires within a day".to_owned()),
        _ if left <= CERTIFICATE_WARNING.as_secs() as i64 => {
            Some(format!("the certificate expires in {}", days(left)))
        }
        _ => None,
    }
}

/// Certificates of which something is to be said, by component.
pub(super) fn endings(sources: &Sources, now_ns: u64) -> BTreeMap<String, String> {
    let told = |(component, certificate): &(String, Certificate)| {
        Some((component.clone(), ending(certificate.not_after()?, now_ns)?))
    };
    sources.certificates.iter().filter_map(told).collect()
}

/// What is to be said now and was not before.
pub(super) fn news(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<Event> {
    let is_new = |(component, what): &(&String, &String)| before.get(*component) != Some(*what);
    let event = |(component, what): (&String, &String)| Event::CertificateEnds {
        component: component.clone(),
        what: what.clone(),
    };
    now.iter().filter(is_new).map(event).collect()
}

/// Puts all of it into `points`.
pub(super) fn collect(sources: &Sources, points: &mut Points) {
    let Counts { good, failed, last_failed, last_good_ns } = &*sources.reloads.0;
    for (result, count) in [("good", good), ("failed", failed)] {
        points.put(&RELOADS, count.load(Relaxed), &[("result", result)]);
    }
    points.put(&LAST_RELOAD_GOOD, u64::from(!last_failed.load(Relaxed)), &[]);
    points.put_float(&LAST_GOOD, last_good_ns.load(Relaxed) as f64 / 1e9, &[]);
    for (component, certificate) in &sources.certificates {
        let component = ("component", component.as_str());
        if let Some(end) = certificate.not_after() {
            points.put_float(&CERTIFICATE_END, end as f64, &[component]);
        }
        let counts = certificate.counts();
        for (result, count) in [("good", counts.reloaded), ("failed", counts.failed)] {
            points.put(&CERTIFICATE_RELOADS, count, &[component, ("result", result)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    #[test]
    fn the_end_of_a_certificate_is_told_in_days() {
        let now = 1_000 * DAY;
        let after = |seconds: i64| ending(now as i64 + seconds, now * 1_000_000_000);
        let day = DAY as i64;
        assert_eq!(after(CERTIFICATE_WARNING.as_secs() as i64 + 1), None);
        for (seconds, said) in [
            (14 * day, "the certificate expires in 14 days"),
            (14 * day - 1, "the certificate expires in 13 days"),
            (day, "the certificate expires in 1 day"),
            (day - 1, "the certificate expires within a day"),
            (0, "the certificate expires within a day"),
            (-1, "the certificate has expired"),
            (-day, "the certificate expired 1 day ago"),
            (-400 * day, "the certificate expired 400 days ago"),
        ] {
            assert_eq!(after(seconds).as_deref(), Some(said), "{seconds}");
        }
    }

    #[test]
    fn it_is_told_once_a_day() {
        let told = |what: &str| BTreeMap::from([("exporter otlp".to_owned(), what.to_owned())]);
        let (two, one) = (told("in 2 days"), told("in 1 day"));
        let event =
            |what: &str| Event::CertificateEnds { component: "exporter otlp".into(), what: what.into() };
        assert_eq!(news(&BTreeMap::new(), &two), [event("in 2 days")]);
        assert_eq!(news(&two, &two), []);
        assert_eq!(news(&two, &one), [event("in 1 day")]);
        assert_eq!(news(&one, &BTreeMap::new()), [], "it was renewed");
    }
}
