//! What an instance measures.

mod instrument;

use otlp::compose::{Attribute, DataParts, ExemplarParts, MetricParts, PointValue, Points, Value};
use otlp::event::{Number, Temporality};

use crate::fleet::Instance;
use crate::model::{Entry, Library, OPERATIONS_MAX, OUTCOMES, Operation};
use crate::random::{MILLION, Random};
use crate::shop::backend::PLACE_ORDER;
use instrument::{Counter, INSTRUMENTS, Instrument, PointAttributes};

/// The meters of one instance.
#[derive(Debug)]
pub(crate) struct Meter {
    /// By operation and outcome, one more than the place in `series`; 0 for none.
    places: Vec<u16>,
    series: Vec<Series>,
    /// HTTP requests that are being answered: GET, POST.
    active: [i64; 2],
    serves_http: bool,
    /// When the instance began, by its clock.
    start_ns: u64,
    /// When that which it tells as a difference began.
    since_ns: u64,
    collections: u64,
}

/// Durations of one operation with one outcome.
#[derive(Debug)]
struct Series {
    operation: Operation,
    /// As [`Observation::outcome`].
    outcome: usize,
    counts: Vec<u64>,
    exemplars: Vec<Option<ExemplarParts>>,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
    messages: u64,
}

/// One measured operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) operation: Operation,
    /// [`crate::model::Failure::code`], or [`TIMED_OUT`].
    pub(crate) outcome: usize,
    pub(crate) duration_ns: u64,
    /// How many messages were sent or processed.
    pub(crate) messages: u64,
    /// When and where it was measured; the value is filled in.
    pub(crate) exemplar: ExemplarParts,
}

/// The outcome of an HTTP request that was never answered.
pub(crate) const TIMED_OUT: usize = OUTCOMES;

impl Meter {
    pub(crate) fn new(start_ns: u64) -> Self {
        Meter {
            places: vec![0; OPERATIONS_MAX * (OUTCOMES + 1)],
            series: Vec::new(),
            active: [0; 2],
            serves_http: false,
            start_ns,
            since_ns: start_ns,
            collections: 0,
        }
    }

    /// Is told that the instance has begun to answer an HTTP request, or (`-1`) is done with it.
    pub(crate) fn active(&mut self, operation: Operation, by: i64) {
        if let Operation::Serve(endpoint) = operation
            && let Entry::Http { method, .. } = endpoint.entry
        {
            self.active[usize::from(method == "POST")] += by;
            self.serves_http = true;
        }
    }

    /// Is told that an operation has ended.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        let Some(instrument) = Instrument::of(observation.operation) else { return };
        let place = &mut self.places[observation.operation.number() * (OUTCOMES + 1) + observation.outcome];
        if *place == 0 {
            self.series.push(Series::new(observation, instrument));
            *place = self.series.len() as u16;
        }
        self.series[usize::from(*place) - 1].add(observation, instrument);
    }

    /// Writes everything into `scopes`, by library, and returns how many points there are. `at_ns` is by the clock of the
    /// instance.
    pub(crate) fn collect(
        &mut self,
        seed: u64,
        instance: &Instance,
        at_ns: u64,
        temporality: Temporality,
        scopes: &mut [Vec<u8>; 5],
    ) -> usize {
        let (start_ns, since_ns) = (self.start_ns, self.since_ns);
        let mut export = Export { scopes, at_ns, start_ns, since_ns, temporality, count: 0 };
        for instrument in INSTRUMENTS {
            self.put_durations(instrument, &mut export);
        }
        for counter in Counter::ALL {
            self.put_counter(counter, &mut export);
        }
        self.put_active(&mut export);
        let stream = u64::from(instance.service) << 48 | u64::from(instance.number) << 32 | self.collections;
        export.put_process(&mut Random::stream(!seed, stream));
        let count = export.count;
        self.collections += 1;
        if temporality == Temporality::Delta {
            self.since_ns = at_ns;
            self.series.iter_mut().for_each(Series::reset);
        }
        for series in &mut self.series {
            series.exemplars.fill(None);
        }
        count
    }

    fn put_durations(&self, instrument: Instrument, export: &mut Export<'_>) {
        let mut points = Points::default();
        for series in self.series.iter().filter(|series| Instrument::of(series.operation) == Some(instrument))
        {
            let count: u64 = series.counts.iter().sum();
            if count == 0 {
                continue;
            }
            let exemplars: Vec<ExemplarParts> = series.exemplars.iter().flatten().copied().collect();
            let value = PointValue::Histogram {
                count,
                sum: seconds(series.sum_ns),
                min_max: Some((seconds(series.min_ns), seconds(series.max_ns))),
                bounds: instrument.bounds(),
                counts: &series.counts,
            };
            let attributes = PointAttributes::of(series.operation, series.outcome);
            points.push(&value, attributes.as_slice(), export.since_ns, export.at_ns, &exemplars);
        }
        let data = DataParts::Histogram { temporality: export.temporality };
        export.put(instrument.library(), instrument.name(), instrument.description(), "s", data, &points);
    }

    fn put_counter(&self, counter: Counter, export: &mut Export<'_>) {
        let mut points = Points::default();
        for series in self.series.iter().filter(|series| counter.counts(series.operation)) {
            let attributes = PointAttributes::of(series.operation, series.outcome);
            if series.messages > 0 {
                let value = PointValue::Number(Number::Int(series.messages as i64));
                points.push(&value, attributes.as_slice(), export.since_ns, export.at_ns, &[]);
            }
        }
        let sum = DataParts::Sum { temporality: export.temporality, monotonic: true };
        export.put(Library::Messaging, counter.name(), counter.description(), "{message}", sum, &points);

        if counter != Counter::Sent {
            return;
        }
        let mut points = Points::default();
        let orders = |series: &&Series| series.operation.number() == Operation::Serve(&PLACE_ORDER).number();
        for (outcome, failed) in [("placed", false), ("failed", true)] {
            let of = self.series.iter().filter(orders).filter(|series| (series.outcome != 0) == failed);
            let count: u64 = of.flat_map(|series| &series.counts).sum();
            if count > 0 {
                let value = PointValue::Number(Number::Int(count as i64));
                let attributes = [("shop.order.outcome", Value::Text(outcome))];
                points.push(&value, &attributes, export.since_ns, export.at_ns, &[]);
            }
        }
        export.put(Library::Own, "shop.orders", "Orders, by what became of them.", "{order}", sum, &points);
    }

    fn put_active(&self, export: &mut Export<'_>) {
        if !self.serves_http {
            return;
        }
        let mut points = Points::default();
        for (method, active) in ["GET", "POST"].into_iter().zip(self.active) {
            let attributes =
                [("http.request.method", Value::Text(method)), ("url.scheme", Value::Text("http"))];
            let value = PointValue::Number(Number::Int(active));
            points.push(&value, &attributes, export.start_ns, export.at_ns, &[]);
        }
        // What goes up and down is told from the beginning, whatever the preference (OTLP exporter specification, "delta").
        let data = DataParts::Sum { temporality: Temporality::Cumulative, monotonic: false };
        let name = "http.server.active_requests";
        export.put(Library::Http, name, "Number of active HTTP server requests.", "{request}", data, &points);
    }
}

