//! What a workload exports, read by prost, against what it says is true.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conventions;
mod decoded;
mod determinism;
mod metrics;
mod path;
mod recount;
mod settings;
mod story;
