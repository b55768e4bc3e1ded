//! Data points, written down field by field.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, Summary, SummaryDataPoint, number_data_point,
};

use crate::record::{number, text};

/// A point of any kind with its metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    kind: String,
    pub(crate) attributes: Vec<KeyValue>,
    name: String,
    unit: String,
    description: String,
    time_ns: u64,
    start_ns: u64,
    value: Option<number_data_point::Value>,
    count: u64,
    sum: Option<f64>,
    flags: u32,
    is_monotonic: bool,
    temporality: i32,
}

impl Point {
    /// A point without any field.
    pub(crate) fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    pub(crate) fn set(&mut self, name: &str, value: &AnyValue) {
        use opentelemetry_proto::tonic::common::v1::any_value::Value;
        match (name, &value.value) {
            ("metric_name", _) => self.name = text(value),
            ("metric_description", _) => self.description = text(value),
            ("metric_unit", _) => self.unit = text(value),
            ("time_ns", _) => self.time_ns = number(value) as u64,
            ("start_ns", _) => self.start_ns = number(value) as u64,
            ("value", Some(Value::DoubleValue(value))) => {
                self.value = Some(number_data_point::Value::AsDouble(*value));
            }
            ("value", _) => self.value = Some(number_data_point::Value::AsInt(number(value))),
            ("count", _) => self.count = number(value) as u64,
            ("sum", Some(Value::DoubleValue(sum))) => self.sum = Some(*sum),
            ("flags", _) => self.flags = number(value) as u32,
            ("is_monotonic", Some(Value::BoolValue(value))) => self.is_monotonic = *value,
            ("temporality", _) => self.temporality = number(value) as i32,
            _ => panic!("a data point has no field {name:?} of that type"),
        }
    }

    pub(crate) fn metric(&self) -> Metric {
        let aggregation_temporality = self.temporality;
        let data = match self.kind.as_str() {
            "gauge" => Data::Gauge(Gauge { data_points: vec![self.number_point()] }),
            "sum" => Data::Sum(Sum {
                data_points: vec![self.number_point()],
                aggregation_temporality,
                is_monotonic: self.is_monotonic,
            }),
            "histogram" => Data::Histogram(Histogram {
                data_points: vec![self.histogram_point()],
                aggregation_temporality,
            }),
            "exponential_histogram" => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![self.exponential_point()],
                aggregation_temporality,
            }),
            "summary" => Data::Summary(Summary { data_points: vec![self.summary_point()] }),
            other => panic!("no metric is a {other:?}"),
        };
        Metric {
            name: self.name.clone(),
            unit: self.unit.clone(),
            description: self.description.clone(),
            data: Some(data),
            ..Metric::default()
        }
    }

    fn number_point(&self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
            flags: self.flags,
            value: self.value,
            ..NumberDataPoint::default()
        }
    }

    fn histogram_point(&self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
            flags: self.flags,
            count: self.count,
            sum: self.sum,
            ..HistogramDataPoint::default()
        }
    }

    fn exponential_point(&self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
            flags: self.flags,
            count: self.count,
            sum: self.sum,
            ..ExponentialHistogramDataPoint::default()
        }
    }

    fn summary_point(&self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes.clone(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
            flags: self.flags,
            count: self.count,
            sum: self.sum.unwrap_or_default(),
            ..SummaryDataPoint::default()
        }
    }
}
