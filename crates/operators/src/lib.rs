//! What can be done to a telemetry batch, as pure state machines.
//!
//! Every processor is an [`Operator`]: it takes a checked [`otlp::Batch`] and the time as arguments and puts what becomes
//! of the records into an [`Output`], whose ports are such that the caller can prove that nothing went missing:
//! `in + made = out + removed{rule} + dropped{reason} + held`.
//!
//! It knows no clocks, sockets, threads or runtimes; `pipeline` calls it, and `engine` builds it from a file.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod buckets;
pub mod edit;
pub mod filter;
pub mod gaps;
pub mod limits;
pub mod operator;
pub mod pass;
pub mod sample;
pub mod settings;
pub mod summary;

pub use operator::{DropReason, Held, Operator, Output, StepContext};
pub use pass::Pass;
pub use settings::SettingError;
pub use summary::Summary;
