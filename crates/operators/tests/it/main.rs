//! What the operators promise, against scripts, models and statistics.

mod sampling;
mod script;
