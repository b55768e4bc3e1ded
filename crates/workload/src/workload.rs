//! Time goes on: traces begin, spans end, batches leave.

mod event;
mod export;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use bytes::Bytes;
use otlp::Signal;

use crate::flight::Flight;
use crate::latency::waiting;
use crate::limits::{POLL_INTERVAL_NS, RESERVED_TRACES, SPARE_BUFFERS_MAX};
use crate::meter::Meter;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::run::{Message, Run, World};
use crate::settings::{SECOND_NS, Settings, SettingsError};
use crate::shop::{ANALYSE, JOURNEYS};
use crate::truth::{Ledger, Totals, TraceTruth};

/// An OTLP export request, as one instance of a service sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it holds.
    pub signal: Signal,
    /// When it leaves, Unix nanoseconds, by a clock that is right.
    pub at_ns: u64,
    /// Who sends it.
    pub service: &'static str,
    /// Which instance of the service sends it, from 0.
    pub instance: u16,
    /// How many spans, log records or data points it holds.
    pub records: usize,
    /// The protobuf message.
    pub body: Bytes,
}

/// A model of a system of services, and the truth about it. See the [crate's page](crate).
#[derive(Debug)]
pub struct Workload {
    world: World,
    /// What is due, the earliest first.
    due: BinaryHeap<Reverse<Due>>,
    now_ns: u64,
    arrivals: Random,
    /// Traces that have begun, those that consume many messages included.
    numbered: u64,
    flights: Vec<Flight>,
    free: Vec<u32>,
    /// Buffers of flights whose records are all in their batches.
    spare: Vec<Vec<u8>>,
    /// By instance.
    spans: Vec<Outbox>,
    logs: Vec<Outbox>,
    meters: Vec<Meter>,
    /// Messages for the consumer of many.
    backlog: VecDeque<Message>,
    ledger: Ledger,
    truths: VecDeque<TraceTruth>,
    closing: bool,
}

/// A time, what happens then, and two numbers: ordered as they are handled.
type Due = (u64, What, u32, u32);

/// What may happen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Something in the trace in this slot.
    Flight,
    /// A trace begins.
    Arrival,
    /// This instance has started.
    Start,
    /// The consumer of many looks for messages.
    Poll,
    /// This instance exports its metrics.
    Collect,
    /// This instance's spans have waited long enough, if they are still those of this epoch.
    FlushSpans,
    /// This instance's log records have.
    FlushLogs,
}

/// The stream of random numbers by which traces begin.
const ARRIVALS: u64 = u64::MAX - 1;

