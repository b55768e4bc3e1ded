//! Many episodes, each looked at when it is due.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::Thread,
};

use crate::{
    budget::{Budget, BudgetTracker, Exhausted},
    cgroup::CgroupError,
    clock::thread_cpu_ns,
    episode::{Baseline, EndReason, Episode, Sample, Step},
    exit::ChildrenUsage,
    handle::{TelemetryHandle, Watched},
    id::EpisodeId,
    limits::{MAX_EPISODES, PRESSURE_STANDS_NS},
    policy::{PolicyError, TelemetryPolicy},
    proc_fallback::ProcError,
    recorder::Recorder,
    subject::Subject,
};

/// Why something is not watched.
#[derive(Debug)]
pub enum TelemetryError {
    /// The policy is none.
    Policy(PolicyError),
    /// Its cgroup.
    Cgroup(CgroupError),
    /// Its processes.
    Proc(ProcError),
    /// An episode of that name is watched already.
    Duplicate(EpisodeId),
    /// [`MAX_EPISODES`] are watched already.
    TooMany,
    /// The thread that looks cannot be started.
    Thread(io::Error),
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::Cgroup(error) => error.fmt(f),
            Self::Proc(error) => error.fmt(f),
            Self::Duplicate(id) => write!(f, "the episode {id} is watched already"),
            Self::TooMany => write!(f, "{MAX_EPISODES} episodes are watched already"),
            Self::Thread(error) => write!(f, "no thread can be started: {error}"),
        }
    }
}

impl std::error::Error for TelemetryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Policy(error) => Some(error),
            Self::Cgroup(error) => Some(error),
            Self::Proc(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::Duplicate(_) | Self::TooMany => None,
        }
    }
}

impl From<PolicyError> for TelemetryError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<CgroupError> for TelemetryError {
    fn from(error: CgroupError) -> Self {
        Self::Cgroup(error)
    }
}

impl From<ProcError> for TelemetryError {
    fn from(error: ProcError) -> Self {
        Self::Proc(error)
    }
}

/// What becomes of the processes of an episode whose budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenExhausted {
    /// They are frozen, read a last time, and killed.
    Kill,
    /// They go on, and are watched no longer.
    LetGo,
}

/// An episode that is to be watched.
pub struct Watch {
    id: EpisodeId,
    pid: u32,
    subject: Box<dyn Subject>,
    budget: Budget,
    baseline: Baseline,
    when_exhausted: WhenExhausted,
    recorder: Option<Recorder>,
}

impl Watch {
    /// An episode without limits, whose account is its own from the first moment.
    #[must_use]
    pub fn new(id: EpisodeId, pid: u32, subject: impl Subject + 'static) -> Self {
        let subject = Box::new(subject);
        let (budget, baseline, when_exhausted) = (Budget::default(), Baseline::Zero, WhenExhausted::Kill);
        Self { id, pid, subject, budget, baseline, when_exhausted, recorder: None }
    }

    /// What it may use. When that is used up it is frozen, read a last time, and killed; or [as it is said](Self::when_exhausted).
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// What counts as nothing used.
    #[must_use]
    pub fn baseline(mut self, baseline: Baseline) -> Self {
        self.baseline = baseline;
        self
    }

    /// Whether it is killed when a budget is used up, as it is if nothing is said.
    #[must_use]
    pub fn when_exhausted(mut self, when: WhenExhausted) -> Self {
        self.when_exhausted = when;
        self
    }

    /// Where its frames are written when a trigger of the policy fires, and how it ended.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }
}

/// Watches episodes: looks at each when it is due, accounts for what it has used since, and keeps a frame.
///
/// - CTR-TL01: it reports CPU time and bytes of I/O to the episode's [`BudgetTracker`].
/// - CTR-TL02: when a budget is used up it stops the episode: freezes it, reads a last time, kills it, takes the terminal frame. Then it is
///   silent.
///
/// It has neither clock nor thread: [`Self::poll`] is told the time, by a [`Sampler`](crate::Sampler) or whoever else has a loop.
///
/// ```
/// use aldis_host::*;
///
/// let collector = new_shared_collector(TelemetryPolicy::default())?;
/// let own = ProcReader::of_tree(std::process::id())?;
/// let watch = Watch::new(EpisodeId::from_u128(1), std::process::id(), TreeSubject::new(own)).baseline(Baseline::FirstSample);
/// let handle = collector.start(watch, monotonic_ns())?;
/// // … as often as it says:
/// let due_ns = collector.poll(monotonic_ns());
/// collector.finish(&handle, EndReason::Stopped, None, monotonic_ns());
/// assert!(due_ns.is_some() && handle.frames().last().unwrap().o11y_flags.terminal);
/// # Ok::<(), TelemetryError>(())
/// ```
pub struct TelemetryCollector {
    policy: TelemetryPolicy,
    watched: Mutex<Vec<TelemetryHandle>>,
    sampler: Mutex<Option<Thread>>,
    /// One of them has a budget, which is used up at a moment that is not to be missed.
    with_budget: AtomicBool,
}

