//! One series, and what a point does to it.

use otlp::view::PointView;

use super::{exemplars::Exemplars, rejection::Rejection, value::Value};

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    /// `None`: its source said that there is no value.
    pub(super) value: Option<Value>,
    pub(super) exemplars: Exemplars,
    /// When it began, Unix nanoseconds; zero where nobody knows.
    pub(super) start_ns: u64,
    /// When it was observed last.
    pub(super) time_ns: u64,
    /// When its last point arrived.
    pub(super) seen_ns: u64,
    /// Whether it is added up here.
    accumulated: bool,
    /// Whether it is fed by several streams, whose times say nothing about each other.
    pub(super) shared: bool,
    /// Stands for the name of the metric that began it.
    pub(super) owner: u64,
    label_bytes: u32,
}

impl Series {
    /// A series without a value whose labels take up that much, begun by a metric.
    pub(super) fn new(label_bytes: usize, owner: u64) -> Self {
        Series {
            value: None,
            exemplars: Exemplars::default(),
            start_ns: 0,
            time_ns: 0,
            seen_ns: 0,
            accumulated: false,
            shared: false,
            owner,
            label_bytes: u32::try_from(label_bytes).unwrap_or(u32::MAX),
        }
    }

    /// Bytes of labels, value and exemplars.
    pub(super) fn memory_bytes(&self) -> usize {
        self.label_bytes as usize
            + self.value.as_ref().map_or(0, Value::heap_bytes)
            + self.exemplars.heap_bytes()
    }

    /// Has no value from now on.
    pub(super) fn forget(&mut self) {
        self.value = None;
        self.exemplars = Exemplars::default();
        self.accumulated = false;
    }

    /// Takes a point, whose value is read already. `false`: what was known is newer.
    ///
    /// Deltas are added up by the rules of
    /// <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#sums-delta-to-cumulative>: one that ends before what
    /// has been added is out of order, and so is one that begins before the first. A gap is none: who sends deltas sends
    /// none while nothing happens. A histogram whose bounds change, and a stream that was cumulative, begin anew.
    pub(super) fn apply(
        &mut self,
        value: Value,
        is_delta: bool,
        point: PointView<'_>,
        now_ns: u64,
    ) -> Result<bool, Rejection> {
        let (start_ns, time_ns) = (point.start_ns(), point.time_ns());
        let is_older = self.value.is_some() && !self.shared && time_ns < self.time_ns;
        if is_delta {
            let is_again = self.accumulated && !self.shared && time_ns == self.time_ns && time_ns > 0;
            let is_before = self.accumulated && !self.shared && start_ns != 0 && start_ns < self.start_ns;
            if self.accumulated && is_older || is_again || is_before {
                return Err(Rejection::OutOfOrder);
            }
        } else if is_older {
            self.seen_ns = now_ns;
            return Ok(false);
        }
        self.seen_ns = now_ns;
        let goes_on = match &mut self.value {
            Some(total) if is_delta && self.accumulated => total.add(&value),
            _ => false,
        };
        if goes_on {
            if start_ns != 0 && self.start_ns != 0 {
                self.start_ns = self.start_ns.min(start_ns);
            }
            self.time_ns = self.time_ns.max(time_ns);
        } else {
            // Not a delta that is added: it takes the place of what was there.
            if is_delta || self.start_ns != start_ns {
                self.exemplars.clear();
            }
            match &mut self.value {
                Some(old) => old.replace(value),
                none => *none = Some(value),
            }
            (self.start_ns, self.time_ns) = (start_ns, time_ns);
        }
        self.accumulated = is_delta;
        if let Some(value) = &self.value {
            self.exemplars.take(point, value);
        }
        Ok(true)
    }
}
