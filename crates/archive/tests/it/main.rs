//! Archives from outside, held against a second implementation of the format.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod files;
mod fixtures;
mod forged;
mod lines;
mod oracle;
mod range;
mod roundtrip;
mod tampered;
mod vectors;
