//! Files that are read again.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pipeline::{Health, clock::now_ns, health::Severity};

use super::{
    TlsError,
    certificate::validity,
    material::{Held, Material, Sources},
};
use crate::limits::{CLIENT_CA_INTERVAL, RELOAD_RETRY};

/// What came of reading the files again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// How often they had changed and the new ones hold since.
    pub reloaded: u64,
    /// How often they could not be used, so that the old ones hold on.
    pub failed: u64,
    /// Why, as long as that is so.
    pub problem: Option<TlsError>,
}

/// A configuration of rustls, and what it is made of.
pub(super) struct Kept<C> {
    sources: Sources,
    build: Box<Build<C>>,
    every: Times<Option<Duration>>,
    state: Mutex<State<C>>,
}

type Build<C> = dyn Fn(&Material) -> Result<C, TlsError> + Send + Sync;

/// One for the certificate and one for those who are trusted.
#[derive(Clone, Copy)]
struct Times<T> {
    certificate: T,
    roots: T,
}

struct State<C> {
    config: Arc<C>,
    material: Material,
    due: Times<Option<Instant>>,
    counts: ReloadCounts,
    /// Where problems are told, and as whose.
    health: Option<(Health, String)>,
}

impl<C: Send + Sync + 'static> Kept<C> {
    /// Reads the files, now and every `reload_interval`; those who are trusted, where `roots_soon`, once a second.
    pub(super) fn new(
        sources: Sources,
        roots_soon: bool,
        build: impl Fn(&Material) -> Result<C, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let material = sources.load()?;
        let config = Arc::new(build(&material)?);
        let certificate = sources.common.reload_interval;
        let roots = match (certificate, roots_soon) {
            (Some(every), true) => Some(every.min(CLIENT_CA_INTERVAL)),
            (None, true) => Some(CLIENT_CA_INTERVAL),
            (every, false) => every,
        };
        let every = Times { certificate, roots };
        let after = |every: Option<Duration>| every.and_then(|every| Instant::now().checked_add(every));
        let due = Times { certificate: after(certificate), roots: after(roots) };
        let state = State { config, material, due, counts: ReloadCounts::default(), health: None };
        Ok(Self { sources, build: Box::new(build), every, state: Mutex::new(state) })
    }

    /// What holds now. If it is time to read the files again the first who asks waits for that, on another thread.
    pub(super) async fn current(self: &Arc<Self>) -> Arc<C> {
        let Some(which) = self.claim(Instant::now()) else { return self.held() };
        let this = self.clone();
        // It fails where the runtime ends, and then nobody needs a new one.
        let _ = tokio::task::spawn_blocking(move || this.read(which)).await;
        self.held()
    }

    pub(super) fn held(&self) -> Arc<C> {
        self.state().config.clone()
    }

    /// The last Unix second at which all certificates hold that are shown; `None` where none is.
    pub(super) fn not_after(&self) -> Option<i64> {
        let state = self.state();
        let shown = &state.material.certificate.as_ref()?.value.cert;
        shown.iter().filter_map(|der| Some(*validity(der)?.end())).min()
    }

    pub(super) fn counts(&self) -> ReloadCounts {
        self.state().counts.clone()
    }

    pub(super) fn tell(&self, health: Health, component: String) {
        self.state().health = Some((health, component));
    }

    /// Reads all files now. Says whether anything had changed.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        self.read(Times { certificate: true, roots: true })
    }

    /// What is due, which is then the caller's to read.
    fn claim(&self, now: Instant) -> Option<Times<bool>> {
        let mut state = self.state();
        let claim = |due: &mut Option<Instant>, every: Option<Duration>| {
            let is_due = due.is_some_and(|due| due <= now);
            if is_due {
                *due = every.and_then(|every| now.checked_add(every));
            }
            is_due
        };
        let certificate = claim(&mut state.due.certificate, self.every.certificate);
        let roots = claim(&mut state.due.roots, self.every.roots);
        (certificate || roots).then_some(Times { certificate, roots })
    }

    fn read(&self, which: Times<bool>) -> Result<bool, TlsError> {
        let made = self.make(which);
        let mut state = self.state();
        let told = state.take(made, which.certificate && which.roots);
        state.tell();
        told
    }
    /// The new configuration, if anything changed.
    fn make(&self, which: Times<bool>) -> Result<Option<(Material, C)>, TlsError> {
        let mut material = self.state().material.clone();
        let mut changed = false;
        if which.certificate {
            changed |= replace(&mut material.certificate, self.sources.certificate()?);
        }
        if which.roots {
            changed |= replace(&mut material.roots, self.sources.roots()?);
        }
        if !changed {
            return Ok(None);
        }
        let config = (self.build)(&material)?;
        Ok(Some((material, config)))
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    /// Notes what was made of the files, all of them or some. Says whether anything had changed.
    fn take(&mut self, made: Result<Option<(Material, C)>, TlsError>, all: bool) -> Result<bool, TlsError> {
        match made {
            Ok(Some((material, config))) => {
                (self.material, self.config) = (material, Arc::new(config));
                self.counts.reloaded += 1;
                self.counts.problem = None;
                Ok(true)
            }
            Ok(None) => {
                // Where not all were looked at the broken one may be another.
                if all {
                    self.counts.problem = None;
                }
                Ok(false)
            }
            Err(error) => {
                self.counts.failed += 1;
                self.counts.problem = Some(error.clone());
                let soon = Instant::now() + RELOAD_RETRY;
                let sooner = |due: Option<Instant>| due.map(|due| due.min(soon));
                let Times { certificate, roots } = self.due;
                self.due = Times { certificate: sooner(certificate), roots: sooner(roots) };
                Err(error)
            }
        }
    }

    fn tell(&self) {
        let Some((health, component)) = &self.health else { return };
        match &self.counts.problem {
            Some(problem) => {
                let what = format!("the certificates are still the old ones: {problem}");
                health.report(component, Severity::Degraded, what, now_ns());
            }
            None => health.resolve(component),
        }
    }
}

/// Whether the new one is another.
fn replace<T>(held: &mut Option<Held<T>>, new: Option<Held<T>>) -> bool {
    let hash = |held: &Option<Held<T>>| held.as_ref().map(|held| held.hash);
    let old = mem::replace(held, new);
    hash(&old) != hash(held)
}
