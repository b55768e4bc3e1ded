#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
//! The engine from outside.

mod authenticating;
mod batching;
mod choosing;
mod configs;
mod counting_gaps;
mod crossing;
mod editing;
mod ends;
mod exposure;
mod filing;
mod frames;
mod lifetime;
mod limiting;
mod pinging;
mod receiving;
mod reloading;
mod remote_writing;
mod replaying;
mod scraping;
mod secrets;
mod securing;
mod sending;
mod summary;
mod telling;
mod tracing;
mod wild;
