//! What the operators promise, against scripts, models and statistics.

mod edit;
mod filter;
mod naive;
mod requests;
mod sampler;
mod sampling;
mod script;