impl Workload {
    /// A system that has just been started.
    ///
    /// # Errors
    /// If the settings are out of their bounds.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let start_ns = settings.start_ns;
        let world = World::new(settings);
        let instances = &world.fleet.instances;
        let mut workload = Workload {
            due: BinaryHeap::new(),
            now_ns: start_ns,
            arrivals: Random::stream(world.settings.seed, ARRIVALS),
            numbered: 0,
            flights: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            spans: instances.iter().map(|_| Outbox::default()).collect(),
            logs: instances.iter().map(|_| Outbox::default()).collect(),
            meters: instances.iter().map(|instance| Meter::new(instance.clock(start_ns))).collect(),
            backlog: VecDeque::new(),
            ledger: Ledger::new(),
            truths: VecDeque::new(),
            closing: false,
            world,
        };
        workload.schedule_arrival(start_ns);
        if workload.world.settings.logs {
            for instance in 0..workload.logs.len() as u32 {
                workload.due.push(Reverse((start_ns, What::Start, instance, 0)));
            }
        }
        workload.due.push(Reverse((start_ns + POLL_INTERVAL_NS, What::Poll, 0, 0)));
        if workload.world.settings.metrics {
            let interval = workload.world.settings.metric_interval_ns;
            for instance in 0..workload.meters.len() as u32 {
                workload.due.push(Reverse((start_ns.saturating_add(interval), What::Collect, instance, 0)));
            }
        }
        Ok(workload)
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// Until when everything has happened, Unix nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// When something will happen next, Unix nanoseconds; `None` after [`Workload::finish`]. Nothing is exported before.
    pub fn next_ns(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((at, ..))| *at).filter(|_| !self.closing)
    }

    /// Lets everything happen that is due until then (inclusive), and appends what is exported to `out`, in the order of time.
    ///
    /// In how many steps time is advanced makes no difference. A time that has already passed does nothing. Memory: what is in
    /// flight, and what is appended to `out`, so take steps that are short. Of itself it never ends: a time without end is never
    /// reached.
    pub fn advance(&mut self, until_ns: u64, out: &mut Vec<Request>) {
        while let Some(&Reverse((at, what, first, second))) = self.due.peek() {
            if at > until_ns || self.closing {
                break;
            }
            self.due.pop();
            self.now_ns = at;
            self.happen(what, first, second, until_ns, out);
        }
        self.now_ns = self.now_ns.max(until_ns);
    }

    /// Ends it in an orderly way: no trace begins any more, those in flight go to their end, everything is exported. Returns when
    /// that is done. Nothing happens after it.
    pub fn finish(&mut self, out: &mut Vec<Request>) -> u64 {
        if self.closing {
            return self.now_ns;
        }
        self.due.retain(|Reverse((_, what, ..))| *what != What::Arrival);
        while self.is_under_way() {
            let Some(Reverse((at, what, first, second))) = self.due.pop() else { break };
            self.now_ns = self.now_ns.max(at);
            self.happen(what, first, second, at, out);
        }
        for instance in 0..self.meters.len() {
            self.flush(Signal::Traces, instance, out);
            self.flush(Signal::Logs, instance, out);
            if self.world.settings.metrics {
                self.collect(instance, out);
            }
        }
        self.closing = true;
        self.now_ns
    }

    /// The traces that have been exported to the end since the last call, in the order in which they were.
    pub fn drain_traces(&mut self) -> impl Iterator<Item = TraceTruth> {
        self.truths.drain(..)
    }

    /// Counts of everything so far.
    pub fn totals(&self) -> Totals {
        self.ledger.totals()
    }

    /// Whether a trace is under way or will be, though none begins from outside.
    fn is_under_way(&self) -> bool {
        !self.backlog.is_empty() || self.due.iter().any(|Reverse((_, what, ..))| *what == What::Flight)
    }

    fn schedule_arrival(&mut self, from_ns: u64) {
        let mean_ns = SECOND_NS / u64::from(self.world.settings.traces_per_second);
        let at = from_ns + waiting(mean_ns, &mut self.arrivals);
        self.due.push(Reverse((at, What::Arrival, 0, 0)));
    }

    fn happen(&mut self, what: What, first: u32, second: u32, until_ns: u64, out: &mut Vec<Request>) {
        let at = self.now_ns;
        match what {
            What::Flight => self.fly(first, until_ns, out),
            What::Arrival => self.arrive(at),
            What::Start => self.start(first as usize, out),
            What::Poll => {
                self.poll(at);
                self.due.push(Reverse((at + POLL_INTERVAL_NS, What::Poll, 0, 0)));
            }
            What::Collect => {
                self.collect(first as usize, out);
                let next = at.saturating_add(self.world.settings.metric_interval_ns);
                self.due.push(Reverse((next, What::Collect, first, 0)));
            }
            What::FlushSpans => {
                if self.spans[first as usize].epoch == second {
                    self.flush(Signal::Traces, first as usize, out);
                }
            }
            What::FlushLogs => {
                if self.logs[first as usize].epoch == second {
                    self.flush(Signal::Logs, first as usize, out);
                }
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Someone asks for something.
    fn arrive(&mut self, at: u64) {
        let weights: u64 = JOURNEYS.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut drawn = self.arrivals.below(weights);
        let journey = JOURNEYS.iter().find(|(_, weight)| {
            let here = drawn < u64::from(*weight);
            drawn = drawn.saturating_sub(u64::from(*weight));
            here
        });
        self.schedule_arrival(at);
        let number = self.numbered;
        self.numbered += 1;
        if self.in_flight() >= self.world.settings.traces_in_flight_max {
            self.ledger.traces.suppressed += 1;
            return;
        }
        if let Some((endpoint, _)) = journey {
            let slot = self.slot();
            Run::request(&self.world, number, endpoint, at, &mut self.flights[slot as usize]);
            self.take_off(slot);
        }
    }

    /// The consumer of many takes what messages there are.
    fn poll(&mut self, at: u64) {
        let most = self.world.settings.traces_in_flight_max + RESERVED_TRACES;
        if self.backlog.is_empty() || self.in_flight() >= most {
            return;
        }
        let messages: Vec<Message> = self.backlog.drain(..).collect();
        let number = self.numbered;
        self.numbered += 1;
        let slot = self.slot();
        Run::batch(&self.world, number, &ANALYSE, &messages, at, &mut self.flights[slot as usize]);
        self.take_off(slot);
    }

    fn slot(&mut self) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.flights.push(Flight::default());
            self.flights.len() as u32 - 1
        });
        if let Some(bytes) = self.spare.pop() {
            self.flights[slot as usize].bytes = bytes;
        }
        slot
    }

    fn take_off(&mut self, slot: u32) {
        self.ledger.traces.begun += 1;
        let flight = &mut self.flights[slot as usize];
        flight.outstanding += 1;
        if let Some(record) = flight.records.first() {
            self.due.push(Reverse((record.at_ns, What::Flight, slot, 0)));
        }
    }

    /// Lets happen in a trace what is due before anything else is.
    fn fly(&mut self, slot: u32, until_ns: u64, out: &mut Vec<Request>) {
        loop {
            let flight = &mut self.flights[slot as usize];
            let record = flight.records[flight.next];
            flight.next += 1;
            let next = flight.records.get(flight.next).map(|record| record.at_ns);
            self.now_ns = self.now_ns.max(record.at_ns);
            self.record(slot, &record, out);
            let Some(at) = next else {
                self.land(slot);
                return;
            };
            let due = (at, What::Flight, slot, 0);
            let first = self.due.peek().is_none_or(|Reverse(other)| due < *other);
            if at > until_ns || !first {
                self.due.push(Reverse(due));
                return;
            }
        }
    }

    /// Nothing more happens in a trace, though some of it may not have been exported.
    fn land(&mut self, slot: u32) {
        let bytes = std::mem::take(&mut self.flights[slot as usize].bytes);
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(bytes);
        }
        self.settle(slot);
    }

    /// A record of a trace is exported.
    fn exported(&mut self, slot: u32) {
        if let Some(flight) = self.flights.get_mut(slot as usize) {
            flight.exported_ns = self.now_ns;
        }
        self.settle(slot);
    }

    /// One thing less of a trace is outstanding: a record, or its flight.
    fn settle(&mut self, slot: u32) {
        let Some(flight) = self.flights.get_mut(slot as usize) else { return };
        flight.outstanding -= 1;
        if flight.outstanding > 0 {
            return;
        }
        self.free.push(slot);
        self.ledger.traces.complete += 1;
        let most = self.world.settings.truths_max;
        if self.truths.len() >= most {
            self.ledger.traces.forgotten += 1;
            if self.truths.pop_front().is_none() {
                return;
            }
        }
        let flight = &mut self.flights[slot as usize];
        self.truths.push_back(TraceTruth {
            trace_id: flight.trace_id,
            spans: std::mem::take(&mut flight.spans),
            logs: flight.logs,
            // What happened last may be a span that is missing, which nobody exports.
            complete_ns: if flight.exported_ns > 0 { flight.exported_ns } else { self.now_ns },
        });
    }
}
