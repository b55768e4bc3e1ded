//! What a workload exports, read by prost, against what it says is true.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod decoded;
mod determinism;
mod recount;