impl fmt::Debug for TelemetryCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryCollector")
            .field("policy", &self.policy)
            .field("watched", &self.len())
            .finish()
    }
}

/// A collector that several threads have.
pub type SharedCollector = Arc<TelemetryCollector>;

/// Makes a collector that several threads may have.
///
/// # Errors
/// As [`TelemetryCollector::new`].
pub fn new_shared_collector(policy: TelemetryPolicy) -> Result<SharedCollector, TelemetryError> {
    TelemetryCollector::new(policy).map(Arc::new)
}

impl TelemetryCollector {
    /// A collector that watches nothing yet.
    ///
    /// # Errors
    /// The policy is none (INV-TL06, INV-TL07).
    pub fn new(policy: TelemetryPolicy) -> Result<Self, TelemetryError> {
        policy.check()?;
        Ok(Self {
            policy,
            watched: Mutex::new(Vec::new()),
            sampler: Mutex::new(None),
            with_budget: AtomicBool::new(false),
        })
    }

    /// How it watches.
    #[must_use]
    pub fn policy(&self) -> &TelemetryPolicy {
        &self.policy
    }

    /// Episodes that it watches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// It watches none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Watches an episode from now on; its initial frame is taken at once.
    ///
    /// # Errors
    /// It cannot be read; one of its name is watched already; there are too many.
    pub fn start(&self, watch: Watch, now_ns: u64) -> Result<TelemetryHandle, TelemetryError> {
        let Watch { id, pid, mut subject, budget, baseline, when_exhausted, recorder } = watch;
        let with_pressure = self.policy.promote_triggers.pressure_percent.is_some();
        let sample = subject.sample(with_pressure)?;
        let cpus = std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
        let tracker = BudgetTracker::new(budget);
        let episode = Episode::new(id, pid, self.policy, tracker, (baseline, cpus), now_ns)?;
        let mut watched = Watched {
            episode,
            subject,
            with_pressure,
            pressure: sample.pressure,
            pressure_until_ns: now_ns.saturating_add(PRESSURE_STANDS_NS),
            when_exhausted,
            recorder,
            due_ns: None,
            not_ended: None,
            bells: Vec::new(),
        };
        let mut list = self.list();
        if list.len() >= MAX_EPISODES {
            return Err(TelemetryError::TooMany);
        }
        if list.iter().any(|other| other.episode_id() == id) {
            return Err(TelemetryError::Duplicate(id));
        }
        let step = watched.episode.step(now_ns, &sample);
        watched.follow(step, now_ns);
        let handle = TelemetryHandle::new(watched);
        if handle.ended().is_none() {
            list.push(handle.clone());
        }
        drop(list);
        self.wake();
        Ok(handle)
    }

    /// Looks at every episode that is due, and at those that will be within a twentieth of the period: waking up costs as much as a look, and from
    /// then on they are due together. Returns when the next one is, in nanoseconds of the same clock.
    pub fn poll(&self, now_ns: u64) -> Option<u64> {
        let mut list = self.list();
        let soon_ns = now_ns.saturating_add(self.policy.sample_period_ms.saturating_mul(1_000_000) / 20);
        let (mut next, mut with_budget) = (None, false);
        let mut used_ns = None;
        list.retain(|handle| {
            let mut watched = handle.lock();
            if watched.due_ns.is_some_and(|due_ns| due_ns <= now_ns || due_ns < soon_ns) {
                // One look begins where the last one ended: to ask for the time costs as much as to read a file.
                let began_ns = used_ns.unwrap_or_else(thread_cpu_ns);
                used_ns = Some(watched.look(now_ns, began_ns));
            }
            next = [next, watched.due_ns].into_iter().flatten().min();
            with_budget |= watched.due_ns.is_some() && watched.episode.is_limited();
            watched.due_ns.is_some()
        });
        self.with_budget.store(with_budget, Ordering::Relaxed);
        next
    }

