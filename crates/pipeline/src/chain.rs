//! A pipeline on one shard: stages in order, then exporter queues.
//!
//! [`Chain::offer`] admits an item, calls each [`Step`] on it in place, and hands what comes out to every outlet.
//! Nothing in it waits; [`Chain::run`] is the task that calls stages when time makes something due, and batchers when an
//! exporter has nothing to do.

use std::sync::{Arc, PoisonError};

use otlp::{Codec, Depth, Signal};
use tokio::task::yield_now;

use crate::{
    Budget, ExporterQueue, Inlet, Item, Ledger, Outcome,
    batcher::Batcher,
    clock,
    compressor::Compressor,
    contain::contain,
    exporting::Prospect,
    ledger::{InletCounters, RefusedCode},
    memory_limit::MemoryLimiter,
    queue::Size,
    stage::Stage,
    sync::{
        Mutex, MutexGuard, Notify,
        atomic::{AtomicBool, Ordering},
        time::sleep_until,
    },
};

/// One step of a pipeline.
#[derive(Debug)]
pub enum Step {
    /// An operator.
    Stage(Stage),
    /// A batcher.
    Batcher(Batcher),
}

/// Where a pipeline ends.
pub enum Outlet {
    /// An exporter. Whoever waits is told a success if any required one delivers.
    Exporter {
        /// Its queue.
        queue: ExporterQueue,
        /// Whether its outcome counts. If none does, all do.
        required: bool,
    },
    /// Another pipeline's way in (a connector).
    Inlet(Arc<dyn Inlet>),
}

/// What a chain is made of.
pub struct ChainParts {
    /// The pipeline's name: `traces`, `traces/backup`, …
    pub name: String,
    /// What it carries.
    pub signal: Signal,
    /// The shard it is for.
    pub shard: usize,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Where everything goes.
    pub outlets: Vec<Outlet>,
    /// How deep outlets need batches; steps say so themselves.
    pub depth: Depth,
    /// What bodies are charged to.
    pub budget: Budget,
    /// Refuses while the process is over its limit.
    pub limiter: Option<MemoryLimiter>,
    /// Compresses what goes to the outlets.
    pub compressor: Option<Arc<dyn Compressor>>,
}

/// A pipeline for one signal on one shard; the shard's receivers hold it as their [`Inlet`].
pub struct Chain {
    depth: Depth,
    budget: Budget,
    limiter: Option<MemoryLimiter>,
    counters: Arc<InletCounters>,
    shard: usize,
    /// Used by one shard, so never contended for long.
    work: Mutex<Work>,
    wake: Arc<Notify>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("name", &self.counters.name).finish_non_exhaustive()
    }
}

/// A time that has always come.
const NOW: u64 = 0;

/// When an eager batcher gives idle exporters what it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Eager {
    /// In this call.
    Now,
    /// When the chain's task has its turn.
    Later,
}

struct Work {
    counters: Arc<InletCounters>,
    shard: usize,
    steps: Vec<Step>,
    outlets: Vec<Outlet>,
    compressor: Option<Arc<dyn Compressor>>,
    /// Scratch: what is in front of a step, and what it puts out.
    before: Vec<Item>,
    after: Vec<Item>,
}

impl Chain {
    /// Puts a chain together.
    pub fn new(mut parts: ChainParts, ledger: &Ledger) -> Arc<Self> {
        let needs = parts.steps.iter().map(|step| match step {
            Step::Stage(stage) => stage.needs(),
            Step::Batcher(_) => Depth::Records,
        });
        let depth = needs.fold(parts.depth, Depth::max);
        let counters = ledger.inlet(&parts.name, parts.signal);
        let wake = Arc::new(Notify::new());
        for step in &mut parts.steps {
            if let Step::Stage(stage) = step {
                stage.charge_to(&parts.budget);
                parts.budget.tell(&wake);
            }
        }
        let work = Work {
            counters: counters.clone(),
            shard: parts.shard,
            steps: parts.steps,
            outlets: parts.outlets,
            compressor: parts.compressor,
            before: Vec::new(),
            after: Vec::new(),
        };
        Arc::new(Self {
            depth,
            budget: parts.budget,
            limiter: parts.limiter,
            counters,
            shard: parts.shard,
            work: Mutex::new(work),
            wake,
            closed: AtomicBool::new(false),
        })
    }

