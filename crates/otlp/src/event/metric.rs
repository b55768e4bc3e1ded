//! A data point of a metric, as plain values.

use super::ids::{SPAN_ID_TEXT, TRACE_ID_TEXT, Texts, hex_text};
use super::{AttributeValue, SERVICE_NAME};
use crate::index::MetricKind;
use crate::view::{BucketsView, ExemplarView, MetricView, NumberView, PointView, ResourceView, ValueView};

/// One data point of a metric as a program states it. Points of one service with the same name, unit, description and kind are put
/// under one metric.
///
/// ```
/// use aldis_otlp::event::{Metric, MetricData, Number, Temporality};
///
/// let orders = Metric {
///     name: "shop.orders".into(),
///     unit: "{order}".into(),
///     data: MetricData::Sum { value: Number::Int(3), monotonic: true, temporality: Temporality::Delta },
///     time_ns: 2_000,
///     start_time_ns: 1_000,
///     ..Metric::default()
/// };
/// assert_eq!(orders.data.kind_name(), "sum");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// What is measured.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Its unit, as UCUM writes it.
    pub unit: String,
    /// Kind and value.
    pub data: MetricData,
    /// Key-values of this point. `service.name` is taken from here to the resource.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Single measurements kept as examples. A summary has no place for them: there they are left out.
    pub exemplars: Vec<Exemplar>,
    /// When the time that it covers began, Unix nanoseconds; zero where that is unknown or the point is a gauge.
    pub start_time_ns: u64,
    /// Unix nanoseconds.
    pub time_ns: u64,
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// Whether a sum or a histogram tells what happened since the last point or since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Since the last point.
    Delta,
    /// Since the beginning, `start_time_ns`.
    #[default]
    Cumulative,
}

/// The kind of a metric, with the value of one point.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricData {
    /// A value at a time.
    Gauge(Number),
    /// A value that adds up.
    Sum {
        /// The sum.
        value: Number,
        /// Whether it never falls.
        monotonic: bool,
        /// Since when it is summed.
        temporality: Temporality,
    },
    /// A distribution.
    Histogram {
        /// The distribution.
        histogram: HistogramData,
        /// Since when it is collected.
        temporality: Temporality,
    },
    /// A distribution in buckets that grow by a constant factor.
    ExponentialHistogram {
        /// The distribution.
        histogram: ExponentialHistogramData,
        /// Since when it is collected.
        temporality: Temporality,
    },
    /// Quantiles that were worked out where the measurements were made.
    Summary(SummaryData),
}

impl Default for MetricData {
    /// A gauge at zero.
    fn default() -> Self {
        MetricData::Gauge(Number::Int(0))
    }
}

impl MetricData {
    /// `gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            MetricData::Gauge(_) => "gauge",
            MetricData::Sum { .. } => "sum",
            MetricData::Histogram { .. } => "histogram",
            MetricData::ExponentialHistogram { .. } => "exponential_histogram",
            MetricData::Summary(_) => "summary",
        }
    }
}

/// Observations counted in buckets with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramData {
    /// How many observations there are.
    pub count: u64,
    /// Their sum, where it means something.
    pub sum: Option<f64>,
    /// The smallest, where there is any.
    pub min: Option<f64>,
    /// The largest, where there is any.
    pub max: Option<f64>,
    /// Upper bounds of all buckets but the last, inclusive and rising.
    pub bounds: Vec<f64>,
    /// One count more than there are bounds.
    pub counts: Vec<u64>,
}

impl HistogramData {
    /// Counts `values` into buckets with these upper bounds.
    ///
    /// ```
    /// use aldis_otlp::event::HistogramData;
    ///
    /// let histogram = HistogramData::of(&[1.0, 5.0], &[0.5, 1.0, 9.0]);
    /// assert_eq!(histogram.counts, [2, 0, 1]);
    /// assert_eq!((histogram.min, histogram.max), (Some(0.5), Some(9.0)));
    /// ```
    pub fn of(bounds: &[f64], values: &[f64]) -> Self {
        let mut counts = vec![0; bounds.len() + 1];
        for &value in values {
            counts[bounds.partition_point(|bound| *bound < value)] += 1;
        }
        HistogramData {
            count: values.len() as u64,
            sum: Some(values.iter().sum()),
            min: values.iter().copied().reduce(f64::min),
            max: values.iter().copied().reduce(f64::max),
            bounds: bounds.to_vec(),
            counts,
        }
    }
}

/// Observations counted in buckets whose bounds are powers of 2^(2^-scale).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogramData {
    /// How many observations there are.
    pub count: u64,
    /// Their sum, where it means something.
    pub sum: Option<f64>,
    /// The smallest, where there is any.
    pub min: Option<f64>,
    /// The largest, where there is any.
    pub max: Option<f64>,
    /// The resolution.
    pub scale: i32,
    /// Observations that count as zero.
    pub zero_count: u64,
    /// Up to which magnitude they do.
    pub zero_threshold: f64,
    /// Positive observations.
    pub positive: Buckets,
    /// Negative observations, by their magnitude.
    pub negative: Buckets,
}

/// Adjacent buckets: the first has index `offset`, and bucket `i` holds what is above base^i and up to base^(i+1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The index of the first.
    pub offset: i32,
    /// Observations in each.
    pub counts: Vec<u64>,
}

/// Quantiles of observations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryData {
    /// How many observations there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Quantiles between 0 and 1, and their values.
    pub quantiles: Vec<(f64, f64)>,
}

