//! What is left out or put together before storage. Pure: the time is an argument.

use std::{collections::HashMap, time::Duration};

use crate::{ConfigError, EventType, MetricKind, Name, TelemetryData, TelemetryEvent, TelemetryMetric};

/// Series that an aggregation keeps open at once; metrics of more pass as they are.
pub const MAX_SERIES: usize = 16 << 10;

/// Which share of the events of each type is stored. Listeners and consumers see all.
///
/// Whether an event is stored depends on where it comes from ([`crate::Origin`]) alone, not on how it was batched.
///
/// ```
/// use aldis_collect::{EventType, Sampling};
///
/// let sampling = Sampling::default().keep(EventType::Debug, 0.01).keep(EventType::Info, 0.1);
/// assert_eq!(sampling.share(EventType::Error), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    shares: [f64; 4],
}

impl Default for Sampling {
    /// Everything is stored.
    fn default() -> Self {
        Self { shares: [1.0; 4] }
    }
}

impl Sampling {
    /// Stores this share of the events of a type: 0 none, 1 all; what is less or more is taken for these.
    #[must_use]
    pub fn keep(mut self, event_type: EventType, share: f64) -> Self {
        self.shares[event_type as usize] = if share > 0.0 { share.min(1.0) } else { 0.0 };
        self
    }

    /// The share of the events of a type that is stored.
    pub fn share(&self, event_type: EventType) -> f64 {
        self.shares[event_type as usize]
    }

    fn keeps(&self, event: &TelemetryEvent) -> bool {
        let share = self.share(event.event_type);
        // 53 bits, as many as a double is exact for.
        let number = scatter(u64::from(event.origin.lane) << 40 ^ event.origin.seq) >> 11;
        (number as f64) < share * (1_u64 << 53) as f64
    }
}

/// The finaliser of SplitMix64: neighbours end up far apart.
fn scatter(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What is computed of the measurements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// How many there were.
    Count,
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Sum by count.
    Mean,
    /// The one that came last.
    Last,
}

impl Function {
    /// The value of the tag [`AGGREGATE`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Last => "last",
        }
    }
}

/// The tag that says which [`Function`] a stored metric is the result of.
pub const AGGREGATE: &str = "aggregate";

/// Stores, instead of each measurement, one metric for each window, series and function. A series is a name with unit, tags and kind;
/// windows begin at multiples of their length since 1970. Each result carries the tag [`AGGREGATE`]. Listeners and consumers see every
/// measurement. Of metrics of kind [`MetricKind::Delta`] the sum alone is stored, without that tag: it is such a metric again.
///
/// ```
/// use std::time::Duration;
/// use aldis_collect::{Aggregation, Function};
///
/// let by_minute = Aggregation::every(Duration::from_secs(60)).of([Function::Max, Function::Mean])?;
/// assert_eq!(by_minute.functions(), [Function::Max, Function::Mean]);
/// # Ok::<(), aldis_collect::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    window_ns: u64,
    functions: Vec<Function>,
}

impl Aggregation {
    /// Windows of this length (1 ns at least), and of each the last value.
    pub fn every(window: Duration) -> Self {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { window_ns, functions: vec![Function::Last] }
    }

    /// Computes these instead.
    ///
    /// # Errors
    /// There are none: nothing would be stored of what was measured.
    pub fn of(self, functions: impl IntoIterator<Item = Function>) -> Result<Self, ConfigError> {
        let functions: Vec<Function> = functions.into_iter().collect();
        if functions.is_empty() {
            return Err(ConfigError { setting: "functions", expected: "one function at least" });
        }
        Ok(Self { functions, ..self })
    }

    /// What is computed.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Series {
    name: Name,
    unit: Name,
    tags: Vec<(Name, Name)>,
    kind: MetricKind,
}

/// A window that is open for one series.
struct Open {
    window: u64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: TelemetryMetric,
}

/// What is to be stored: events and metrics as they were recorded, then results of aggregation.
#[derive(Default)]
pub(crate) struct Reduced {
    pub(crate) data: TelemetryData,
    /// For each of the metrics at the end of `data` that is a result: how many measurements it stands for. Of the results of one
    /// window the first stands for all of them.
    pub(crate) weights: Vec<u64>,
    pub(crate) sampled_out: u64,
}

/// Sampling and aggregation at work.
pub(crate) struct Reducer {
    sampling: Sampling,
    aggregation: Option<Aggregation>,
    open: HashMap<Series, Open>,
    held: u64,
}

impl Reducer {
    pub(crate) fn new(sampling: Sampling, aggregation: Option<Aggregation>) -> Self {
        Self { sampling, aggregation, open: HashMap::new(), held: 0 }
    }