    /// Does what is due, until the chain is closed. Run it on the chain's shard.
    pub async fn run(self: Arc<Self>) {
        while !self.closed.load(Ordering::Relaxed) {
            let due_ns = {
                let mut work = self.work();
                let now_ns = clock::now_ns();
                work.relieve(&self.budget, now_ns);
                work.tick(now_ns, Eager::Now);
                work.due_ns(&self.wake)
            };
            let woken = self.wake.notified();
            match due_ns {
                None => woken.await,
                Some(NOW) => yield_now().await,
                Some(due_ns) => tokio::select! {
                    biased;
                    () = woken => {}
                    () = sleep_until(clock::instant(due_ns)) => {}
                },
            }
        }
    }

    /// Does what is due at this time, for a chain that is not [run](Chain::run): one whose time is not the clock's. Batches wait for
    /// their time, whether or not an exporter is idle.
    pub fn advance(&self, now_ns: u64) {
        let mut work = self.work();
        work.relieve(&self.budget, now_ns);
        work.tick(now_ns, Eager::Later);
    }

    /// Passes on what batchers hold, however little it is.
    pub fn flush(&self, now_ns: u64) {
        self.work().flush(now_ns);
    }

    /// Refuses everything from now on and passes on what stages and batchers hold. Returns the records that stages did not
    /// let go of.
    pub fn close(&self, now_ns: u64) -> u64 {
        self.closed.store(true, Ordering::Relaxed);
        self.wake.notify_one();
        let mut work = self.work();
        work.drain(now_ns);
        work.held().records
    }

    /// The shard that it is for.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// What its steps hold.
    pub fn held(&self) -> Size {
        self.work().held()
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, item: Item, code: RefusedCode, reason: &str) {
        self.counters.refused[code as usize].add(item.batch.len() as u64);
        item.resolve(match code {
            RefusedCode::Memory => Outcome::overloaded(reason),
            RefusedCode::Stage | RefusedCode::Closed => Outcome::unavailable(reason),
        });
    }
}

impl Inlet for Chain {
    fn offer(&self, item: Item, now_ns: u64) {
        let records = item.batch.len() as u64;
        self.counters.offered.add(records);
        if self.closed.load(Ordering::Relaxed) {
            return self.refuse(item, RefusedCode::Closed, "the pipeline is shutting down");
        }
        if self.limiter.as_ref().is_some_and(MemoryLimiter::is_over) {
            return self.refuse(item, RefusedCode::Memory, "memory is short");
        }
        let mut work = self.work();
        // `close` may have passed on what was held since the first look: nothing would pass this on any more.
        if self.closed.load(Ordering::Relaxed) {
            drop(work);
            return self.refuse(item, RefusedCode::Closed, "the pipeline is shutting down");
        }
        // Only the first stage can be asked beforehand; a later one that is dead tells its own refusal.
        if let Some(Step::Stage(stage)) = work.steps.first()
            && stage.is_dead()
        {
            drop(work);
            return self.refuse(item, RefusedCode::Stage, "a stage is dead after too many panics");
        }
        self.counters.admitted.add(records);
        let due_before = work.next_step_ns();
        work.before.push(item);
        work.run_from(0, now_ns, Eager::Later);
        work.relieve(&self.budget, now_ns);
        // The task sleeps until what was due before. What an idle exporter could take at once is left to the task too: it
        // gets its turn behind the requests that have already arrived, and sends them as one.
        let is_earlier = |due_ns: u64| due_before.is_none_or(|before| due_ns < before);
        if work.next_step_ns().is_some_and(is_earlier) || work.could_send_now() {
            self.wake.notify_one();
        }
    }

