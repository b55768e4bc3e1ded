//! Keeping some records in a way that lets totals be restored.
//!
//! [`Threshold`] and [`Randomness`] are the arithmetic of consistent probability sampling, [`OtelState`] is where it is
//! written, [`Decision`] is the rule, [`ThresholdSampler`] applies it to a batch and [`Decision::of_log`] to a record that
//! is in none yet, and [`Pressure`] says how hard to sample when a queue fills up.

pub mod decision;
pub mod pressure;
mod recorded;
pub mod sampler;
pub mod threshold;
pub mod tracestate;

pub use decision::Decision;
pub use pressure::Pressure;
pub use sampler::{LOG_RANDOMNESS, LOG_THRESHOLD, Sampled, ThresholdSampler};
pub use threshold::{Probability, ProbabilityError, Randomness, Threshold};
pub use tracestate::OtelState;
