#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
//! The engine from outside.

mod batching;
mod choosing;
mod configs;
mod editing;
mod ends;
mod frames;
mod limiting;
mod pinging;
mod receiving;
mod scraping;
mod sending;
mod summary;