    /// Whether everything passes as it is.
    pub(crate) fn is_identity(&self) -> bool {
        self.aggregation.is_none() && self.sampling == Sampling::default()
    }

    /// Measurements in open windows.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn step(&mut self, data: &TelemetryData, now_ns: u64) -> Reduced {
        let mut reduced = Reduced::default();
        let kept = data.events.iter().filter(|event| self.sampling.keeps(event));
        reduced.data.events = kept.cloned().collect();
        reduced.sampled_out = (data.events.len() - reduced.data.events.len()) as u64;
        let Some(aggregation) = self.aggregation.clone() else {
            reduced.data.metrics.clone_from(&data.metrics);
            return reduced;
        };
        let mut results = Vec::new();
        for metric in &data.metrics {
            if !self.add(&aggregation, metric, &mut results) {
                reduced.data.metrics.push(metric.clone());
            }
        }
        let now = now_ns / aggregation.window_ns;
        self.close(&aggregation, |window| window < now, &mut results);
        reduced.finish(results)
    }

    /// Closes every window.
    pub(crate) fn finish(&mut self) -> Reduced {
        let mut results = Vec::new();
        if let Some(aggregation) = self.aggregation.clone() {
            self.close(&aggregation, |_| true, &mut results);
        }
        Reduced::default().finish(results)
    }

    /// Adds a measurement to its window. `false`: there are too many series.
    fn add(
        &mut self,
        aggregation: &Aggregation,
        metric: &TelemetryMetric,
        results: &mut Vec<(TelemetryMetric, u64)>,
    ) -> bool {
        let window = metric.time_ns / aggregation.window_ns;
        let TelemetryMetric { name, unit, tags, kind, .. } = metric.clone();
        let series = Series { name, unit, tags, kind };
        let has_room = self.open.len() < MAX_SERIES;
        match self.open.get_mut(&series) {
            Some(open) if open.window == window => open.add(metric),
            Some(open) => {
                let closed = std::mem::replace(open, Open::new(window, metric));
                self.held -= closed.count;
                closed.results(aggregation, results);
            }
            None if has_room => drop(self.open.insert(series, Open::new(window, metric))),
            None => return false,
        }
        self.held += 1;
        true
    }

    fn close(
        &mut self,
        aggregation: &Aggregation,
        is_over: impl Fn(u64) -> bool,
        results: &mut Vec<(TelemetryMetric, u64)>,
    ) {
        let first = results.len();
        let mut closed: Vec<(Series, Open)> = self.open.extract_if(|_, open| is_over(open.window)).collect();
        closed.sort_by(|(a, open_a), (b, open_b)| {
            let key = |series: &Series, open: &Open| (open.window, series.name.clone(), series.tags.clone());
            key(a, open_a).cmp(&key(b, open_b))
        });
        for (_, open) in closed {
            self.held -= open.count;
            open.results(aggregation, results);
        }
        debug_assert!(results.len() >= first);
    }
}

impl Reduced {
    fn finish(mut self, results: Vec<(TelemetryMetric, u64)>) -> Self {
        for (metric, weight) in results {
            self.data.metrics.push(metric);
            self.weights.push(weight);
        }
        self
    }

    /// Of the first so many records of `data`: how many were recorded as they are, and how many measurements results stand for.
    pub(crate) fn stored(&self, records: usize) -> (u64, u64) {
        let plain = self.data.len() - self.weights.len();
        let results = records.saturating_sub(plain).min(self.weights.len());
        (records.min(plain) as u64, self.weights[..results].iter().sum())
    }
}

impl Open {
    fn new(window: u64, metric: &TelemetryMetric) -> Self {
        let value = metric.value;
        Self { window, count: 1, sum: value, min: value, max: value, last: metric.clone() }
    }

    fn add(&mut self, metric: &TelemetryMetric) {
        self.count += 1;
        self.sum += metric.value;
        self.min = self.min.min(metric.value);
        self.max = self.max.max(metric.value);
        self.last = metric.clone();
    }

    fn results(self, aggregation: &Aggregation, results: &mut Vec<(TelemetryMetric, u64)>) {
        let mut weight = self.count;
        if self.last.kind == MetricKind::Delta {
            results.push((TelemetryMetric { value: self.sum, ..self.last }, weight));
            return;
        }
        for function in &aggregation.functions {
            let value = match function {
                Function::Count => self.count as f64,
                Function::Sum => self.sum,
                Function::Min => self.min,
                Function::Max => self.max,
                Function::Mean => self.sum / self.count as f64,
                Function::Last => self.last.value,
            };
            let mut metric = TelemetryMetric { value, ..self.last.clone() };
            metric.tags.push((AGGREGATE.into(), function.as_str().into()));
            results.push((metric, std::mem::take(&mut weight)));
        }
    }
}
