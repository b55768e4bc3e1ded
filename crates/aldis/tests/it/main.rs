//! The `aldis` binary from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod check;
mod demo;
mod documents;
mod example;
mod flags;
mod json;
mod process;
mod refusals;
mod serve;
mod shutdown;
mod stub;
mod telemetry;
