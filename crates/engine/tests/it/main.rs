#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
//! The engine from outside.

mod configs;
