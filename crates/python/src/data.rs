//! Events, metrics, and the container in which they travel.

use std::sync::Arc;

use collect::{MetricKind, Name, Origin, json};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

use crate::{fields, moment, pen, python::Known};

/// The function that tells pydantic how to validate and serialise a model.
static SCHEMA: Known = Known::new("aldis._pydantic", "schema");

/// Something that happened.
#[pyclass(module = "aldis", frozen, weakref)]
pub(crate) struct TelemetryEvent(collect::TelemetryEvent);

/// Something that was measured.
#[pyclass(module = "aldis", frozen, weakref)]
pub(crate) struct TelemetryMetric(collect::TelemetryMetric);

/// Events and metrics.
#[pyclass(module = "aldis", frozen, weakref)]
pub(crate) struct TelemetryData {
    pub(crate) data: Arc<collect::TelemetryData>,
    events: PyOnceLock<Py<PyTuple>>,
    metrics: PyOnceLock<Py<PyTuple>>,
}

/// The time of a record that is made by hand: what is given, or now.
fn time(time_ns: Option<u64>, timestamp: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
    match (time_ns, timestamp) {
        (Some(_), Some(_)) => {
            Err(PyValueError::new_err("timestamp and time_ns say the same: give one of them"))
        }
        (Some(time_ns), None) => Ok(time_ns),
        (None, Some(timestamp)) => moment::unix_ns(timestamp),
        (None, None) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Ok(since.map_or(0, |since| since.as_nanos() as u64))
        }
    }
}

/// The one record that a line of JSON is.
fn of_line(line: &str) -> PyResult<collect::TelemetryData> {
    let read = json::data(line).ok().filter(|data| data.len() == 1);
    read.ok_or_else(|| PyValueError::new_err("this is no line of a record"))
}

fn line(data: &collect::TelemetryData) -> String {
    json::of_data(data).trim_end().to_owned()
}

#[pymethods]
impl TelemetryEvent {
    #[new]
    #[pyo3(signature = (source, message, event_type = None, metadata = None, *, timestamp = None, time_ns = None, lane = 0, seq = 0))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        source: String,
        message: String,
        event_type: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
        time_ns: Option<u64>,
        lane: u32,
        seq: u64,
    ) -> PyResult<Self> {
        Ok(Self(collect::TelemetryEvent {
            time_ns: time(time_ns, timestamp)?,
            source: source.into(),
            message,
            event_type: pen::event_type(event_type)?,
            metadata: metadata.map(fields::fields).transpose()?.unwrap_or_default(),
            origin: Origin { lane, seq },
        }))
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("source", "message", "event_type", "metadata")
    }

    #[getter]
    fn source(&self) -> &str {
        &self.0.source
    }

    #[getter]
    fn message(&self) -> &str {
        &self.0.message
    }

    #[getter]
    fn event_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        pen::event_type_object(py, self.0.event_type)
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        fields::to_dict(py, &self.0.metadata)
    }

    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        moment::datetime(py, self.0.time_ns)
    }

    #[getter]
    fn time_ns(&self) -> u64 {
        self.0.time_ns
    }

    #[getter]
    fn lane(&self) -> u32 {
        self.0.origin.lane
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.0.origin.seq
    }

    /// Its line of JSON, without the line end.
    fn to_json(&self) -> String {
        line(&collect::TelemetryData { events: vec![self.0.clone()], metrics: vec![] })
    }

    #[classmethod]
    fn from_json(_class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let event = of_line(text)?.events.pop();
        event.map(Self).ok_or_else(|| PyValueError::new_err("this is no line of an event"))
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("time_ns", self.0.time_ns)?;
        dict.set_item("type", "event")?;
        dict.set_item("event_type", self.0.event_type.as_str())?;
        dict.set_item("source", self.source())?;
        dict.set_item("message", self.message())?;
        dict.set_item("metadata", self.metadata(py)?)?;
        dict.set_item("lane", self.lane())?;
        dict.set_item("seq", self.seq())?;
        Ok(dict)
    }

    /// By its parts: JSON has no words for infinity and what is no number.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (time_ns, Origin { lane, seq }) = (self.0.time_ns, self.0.origin);
        let (name, metadata) = (self.0.event_type.as_str(), self.metadata(py)?);
        let parts = (self.source(), self.message(), name, metadata, time_ns, lane, seq);
        Ok((py.get_type::<Self>().getattr("_of_parts")?, parts.into_pyobject(py)?))
    }

    #[classmethod]
    #[allow(clippy::too_many_arguments, reason = "as it was taken apart")]
    fn _of_parts(
        _class: &Bound<'_, PyType>,
        source: String,
        message: String,
        event_type: &Bound<'_, PyAny>,
        metadata: &Bound<'_, PyAny>,
        time_ns: u64,
        lane: u32,
        seq: u64,
    ) -> PyResult<Self> {
        Self::new(source, message, Some(event_type), Some(metadata), None, Some(time_ns), lane, seq)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.0 == other.get().0)
    }

    fn __hash__(&self) -> u64 {
        hash(self.0.time_ns, self.0.origin)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (source, message) = (quoted(py, self.source())?, quoted(py, self.message())?);
        let (event_type, metadata) = (self.0.event_type, self.metadata(py)?.repr()?);
        let timestamp = self.timestamp(py)?.repr()?;
        Ok(format!(
            "TelemetryEvent(source={source}, message={message}, event_type=EventType.{event_type}, metadata={metadata}, timestamp={timestamp})"
        ))
    }

    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        SCHEMA.get(class.py())?.call1((class,))
    }
}

