//! What the operators promise, against scripts, models and statistics.

mod filter;
mod requests;
mod sampler;
mod sampling;
mod script;
