//! One trace, from its first request to whatever is left of it in the end.
//!
//! A trace is run the moment it begins: every span of it, with its times, is made at once, and each waits in the [`Flight`] for its
//! own end. So nothing that is decided later (batches, collections of metrics, how far time is advanced) can change it.

mod attributes;
mod logs;
mod span;
mod step;

use std::fmt::Write as _;

use otlp::{SpanId, SpanStatus, TraceId};

use crate::fleet::Fleet;
use crate::flight::{Event, Flight};
use crate::model::{Endpoint, Failure, Operation, Service};
use crate::random::Random;
use crate::settings::{Fault, Settings};
use crate::shop::{CLIENTS, CURRENCIES, PRODUCTS, SERVICES, USER_AGENTS};
use crate::truth::SpanTruth;

/// What does not change while a workload runs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) fleet: Fleet,
    /// Which services the incidents befall.
    pub(crate) incidents: Vec<u8>,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let number =
            |name: &str| SERVICES.iter().position(|service| service.name == name).unwrap_or_default();
        let incidents = settings.incidents.iter().map(|incident| number(&incident.service) as u8).collect();
        let fleet = Fleet::new(&settings);
        World { settings, fleet, incidents }
    }

    /// What befalls this service at this time.
    fn faults(&self, service: u8, at_ns: u64) -> impl Iterator<Item = Fault> {
        let since = at_ns - self.settings.start_ns;
        let incidents = self.incidents.iter().zip(&self.settings.incidents);
        incidents
            .filter(move |(of, incident)| **of == service && incident.is_on(since))
            .map(|(_, incident)| incident.fault)
    }
}

/// A message to the consumer of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) sender: u8,
}

/// One trace while it is made.
pub(crate) struct Run<'a> {
    world: &'a World,
    flight: &'a mut Flight,
    /// What happens.
    random: Random,
    /// What becomes of the spans: of its own, so that losing some changes nothing else.
    fate: Random,
    facts: Facts,
    /// Text that is being put together.
    scratch: String,
}

/// What a trace is about.
struct Facts {
    number: u64,
    product: usize,
    currency: &'static str,
    user_agent: &'static str,
    client: &'static str,
    order_id: String,
    /// Cents.
    amount: i64,
}

/// A span that has begun.
#[derive(Clone, Copy)]
struct Open {
    operation: Operation,
    instance: usize,
    /// Where it is in [`Flight::spans`].
    index: usize,
    id: SpanId,
    parent: SpanId,
    /// Whether the parent is of another process.
    remote: bool,
    start_ns: u64,
}

/// How a request went, seen by the server.
#[derive(Clone, Copy)]
struct Served {
    end_ns: u64,
    failure: Option<Failure>,
}

/// What is to be said of a span at its end, besides when and whether it failed.
#[derive(Clone, Copy, Default)]
struct Ending<'a> {
    /// Whether it failed here, and not in what it called.
    threw: bool,
    /// Whether it is a client that got no answer in time.
    timed_out: bool,
    /// Which try to repeat it is, from 1; 0 for the first.
    resend: u8,
    /// What it links to.
    messages: &'a [Message],
}

impl<'a> Run<'a> {
    /// Makes the trace with this number, which begins with someone asking `endpoint`.
    pub(crate) fn request(
        world: &'a World,
        number: u64,
        endpoint: &'static Endpoint,
        at_ns: u64,
        flight: &'a mut Flight,
    ) {
        let mut run = Run::new(world, number, flight);
        let served = run.serve(endpoint, None, at_ns, &[]);
        run.access_log(endpoint, at_ns, served);
        run.flight.seal();
    }

    /// Makes the trace with this number, in which `endpoint` processes many messages of other traces.
    pub(crate) fn batch(
        world: &'a World,
        number: u64,
        endpoint: &'static Endpoint,
        messages: &[Message],
        at_ns: u64,
        flight: &'a mut Flight,
    ) {
        let mut run = Run::new(world, number, flight);
        run.serve(endpoint, None, at_ns, messages);
        run.flight.seal();
    }

    fn new(world: &'a World, number: u64, flight: &'a mut Flight) -> Self {
        let mut random = Random::stream(world.settings.seed, number);
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&random.id());
        trace_id[8..].copy_from_slice(&random.id());
        flight.reset(TraceId(trace_id));
        let mut order_id = String::with_capacity(16);
        let _ = write!(order_id, "{:010x}", random.next() >> 24);
        let facts = Facts {
            number,
            product: random.index(PRODUCTS.len()),
            currency: CURRENCIES[random.index(CURRENCIES.len())],
            user_agent: USER_AGENTS[random.index(USER_AGENTS.len())],
            client: CLIENTS[random.index(CLIENTS.len())],
            order_id,
            amount: 900 + random.below(40_000) as i64,
        };
        let fate = Random::stream(!world.settings.seed, number);
        Run { world, flight, random, fate, facts, scratch: String::new() }
    }

    /// Begins a span.
    fn open(&mut self, operation: Operation, instance: usize, parent: Option<&Open>, start_ns: u64) -> Open {
        let id = SpanId(self.random.id());
        let index = self.flight.spans.len();
        let of = &self.world.fleet.instances[instance];
        self.flight.spans.push(SpanTruth {
            span_id: id,
            parent: parent.map(|parent| parent.index),
            service: of.service().name,
            instance: of.number,
            name: operation.name(),
            kind: operation.kind(),
            start_ns,
            end_ns: start_ns,
            skew_ns: of.skew_ns,
            status: SpanStatus::Unset,
            exported: true,
            links: 0,
        });
        let remote = matches!(operation, Operation::Serve(_));
        let parent = parent.map_or(SpanId::default(), |parent| parent.id);
        Open { operation, instance, index, id, parent, remote, start_ns }
    }

    /// Answers a request that arrives at this time.
    fn serve(
        &mut self,
        endpoint: &'static Endpoint,
        caller: Option<&Open>,
        at_ns: u64,
        messages: &[Message],
    ) -> Served {
        let instance = self.world.fleet.pick(endpoint.service, &mut self.random);
        let operation = Operation::Serve(endpoint);
        let open = self.open(operation, instance, caller, at_ns);
        self.flight.plan(at_ns, instance, Event::Begin(operation));
        let mut at = at_ns;
        let mut threw = false;
        let mut failure = self.break_down(endpoint.service, at);
        if failure.is_some() {
            threw = true;
            at += 200_000 + self.random.below(1_500_000);
        } else {
            failure = self.steps(endpoint.steps, &open, &mut at, &mut threw);
        }
        if threw && failure.is_some_and(Failure::is_the_servers) {
            self.error_log(&open, failure, at);
        }
        self.close(&open, at, failure, &Ending { threw, messages, ..Ending::default() });
        Served { end_ns: at, failure }
    }

    /// Whether an incident makes the service refuse.
    fn break_down(&mut self, service: u8, at_ns: u64) -> Option<Failure> {
        let faults = self.world.faults(service, at_ns);
        let random = &mut self.random;
        let mut failing = faults.filter_map(|fault| match fault {
            Fault::Failing { per_million } => Some(per_million),
            Fault::Slow { .. } | Fault::ColdCache => None,
        });
        failing.any(|per_million| random.chance(per_million)).then_some(Failure::Unavailable)
    }

    fn service_of(&self, open: &Open) -> &'static Service {
        self.world.fleet.instances[open.instance].service()
    }
}