#[pymethods]
impl TelemetryMetric {
    #[new]
    #[pyo3(signature = (name, value, unit = "", tags = None, *, kind = "gauge", timestamp = None, time_ns = None, lane = 0, seq = 0))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        name: &str,
        value: f64,
        unit: &str,
        tags: Option<&Bound<'_, PyAny>>,
        kind: &str,
        timestamp: Option<&Bound<'_, PyAny>>,
        time_ns: Option<u64>,
        lane: u32,
        seq: u64,
    ) -> PyResult<Self> {
        let kind = match kind {
            "gauge" => MetricKind::Gauge,
            "delta" => MetricKind::Delta,
            _ => return Err(PyValueError::new_err("kind takes gauge or delta")),
        };
        Ok(Self(collect::TelemetryMetric {
            time_ns: time(time_ns, timestamp)?,
            name: Name::from(name),
            value,
            unit: Name::from(unit),
            tags: tags.map(fields::tags).transpose()?.unwrap_or_default(),
            kind,
            origin: Origin { lane, seq },
        }))
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("name", "value", "unit", "tags")
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn value(&self) -> f64 {
        self.0.value
    }

    #[getter]
    fn unit(&self) -> &str {
        &self.0.unit
    }

    #[getter]
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        fields::tags_to_dict(py, &self.0.tags)
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Delta => "delta",
        }
    }

    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        moment::datetime(py, self.0.time_ns)
    }

    #[getter]
    fn time_ns(&self) -> u64 {
        self.0.time_ns
    }

    #[getter]
    fn lane(&self) -> u32 {
        self.0.origin.lane
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.0.origin.seq
    }

    /// Its line of JSON, without the line end.
    fn to_json(&self) -> String {
        line(&collect::TelemetryData { events: vec![], metrics: vec![self.0.clone()] })
    }

    #[classmethod]
    fn from_json(_class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let metric = of_line(text)?.metrics.pop();
        metric.map(Self).ok_or_else(|| PyValueError::new_err("this is no line of a metric"))
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("time_ns", self.0.time_ns)?;
        dict.set_item("type", "metric")?;
        dict.set_item("name", self.name())?;
        dict.set_item("value", self.0.value)?;
        dict.set_item("unit", self.unit())?;
        dict.set_item("tags", self.tags(py)?)?;
        if self.0.kind == MetricKind::Delta {
            dict.set_item("kind", "delta")?;
        }
        dict.set_item("lane", self.lane())?;
        dict.set_item("seq", self.seq())?;
        Ok(dict)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (time_ns, Origin { lane, seq }) = (self.0.time_ns, self.0.origin);
        let parts = (self.name(), self.0.value, self.unit(), self.tags(py)?, self.kind(), time_ns, lane, seq);
        Ok((py.get_type::<Self>().getattr("_of_parts")?, parts.into_pyobject(py)?))
    }

    #[classmethod]
    #[allow(clippy::too_many_arguments, reason = "as it was taken apart")]
    fn _of_parts(
        _class: &Bound<'_, PyType>,
        name: &str,
        value: f64,
        unit: &str,
        tags: &Bound<'_, PyAny>,
        kind: &str,
        time_ns: u64,
        lane: u32,
        seq: u64,
    ) -> PyResult<Self> {
        Self::new(name, value, unit, Some(tags), kind, None, Some(time_ns), lane, seq)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.0 == other.get().0)
    }

    fn __hash__(&self) -> u64 {
        hash(self.0.time_ns, self.0.origin)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (name, unit) = (quoted(py, self.name())?, quoted(py, self.unit())?);
        let value = self.0.value.into_pyobject(py)?.repr()?;
        let (tags, timestamp) = (self.tags(py)?.repr()?, self.timestamp(py)?.repr()?);
        let kind = if self.0.kind == MetricKind::Delta { ", kind='delta'" } else { "" };
        Ok(format!(
            "TelemetryMetric(name={name}, value={value}, unit={unit}, tags={tags}{kind}, timestamp={timestamp})"
        ))
    }

    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        SCHEMA.get(class.py())?.call1((class,))
    }
}

