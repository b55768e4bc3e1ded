//! The `aldis` binary from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod archive;
mod check;
mod demo;
mod documents;
mod episodes;
mod example;
mod flags;
mod help;
mod json;
mod output;
mod packaging;
mod process;
mod refusals;
mod reload;
mod replay;
mod run;
mod screen;
mod secrets;
mod secure;
mod serve;
mod service_manager;
mod shutdown;
mod stub;
mod telemetry;
mod telling;
mod usage;