/// A single measurement, and where it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What was measured.
    pub value: Number,
    /// When, Unix nanoseconds.
    pub time_ns: u64,
    /// The trace it was made in, read as [`super::Span::trace_id`] is.
    pub trace_id: Option<String>,
    /// The span it was made in, read as [`super::Span::span_id`] is.
    pub span_id: Option<String>,
    /// Attributes of the measurement that its point leaves out.
    pub attributes: Vec<(String, AttributeValue)>,
}

impl Metric {
    /// Reads a data point, its metric and the service name of its resource back into plain values.
    ///
    /// A number that was not recorded, here or in an exemplar, reads as not-a-number, and a temporality that is not stated as
    /// cumulative. Flags and the metric's own metadata have no place here and stay behind.
    ///
    /// ```
    /// use aldis_otlp::event::{Metric, MetricData, RequestBuilder, SummaryData};
    /// use aldis_otlp::{Depth, Signal};
    ///
    /// let data = MetricData::Summary(SummaryData { count: 2, sum: 3.0, quantiles: vec![(0.5, 1.0)] });
    /// let stated = Metric { name: "rpc.duration".into(), data, time_ns: 7, ..Metric::default() };
    /// let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
    /// builder.push_metric(&stated)?;
    /// let batch = builder.finish();
    /// assert_eq!(Metric::from_view(batch.point(0), batch.metric_of(0), batch.resource_of(0)), stated);
    /// # Ok::<(), aldis_otlp::event::PushError>(())
    /// ```
    pub fn from_view(point: PointView<'_>, metric: MetricView<'_>, resource: ResourceView<'_>) -> Metric {
        let mut attributes = Vec::new();
        if let Some(ValueView::String(service)) = resource.attributes().get(SERVICE_NAME) {
            attributes.push((SERVICE_NAME.to_owned(), AttributeValue::String(service.to_owned())));
        }
        attributes.extend(point.attributes().map(|(key, value)| (key.to_owned(), value.into())));
        Metric {
            name: metric.name().to_owned(),
            description: metric.description().to_owned(),
            unit: metric.unit().to_owned(),
            data: MetricData::from_view(point, metric),
            attributes,
            exemplars: point.exemplars().map(Exemplar::from_view).collect(),
            start_time_ns: point.start_ns(),
            time_ns: point.time_ns(),
        }
    }
}

impl MetricData {
    fn from_view(point: PointView<'_>, metric: MetricView<'_>) -> Self {
        let temporality =
            if metric.temporality() == 1 { Temporality::Delta } else { Temporality::Cumulative };
        match metric.kind() {
            MetricKind::None | MetricKind::Gauge => MetricData::Gauge(point.number().into()),
            MetricKind::Sum => MetricData::Sum {
                value: point.number().into(),
                monotonic: metric.is_monotonic(),
                temporality,
            },
            MetricKind::Histogram => MetricData::Histogram {
                histogram: HistogramData {
                    count: point.count().unwrap_or_default(),
                    sum: point.sum(),
                    min: point.min(),
                    max: point.max(),
                    bounds: point.explicit_bounds().collect(),
                    counts: point.bucket_counts().collect(),
                },
                temporality,
            },
            MetricKind::ExponentialHistogram => MetricData::ExponentialHistogram {
                histogram: ExponentialHistogramData {
                    count: point.count().unwrap_or_default(),
                    sum: point.sum(),
                    min: point.min(),
                    max: point.max(),
                    scale: point.scale().unwrap_or_default(),
                    zero_count: point.zero_count().unwrap_or_default(),
                    zero_threshold: point.zero_threshold().unwrap_or_default(),
                    positive: point.positive().into(),
                    negative: point.negative().into(),
                },
                temporality,
            },
            MetricKind::Summary => MetricData::Summary(SummaryData {
                count: point.count().unwrap_or_default(),
                sum: point.sum().unwrap_or_default(),
                quantiles: point.quantiles().collect(),
            }),
        }
    }
}

impl From<Option<NumberView>> for Number {
    /// Not a number where none is stated.
    fn from(view: Option<NumberView>) -> Self {
        match view {
            Some(NumberView::Int(number)) => Number::Int(number),
            Some(NumberView::Double(number)) => Number::Double(number),
            None => Number::Double(f64::NAN),
        }
    }
}

impl From<BucketsView<'_>> for Buckets {
    fn from(view: BucketsView<'_>) -> Self {
        Buckets { offset: view.offset(), counts: view.counts().collect() }
    }
}

impl Exemplar {
    fn from_view(exemplar: ExemplarView<'_>) -> Self {
        let (trace, span) = (exemplar.trace_id(), exemplar.span_id());
        let mut texts = Texts([(TRACE_ID_TEXT, None), (SPAN_ID_TEXT, None)]);
        let mut attributes = Vec::new();
        for (key, value) in exemplar.filtered_attributes() {
            if !texts.take(key, value, &[&trace.0, &span.0]) {
                attributes.push((key.to_owned(), value.into()));
            }
        }
        let Texts([(_, trace_text), (_, span_text)]) = texts;
        Exemplar {
            value: exemplar.number().into(),
            time_ns: exemplar.time_ns(),
            trace_id: trace_text.or_else(|| hex_text(&trace.0)),
            span_id: span_text.or_else(|| hex_text(&span.0)),
            attributes,
        }
    }
}