impl Series {
    fn new(observation: &Observation, instrument: Instrument) -> Self {
        let buckets = instrument.bounds().len() + 1;
        Series {
            operation: observation.operation,
            outcome: observation.outcome,
            counts: vec![0; buckets],
            exemplars: vec![None; buckets],
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            messages: 0,
        }
    }

    fn add(&mut self, observation: &Observation, instrument: Instrument) {
        let ns = observation.duration_ns;
        let value = seconds(ns);
        let bucket = instrument.bounds().partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        // The last measurement of a bucket stands for it (metrics SDK, AlignedHistogramBucketExemplarReservoir).
        self.exemplars[bucket] = Some(ExemplarParts { value, ..observation.exemplar });
        self.sum_ns += ns;
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.messages += observation.messages;
    }

    fn reset(&mut self) {
        self.counts.fill(0);
        (self.sum_ns, self.min_ns, self.max_ns, self.messages) = (0, u64::MAX, 0, 0);
    }
}

/// Seconds: one correctly rounded division, so the same on every machine.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// An export that is being written.
struct Export<'a> {
    scopes: &'a mut [Vec<u8>; 5],
    at_ns: u64,
    start_ns: u64,
    since_ns: u64,
    temporality: Temporality,
    count: usize,
}

impl Export<'_> {
    fn put(
        &mut self,
        library: Library,
        name: &str,
        description: &str,
        unit: &str,
        data: DataParts,
        points: &Points,
    ) {
        self.count += points.len();
        MetricParts { name, description, unit, data, points }.put(&mut self.scopes[library as usize]);
    }

    /// What the process uses: invented.
    fn put_process(&mut self, random: &mut Random) {
        let mut points = Points::default();
        let none: [Attribute<'_>; 0] = [];
        let used = f64::from(random.below(400_000) as u32 + 50_000) / f64::from(MILLION);
        points.push(&PointValue::Number(Number::Double(used)), &none, 0, self.at_ns, &[]);
        let description = "Share of CPU time that the process uses.";
        self.put(Library::Own, "process.cpu.utilization", description, "1", DataParts::Gauge, &points);
        points.clear();
        let bytes = (160 << 20) + random.below(64 << 20) as i64;
        points.push(&PointValue::Number(Number::Int(bytes)), &none, self.start_ns, self.at_ns, &[]);
        let data = DataParts::Sum { temporality: Temporality::Cumulative, monotonic: false };
        let description = "The amount of physical memory in use.";
        self.put(Library::Own, "process.memory.usage", description, "By", data, &points);
    }
}