    /// Whether a look was to be in time when it was last looked at all.
    pub(crate) fn has_budgets(&self) -> bool {
        self.with_budget.load(Ordering::Relaxed)
    }

    /// Ends watching: a last look, the terminal frame, silence. What its process used when it ended, if the caller waited for it, completes what
    /// no cgroup tells. Once an episode has ended nothing changes any more.
    pub fn finish(
        &self,
        handle: &TelemetryHandle,
        reason: EndReason,
        exit: Option<ChildrenUsage>,
        now_ns: u64,
    ) {
        self.list().retain(|other| !other.is(handle));
        let mut watched = handle.lock();
        let mut sample = watched.sample();
        if let Some(exit) = exit {
            sample.stats = exit.complete(sample.stats);
        }
        watched.end(now_ns, &sample, reason);
    }

    /// The thread that is to look sooner when something is started.
    pub(crate) fn woken_by(&self, thread: Thread) {
        *self.sampler.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    pub(crate) fn wake(&self) {
        if let Some(thread) = &*self.sampler.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<TelemetryHandle>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// One look, and what it cost since this thread had used so much; how much it has used now.
    fn look(&mut self, now_ns: u64, began_ns: u64) -> u64 {
        if self.episode.is_close() {
            self.subject.settle();
        }
        let with_pressure = self.with_pressure && now_ns >= self.pressure_until_ns;
        match self.subject.sample(with_pressure) {
            Ok(mut sample) => {
                if with_pressure {
                    self.pressure = sample.pressure;
                    self.pressure_until_ns = now_ns.saturating_add(PRESSURE_STANDS_NS);
                }
                sample.pressure = self.pressure;
                let step = self.episode.step(now_ns, &sample);
                self.follow(step, now_ns);
            }
            Err(_) => {
                let known = self.known();
                self.end(now_ns, &known, EndReason::Lost);
            }
        }
        let ended_ns = thread_cpu_ns();
        self.episode.report_sampler(ended_ns.saturating_sub(began_ns), 0);
        ended_ns
    }

    /// Does what a step says.
    fn follow(&mut self, step: Step, now_ns: u64) {
        self.due_ns = step.due_ns;
        if let (Some(trigger), Some(recorder)) = (step.promote, &mut self.recorder) {
            let written = recorder.promote(&self.episode, trigger);
            self.episode.report_sampler(0, written);
        }
        match step.stop {
            Some(exhausted) => self.stop(now_ns, exhausted),
            None => self.ring(),
        }
    }

    /// Tells those who stream it that there is a frame.
    fn ring(&self) {
        self.bells.iter().for_each(|bell| bell.ring_for_frame());
    }

    /// CTR-TL02. Frozen, it uses nothing more while it is read; a budget of the measuring ends the measuring alone, and so does
    /// any of what is not ours to end.
    fn stop(&mut self, now_ns: u64, exhausted: Exhausted) {
        if exhausted.kind.is_of_sampler() || self.when_exhausted == WhenExhausted::LetGo {
            let known = self.known();
            return self.end(now_ns, &known, EndReason::BudgetExhausted(exhausted));
        }
        // One that cannot be frozen is killed as it runs.
        let _ = self.subject.freeze();
        let last = self.sample();
        self.not_ended = self.subject.kill().err();
        self.end(now_ns, &last, EndReason::BudgetExhausted(exhausted));
    }

    fn end(&mut self, now_ns: u64, sample: &Sample, reason: EndReason) {
        if self.episode.ended().is_some() {
            return;
        }
        let step = self.episode.end(now_ns, sample, reason);
        self.due_ns = None;
        self.ring();
        let Some(recorder) = &mut self.recorder else { return };
        let mut written = step.promote.map_or(0, |trigger| recorder.promote(&self.episode, trigger));
        if let Some(reason) = self.episode.ended() {
            written += recorder.end(&self.episode, reason);
        }
        self.episode.report_sampler(0, written);
    }

    /// A look, or what is known if nothing can be seen any more.
    fn sample(&mut self) -> Sample {
        self.subject.sample(false).unwrap_or_else(|_| self.known())
    }

    fn known(&self) -> Sample {
        Sample { stats: *self.episode.stats(), ..Sample::default() }
    }
}
