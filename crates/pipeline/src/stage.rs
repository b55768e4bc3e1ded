//! An operator at work: called, counted, contained.

use std::sync::Arc;

use operators::{DropReason, Operator, Output, StepContext};
use otlp::{Check, Depth, Signal};

use crate::{
    Budget, Charge, Health, Item, Ledger, Outcome, Share, budget::Holding, contain::contain,
    health::Severity, item::Context, ledger::StageCounters, limits::MAX_STAGE_RESTARTS, queue::Size,
    receipt::resolve_all,
};

/// Makes an operator: once at the start, and again after each panic.
pub type MakeOperator = Box<dyn FnMut() -> Box<dyn Operator> + Send>;

/// An [`Operator`] in a pipeline, on one shard.
///
/// Every record is accounted for: entered + made = out + removed + dropped + held. Whoever waits is told of each part:
/// removed by rule is a success, dropped is rejected, what is held on to is delivered (the stage owns it from then on).
///
/// A panic is contained: the item is given back to its sender as a retry, it and what the operator held are counted as
/// dropped ([`DropReason::Panicked`]), and the operator is made anew. After [`MAX_STAGE_RESTARTS`] of that the stage is
/// dead: it refuses everything, retryably, and health says so.
pub struct Stage {
    name: Arc<str>,
    make: MakeOperator,
    operator: Box<dyn Operator>,
    needs: Depth,
    counters: Arc<StageCounters>,
    health: Health,
    output: Output,
    /// Records it held after the last call.
    held: u64,
    /// What that takes up, charged.
    holding: Option<Holding>,
    due_ns: Option<u64>,
    restarts: u64,
    /// Whether health was told of a panic, and of nothing good since.
    is_unwell: bool,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).field("held", &self.held).finish_non_exhaustive()
    }
}

impl Stage {
    /// A stage for records of `signal`.
    pub fn new(name: &str, signal: Signal, mut make: MakeOperator, ledger: &Ledger, health: &Health) -> Self {
        let operator = make();
        let counters = ledger.stage(name, signal, operator.rules());
        Self {
            name: name.into(),
            make,
            needs: operator.needs(),
            operator,
            counters,
            health: health.clone(),
            output: Output::default(),
            held: 0,
            holding: None,
            due_ns: None,
            restarts: 0,
            is_unwell: false,
        }
    }

    /// Charges what it holds to a budget.
    pub(crate) fn charge_to(&mut self, budget: &Budget) {
        self.holding = Some(budget.holding());
    }

    /// How deep batches must be indexed for it.
    pub fn needs(&self) -> Depth {
        self.needs
    }

    /// When [`Stage::tick`] is due, Unix nanoseconds.
    pub fn due_ns(&self) -> Option<u64> {
        self.due_ns
    }

    /// Whether it takes nothing any more.
    pub fn is_dead(&self) -> bool {
        self.restarts > MAX_STAGE_RESTARTS
    }

    /// What it holds.
    pub fn held(&self) -> Size {
        Size { requests: 0, records: self.held, bytes: self.operator.held().bytes as u64 }
    }

    /// Works on one item; what is to be passed on is put into `out`.
    pub fn step(&mut self, mut item: Item, now_ns: u64, out: &mut Vec<Item>) {
        let entered = item.batch.len() as u64;
        self.counters.entered.add(entered);
        if self.is_dead() {
            self.drop_item(item, DropReason::Panicked, "is dead after too many panics");
            return;
        }
        if self.needs > Depth::Counts && item.batch.checked() == Check::Framing {
            self.counters.dropped[number(DropReason::NotChecked)].add(entered);
            let reason = format!("stage {} cannot read a batch that was checked for framing only", self.name);
            item.resolve(Outcome::Permanent { code: "stage".into(), reason });
            return;
        }
        item.batch.deepen(self.needs);
        let Item { batch, context } = item;
        let about = StepContext {
            now_ns,
            headers: context.headers.as_deref().unwrap_or_default(),
            tenant: context.tenant.as_deref(),
        };
        let (operator, output) = (&mut self.operator, &mut self.output);
        match contain(|| operator.step(batch, &about, output)) {
            Ok(()) => {
                self.pass_on(context, out);
                self.is_well();
            }
            Err(message) => self.panicked(&message, context.shares, entered, now_ns),
        }
    }

    /// Does what time makes due.
    pub fn tick(&mut self, now_ns: u64, out: &mut Vec<Item>) {
        if self.is_dead() {
            return;
        }
        let (operator, output) = (&mut self.operator, &mut self.output);
        match contain(|| operator.tick(now_ns, output)) {
            Ok(due_ns) => {
                self.pass_on(Context { received_ns: now_ns, ..Context::default() }, out);
                self.due_ns = due_ns;
            }
            Err(message) => self.panicked(&message, Vec::new(), 0, now_ns),
        }
    }

