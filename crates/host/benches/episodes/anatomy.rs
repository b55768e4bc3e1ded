//! Where CPU time beyond a budget comes from: each call upon what is watched, with its times and what the kernel's account said.

use std::sync::{Arc, Mutex};

use aldis_host::{Budget, BudgetTracker, Sample, Subject, TelemetryError, monotonic_ns};

/// One call.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) what: What,
    pub(crate) begun_ns: u64,
    pub(crate) ended_ns: u64,
    /// CPU time, as a sample says.
    pub(crate) cpu_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Settle,
    Sample,
    Freeze,
    Kill,
}

pub(crate) type Calls = Arc<Mutex<Vec<Call>>>;

/// Something that is watched, and its calls.
pub(crate) struct Timed<S> {
    pub(crate) subject: S,
    pub(crate) calls: Calls,
}

impl<S: Subject> Timed<S> {
    fn timed<T>(&mut self, what: What, call: impl FnOnce(&mut S) -> T, cpu_ns: impl FnOnce(&T) -> u64) -> T {
        let begun_ns = monotonic_ns();
        let answer = call(&mut self.subject);
        let (ended_ns, cpu_ns) = (monotonic_ns(), cpu_ns(&answer));
        self.calls.lock().unwrap().push(Call { what, begun_ns, ended_ns, cpu_ns });
        answer
    }
}

impl<S: Subject> Subject for Timed<S> {
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        let cpu_ns = |sample: &Result<Sample, TelemetryError>| {
            sample.as_ref().ok().and_then(|sample| sample.stats.cpu.usage_ns.get()).unwrap_or(0)
        };
        self.timed(What::Sample, |subject| subject.sample(with_pressure), cpu_ns)
    }

    fn settle(&mut self) {
        self.timed(What::Settle, Subject::settle, |()| 0);
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        self.timed(What::Freeze, Subject::freeze, |_| 0)
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        self.timed(What::Kill, Subject::kill, |_| 0)
    }
}

/// Milliseconds of one overshoot, one after the other.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    /// From when the last look was due until it began.
    pub(crate) late: f64,
    /// The longest that any look was late.
    pub(crate) latest: f64,
    /// To bring the account up to date, and to read it.
    pub(crate) read: f64,
    /// To have it stand still.
    pub(crate) freeze: f64,
    /// What was left at the look before the last.
    pub(crate) left: f64,
    /// What was used between the two, per millisecond between them.
    pub(crate) rate: f64,
    /// Used beyond when frozen.
    pub(crate) over: f64,
}

pub(crate) fn parts(calls: &[Call], budget_ms: u64, cpus: u32) -> Option<Parts> {
    let ms = |ns: u64| ns as f64 / 1e6;
    let freeze = calls.iter().position(|call| call.what == What::Freeze)?;
    // A look begins with the settling, if there is any.
    let looks: Vec<(u64, &Call)> = calls[..freeze]
        .iter()
        .enumerate()
        .filter(|(_, call)| call.what == What::Sample)
        .map(|(at, call)| match at.checked_sub(1).map(|before| &calls[before]) {
            Some(before) if before.what == What::Settle => (before.begun_ns, call),
            _ => (call.begun_ns, call),
        })
        .collect();
    let budget = Budget { cpu_ms: Some(budget_ms), ..Budget::default() };
    let late = |before: &Call, begun_ns: u64| {
        let mut tracker = BudgetTracker::new(budget);
        tracker.report_usage(before.cpu_ns, 0);
        let due_ns = before.begun_ns + tracker.next_check_ns(cpus).unwrap().min(100_000_000);
        begun_ns as f64 / 1e6 - due_ns as f64 / 1e6
    };
    let lates: Vec<f64> = looks.windows(2).map(|two| late(two[0].1, two[1].0)).collect();
    let [.., (_, before), (begun_ns, last)] = looks[..] else { return None };
    let frozen = &calls[freeze];
    let over = calls[freeze + 1..].iter().find(|call| call.what == What::Sample)?;
    Some(Parts {
        late: *lates.last()?,
        latest: lates.iter().copied().fold(0.0, f64::max),
        read: ms(last.ended_ns - begun_ns),
        freeze: ms(frozen.ended_ns - frozen.begun_ns),
        left: budget_ms as f64 - ms(before.cpu_ns),
        rate: ms(last.cpu_ns - before.cpu_ns) / ms(last.begun_ns - before.begun_ns),
        over: ms(over.cpu_ns) - budget_ms as f64,
    })
}