/// Of what identifies a record best.
fn hash(time_ns: u64, origin: Origin) -> u64 {
    time_ns ^ origin.seq.rotate_left(32) ^ u64::from(origin.lane).rotate_left(16)
}

fn quoted(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(text.into_pyobject(py)?.repr()?.to_string_lossy().into_owned())
}

#[pymethods]
impl TelemetryData {
    #[new]
    #[pyo3(signature = (events = None, metrics = None))]
    fn new(events: Option<&Bound<'_, PyAny>>, metrics: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut data = collect::TelemetryData::default();
        if let Some(events) = events {
            for event in events.try_iter()? {
                data.events.push(event?.cast::<TelemetryEvent>()?.get().0.clone());
            }
        }
        if let Some(metrics) = metrics {
            for metric in metrics.try_iter()? {
                data.metrics.push(metric?.cast::<TelemetryMetric>()?.get().0.clone());
            }
        }
        Ok(Self::of(data))
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("events", "metrics")
    }

    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = || {
            let all: Vec<_> = self.data.events.iter().cloned().map(TelemetryEvent).collect();
            PyTuple::new(py, all).map(Bound::unbind)
        };
        Ok(self.events.get_or_try_init(py, make)?.bind(py).clone())
    }

    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = || {
            let all: Vec<_> = self.data.metrics.iter().cloned().map(TelemetryMetric).collect();
            PyTuple::new(py, all).map(Bound::unbind)
        };
        Ok(self.metrics.get_or_try_init(py, make)?.bind(py).clone())
    }

    /// Events, then metrics, a line of JSON for each.
    fn to_jsonl(&self, py: Python<'_>) -> String {
        py.detach(|| json::of_data(&self.data))
    }

    #[classmethod]
    fn from_jsonl(class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let read = class.py().detach(|| json::data(text));
        read.map(Self::of).map_err(|line| PyValueError::new_err(format!("line {} is no record", line + 1)))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.events(py)?.as_any().add(self.metrics(py)?)?.try_iter().map(Bound::into_any)
    }

    fn __len__(&self) -> usize {
        self.data.len()
    }

    fn __add__(&self, other: &Bound<'_, Self>) -> Self {
        let mut data = collect::TelemetryData::clone(&self.data);
        data.append(collect::TelemetryData::clone(&other.get().data));
        Self::of(data)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let parts = (self.events(py)?, self.metrics(py)?);
        Ok((py.get_type::<Self>().into_any(), parts.into_pyobject(py)?))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.data == other.get().data)
    }

    fn __hash__(&self) -> u64 {
        let events = self.data.events.iter().map(|event| hash(event.time_ns, event.origin));
        let metrics = self.data.metrics.iter().map(|metric| hash(metric.time_ns, metric.origin));
        events.chain(metrics).fold(0, |all, one| all.rotate_left(5) ^ one)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (events, metrics) = (self.events(py)?.repr()?, self.metrics(py)?.repr()?);
        Ok(format!("TelemetryData(events={events}, metrics={metrics})"))
    }
}

impl TelemetryData {
    pub(crate) fn of(data: collect::TelemetryData) -> Self {
        Self { data: Arc::new(data), events: PyOnceLock::new(), metrics: PyOnceLock::new() }
    }

    /// One record.
    pub(crate) fn record(py: Python<'_>, record: collect::Record) -> PyResult<Bound<'_, PyAny>> {
        Ok(match record {
            collect::Record::Event(event) => TelemetryEvent(event).into_pyobject(py)?.into_any(),
            collect::Record::Metric(metric) => TelemetryMetric(metric).into_pyobject(py)?.into_any(),
        })
    }
}