    fn depth(&self) -> Depth {
        self.depth
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Work {
    /// Takes what is in `before` through the steps from number `first` on, and to the outlets.
    fn run_from(&mut self, first: usize, now_ns: u64, eager: Eager) {
        for i in first..self.steps.len() {
            for item in self.before.drain(..) {
                match &mut self.steps[i] {
                    Step::Stage(stage) => stage.step(item, now_ns, &mut self.after),
                    Step::Batcher(batcher) => batcher.push(item, now_ns, &mut self.after),
                }
            }
            self.tick_batcher(i, now_ns, eager);
            std::mem::swap(&mut self.before, &mut self.after);
        }
        let mut ready = std::mem::take(&mut self.before);
        for item in ready.drain(..) {
            self.leave(item, now_ns);
        }
        self.before = ready;
    }

    fn tick(&mut self, now_ns: u64, eager: Eager) {
        for i in 0..self.steps.len() {
            if let Step::Stage(stage) = &mut self.steps[i]
                && stage.due_ns().is_some_and(|due_ns| due_ns <= now_ns)
            {
                stage.tick(now_ns, &mut self.after);
            }
            self.tick_batcher(i, now_ns, eager);
            if !self.after.is_empty() {
                std::mem::swap(&mut self.before, &mut self.after);
                self.run_from(i + 1, now_ns, eager);
            }
        }
    }

    /// Lets a batcher go on with what has waited long enough, unless there is nowhere to go: then it waits on, and grows
    /// until it is full.
    fn tick_batcher(&mut self, i: usize, now_ns: u64, eager: Eager) {
        let Step::Batcher(batcher) = &self.steps[i] else { return };
        let is_due = batcher.due_ns().is_some_and(|due_ns| eager == Eager::Now || due_ns <= now_ns);
        if !is_due {
            return;
        }
        let size = batcher.next_size().unwrap_or_default();
        let has_room = self.has_room(size);
        let free = if eager == Eager::Now { self.free_slots(size) } else { 0 };
        if let Step::Batcher(batcher) = &mut self.steps[i] {
            batcher.tick(if has_room { now_ns } else { 0 }, free, &mut self.after);
        }
    }

    /// Whether any exporter would take a batch of this size.
    fn has_room(&self, size: Size) -> bool {
        let mut queues = self.outlets.iter().filter_map(Outlet::queue).peekable();
        queues.peek().is_none() || queues.any(|queue| queue.has_room(size))
    }

    fn flush(&mut self, now_ns: u64) {
        for i in 0..self.steps.len() {
            if let Step::Batcher(batcher) = &mut self.steps[i] {
                batcher.flush(&mut self.before);
                self.run_from(i + 1, now_ns, Eager::Now);
            }
        }
    }

    /// Passes on all that stages and batchers hold, front to back.
    fn drain(&mut self, now_ns: u64) {
        for i in 0..self.steps.len() {
            match &mut self.steps[i] {
                Step::Stage(stage) => stage.shed(usize::MAX, now_ns, &mut self.before),
                Step::Batcher(batcher) => batcher.flush(&mut self.before),
            }
            self.run_from(i + 1, now_ns, Eager::Now);
        }
    }

    /// Has stages let go of as many bytes as the budget wants back. The last ones first: what they let go leaves, what an
    /// earlier one lets go may be held by a later.
    fn relieve(&mut self, budget: &Budget, now_ns: u64) {
        if self.held_by_stages() > 0 {
            budget.relieve(|wanted| self.shed(wanted as u64, now_ns) as usize);
        }
    }

    /// Returns how many bytes less are held than before.
    fn shed(&mut self, mut wanted: u64, now_ns: u64) -> u64 {
        let held_before = self.held_by_stages();
        for i in (0..self.steps.len()).rev() {
            let Step::Stage(stage) = &mut self.steps[i] else { continue };
            let before = stage.held().bytes;
            if wanted == 0 || before == 0 {
                continue;
            }
            stage.shed(usize::try_from(wanted).unwrap_or(usize::MAX), now_ns, &mut self.before);
            wanted = wanted.saturating_sub(before.saturating_sub(stage.held().bytes));
            self.run_from(i + 1, now_ns, Eager::Later);
        }
        held_before.saturating_sub(self.held_by_stages())
    }

    /// Bytes.
    fn held_by_stages(&self) -> u64 {
        let bytes = |step: &Step| match step {
            Step::Stage(stage) => stage.held().bytes,
            Step::Batcher(_) => 0,
        };
        self.steps.iter().map(bytes).sum()
    }

    /// Hands an item to every outlet.
    fn leave(&mut self, mut item: Item, now_ns: u64) {
        self.counters.batches.add(1);
        self.counters.left.add(item.batch.len() as u64);
        if self.outlets.is_empty() {
            return item.resolve(Outcome::Removed);
        }
        self.compress(&mut item);
        if let [outlet] = &self.outlets[..] {
            return self.hand(outlet, item, now_ns);
        }
        let no_required = !self.outlets.iter().any(Outlet::is_required);
        let counts = |outlet: &Outlet| no_required || outlet.is_required();
        for outlet in self.outlets.iter().filter(|outlet| !counts(outlet)) {
            let copy = Item { batch: item.batch.clone(), context: item.context.without_shares() };
            self.hand(outlet, copy, now_ns);
        }
        let required: Vec<&Outlet> = self.outlets.iter().filter(|outlet| counts(outlet)).collect();
        for (copy, outlet) in item.fan_out(required.len()).into_iter().zip(required) {
            self.hand(outlet, copy, now_ns);
        }
    }

    /// Compresses a request once for all outlets, unless it still has the form it arrived in. What no outlet needs besides
    /// is dropped here, what only some need by those that do not.
    fn compress(&self, item: &mut Item) {
        let Some(compressor) = &self.compressor else { return };
        let codec = compressor.codec();
        if item.batch.compressed(codec).is_none() {
            // A codec that panics costs the compression, not the records.
            if let Ok(Some(bytes)) = contain(|| compressor.compress(&item.batch.to_wire())) {
                item.batch.set_compressed(codec, bytes);
            }
        }
        if self.outlets.iter().all(|outlet| outlet.takes_packed(codec)) {
            item.pack(codec);
        }
    }

    /// Whether a batcher holds something that an idle exporter would take.
    fn could_send_now(&self) -> bool {
        let mut eager = self.steps.iter().filter(|step| step.is_eager()).filter_map(Step::next_size);
        eager.any(|size| self.free_slots(size) > 0)
    }

    fn hand(&self, outlet: &Outlet, mut item: Item, now_ns: u64) {
        if let Some(compressor) = &self.compressor
            && outlet.takes_packed(compressor.codec())
        {
            item.pack(compressor.codec());
        }
        outlet.offer(item, self.shard, now_ns);
    }

    /// Sends of a batch of this size that could begin now: what the busiest exporter has free.
    fn free_slots(&self, size: Size) -> usize {
        let queues = self.outlets.iter().filter_map(Outlet::queue);
        queues.map(|queue| queue.free_slots(size)).min().unwrap_or(usize::MAX)
    }

    fn next_step_ns(&self) -> Option<u64> {
        self.steps.iter().filter_map(Step::due_ns).min()
    }

    /// When to tick next. Where a batcher holds something, `wake` is told of exporters that get idle, or emptier.
    fn due_ns(&self, wake: &Arc<Notify>) -> Option<u64> {
        let due_ns = |step: &Step| match step {
            Step::Stage(stage) => stage.due_ns(),
            Step::Batcher(batcher) => self.batcher_due_ns(batcher, wake),
        };
        self.steps.iter().filter_map(due_ns).min()
    }

    /// When a batcher lets something go: at once if it would be sent, when its time is over if it would be queued.
    fn batcher_due_ns(&self, batcher: &Batcher, wake: &Arc<Notify>) -> Option<u64> {
        let size = batcher.next_size()?;
        let (mut all_free, mut all_full) = (true, true);
        for queue in self.outlets.iter().filter_map(Outlet::queue) {
            let prospect = queue.prospect(size, wake);
            all_free &= prospect == Prospect::Sent;
            all_full &= prospect == Prospect::Full;
        }
        match (all_free, all_full) {
            (true, _) if batcher.is_eager() => Some(NOW),
            // Without queues both are true.
            (false, true) => None,
            _ => batcher.due_ns(),
        }
    }

    fn held(&self) -> Size {
        let mut total = Size::default();
        for step in &self.steps {
            match step {
                Step::Stage(stage) => total.add(stage.held()),
                Step::Batcher(batcher) => total.add(batcher.held()),
            }
        }
        total
    }
}

impl Step {
    fn due_ns(&self) -> Option<u64> {
        match self {
            Step::Stage(stage) => stage.due_ns(),
            Step::Batcher(batcher) => batcher.due_ns(),
        }
    }

    fn is_eager(&self) -> bool {
        matches!(self, Step::Batcher(batcher) if batcher.is_eager())
    }

    /// What a batcher that holds something would let go next.
    fn next_size(&self) -> Option<Size> {
        match self {
            Step::Stage(_) => None,
            Step::Batcher(batcher) => batcher.next_size(),
        }
    }
}

impl Outlet {
    fn queue(&self) -> Option<&ExporterQueue> {
        match self {
            Outlet::Exporter { queue, .. } => Some(queue),
            Outlet::Inlet(_) => None,
        }
    }

    fn takes_packed(&self, codec: Codec) -> bool {
        self.queue().is_some_and(|queue| queue.takes_packed(codec))
    }

    fn is_required(&self) -> bool {
        match self {
            Outlet::Exporter { required, .. } => *required,
            Outlet::Inlet(_) => true,
        }
    }

    fn offer(&self, item: Item, shard: usize, now_ns: u64) {
        match self {
            Outlet::Exporter { queue, .. } => queue.offer(item, shard, now_ns),
            Outlet::Inlet(inlet) => inlet.offer(item, now_ns),
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, aldis_models))]
pub(crate) mod models;
