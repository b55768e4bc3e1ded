//! What one sampling stage makes of one record.

use super::{OtelState, Randomness, Threshold};

/// What becomes of a record at a sampling stage, and of the `th` in its trace state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes.
    Drop,
    /// It stays as it is: the threshold applied so far is at least as high.
    Keep,
    /// It stays, and this is the threshold applied to it from now on.
    KeepAt(Threshold),
    /// It stays, and its `th` goes: it was kept although R < `th`, so some sampler did not go by the rule and the
    /// probability is unknown.
    KeepUnknown,
}

impl Decision {
    /// An *equalizing downstream sampler* (OpenTelemetry specification, *TraceState: Probability Sampling*): keeps what
    /// has R ≥ `threshold`, and raises the threshold applied so far to it, never lowers it. A record without one is taken
    /// as not sampled before.
    ///
    /// A stage that keeps everything neither adds nor changes anything.
    pub fn of(state: &OtelState<'_>, randomness: Randomness, threshold: Threshold) -> Self {
        if threshold == Threshold::ALWAYS {
            return Self::Keep;
        }
        if !threshold.keeps(randomness) {
            return Self::Drop;
        }
        match state.threshold {
            Some(before) if !before.keeps(randomness) => Self::KeepUnknown,
            Some(before) if before >= threshold => Self::Keep,
            _ => Self::KeepAt(threshold),
        }
    }
}
