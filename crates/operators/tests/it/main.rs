//! What the operators promise, against scripts, models and statistics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edit;
mod filter;
mod naive;
mod requests;
mod sampler;
mod sampling;
mod script;
