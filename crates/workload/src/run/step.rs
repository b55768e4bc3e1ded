//! What a service does to answer.

use super::{Ending, Open, Run, Served};
use crate::flight::Event;
use crate::latency::{Latency, steady, usual};
use crate::model::{Block, Call, Failure, Leaf, Operation, Step, Topic};
use crate::settings::Fault;

/// From one process to another.
const NETWORK: Latency = usual(280);

/// Between one try and the next: doubled each time.
const BACKOFF: Latency = steady(25_000);

/// Nanoseconds between the beginnings of what is done at the same time.
const STAGGER_NS: u64 = 15_000;

impl Run<'_> {
    /// Takes steps until one fails. `threw` becomes true if that one did not fail because of a callee.
    pub(super) fn steps(
        &mut self,
        steps: &'static [Step],
        open: &Open,
        at: &mut u64,
        threw: &mut bool,
    ) -> Option<Failure> {
        steps.iter().find_map(|step| self.step(step, open, at, threw))
    }

    fn step(&mut self, step: &'static Step, open: &Open, at: &mut u64, threw: &mut bool) -> Option<Failure> {
        match step {
            Step::Work(latency) => *at += self.work(*latency, open, *at),
            Step::Block(block) => return self.block(block, open, at, threw),
            Step::Call(call) => return self.call(call, open, at),
            Step::Leaf(leaf) => return self.leaf(leaf, open, at),
            Step::Cached { get, hits_per_million, miss } => {
                return self.cached(get, *hits_per_million, miss, open, at, threw);
            }
            Step::Parallel(branches) => return self.parallel(branches.iter(), open, at, threw),
            Step::Repeat { least, most, parallel, step } => {
                let times = usize::from(*least) + self.random.index(usize::from(most - least) + 1);
                let mut branches = std::iter::repeat_n(*step, times);
                if *parallel {
                    return self.parallel(branches, open, at, threw);
                }
                return branches.find_map(|step| self.step(step, open, at, threw));
            }
            Step::Sometimes { per_million, steps } => {
                if self.random.chance(*per_million) {
                    return self.steps(steps, open, at, threw);
                }
            }
            Step::Refuse { per_million, failure } => {
                if self.random.chance(*per_million) {
                    *threw = true;
                    return Some(*failure);
                }
            }
            Step::Publish(topic) => self.publish(topic, open, at),
            Step::OrderPlaced => self.order_log(open, *at),
        }
        None
    }

    /// How long the service's own work takes.
    fn work(&mut self, latency: Latency, open: &Open, at_ns: u64) -> u64 {
        let slow = self.world.faults(open.operation.service(), at_ns).filter_map(|fault| match fault {
            Fault::Slow { factor } => Some(u64::from(factor)),
            Fault::Failing { .. } | Fault::ColdCache => None,
        });
        latency.draw(&mut self.random) * slow.max().unwrap_or(1)
    }

    fn block(
        &mut self,
        block: &'static Block,
        open: &Open,
        at: &mut u64,
        threw: &mut bool,
    ) -> Option<Failure> {
        let operation = Operation::Block(open.operation.service(), block);
        let inner = self.open(operation, open.instance, Some(open), *at);
        let failure = self.steps(block.steps, &inner, at, threw);
        self.close(&inner, *at, failure, &Ending::default());
        failure
    }

    fn parallel(
        &mut self,
        branches: impl Iterator<Item = &'static Step>,
        open: &Open,
        at: &mut u64,
        threw: &mut bool,
    ) -> Option<Failure> {
        let mut failure = None;
        let mut end = *at;
        for (i, branch) in branches.enumerate() {
            let mut branch_at = *at + i as u64 * STAGGER_NS;
            let failed = self.step(branch, open, &mut branch_at, threw);
            failure = failure.or(failed);
            end = end.max(branch_at);
        }
        *at = end;
        failure
    }

    fn call(&mut self, call: &'static Call, open: &Open, at: &mut u64) -> Option<Failure> {
        let operation = Operation::Call(open.operation.service(), call.to);
        let mut failure = None;
        for attempt in 0..call.attempts {
            let client = self.open(operation, open.instance, Some(open), *at);
            let (served, timed_out) = self.ask(call, &client, *at);
            *at = served.end_ns;
            failure = served.failure;
            let ending = Ending { threw: timed_out, timed_out, resend: attempt, ..Ending::default() };
            self.close(&client, *at, failure, &ending);
            let again = attempt + 1 < call.attempts && failure.is_some_and(Failure::is_passing);
            if !again {
                break;
            }
            let pause = BACKOFF.draw(&mut self.random) << attempt;
            self.retry_log(open, call, attempt, failure, pause, *at);
            *at += pause;
        }
        if failure.is_some() && !call.required {
            self.degraded_log(open, call, failure, *at);
            return None;
        }
        failure
    }

    /// Asks a server and waits for its answer, but not for ever: how it went, and whether there was no answer.
    fn ask(&mut self, call: &'static Call, client: &Open, at_ns: u64) -> (Served, bool) {
        let there = NETWORK.draw(&mut self.random);
        let back = NETWORK.draw(&mut self.random);
        let served = self.serve(call.to, Some(client), at_ns + there, &[]);
        let answered = served.end_ns + back;
        let given_up = at_ns + u64::from(call.timeout_ms) * 1_000_000;
        if answered >= given_up {
            return (Served { end_ns: given_up, failure: Some(Failure::Deadline) }, true);
        }
        (Served { end_ns: answered, failure: served.failure }, false)
    }

    fn leaf(&mut self, leaf: &'static Leaf, open: &Open, at: &mut u64) -> Option<Failure> {
        let operation = Operation::Leaf(open.operation.service(), leaf);
        let inner = self.open(operation, open.instance, Some(open), *at);
        *at += leaf.latency.draw(&mut self.random);
        let failure = self.random.chance(leaf.fails_per_million).then_some(Failure::Unavailable);
        self.close(&inner, *at, failure, &Ending { threw: true, ..Ending::default() });
        failure
    }

    fn cached(
        &mut self,
        get: &'static Leaf,
        hits_per_million: u32,
        miss: &'static [Step],
        open: &Open,
        at: &mut u64,
        threw: &mut bool,
    ) -> Option<Failure> {
        let cold = self.world.faults(open.operation.service(), *at).any(|fault| fault == Fault::ColdCache);
        // A cache that cannot be asked is one that does not have it.
        let unavailable = self.leaf(get, open, at).is_some();
        if !self.random.chance(hits_per_million) || cold || unavailable {
            self.miss_log(open, *at);
            return self.steps(miss, open, at, threw);
        }
        None
    }

    /// Sends a message. Its consumers process it later, in this trace; nobody waits for them.
    fn publish(&mut self, topic: &'static Topic, open: &Open, at: &mut u64) {
        let service = open.operation.service();
        let producer = self.open(Operation::Publish(service, topic), open.instance, Some(open), *at);
        *at += topic.latency.draw(&mut self.random);
        self.close(&producer, *at, None, &Ending::default());
        self.flight.plan(*at, open.instance, Event::Deliver { span: producer.id, sender: service });
        for consumer in topic.consumers {
            let lag = topic.lag.draw(&mut self.random);
            let trace_id = self.flight.trace_id;
            let message = super::Message { trace_id, span_id: producer.id, sender: service };
            self.serve(consumer, Some(&producer), *at + lag, &[message]);
        }
    }
}