    /// Lets go of at least `bytes` of what it holds, or all; what follows from that is put into `out`.
    pub fn shed(&mut self, bytes: usize, now_ns: u64, out: &mut Vec<Item>) {
        if self.is_dead() || self.held().is_zero() {
            return;
        }
        let (operator, output) = (&mut self.operator, &mut self.output);
        match contain(|| operator.shed(bytes, now_ns, output)) {
            Ok(()) => self.pass_on(Context { received_ns: now_ns, ..Context::default() }, out),
            Err(message) => self.panicked(&message, Vec::new(), 0, now_ns),
        }
    }

    /// Counts what an operator put out, and gives each part of it its part of the context.
    fn pass_on(&mut self, mut context: Context, out: &mut Vec<Item>) {
        let held = self.operator.held();
        let keeps = held.records > 0 || self.held > 0;
        self.held = held.records;
        self.counters.held.set(held.records);
        let passed_on: usize = self.output.main().iter().map(otlp::Batch::memory_bytes).sum();
        // Before what was held is given back, so that nobody takes it in between.
        self.cover(&mut context, passed_on);
        self.charge(held.bytes);
        self.counters.made.add(self.output.made_records());
        let mut left: u64 = self.output.accounted();
        if keeps {
            // Whose records come out now is not known: the stage answers for all of them.
            resolve_all(std::mem::take(&mut context.shares), Outcome::DELIVERED);
        }
        for (rule, n) in self.output.removals() {
            self.counters.removed[*rule].add(*n);
            resolve_all(context.cut(*n, left).shares, Outcome::Removed);
            left -= n;
        }
        for (reason, n) in self.output.drops() {
            self.counters.dropped[number(*reason)].add(*n);
            resolve_all(context.cut(*n, left).shares, Outcome::Delivered { rejected: *n });
            left -= n;
        }
        let last = self.output.main().len().checked_sub(1);
        for (i, batch) in self.output.take_main().enumerate() {
            let records = batch.len() as u64;
            self.counters.out.add(records);
            let part =
                if Some(i) == last { std::mem::take(&mut context) } else { context.cut(records, left) };
            left -= records;
            out.push(Item { batch, context: part });
        }
        // Nothing came out: what is left of the shares stands for what was removed.
        resolve_all(context.shares, Outcome::Removed);
        self.output.clear();
        // What it holds may have become due earlier than it said before: it is asked at the next occasion.
        self.due_ns = Some(0).filter(|_| keeps);
    }

    /// Charges what is passed on beyond what the item that came in is charged for: what was held, and what an edit added.
    fn cover(&self, context: &mut Context, bytes: usize) {
        let Some(holding) = &self.holding else { return };
        let covered: usize = context.charges.iter().map(Charge::bytes).sum();
        match &mut context.charges[..] {
            _ if bytes <= covered => {}
            [only] if only.is_sole() => only.settle(bytes),
            _ => context.charges.push(holding.let_go(bytes - covered)),
        }
    }

    fn charge(&mut self, bytes: usize) {
        if let Some(holding) = &mut self.holding {
            holding.set(bytes);
        }
    }

    fn panicked(&mut self, message: &str, shares: Vec<Share>, entered: u64, now_ns: u64) {
        self.counters.panics.add(1);
        // What it had put out before is lost with the rest: nothing was passed on.
        self.output.clear();
        self.counters.dropped[number(DropReason::Panicked)].add(entered + self.held);
        self.held = 0;
        self.counters.held.set(0);
        self.due_ns = None;
        self.restarts += 1;
        let reason = format!("stage {} panicked: {message}", self.name);
        match contain(&mut self.make) {
            Ok(operator) => self.operator = operator,
            Err(_) => self.restarts = MAX_STAGE_RESTARTS + 1,
        }
        self.charge(self.operator.held().bytes);
        let severity = if self.is_dead() { Severity::Dead } else { Severity::Degraded };
        self.is_unwell = true;
        self.health.report(&self.name, severity, reason.clone(), now_ns);
        resolve_all(
            shares,
            Outcome::Retry { after: None, maybe_delivered: false, overloaded: false, reason },
        );
    }

    /// It works again after a panic.
    fn is_well(&mut self) {
        if std::mem::take(&mut self.is_unwell) {
            self.health.resolve(&self.name);
        }
    }

    fn drop_item(&self, item: Item, reason: DropReason, what: &str) {
        self.counters.dropped[number(reason)].add(item.batch.len() as u64);
        let reason = format!("stage {} {what}", self.name);
        item.resolve(Outcome::Retry { after: None, maybe_delivered: false, overloaded: false, reason });
    }
}

/// The position of a reason in [`DropReason::ALL`].
fn number(reason: DropReason) -> usize {
    DropReason::ALL.iter().position(|known| *known == reason).unwrap_or(0)
}

#[cfg(test)]
mod tests;
